// SPDX-License-Identifier: MIT
#pragma once

// The explorer's atomics and wake-ups with one thing wrong. The library's own code runs on them, and must be caught.

#include <type_traits>
#include <utility>

#include "explored_sync.hpp"

namespace support {

// A strong exchange looks first and writes afterwards.
struct looking_first : explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order,
                                 explorer::place at = {}) noexcept {
      const T seen = this->load(success, at);
      if (seen == expected) (void)this->exchange(desired, success, at);
      return seen == std::exchange(expected, seen);
    }
  };
};

// A weak exchange changes the value by what it wants, whatever it is by then.
struct blind : explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    bool compare_exchange_weak(T& seen, T desired, std::memory_order success, std::memory_order,
                               explorer::place at = {}) noexcept {
      if constexpr (std::is_integral_v<T>)
        this->fetch_add(static_cast<T>(desired - seen), success, at);
      else
        this->store(desired, success, at);
      return true;
    }
  };
};

// A weak exchange that says it has written, and has not.
struct forgetful : explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    bool compare_exchange_weak(T&, T, std::memory_order, std::memory_order) noexcept { return true; }
  };
};

// What should be asked by a read-modify-write is a load.
struct asking_by_load : explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    T fetch_add(T n, std::memory_order how, explorer::place at = {}) noexcept {
      if (how == std::memory_order_acq_rel) return this->load(std::memory_order_acquire, at);
      return explorer::atomic<T>::fetch_add(n, how, at);
    }
  };
};

// Sleepers are woken before the word is changed instead of afterwards.
struct woken_early : explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    bool compare_exchange_weak(T& seen, T desired, std::memory_order success, std::memory_order failure,
                               explorer::place at = {}) noexcept {
      this->notify_all();
      return explorer::atomic<T>::compare_exchange_weak(seen, desired, success, failure, at);
    }
  };
  template <class Atomic>
  static void wake_all(const Atomic&) noexcept {}
};

// Nobody is woken.
struct silent : explored_sync {
  template <class Atomic>
  static void wake_all(const Atomic&) noexcept {}
};

// Whoever should sleep on several futexes sleeps on the first alone.
struct sleeping_on_one : explored_sync {
  static pinref::sleep_result wait(const futex* futexes, unsigned, const pinref::deadline& until,
                                   std::int64_t at_most = INT64_MAX, explorer::place at = {}) noexcept {
    return explored_sync::wait(futexes, 1, until, at_most, at);
  }
};

// Nothing is compared before a sleep.
struct sleeping_unseen : explored_sync {
  template <class Atomic>
  static futex futex_of(const Atomic& word, unsigned, typename Atomic::value_type) noexcept {
    return word.place_to_sleep(0, 0);
  }
};

}  // namespace support
