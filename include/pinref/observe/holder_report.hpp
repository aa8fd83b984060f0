// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// report_holders: what a holder_log has listed, as text.
///
/// The first line sums up, and each entry is a line of its own:
///
///     pinref: 2 references, 1 pin; missed 0, unmatched 0
///       1 pin of 0x7f0c5a1e2040, 0.001250 s, thread 4711, #12: rdma.cpp:120 in post_write
///       1 to 2 of 5 references of 0x7f0c5a1e2040, 3.000210 s, thread 4711, #1: cache.cpp:77 in fill (candidate)
///
/// The address is the word's, as it is given to the log's finder; the time is how long ago, the number which take it
/// was. Of a candidate all that is said of the first call at its place.
///
/// When not to use it: to find a holder from a program. `for_each_holder` and `oldest_pin` of the log tell as much.
///
/// Example:
///
///     pinref::holder_entry room[4096];
///     pinref::holder_log<std::mutex> log{room};
///     // ... at the end of the program:
///     if (log.leaks() != 0) pinref::report_holders(log, stderr);
///     pinref::report_holders(log, [](const char* line) noexcept { std::puts(line); });
///
/// Errors: none; a line longer than 512 characters is cut.
/// Memory order: that of the log.
/// Progress: `print` is called under the log's lock.
/// Source: Linux ref_tracker_dir_print().

#include <concepts>
#include <cstdint>
#include <cstdio>

#include "pinref/observe/holder_log.hpp"
#include "pinref/sync/deadline.hpp"

namespace pinref::inline v0_1 {

/// Calls `print` with each line, without its end.
template <class Lock, class Hooks, std::invocable<const char*> Print>
void report_holders(const holder_log<Lock, Hooks>& log, Print print) noexcept {
  using number = unsigned long long;
  const auto plural = [](std::uint64_t n) noexcept { return n == 1 ? "" : "s"; };
  char line[512];
  const std::uint64_t references = log.leaks(hold::reference), pins = log.leaks(hold::pin);
  std::snprintf(line, sizeof line, "pinref: %llu reference%s, %llu pin%s; missed %llu, unmatched %llu",
                number{references}, plural(references), number{pins}, plural(pins), number{log.missed()},
                number{log.unmatched()});
  print(line);
  const std::int64_t now = pinref::monotonic_now();
  log.for_each_holder([&](const page_holder& each) noexcept {
    char held[64];
    if (each.at_least == each.at_most)
      std::snprintf(held, sizeof held, "%llu", number{each.at_most});
    else
      std::snprintf(held, sizeof held, "%llu to %llu of %llu", number{each.at_least}, number{each.at_most},
                    number{each.taken});
    std::snprintf(line, sizeof line, "  %s %s%s of %p, %.6f s, thread %llu, #%llu: %s:%u in %s%s", held,
                  pinref::to_string(each.mode), plural(each.at_least == each.at_most ? each.at_most : each.taken),
                  each.word, static_cast<double>(now - each.since) / 1e9, number{each.thread}, number{each.sequence},
                  each.where.file, each.where.line, each.where.function, each.exact ? "" : " (candidate)");
    print(line);
  });
}

/// Prints the lines to a file.
template <class Lock, class Hooks>
void report_holders(const holder_log<Lock, Hooks>& log, std::FILE* file) noexcept {
  pinref::report_holders(log, [file](const char* line) noexcept { std::fprintf(file, "%s\n", line); });
}

}  // namespace pinref::inline v0_1
