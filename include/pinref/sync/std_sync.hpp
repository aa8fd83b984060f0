// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// std_sync: where the library's atomics, and its sleep, come from. shared_sync: the same in memory that processes
/// share.
///
/// `Sync` is the seam of every atomic type in pinref. A test puts a scheduler underneath that owns each access; a port
/// puts its platform's atomics there. Nothing above this file names `std::atomic`, but the copies
/// of page_stamp, which are accesses of the host's data.
///
/// A Sync has `atomic<T>`, with the members of std::atomic. For waits, which sleep on the words themselves, it has
/// - `process_shared`: do waiters and wakers in different processes find each other?
/// - `futex`: a place to sleep on, with the value that was seen there;
/// - `nr_futexes<T>`: how many cover an atomic<T>, none if it cannot be slept on; `futex_of(atomic, i, value)`: the
///   i-th, the one with the highest bits first;
/// - `wait(futexes, n, until, at_most)`: sleeps if every futex has the value that was seen, checked one after the other
///   in the order given, each from then on noticing a wake-up; until it is woken, or until the deadline, or for
///   `at_most` nanoseconds. May return early. Says how it ended, see `sleep_result`;
/// - `wake_all(atomic)`, `wake_one(atomic)`: wake those that sleep on the first futex of it.
/// It may have the operations of `flags_only`.
///
/// When not to use it: directly. Name it, or your own type with the same members, as the `Sync` of a `page_ref`.
///
/// Example:
///
///     pinref::page_ref<pinref::bias32, pinref::shared_sync> ref{pinref::bias32::live(1)};
///     // ... in a mapping that processes share: the release by any of them ends the wait.
///     if (ref.wait_until_unpinned() == pinref::wait_result::reached) reuse();
///
/// On Linux waiters sleep in futexes; one that needs two and finds no futex_waitv (before Linux 5.16) looks every
/// millisecond. Elsewhere waiters look every 50 microseconds under an operating system, without a pause in a
/// freestanding program.
///
/// Errors: none; a sleep that the system refuses ends early, as any sleep may.
/// Memory order: the atomics have the order they are given; sleeping and waking give none.
/// Progress: `wait` sleeps; everything else is as std::atomic.
/// Source: std::atomic; Linux futex(2) and futex_waitv(2).

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#if __STDC_HOSTED__ && defined(__linux__)
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#elif __STDC_HOSTED__
#include <time.h>
#endif

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/flags_only.hpp"

namespace pinref::inline v0_1 {

/// How a sleep ended.
enum class sleep_result : unsigned char {
  woken,     ///< by a wake-up, by a signal, for nothing, or after `at_most`
  changed,   ///< no sleep: a futex had another value
  timed_out  ///< the deadline passed
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(sleep_result result) noexcept {
  switch (result) {
    case sleep_result::woken:
      return "woken";
    case sleep_result::changed:
      return "changed";
    case sleep_result::timed_out:
      return "timed_out";
  }
  return "unknown";
}

/// How often a waiter looks that no release wakes, in nanoseconds.
inline constexpr std::int64_t poll_interval = 1'000'000;

namespace detail {

/// Futexes of one process, or of all that share the memory.
template <bool Shared>
struct futex_sync : flags_only {
  template <class T>
  using atomic = std::atomic<T>;

  static constexpr bool process_shared = Shared;

  struct futex {
    const std::uint32_t* address;
    std::uint32_t seen;
  };

  template <class T>
  static constexpr unsigned nr_futexes = sizeof(T) / sizeof(std::uint32_t);

  template <class T>
  [[nodiscard]] static futex futex_of(const std::atomic<T>& word, unsigned i, T value) noexcept {
    static_assert(sizeof(std::atomic<T>) == sizeof(T) && nr_futexes<T> != 0);
    const auto* const parts = reinterpret_cast<const std::uint32_t*>(&word);
    constexpr unsigned last = nr_futexes<T> - 1;
    return {parts + (std::endian::native == std::endian::little ? last - i : i),
            static_cast<std::uint32_t>(value >> 32 * (last - i))};
  }

#if __STDC_HOSTED__ && defined(__linux__)
  static sleep_result wait(const futex* futexes, unsigned n, const deadline& until,
                           std::int64_t at_most = INT64_MAX) noexcept {
    const std::int64_t left = until.left();
    if (left <= 0) return sleep_result::timed_out;
    // A long sleep is taken an hour at a time: what the kernel can count is less than what a deadline can.
    constexpr std::int64_t hour = 3'600'000'000'000;
    const std::int64_t most = at_most < hour ? at_most : hour;
    const std::int64_t time = left < most ? left : most;
    const int error = n < 2 ? sleep_on_one(futexes, n, time) : sleep_on_all(futexes, n, time);
    if (error == EAGAIN) return sleep_result::changed;
    return error == ETIMEDOUT && time == left ? sleep_result::timed_out : sleep_result::woken;
  }

  template <class T>
  static void wake_all(const std::atomic<T>& word) noexcept {
    wake(word, INT32_MAX);
  }
  template <class T>
  static void wake_one(const std::atomic<T>& word) noexcept {
    wake(word, 1);
  }

 private:
  // With 64-bit times on a 32-bit machine ::timespec is not what SYS_futex reads.
#if defined(SYS_futex) && defined(SYS_futex_time64)
  static constexpr long futex_call = sizeof(::time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
#else
  static constexpr long futex_call = SYS_futex;
#endif
  static constexpr int scope = Shared ? 0 : FUTEX_PRIVATE_FLAG;

  template <class T>
  static void wake([[maybe_unused]] const std::atomic<T>& word, [[maybe_unused]] int most) noexcept {
    if constexpr (nr_futexes<T> != 0)
      ::syscall(futex_call, futex_of(word, 0, T{}).address, FUTEX_WAKE | scope, most, nullptr, nullptr, 0);
  }

  // Both return 0 or an errno. On no futex at all they only let time pass.
  static int sleep_on_one(const futex* on, unsigned n, std::int64_t time) noexcept {
    ::timespec sleep{};
    sleep.tv_sec = static_cast<int>(time / 1'000'000'000);
    sleep.tv_nsec = static_cast<int>(time % 1'000'000'000);
    if (n != 0) {
      if (::syscall(futex_call, on->address, FUTEX_WAIT | scope, on->seen, &sleep, nullptr, 0) == 0) return 0;
      if (const int error = errno; error == EAGAIN || error == ETIMEDOUT || error == EINTR) return error;
      // There are no futexes here.
      sleep.tv_sec = 0;
      sleep.tv_nsec = static_cast<int>(time < poll_interval ? time : poll_interval);
      ::nanosleep(&sleep, nullptr);
      return 0;
    }
    return ::nanosleep(&sleep, nullptr) == 0 ? ETIMEDOUT : errno;
  }

  // As linux/futex.h has it since 5.16.
  struct futex_waiter {
    std::uint64_t value, address;
    std::uint32_t flags, reserved;
  };
  struct kernel_time {
    std::int64_t seconds, nanoseconds;
  };
  static constexpr unsigned max_waiters = 4;

  static int sleep_on_all(const futex* on, unsigned n, std::int64_t time) noexcept {
    constexpr long futex_waitv = 449;  // on every architecture but alpha
    constexpr std::uint32_t size_32_bits = 2;
    futex_waiter waiters[max_waiters] = {};
    for (unsigned i = 0; i != n && i != max_waiters; ++i)
      waiters[i] = {on[i].seen, reinterpret_cast<std::uintptr_t>(on[i].address), size_32_bits | scope, 0};
    const std::int64_t end = pinref::monotonic_now() + time;
    const kernel_time at{end / 1'000'000'000, end % 1'000'000'000};
    if (::syscall(futex_waitv, waiters, n, 0, &at, CLOCK_MONOTONIC) >= 0) return 0;
    if (const int error = errno; error == EAGAIN || error == ETIMEDOUT || error == EINTR) return error;
    const std::int64_t poll = time < poll_interval ? time : poll_interval;
    const int error = sleep_on_one(on, 1, poll);
    return error == ETIMEDOUT && poll != time ? 0 : error;
  }
#else
  static sleep_result wait([[maybe_unused]] const futex* futexes, [[maybe_unused]] unsigned n, const deadline& until,
                           [[maybe_unused]] std::int64_t at_most = INT64_MAX) noexcept {
    const std::int64_t left = until.left();
    if (left <= 0) return sleep_result::timed_out;
#if __STDC_HOSTED__
    ::timespec sleep{};
    sleep.tv_nsec = static_cast<int>(left < 50'000 ? left : 50'000);
    ::nanosleep(&sleep, nullptr);
#endif
    return sleep_result::woken;
  }
  template <class T>
  static void wake_all(const std::atomic<T>&) noexcept {}
  template <class T>
  static void wake_one(const std::atomic<T>&) noexcept {}
#endif
};

}  // namespace detail

/// The C++ standard library's atomics. Waiters are woken by their own process: by every copy of the library in it.
struct std_sync : detail::futex_sync<false> {};

/// As std_sync; waiters are woken by every process that maps the same memory.
struct shared_sync : detail::futex_sync<true> {};

}  // namespace pinref::inline v0_1
