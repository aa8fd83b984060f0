// SPDX-License-Identifier: MIT

// Writing a page back while a device writes to it.
//
//   writeback [--no-pins] [--directory DIR]
//
// The frames of a pool are the blocks of a file. Devices deliver data into them by direct I/O, again and again while
// they hold them; a writer brings what is dirty to the file. At the end the file must hold what was delivered last.
// It does by every policy for pinned pages. With --no-pins devices hold frames by plain references: the writer makes
// a frame clean, the device delivers once more, and nobody ever writes that.
//
// Exit code: 0 all verified, 1 an update was lost, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "crew.hpp"
#include "pool.hpp"
#include "support/block.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/direct_file.hpp"
#include "support/held_pages.hpp"
#include "support/tally.hpp"

namespace examples::writeback {
namespace {

constexpr std::uint32_t nr_blocks = 64;

struct outcome {
  std::uint32_t good = 0;   // blocks of the file that are as last delivered
  std::string first_fault;  // of the others
};

outcome verify(const direct_file& file, const std::vector<std::uint32_t>& delivered) {
  const auto content = std::make_unique<block[]>(nr_blocks);
  file.read({content.get(), nr_blocks}, 0);
  outcome found;
  for (std::uint32_t number = 0; number != nr_blocks; ++number) {
    const std::string fault = find_fault(content[number], number, delivered[number]);
    if (fault.empty())
      ++found.good;
    else if (found.first_fault.empty())
      found.first_fault = fault;
  }
  return found;
}

outcome run_policy(const char* name, pinref::if_pinned policy, const source& from, const direct_file& file, keep how) {
  pool blocks{nr_blocks};
  visit_counts visits(nr_blocks);
  std::vector<std::uint32_t> delivered(nr_blocks);
  writer back{blocks, file, visits, policy};

  tally events;  // deliveries, and the end of each stream
  stream one{blocks, from, visits, events, how};
  stream two{blocks, from, visits, events, how};
  std::atomic<int> at_work{2};
  const auto work = [&](stream& which, std::uint32_t first) {
    which.run(first, first + nr_blocks / 2, delivered);
    --at_work;
    events.advance();
  };
  {
    const std::jthread first{work, std::ref(one), 0};
    const std::jthread second{work, std::ref(two), nr_blocks / 2};
    // What has happened is asked before who is left, so that the last event is not waited for.
    for (std::uint64_t seen = 0; at_work != 0; seen = events.value()) {
      back.pass();
      events.wait_for(seen + 1);
    }
  }
  back.pass();

  using result = pinref::writeback_result;
  if (back.count(result::write_failed) != 0) throw std::runtime_error("the file cannot be written");
  outcome found = verify(file, delivered);
  std::printf("  %-14s %8" PRIu64 " %18" PRIu64 " %12" PRIu64 " %14u of %u\n", name, back.count(result::written),
              back.count(result::kept_dirty), back.count(result::skipped), found.good, nr_blocks);
  return found;
}

int main_job(const command_line& chosen) {
  struct row {
    const char* name;
    pinref::if_pinned policy;
  };
  std::vector<row> rows{{"skip", pinref::if_pinned::skip},
                        {"bounce", pinref::if_pinned::bounce},
                        {"wait", pinref::if_pinned::wait},
                        {"write anyway", pinref::if_pinned::write_anyway}};
  const keep how = chosen.has("--no-pins") ? keep::referenced : keep::pinned;
  if (how != keep::pinned) rows = {{"without pins", pinref::if_pinned::skip}};

  const source from{chosen.directory(), nr_blocks, stream::versions};
  const direct_file file{chosen.directory()};
  std::printf("%u blocks written to by two devices while they are written back, in %s\n", nr_blocks,
              file.directory().c_str());
  std::puts("  if pinned      written  written, to again  left alone  as last delivered");
  for (const row& each : rows) {
    const outcome found = run_policy(each.name, each.policy, from, file, how);
    if (found.good != nr_blocks) {
      std::printf("CORRUPT: %u updates lost; the first: %s\n", nr_blocks - found.good, found.first_fault.c_str());
      return corrupt;
    }
  }
  const pinref::pin_totals totals = all_pins.totals();
  if (totals.acquired == 0 || totals.acquired != totals.released) {
    std::printf("LEAKED: %" PRIu64 " of %" PRIu64 " pins\n", totals.acquired - totals.released, totals.acquired);
    return corrupt;
  }
  std::puts("OK: by every policy the file holds what the devices delivered last");
  return verified;
}

}  // namespace
}  // namespace examples::writeback

int main(int argc, char** argv) {
  const examples::command_line chosen{argc, argv, {"--no-pins"}};
  return examples::run([&] { return examples::writeback::main_job(chosen); });
}
