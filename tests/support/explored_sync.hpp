// SPDX-License-Identifier: MIT
#pragma once

// The explorer as the library's Sync. What it explores is counted, for the last line of the test program.

#include <cstdint>

#include "covered.hpp"
#include "pinref/explorer/explored_sync.hpp"

namespace support {

using explorer::explored_hot_sync;
using explorer::explored_sync;

// A program with other orders than its own is a mutant: whoever made it counts it.
inline void count_exploration(const explorer::options& how, const explorer::result& what) {
  if (how.orders) return;
  cover(what.failed ? "broken programs caught" : what.exhausted ? "programs seen in full" : "programs walked", 1);
  cover(how.random_walks != 0 ? "random schedules" : "executions", what.executions);
  cover("states", what.states);
}
inline const bool explorations_are_counted = (explorer::when_explored = count_exploration, true);

// An end of a wait that is ahead on any clock, so that a sleep may time out, or be woken before.
inline pinref::deadline some_day() noexcept {
  return pinref::deadline::in_nanoseconds(INT64_MAX / 2);
}

}  // namespace support
