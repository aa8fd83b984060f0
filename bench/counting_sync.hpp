// SPDX-License-Identifier: MIT
#pragma once

// A Sync whose atomics count their read-modify-writes: what a call costs in locked operations, whatever the machine.

#include <atomic>
#include <cstddef>

#include "pinref/sync/std_sync.hpp"

namespace bench {

struct counting_sync : pinref::std_sync {
  static inline std::size_t locked = 0;  // of one thread

  template <class T>
  class atomic : public std::atomic<T> {
    using base = std::atomic<T>;
    using order = std::memory_order;

   public:
    using base::base;

    T fetch_add(T n, order o) noexcept { return ++locked, base::fetch_add(n, o); }
    T fetch_sub(T n, order o) noexcept { return ++locked, base::fetch_sub(n, o); }
    T fetch_or(T n, order o) noexcept { return ++locked, base::fetch_or(n, o); }
    T fetch_and(T n, order o) noexcept { return ++locked, base::fetch_and(n, o); }
    T exchange(T n, order o) noexcept { return ++locked, base::exchange(n, o); }
    bool compare_exchange_weak(T& seen, T n, order yes, order no) noexcept {
      return ++locked, base::compare_exchange_weak(seen, n, yes, no);
    }
    bool compare_exchange_strong(T& seen, T n, order yes, order no) noexcept {
      return ++locked, base::compare_exchange_strong(seen, n, yes, no);
    }
  };
};

}  // namespace bench
