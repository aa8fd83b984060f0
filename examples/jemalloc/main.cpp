// SPDX-License-Identifier: MIT

// A jemalloc heap whose memory devices write to.
//
//   jemalloc [--no-pins | --only-refuse] [--purge-at-once] [--blind-purge] [--quick] [--directory DIR]
//
// A program frees its buffers while devices are still reading into them by direct I/O. Every buffer is a compound page:
// free() puts the program's reference, and the last holder, program or transfer, calls dallocx. Then buffers are
// registered with a device, freed, and allocated again below the registration, which is a reference to the memory: the
// purge hook asks before it lets go.
//
// The controls. With --no-pins free() is dallocx: the memory is given out again, and the device writes into that. With
// --only-refuse transfers pin the memory, but free() is dallocx, and the extent hooks do not purge nor merge what is
// pinned: that does not help, because caches, slabs and extents are given out again without asking any hook. Where
// memory is purged at once it harms: refused, the device's frames go to the next owner. With --blind-purge the hook
// does not ask.
//
// Exit code: 0 all verified, 1 data was lost, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <cstdio>

#include "dma_heap.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/freed_in_flight.hpp"
#include "support/registered_reads.hpp"

namespace examples::jemalloc {
namespace {

int main_job(const command_line& chosen) {
  const source from{chosen.directory(), delivered, versions_delivered};
  const purging purge = chosen.has("--blind-purge") ? purging::blind : purging::asks;
  if (purge == purging::asks) {
    const keep how = chosen.has("--no-pins")       ? keep::nothing
                     : chosen.has("--only-refuse") ? keep::refused
                                                   : keep::pinned;
    dma_heap heap{how, purge, chosen.has("--purge-at-once")};
    if (const int result = run_in_flight(heap, from, chosen.has("--quick") ? 1 : 5); result != verified) return result;
  }
  dma_heap heap{keep::pinned, purge, false};
  const int result = run_registered(heap, from);
  if (result == corrupt || (result == not_here && purge != purging::asks)) return result;
  std::printf("OK: nothing was reused before the device was done with it%s\n",
              result == verified ? ", nor purged below a registration" : "");
  return verified;
}

}  // namespace
}  // namespace examples::jemalloc

int main(int argc, char** argv) {
  const examples::command_line chosen{
      argc, argv, {"--no-pins", "--only-refuse", "--purge-at-once", "--blind-purge", "--quick"}};
  return examples::run([&] { return examples::jemalloc::main_job(chosen); });
}
