// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// hot_sync: std_sync with what `hot_ref` asks for besides: numbers for threads, and an asymmetric pair of fences, the
/// light side a compiler barrier, the heavy side membarrier(2).
///
/// - `threads`: where threads get their numbers, an object of the host. `number()` returns this thread's number, or one
///   too large for any slot; `enroll()` gives the thread a number if it has none and one is free. No two live threads
///   share a number. The next owner of a number sees what the last owner did.
/// - `light_barrier()` and `heavy_barrier()`: if a light one comes before a heavy one, what stands before the light one
///   is visible after the heavy one; otherwise what stands before the heavy one is visible after the light one. The
///   light one costs nothing but what the compiler may not move across it; the heavy one interrupts every running
///   thread of the process (a system call, about a microsecond).
/// - `has_heavy_barrier()`: false where there is none; then the others are not called.
/// - `pause()`: lets others run (`sched_yield`); for a wait that is short.
///
/// The barrier is that of the process, however many copies of the library it has. A freestanding program gets neither
/// numbers nor barrier from here: its pages stay exact.
///
/// When not to use it: for a `page_ref`. It needs neither, and `std_sync` gives it the same.
///
/// Example:
///
///     if (!pinref::hot_sync::has_heavy_barrier()) std::puts("make_hot will say false: pages stay exact");
///
/// Errors: `has_heavy_barrier()` says whether there is one. If the kernel refuses it later, `heavy_barrier()` ends the
/// program: to go on without it would lose holds.
/// Memory order: that of the two barriers, as said above.
/// Progress: wait-free; the heavy barrier and `pause()` are system calls.
/// Source: Linux membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED; asymmetric fences of P1202.

#if __STDC_HOSTED__ && defined(__linux__) && defined(__GNUC__)
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "pinref/sync/hot_threads.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// The Sync of a hot_ref, unless the host has its own: see `hot_word_sync`.
struct hot_sync : std_sync {
  /// Where threads get their numbers.
  using threads = hot_threads;

  /// Keeps the compiler from moving accesses across it.
  PINREF_FAST_PATH static void light_barrier() noexcept {
#if defined(__GNUC__)
    asm volatile("" ::: "memory");
#endif
  }

#if __STDC_HOSTED__ && defined(__linux__) && defined(__GNUC__)
  /// Can `heavy_barrier()` be called? Registers the process for it.
  [[nodiscard]] static bool has_heavy_barrier() noexcept {
    // Once for the process is enough, and again does no harm.
    return ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
  }
  /// A full barrier in every thread of the process that is running. Precondition: has_heavy_barrier() was true.
  static void heavy_barrier() noexcept {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) [[likely]]
      return;
    // Not registered any more, or forbidden since: to go on without it would lose holds.
    if (!has_heavy_barrier() || ::syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
      __builtin_trap();
  }
  /// Lets other threads run.
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

}  // namespace pinref::inline v0_1
