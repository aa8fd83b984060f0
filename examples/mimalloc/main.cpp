// SPDX-License-Identifier: MIT

// A mimalloc heap whose memory devices write to.
//
//   mimalloc [--no-pins] [--blind-purge] [--quick] [--directory DIR]
//
// A program frees its buffers while devices are still reading into them by direct I/O. free() puts the program's
// reference; the last holder, program or transfer, notes the buffer on a list, and mi_free is called where mimalloc
// says that it is a good time for that. Then buffers are registered with a device, freed, and allocated again below the
// registration: that is safe in an arena that is never purged.
//
// The controls. With --no-pins free() is mi_free: the memory is given out again, and the device writes into that. With
// --blind-purge the arena may be purged, and mimalloc asks nobody.
//
// Exit code: 0 all verified, 1 data was lost, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <mimalloc.h>

#include <cstdio>

#include "dma_heap.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/freed_in_flight.hpp"
#include "support/registered_reads.hpp"

namespace examples::mimalloc {
namespace {

int main_job(const command_line& chosen) {
  const source from{chosen.directory(), delivered, versions_delivered};
  // Purges come at once, not after some time.
  ::mi_option_set(mi_option_decommit_delay, 0);
  ::mi_option_set(mi_option_segment_decommit_delay, 0);
  const purging purge = chosen.has("--blind-purge") ? purging::when_it_likes : purging::never;
  if (purge == purging::never) {
    dma_heap heap{!chosen.has("--no-pins"), purge};
    if (const int result = run_in_flight(heap, from, chosen.has("--quick") ? 1 : 5); result != verified) return result;
  }
  dma_heap heap{true, purge};
  const int result = run_registered(heap, from);
  if (result == corrupt || (result == not_here && purge != purging::never)) return result;
  std::printf("OK: nothing was reused before the device was done with it%s\n",
              result == verified ? ", nor purged below a registration" : "");
  return verified;
}

}  // namespace
}  // namespace examples::mimalloc

int main(int argc, char** argv) {
  const examples::command_line chosen{argc, argv, {"--no-pins", "--blind-purge", "--quick"}};
  return examples::run([&] { return examples::mimalloc::main_job(chosen); });
}
