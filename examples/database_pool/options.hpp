// SPDX-License-Identifier: MIT
#pragma once

// What a control leaves out, and what a run counts.

#include <atomic>
#include <cstdint>

namespace examples::database_pool {

struct mistakes {
  bool no_pins = false;           // transfers hold nothing, so evictions do not see them
  bool no_version = false;        // instant reads ask for pins only
  bool no_pin_question = false;   // instant reads ask for the version only
  bool bump_after_unpin = false;  // what a device has written is announced too late

  [[nodiscard]] bool any() const noexcept { return no_pins || no_version || no_pin_question || bump_after_unpin; }
};

struct statistics {
  using counter = std::atomic<std::uint64_t>;
  counter instant_reads{0}, held_reads{0};
  counter updates{0}, refreshes{0}, written_back{0}, brought_in{0}, evicted{0}, retired{0};
};

}  // namespace examples::database_pool
