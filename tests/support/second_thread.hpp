// SPDX-License-Identifier: MIT
#pragma once

// A second thread, and whether it has to sleep for what the first one is doing: how a lock is seen from outside.

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "pinref/sync/std_sync.hpp"

namespace support {

// Counts who goes to sleep, and stops a thread at its next exchange to do something else first.
struct counting_sleeps : pinref::std_sync {
  static inline std::atomic<unsigned> sleeps{0};
  static inline thread_local std::function<void()> before_exchange;

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T exchange(T to, std::memory_order order) noexcept {
      if (const auto first = std::exchange(before_exchange, nullptr)) first();
      return std::atomic<T>::exchange(to, order);
    }
  };

  static pinref::sleep_result wait(const futex* futexes, unsigned n, const pinref::deadline& until,
                                   std::int64_t at_most = INT64_MAX) noexcept {
    ++sleeps;
    return pinref::std_sync::wait(futexes, n, until, at_most);
  }
};

// Runs `act` on a thread of its own, which ends with this.
class second_thread {
 public:
  template <class Act>
  explicit second_thread(Act act)
      : thread_([this, act] {
          act();
          done_ = true;
        }) {}
  second_thread(const second_thread&) = delete;
  ~second_thread() { thread_.join(); }

  // Comes back when the thread is asleep, or done: is it asleep? Nobody else may sleep meanwhile.
  [[nodiscard]] bool sleeps() const {
    while (!done_ && counting_sleeps::sleeps == before_) std::this_thread::yield();
    return counting_sleeps::sleeps != before_;
  }

 private:
  const unsigned before_ = counting_sleeps::sleeps;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace support
