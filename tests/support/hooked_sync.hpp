#pragma once

// A Sync whose atomics call a hook before each read-modify-write: one thread can play what others do in between.

#include <atomic>
#include <functional>
#include <utility>

#include "pinref/ref/sync.hpp"

namespace support {

struct hooked_sync : pinref::std_sync {
  // Called with the number of read-modify-writes made so far. Cleared while it runs.
  static inline std::function<void(int)> hook;
  static inline int step = 0;

  static void interleave(std::function<void(int)> with) {
    step = 0;
    hook = std::move(with);
  }

  static void before_rmw() {
    if (!hook) return;
    const std::function<void(int)> calling = std::exchange(hook, nullptr);
    calling(step++);
    if (!hook) hook = calling;
  }

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T fetch_add(T n, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::fetch_add(n, order);
    }
    T fetch_sub(T n, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::fetch_sub(n, order);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order failure) {
      before_rmw();
      return std::atomic<T>::compare_exchange_strong(expected, desired, success, failure);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure) {
      before_rmw();
      return std::atomic<T>::compare_exchange_weak(expected, desired, success, failure);
    }
  };
};

}  // namespace support
