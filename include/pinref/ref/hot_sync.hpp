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
/// A freestanding program gets neither from here: its hot pages stay as they are.
///
/// When not to use it: for a `page_ref`. It needs neither, and `std_sync` gives it the same.
///
/// Example:
///
///     if (!pinref::hot_sync::has_heavy_barrier()) std::puts("pages stay as they are");
///
/// Source: Linux membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED; asymmetric fences of P1202.

#include <atomic>
#include <bit>
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

namespace detail {

/// Numbers below `size`, each given to one taker at a time.
template <class Sync>
class number_pool {
 public:
  static constexpr unsigned size = 64;
  static constexpr unsigned none = ~0u - 1;

  /// `none` if all are taken.
  [[nodiscard]] unsigned take() noexcept {
    std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    for (;;) {
      const auto lowest = static_cast<unsigned>(std::countr_one(taken));
      if (lowest == size) return none;
      // (P1) pairs with (P2): the counts of this number are seen as its last owner left them.
      if (taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << lowest, std::memory_order_acquire,
                                       std::memory_order_relaxed))
        return lowest;
    }
  }

  void give_back(unsigned number) noexcept {
    // (P2) pairs with (P1): the next owner of this number sees its counts as they are left here.
    taken_.fetch_and(~(std::uint64_t{1} << number), std::memory_order_release);
  }

 private:
  typename Sync::template atomic<std::uint64_t> taken_{0};
};

}  // namespace detail

struct hot_sync : std_sync {
  /// As many threads have a number at the same time.
  static constexpr unsigned max_threads = detail::number_pool<std_sync>::size;

#if __STDC_HOSTED__
  [[nodiscard]] PINREF_FAST_PATH static unsigned thread_number() noexcept {
    return number_;
  }

  PINREF_SLOW_PATH static unsigned enroll() noexcept {
    if (number_ == not_enrolled) {
      thread_local const lease until_the_thread_ends;
      number_ = until_the_thread_ends.number;
    }
    return number_;
  }
#else
  [[nodiscard]] static unsigned thread_number() noexcept {
    return pool::none;
  }
  static unsigned enroll() noexcept {
    return pool::none;
  }
#endif

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
  using pool = detail::number_pool<std_sync>;

#if __STDC_HOSTED__
  static constexpr unsigned not_enrolled = ~0u;

  struct lease {
    lease() noexcept = default;
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    ~lease() {
      number_ = pool::none;
      if (number != pool::none) numbers_.give_back(number);
    }

    const unsigned number = numbers_.take();
  };

  static inline constinit pool numbers_;
  static inline constinit thread_local unsigned number_ = not_enrolled;
#endif
};

}  // namespace pinref
