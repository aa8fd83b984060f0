// SPDX-License-Identifier: MIT

// What this machine has, found out by trying.

#include "lab.hpp"

namespace kernel {

lab::lab() {
  const std::size_t first = 0;
  memory.map_touched(first, mirror::small_pages);
  for (const ring& each : rings)
    if (!each.lacking().empty()) rings_lacking = each.lacking();
  if (rings_lacking.empty()) {
    // How much does RLIMIT_MEMLOCK allow? A page counts in each buffer, and a page of 2 MiB as a whole: no row takes
    // more than 7 MiB, the random operations with pages of 2 MiB take up to 48.
    const iovec four = buffer(memory.at(first), 4 << 20), three = buffer(memory.at(first), 3 << 20);
    const std::vector<iovec> little{four, three}, much(12, four);
    if (const outcome tried = rings[0].register_buffers(little); tried.error != 0)
      rings_lacking = std::string{"io_uring does not register 7 MiB: "} + std::strerror(tried.error);
    forget();
    may_lock_much = rings[0].register_buffers(much).error == 0;
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
    forget();
    if (!pins)
      huge_lacking = "whether io_uring keeps all pins of a page of 2 MiB cannot be told: others pin all the time";
    merges = pins && pins->released != 0;
  }
  memory.unmap(0, mirror::nr_pages);
}

}  // namespace kernel
