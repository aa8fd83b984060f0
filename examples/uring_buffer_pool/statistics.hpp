// SPDX-License-Identifier: MIT
#pragma once

// What a run counts, and what it finds.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "support/tally.hpp"

namespace examples::buffer_pool {

/// What the pool did, in events.
struct statistics {
  using counter = std::atomic<std::uint64_t>;
  counter visits{0}, updates{0}, updates_waited{0}, overwrites{0};
  counter reads{0}, writes{0};
  counter evicted{0}, refused_pinned{0}, refused_referenced{0}, refused_dirty{0};
  tally given_up;
  counter given_up_pinned{0};
};

/// Corrupt blocks found: how many, and the first one.
class findings {
 public:
  /// A fault as find_fault tells it; empty is none.
  void add(const std::string& fault) {
    if (fault.empty()) return;
    const std::lock_guard guard{mutex_};
    if (count_++ == 0) first_ = fault;
  }
  [[nodiscard]] std::uint64_t count() const {
    const std::lock_guard guard{mutex_};
    return count_;
  }
  [[nodiscard]] const std::string& first() const noexcept { return first_; }

 private:
  mutable std::mutex mutex_;
  std::uint64_t count_ = 0;
  std::string first_;
};

}  // namespace examples::buffer_pool
