#pragma once

/// \file
/// std_sync: where the library's atomics, and its sleep, come from.
///
/// `Sync` is the seam of every atomic type in pinref. A test puts a scheduler underneath that owns each access; a port
/// puts its platform's atomics there. Nothing above this file names `std::atomic`.
///
/// A Sync has `atomic<T>`, with the members of std::atomic, and for waiters: `event_of(address)`, the 32-bit atomic
/// that waiters of a word at this address sleep on, as its member `ticks`; `wait(event, seen, until)`, which sleeps
/// while that is `seen`, until then at most, and may return early; `wake(event)`, which wakes all its sleepers;
/// and `events()`, all of them. It may have the operations of `flags_only`.
///
/// When not to use it: directly. Name it, or your own type with the same members, as the `Sync` of a `page_ref`.
///
/// Example:
///
///     pinref::page_ref<pinref::bias32, pinref::std_sync> ref;

#include <atomic>
#include <cstddef>
#include <cstdint>

#if __STDC_HOSTED__ && defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#elif __STDC_HOSTED__
#include <time.h>
#endif

#include "pinref/ref/deadline.hpp"
#include "pinref/ref/flags_only.hpp"

namespace pinref {

namespace detail {

struct alignas(64) futex_event {
  std::atomic<std::uint32_t> ticks{0};
};

struct futex_events {
  static constexpr std::size_t size = 64;
  futex_event all[size] = {};
  [[nodiscard]] futex_event* begin() noexcept { return all; }
  [[nodiscard]] futex_event* end() noexcept { return all + size; }
};

inline constinit futex_events all_events{};

#if __STDC_HOSTED__ && defined(__linux__)
// With 64-bit times on a 32-bit machine ::timespec is not what SYS_futex reads.
#if defined(SYS_futex) && defined(SYS_futex_time64)
inline constexpr long futex_call = sizeof(::time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
#else
inline constexpr long futex_call = SYS_futex;
#endif
#endif

}  // namespace detail

/// The C++ standard library's atomics, and futexes on Linux; elsewhere waiters poll, every 50 microseconds under an
/// operating system, without a pause in a freestanding program.
struct std_sync : detail::flags_only {
  template <class T>
  using atomic = std::atomic<T>;
  using event = detail::futex_event;

  /// Words share events by address. Sharing wakes a waiter for nothing, never too late, and no number of waiters is too
  /// many.
  [[nodiscard]] static event& event_of(const void* address) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(address) / alignof(std::uint32_t);
    return detail::all_events.all[(bits ^ bits >> 6 ^ bits >> 12) % detail::futex_events::size];
  }
  [[nodiscard]] static detail::futex_events& events() noexcept { return detail::all_events; }

  static void wait([[maybe_unused]] event& on, [[maybe_unused]] std::uint32_t seen,
                   [[maybe_unused]] const deadline& until) noexcept {
#if __STDC_HOSTED__
    const std::int64_t left = until.left();
    if (left <= 0) return;
    const std::int64_t most = 3'600'000'000'000;  // sleeps longer than an hour are taken an hour at a time
    const std::int64_t time = left < most ? left : most;
    ::timespec sleep{};
#if defined(__linux__)
    const int seconds = static_cast<int>(time / 1'000'000'000);
    const int nanoseconds = static_cast<int>(time % 1'000'000'000);
    sleep.tv_sec = seconds;
    sleep.tv_nsec = nanoseconds;
    static_assert(sizeof(on.ticks) == sizeof(std::uint32_t));
    ::syscall(detail::futex_call, &on.ticks, FUTEX_WAIT_PRIVATE, seen, &sleep, nullptr, 0);
#else
    const int nanoseconds = time < 50'000 ? static_cast<int>(time) : 50'000;
    sleep.tv_nsec = nanoseconds;
    if (on.ticks.load(std::memory_order_relaxed) == seen) ::nanosleep(&sleep, nullptr);
#endif
#endif
  }

  static void wake([[maybe_unused]] event& on) noexcept {
#if __STDC_HOSTED__ && defined(__linux__)
    ::syscall(detail::futex_call, &on.ticks, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
#endif
  }
};

}  // namespace pinref
