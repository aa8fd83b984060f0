#pragma once

/// \file
/// hot_sync: std_sync with what `hot_ref` asks for besides: numbers for threads, and a barrier of which one side is
/// free.
///
/// - `threads`: where threads get their numbers, an object of the host. Its `number()` is this thread's own number, or
///   one that is too large to be any; `enroll()` gives it one if it has none and one is free. No two live threads share
///   a number, and the next owner of a number sees what the last did.
/// - `light_barrier()` and `heavy_barrier()`: if a light one comes before a heavy one, what stands before the light one
///   is visible after the heavy one; otherwise what stands before the heavy one is visible after the light one. The
///   light one costs nothing but what the compiler may not move across it; the heavy one interrupts every running
///   thread of the process (a system call, about a microsecond).
/// - `has_heavy_barrier()`: false where there is none; then the others are not called.
/// - `pause()`: lets others run (`sched_yield`); for a wait that is short.
///
/// The barrier is that of the process, however many copies of the library it has. A freestanding program gets neither
/// from here: its hot pages stay as they are.
///
/// When not to use it: for a `page_ref`. It needs neither, and `std_sync` gives it the same.
///
/// Example:
///
///     if (!pinref::hot_sync::has_heavy_barrier()) std::puts("pages stay as they are");
///
/// Source: Linux membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED; asymmetric fences of P1202.

#if __STDC_HOSTED__ && defined(__linux__) && defined(__GNUC__)
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "pinref/ref/hot_threads.hpp"
#include "pinref/ref/sync.hpp"
#include "pinref/word/paths.hpp"

namespace pinref {

struct hot_sync : std_sync {
  using threads = hot_threads;

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
};

}  // namespace pinref
