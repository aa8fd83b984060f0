#pragma once

/// \file
/// hot_sync: std_sync with what `hot_ref` asks for besides: numbers for threads, and a barrier of which one side is
/// free.
///
/// - `thread_number()`: this thread's own number, or one that is too large to be any; `enroll()` gives it one if it has
///   none and one is free. No two live threads share a number, and the next owner of a number sees what the last did.
/// - `light_barrier()` and `heavy_barrier()`: if a light one comes before a heavy one, what stands before the light one
///   is visible after the heavy one; otherwise what stands before the heavy one is visible after the light one. The
///   light one costs nothing but what the compiler may not move across it; the heavy one interrupts every running
///   thread of the process (a system call, about a microsecond).
/// - `has_heavy_barrier()`: false where there is none; then the others are not called.
/// - `pause()`: lets others run; for a wait that is short.
///
/// When not to use it: for a `page_ref`. It needs neither, and `std_sync` gives it the same.
///
/// Example:
///
///     if (!pinref::hot_sync::has_heavy_barrier()) std::puts("pages stay as they are");
///
/// Source: Linux membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED; asymmetric fences of P1202.

#include <atomic>
#include <cstdint>

#if __STDC_HOSTED__ && defined(__linux__) && defined(__GNUC__)
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "pinref/ref/sync.hpp"
#include "pinref/word/paths.hpp"

namespace pinref {

struct hot_sync : std_sync {
  /// As many threads have a number at the same time.
  static constexpr unsigned max_threads = 64;

  [[nodiscard]] PINREF_FAST_PATH static unsigned thread_number() noexcept { return number_; }

  PINREF_SLOW_PATH static unsigned enroll() noexcept {
    if (number_ == not_enrolled) {
      thread_local const lease until_the_thread_ends;
      number_ = until_the_thread_ends.number;
    }
    return number_;
  }

  PINREF_FAST_PATH static void light_barrier() noexcept {
#if defined(__GNUC__)
    asm volatile("" ::: "memory");
#endif
  }

#if __STDC_HOSTED__ && defined(__linux__) && defined(__GNUC__)
  [[nodiscard]] static bool has_heavy_barrier() noexcept {
    // Once for the process is enough, and again does no harm.
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  }
  static void heavy_barrier() noexcept {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) [[likely]]
      return;
    // Not registered any more, or forbidden since: to go on without it would lose holds.
    if (!has_heavy_barrier() || ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
      __builtin_trap();
  }
  static void pause() noexcept {
    ::sched_yield();
  }
#else
  [[nodiscard]] static bool has_heavy_barrier() noexcept {
    return false;
  }
  static void heavy_barrier() noexcept {}
  static void pause() noexcept {}
#endif

 private:
  static constexpr unsigned not_enrolled = ~0u;
  static constexpr unsigned none = ~0u - 1;

  struct lease {
    lease() noexcept {
      std::uint64_t taken = taken_.load(std::memory_order_relaxed);
      while (number == none && taken != ~std::uint64_t{0}) {
        unsigned free = 0;
        while ((taken >> free & 1) != 0) ++free;
        // (P1) pairs with (P2): the counts of this number are seen as its last owner left them.
        if (taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << free, std::memory_order_acquire,
                                         std::memory_order_relaxed))
          number = free;
      }
    }
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    ~lease() {
      number_ = none;
      if (number == none) return;
      // (P2) pairs with (P1): the next owner of this number sees its counts as they are left here.
      taken_.fetch_and(~(std::uint64_t{1} << number), std::memory_order_release);
    }

    unsigned number = none;
  };

  static inline constinit atomic<std::uint64_t> taken_{0};
  static inline constinit thread_local unsigned number_ = not_enrolled;
};

}  // namespace pinref
