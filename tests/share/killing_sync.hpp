// SPDX-License-Identifier: MIT
#pragma once

// Atomics that count what is done with them, and end the process by SIGKILL before the operation that is asked for.

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "pinref/share.hpp"

namespace share_test {

struct killing_sync : pinref::segment_sync {
  // So many operations more, and this process is gone; below zero it lives. Of one thread: the others are not counted.
  static inline thread_local long left = -1;

  static void strike() noexcept {
    if (left < 0) return;
    if (left == 0) {
      ::kill(::getpid(), SIGKILL);
      for (;;) ::pause();
    }
    --left;
  }

  template <class T>
  struct atomic : std::atomic<T> {
    using base = std::atomic<T>;
    using base::base;

    T load(std::memory_order order) const noexcept {
      strike();
      return base::load(order);
    }
    void store(T value, std::memory_order order) noexcept {
      strike();
      base::store(value, order);
    }
    T exchange(T value, std::memory_order order) noexcept {
      strike();
      return base::exchange(value, order);
    }
    T fetch_add(T n, std::memory_order order) noexcept {
      strike();
      return base::fetch_add(n, order);
    }
    T fetch_sub(T n, std::memory_order order) noexcept {
      strike();
      return base::fetch_sub(n, order);
    }
    T fetch_and(T mask, std::memory_order order) noexcept {
      strike();
      return base::fetch_and(mask, order);
    }
    T fetch_or(T mask, std::memory_order order) noexcept {
      strike();
      return base::fetch_or(mask, order);
    }
    bool compare_exchange_weak(T& seen, T next, std::memory_order success, std::memory_order failure) noexcept {
      strike();
      return base::compare_exchange_weak(seen, next, success, failure);
    }
    bool compare_exchange_strong(T& seen, T next, std::memory_order success, std::memory_order failure) noexcept {
      strike();
      return base::compare_exchange_strong(seen, next, success, failure);
    }
  };

  // A waker may die before it wakes.
  template <class T>
  static void wake_all(const atomic<T>& word) noexcept {
    strike();
    pinref::segment_sync::wake_all(word);
  }
};

struct killing_traits {
  using layout = pinref::shared64;
  using sync = killing_sync;
  static constexpr unsigned page_kinds = 256;
};

using segment = pinref::basic_segment<killing_traits>;
using member = pinref::basic_member<killing_traits>;

// A device that is always at rest once its process is gone.
struct quiet_hooks : pinref::survivor_hooks {
  static bool quiet(const pinref::dead_pins&) noexcept { return true; }
};

}  // namespace share_test
