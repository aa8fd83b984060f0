// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// hooked_sync: a Sync whose atomics call a hook before each read-modify-write: one thread can play what others do in
/// between.
///
/// A reference word changes by read-modify-writes alone. So whoever says what another thread does before the first of
/// a call, before the second, and so on, has said what that thread can do to the call. The hook runs in the thread that
/// is under test, its own accesses stop nowhere, and there is one hook for all words of the program.
///
/// When not to use it: for memory orders. Everything happens in one thread, in one order; explore() has the others.
///
/// Example:
///
///     pinref::page_ref<pinref::bias64, explorer::hooked_sync> ref;
///     ref.init();
///     explorer::hooked_sync::interleave([&](int step) {
///       if (step == 0) (void)ref.put();                          // the last reference goes just before the take
///     });
///     CHECK(ref.try_get() == pinref::take_result::dead);
///     explorer::hooked_sync::stop();

#include <atomic>
#include <functional>
#include <utility>

#include "pinref/sync/std_sync.hpp"

namespace explorer {

struct hooked_sync : pinref::std_sync {
  /// Called with the number of read-modify-writes made so far. Cleared while it runs.
  static inline std::function<void(int)> hook;
  static inline int step = 0;

  /// Sets the hook, and counts from 0.
  static void interleave(std::function<void(int)> with) {
    step = 0;
    hook = std::move(with);
  }
  /// Ends it.
  static void stop() { hook = nullptr; }

  static void before_rmw() {
    if (!hook) return;
    const std::function<void(int)> calling = std::exchange(hook, nullptr);
    calling(step++);
    if (!hook) hook = calling;
  }

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T exchange(T desired, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::exchange(desired, order);
    }
    T fetch_add(T n, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::fetch_add(n, order);
    }
    T fetch_sub(T n, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::fetch_sub(n, order);
    }
    T fetch_and(T mask, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::fetch_and(mask, order);
    }
    T fetch_or(T mask, std::memory_order order) {
      before_rmw();
      return std::atomic<T>::fetch_or(mask, order);
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

}  // namespace explorer
