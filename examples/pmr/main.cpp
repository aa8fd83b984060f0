// SPDX-License-Identifier: MIT

// Memory of std::pmr containers that is deallocated while a device is still writing to it.
//
//   pmr [--no-pins] [--quick] [--directory DIR]
//
// Buffers come from a std::pmr pool, and are deallocated while devices still read into them by direct I/O. Between the
// containers and the pool stands a deferring_resource: what a transfer has pinned stays where it is until the last pin
// has gone. With --no-pins the pool is told at once. It gives the memory out again, and the device writes into that.
//
// Exit code: 0 all verified, 1 data was lost, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <cstddef>
#include <cstdio>
#include <memory_resource>

#include "pinref/host/pmr_resource.hpp"
#include "pinref/pinref.hpp"
#include "support/block.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/freed_in_flight.hpp"

namespace examples::pmr {
namespace {

/// Pages from a pool. It asks the system for large pieces and keeps them, like any pool.
class pages {
 public:
  using hold = pinref::page_pin<pinref::deferring_resource::allocation>;

  explicit pages(bool pins) : pins_(pins) {}

  std::byte* allocate(std::size_t bytes) { return static_cast<std::byte*>(chosen().allocate(bytes, sizeof(block))); }
  void deallocate(std::byte* memory, std::size_t bytes) { chosen().deallocate(memory, bytes, sizeof(block)); }
  hold hold_for_transfer(std::byte* memory) { return pins_ ? hold::try_pin(*deferring_.find(memory)) : hold{}; }

  /// What the pool has not got back.
  [[nodiscard]] std::size_t nr_held() {
    deferring_.drain();
    return deferring_.nr_allocations();
  }

 private:
  std::pmr::memory_resource& chosen() noexcept {
    if (pins_) return deferring_;
    return pool_;
  }

  bool pins_;
  std::pmr::unsynchronized_pool_resource pool_{{.max_blocks_per_chunk = 64, .largest_required_pool_block = 64 * 1024}};
  pinref::deferring_resource deferring_{&pool_};
};

int main_job(const command_line& chosen) {
  const source from{chosen.directory(), delivered, versions_delivered};
  pages memory{!chosen.has("--no-pins")};
  if (const int result = run_in_flight(memory, from, chosen.has("--quick") ? 1 : 5); result != verified) return result;
  std::puts("OK: nothing was reused before the device was done with it, and everything afterwards");
  return verified;
}

}  // namespace
}  // namespace examples::pmr

int main(int argc, char** argv) {
  const examples::command_line chosen{argc, argv, {"--no-pins", "--quick"}};
  return examples::run([&] { return examples::pmr::main_job(chosen); });
}
