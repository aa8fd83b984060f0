// SPDX-License-Identifier: MIT
#pragma once

// A count that other threads wait for.

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace examples {

class tally {
 public:
  void advance() {
    {
      const std::lock_guard guard{mutex_};
      ++count_;
    }
    changed_.notify_all();
  }
  [[nodiscard]] std::uint64_t value() const {
    const std::lock_guard guard{mutex_};
    return count_;
  }
  /// Sleeps until the count is n or more. False if a stop was requested before.
  bool wait_for(std::uint64_t n, const std::stop_token& stop = {}) const {
    std::unique_lock guard{mutex_};
    return changed_.wait(guard, stop, [&] { return count_ >= n; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::uint64_t count_ = 0;
};

}  // namespace examples
