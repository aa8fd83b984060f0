#pragma once

/// \file
/// deadline: until when a wait may last, on the monotonic clock.
///
/// When not to use it: for dates. It compares only with this machine's time since boot.
///
/// Example:
///
///     (void)ref.wait_until_unpinned(pinref::deadline::in(5'000'000));             // 5 ms from now
///     (void)ref.wait_until_unpinned(pinref::deadline::at(std::chrono::steady_clock::now() + 1s));

#include <concepts>
#include <cstdint>

#if __STDC_HOSTED__
#include <time.h>
#endif

namespace pinref {

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

class deadline {
 public:
  /// No end.
  [[nodiscard]] static constexpr deadline never() noexcept { return deadline{most}; }
  /// Already over: look once, do not sleep.
  [[nodiscard]] static constexpr deadline passed() noexcept { return deadline{0}; }
  /// This many nanoseconds from now; not above zero is over already.
  [[nodiscard]] static deadline in(std::int64_t nanoseconds) noexcept {
    if (nanoseconds <= 0) return passed();
    const std::int64_t at = pinref::monotonic_now();
    return deadline{nanoseconds > most - at ? most : at + nanoseconds};
  }
  /// A time point of std::chrono::steady_clock, of any resolution; one before the clock began is over already, one
  /// beyond what can be counted never comes.
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

}  // namespace pinref
