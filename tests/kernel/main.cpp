// The same operations on pinref and on the kernel this runs on, every outcome compared.
//
//   kernel [seed [operations]]
//
// Exits 1 when something differs, 77 when nothing could be compared.

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "lab.hpp"

namespace kernel {

lab::lab() {
  const std::size_t first = 0;
  memory.map_touched(first, mirror::small_pages);
  for (const ring& each : rings)
    if (!each.lacking().empty()) rings_lacking = each.lacking();
  if (rings_lacking.empty()) {
    // RLIMIT_MEMLOCK allows how much? Each page counts in each buffer. No row needs 7 MiB, and one slot of the random
    // operations does not either.
    const iovec four = buffer(memory.at(first), 4 << 20), three = buffer(memory.at(first), 3 << 20);
    const std::array little{four, three};
    const std::array much{four, four, four, four, four, four};
    if (const outcome tried = rings[0].register_buffers(little); tried.error != 0)
      rings_lacking = std::string{"io_uring does not register 7 MiB: "} + std::strerror(tried.error);
    forget();
    slots = rings[0].register_buffers(much).error == 0 ? rings.size() : 1;
    forget();
  }

  outcome got;
  if (file.lacking().empty() && counters.lacking().empty()) {
    const auto pins = count([&] { return file.read(memory.at(first), page_size); }, nothing_to_undo, got, {1, 1});
    if (got.error != 0 || (pins && pins->acquired == 0)) file.set_lacking("the file system here copies under O_DIRECT");
  }

  if (!memory.map_huge(0)) {
    huge_lacking = no_huge_page;
  } else if (rings_lacking.empty() && counters.lacking().empty()) {
    const iovec whole = buffer(memory.huge_at(0), huge_size);
    const auto pins = count(
        [&] {
          return rings[0].register_buffers({&whole, 1});
        },
        [&] { return forget(); }, got, {512, 511});
    merges = pins && pins->released != 0;
    (void)rings[0].unregister();
  }
  memory.unmap(0, mirror::nr_pages);
}

}  // namespace kernel

int main(int argc, char** argv) {
  if (::sysconf(_SC_PAGESIZE) != static_cast<long>(kernel::page_size)) {
    std::cout << "pages here are not of 4 KiB" << std::endl;
    return 77;
  }
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 20240229;
  const unsigned operations = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 0)) : 2000;
  kernel::lab all;
  kernel::run_rows(all);
  kernel::run_random(all, seed, operations);
  return all.out.finish();
}
