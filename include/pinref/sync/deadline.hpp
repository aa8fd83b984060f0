// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// deadline: until when a wait may last, on the monotonic clock.
///
/// When not to use it: for dates. It compares only with this machine's time since boot.
///
/// Example:
///
///     using namespace std::chrono_literals;
///     if (ref.wait_until_unpinned(pinref::deadline::in(5ms)) != pinref::wait_result::reached) try_again_later();
///     const auto end = pinref::deadline::at(std::chrono::steady_clock::now() + 1s);
///     if (ref.wait_until_idle(0, end) == pinref::wait_result::timed_out) give_up("still held");
///
/// Durations and time points are those of `<chrono>`, which this header does not include: what looks like one is taken
/// for one. `in_nanoseconds` needs no `<chrono>`.
///
/// Errors: none; a time before now is over already, one too far away to be counted never comes.
/// Memory order: none.
/// Progress: wait-free; `in` and `left` read the clock.
/// Source: clock_gettime(2) of CLOCK_MONOTONIC.

#include <concepts>
#include <cstdint>

#if __STDC_HOSTED__
#include <time.h>
#endif

namespace pinref::inline v0_1 {

/// Nanoseconds of a clock that never goes back. In a freestanding program the host defines it, if it waits at all.
#if __STDC_HOSTED__
[[nodiscard]] inline std::int64_t monotonic_now() noexcept {
  ::timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  const std::int64_t seconds = time.tv_sec;
  return seconds * 1'000'000'000 + time.tv_nsec;
}
#else
[[nodiscard]] std::int64_t monotonic_now() noexcept;
#endif

/// An instant until which a wait may last.
class deadline {
 public:
  /// No end.
  [[nodiscard]] static constexpr deadline never() noexcept { return deadline{most}; }
  /// Already over: look once, do not sleep.
  [[nodiscard]] static constexpr deadline passed() noexcept { return deadline{0}; }
  /// So long from now, rounded up to a nanosecond; not above zero is over already, what is too long to be counted never
  /// comes.
  template <class Duration>
  requires requires(const Duration& time) {
    typename Duration::period;
    time.count();
  }
  [[nodiscard]] static deadline in(const Duration& time) noexcept {
    using period = typename Duration::period;
    using rep = typename Duration::rep;
    if constexpr (std::floating_point<rep>) {
      const long double nanoseconds =
          static_cast<long double>(time.count()) * period::num * 1'000'000'000 / period::den;
      // Written so that a NaN is over already.
      if (!(nanoseconds > 0)) return passed();
      if (nanoseconds >= static_cast<long double>(most)) return never();
      const auto whole = static_cast<std::int64_t>(nanoseconds);
      return in_nanoseconds(static_cast<long double>(whole) < nanoseconds ? whole + 1 : whole);
    } else {
      if (time.count() <= 0) return passed();
      constexpr auto longest = static_cast<std::uint64_t>(most);
      const auto count = static_cast<std::uint64_t>(time.count());
      if constexpr (period::den <= 1'000'000'000) {
        static_assert(1'000'000'000 % period::den == 0, "pinref: deadline::in needs a duration in whole nanoseconds");
        constexpr std::uint64_t scale = 1'000'000'000 / period::den * period::num;
        return count > longest / scale ? never() : in_nanoseconds(static_cast<std::int64_t>(count * scale));
      } else {
        static_assert(period::den % 1'000'000'000 == 0 && period::num == 1,
                      "pinref: deadline::in needs a duration in decimal parts of a nanosecond");
        constexpr std::uint64_t scale = period::den / 1'000'000'000;
        const std::uint64_t rounded = count / scale + (count % scale != 0 ? 1 : 0);
        return rounded > longest ? never() : in_nanoseconds(static_cast<std::int64_t>(rounded));
      }
    }
  }
  /// As in().
  [[nodiscard]] static deadline in_nanoseconds(std::int64_t nanoseconds) noexcept {
    if (nanoseconds <= 0) return passed();
    const std::int64_t at = pinref::monotonic_now();
    return deadline{nanoseconds > most - at ? most : at + nanoseconds};
  }
  /// A time point of std::chrono::steady_clock, of any resolution; one before the clock began is over already, one
  /// beyond what can be counted never comes. Precondition: steady_clock counts from where CLOCK_MONOTONIC does, as it
  /// does on Linux.
  template <class TimePoint>
  [[nodiscard]] static constexpr deadline at(const TimePoint& when) noexcept {
    using period = typename TimePoint::duration::period;
    static_assert(TimePoint::clock::is_steady && std::signed_integral<typename TimePoint::rep> &&
                      1'000'000'000 % period::den == 0,
                  "pinref: deadline::at needs a time point of std::chrono::steady_clock in whole units");
    constexpr std::int64_t scale = 1'000'000'000 / period::den * period::num;
    const std::int64_t count = when.time_since_epoch().count();
    if (count <= 0) return passed();
    return count > most / scale ? never() : deadline{count * scale};
  }

  /// Has it no end?
  [[nodiscard]] constexpr bool is_never() const noexcept { return at_ == most; }
  /// Was it over from the start? False of one that has run out.
  [[nodiscard]] constexpr bool is_passed() const noexcept { return at_ == 0; }
  /// Nanoseconds left; not above zero when it is over.
  [[nodiscard]] std::int64_t left() const noexcept { return is_passed() ? 0 : at_ - pinref::monotonic_now(); }

 private:
  static constexpr std::int64_t most = INT64_MAX;
  constexpr explicit deadline(std::int64_t at) noexcept : at_(at) {}

  std::int64_t at_;
};

}  // namespace pinref::inline v0_1
