// SPDX-License-Identifier: MIT

#include "pinref/sync/deadline.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ratio>

using pinref::deadline;

TEST_CASE("a deadline that is not ahead was over from the start, and the farthest is not wrapped around") {
  CHECK(deadline::passed().is_passed());
  for (const std::int64_t past : {std::int64_t{0}, std::int64_t{-1}, INT64_MIN})
    CHECK(deadline::in_nanoseconds(past).is_passed());
  CHECK_FALSE(deadline::in_nanoseconds(1).is_passed());
  CHECK(deadline::in_nanoseconds(INT64_MAX).is_never());
  CHECK(deadline::in_nanoseconds(INT64_MAX).left() > 0);
}

namespace {

using std::chrono::duration;

// Is the end so many nanoseconds from now, neither earlier nor much later?
template <class Duration>
bool lies_ahead(const Duration& time, std::int64_t nanoseconds) {
  const std::int64_t before = pinref::monotonic_now();
  const deadline until = deadline::in(time);
  const std::int64_t left = until.left(), passed = pinref::monotonic_now() - before;
  return !until.is_never() && !until.is_passed() && left <= nanoseconds && left >= nanoseconds - passed;
}

constexpr std::int64_t second = 1'000'000'000;

}  // namespace

TEST_CASE("a deadline in a duration is so far from now, whatever it is counted in") {
  using namespace std::chrono_literals;
  CHECK(lies_ahead(40s, 40 * second));
  CHECK(lies_ahead(40'000ms, 40 * second));
  CHECK(lies_ahead(40'000'000us, 40 * second));
  CHECK(lies_ahead(40'000'000'000ns, 40 * second));
  CHECK(lies_ahead(2min, 120 * second));
  CHECK(lies_ahead(3h, 3 * 3600 * second));
  CHECK(lies_ahead(duration<std::int8_t>{100}, 100 * second));
  CHECK(lies_ahead(duration<unsigned char, std::ratio<60>>{200}, 200 * 60 * second));
  CHECK(lies_ahead(duration<std::uint64_t, std::milli>{7000}, 7 * second));
  // A third of nothing is no whole number of nanoseconds; a fraction with a numerator may be.
  CHECK(lies_ahead(duration<int, std::ratio<3, 1000>>{1000}, 3 * second));
}

TEST_CASE("a deadline in parts of a nanosecond is rounded up, never down") {
  using picoseconds = duration<std::int64_t, std::pico>;
  using femtoseconds = duration<std::int64_t, std::femto>;
  CHECK(lies_ahead(picoseconds{5'000'000'000'000}, 5 * second));
  CHECK(lies_ahead(picoseconds{5'000'000'000'001}, 5 * second + 1));
  CHECK(lies_ahead(picoseconds{5'000'000'000'999}, 5 * second + 1));
  CHECK(lies_ahead(femtoseconds{1'000'000'000'000'001}, second + 1));
  // However little it is, it is not over before it began.
  CHECK_FALSE(deadline::in(picoseconds{1}).is_passed());
  CHECK(deadline::in(picoseconds{0}).is_passed());
  CHECK(deadline::in(picoseconds{-1}).is_passed());
  CHECK(lies_ahead(picoseconds::max(), INT64_MAX / 1000 + 1));
}

TEST_CASE("a deadline in a number with a fraction is rounded up, and what is no number is over already") {
  using seconds = duration<double>;
  using minutes = duration<float, std::ratio<60>>;
  using nanoseconds = duration<double, std::nano>;
  CHECK(lies_ahead(seconds{2.5}, 2 * second + second / 2));
  CHECK(lies_ahead(minutes{0.25F}, 15 * second));
  CHECK(lies_ahead(nanoseconds{4e9}, 4 * second));
  CHECK(lies_ahead(nanoseconds{4e9 + 0.25}, 4 * second + 1));
  CHECK(lies_ahead(duration<long double, std::pico>{4e12L + 1}, 4 * second + 1));
  CHECK_FALSE(deadline::in(nanoseconds{0.001}).is_passed());
  for (const double past : {0.0, -0.0, -1.0, -1e300, -std::numeric_limits<double>::infinity(), std::nan("")})
    CHECK(deadline::in(seconds{past}).is_passed());
  for (const double far : {1e300, 9.3e9, std::numeric_limits<double>::infinity()})
    CHECK(deadline::in(seconds{far}).is_never());
  CHECK_FALSE(deadline::in(seconds{9e9}).is_never());
}

TEST_CASE("a deadline in a duration that is not ahead is over already, and one too long to be counted never comes") {
  using namespace std::chrono_literals;
  CHECK(deadline::in(0s).is_passed());
  CHECK(deadline::in(-1ns).is_passed());
  CHECK(deadline::in(std::chrono::hours::min()).is_passed());
  CHECK(deadline::in(std::chrono::nanoseconds::min()).is_passed());
  CHECK(deadline::in(std::chrono::nanoseconds::max()).is_never());
  CHECK(deadline::in(std::chrono::seconds::max()).is_never());
  CHECK(deadline::in(std::chrono::hours::max()).is_never());
  // The last count that fits, and the next.
  CHECK_FALSE(deadline::in(duration<std::int64_t>{INT64_MAX / second - 1'000'000}).is_never());
  CHECK(deadline::in(duration<std::int64_t>{INT64_MAX / second + 1}).is_never());
  // A count that a signed one cannot hold is long, not negative.
  CHECK(deadline::in(duration<std::uint64_t>{UINT64_MAX}).is_never());
  CHECK(deadline::in(duration<std::uint64_t, std::nano>{UINT64_MAX}).is_never());
  CHECK(lies_ahead(duration<std::uint64_t, std::pico>{std::uint64_t{1} << 63}, (INT64_MAX / 1000) + 1));
}

TEST_CASE("a deadline at a time point: before the clock began it is over, beyond its end it never comes") {
  using clock = std::chrono::steady_clock;
  using std::chrono::hours;
  using std::chrono::milliseconds;
  CHECK(deadline::at(clock::time_point::min()).is_passed());
  CHECK(deadline::at(clock::time_point{}).is_passed());
  CHECK(deadline::at(clock::time_point::max()).left() > 0);
  CHECK(deadline::at(std::chrono::time_point<clock, milliseconds>::max()).is_never());
  CHECK(deadline::at(std::chrono::time_point<clock, milliseconds>::min()).is_passed());
  const auto now = std::chrono::time_point_cast<hours>(clock::now());
  CHECK(deadline::at(now + hours{2}).left() > 3'600'000'000'000);
  CHECK(deadline::at(now + hours{2}).left() <= 7'200'000'000'000);
}
