// SPDX-License-Identifier: MIT

// Threads that wait for a word, and what they leave behind.

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "layouts.hpp"
#include "pinref/ref/page_ref.hpp"
#include "played_sync.hpp"
#include "real_waits.hpp"

using pinref::deadline;
using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;
using pinref::wait_result;
using support::long_time;
using support::time_of_this_thread;
using support::until_watched;

TEST_CASE_TEMPLATE("a word is as it was after a wait that ended before its time, if nobody else waits", Layout,
                   ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK(ref.wait_until_unpinned(deadline::in_nanoseconds(1'000'000)) == wait_result::timed_out);
  CHECK(ref.snapshot() == Layout::live(1, 1));
  pinref::wait_canceller<> stop;
  std::thread canceller([&] {
    until_watched(ref);
    stop.cancel();
  });
  CHECK(ref.wait_until_idle(1, deadline::in_nanoseconds(long_time), stop) == wait_result::given_up);
  canceller.join();
  CHECK(ref.snapshot() == Layout::live(1, 1));
  CHECK(ref.wait_until_unpinned(deadline::never(), stop) == wait_result::given_up);
  CHECK(ref.snapshot() == Layout::live(1, 1));
}

TEST_CASE_TEMPLATE("who leaves a wait wakes the others, who go on waiting", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  std::thread other(
      [&] { CHECK(ref.wait_until_unpinned(deadline::in_nanoseconds(long_time)) == wait_result::reached); });
  until_watched(ref);
  CHECK(ref.wait_until_unpinned(deadline::in_nanoseconds(1'000'000)) == wait_result::timed_out);
  until_watched(ref);
  CHECK(ref.unpin() == release_result::released);
  other.join();
  CHECK(ref.snapshot() == Layout::live(1));
}

TEST_CASE_TEMPLATE("a waiter of a page with traffic sleeps", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
  // There is a pin at every moment, and another one at every other.
  REQUIRE(ref.try_pin() == take_result::taken);
  std::atomic<bool> enough{false};
  std::thread traffic([&] {
    while (!enough) {
      REQUIRE(ref.try_pin() == take_result::taken);
      REQUIRE(ref.unpin() == release_result::released);
    }
  });
  const std::int64_t used = time_of_this_thread(), begin = pinref::monotonic_now();
  CHECK(ref.wait_until_unpinned(deadline::in_nanoseconds(300'000'000)) == wait_result::timed_out);
  CHECK((time_of_this_thread() - used) * 20 <= pinref::monotonic_now() - begin);
  enough = true;
  traffic.join();
}

TEST_CASE_TEMPLATE("a waiter who never gets to sleep lets time pass after every few looks", Layout, ALL_LAYOUTS) {
  using support::played_sync;
  pinref::page_ref<Layout, played_sync> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  std::vector<std::int64_t> times;
  pinref::wait_canceller<played_sync> stop;
  played_sync::sleep = [&](unsigned n, std::int64_t at_most) {
    // Then there is the canceller alone to sleep on.
    CHECK((n == 1) == (at_most == pinref::poll_interval));
    times.push_back(at_most);
    if (times.size() == 10) CHECK(ref.unpin() == release_result::released);
    return pinref::sleep_result::changed;
  };
  CHECK(ref.wait_until_unpinned(deadline::never(), stop) == wait_result::reached);
  played_sync::sleep = nullptr;
  REQUIRE(times.size() == 10);
  for (std::size_t i = 0; i != 10; ++i) CHECK(times[i] == (i % 5 == 4 ? pinref::poll_interval : INT64_MAX));
}

TEST_CASE("a frozen page is not free, a buried one is") {
  page_ref<> ref;
  ref.init();
  REQUIRE(ref.freeze(1));
  CHECK(ref.wait_until_idle(0, deadline::in_nanoseconds(3'000'000)) == wait_result::timed_out);
  CHECK(ref.wait_until_idle(5, deadline::passed()) == wait_result::timed_out);
  CHECK_FALSE(ref.idle(0));
  CHECK(ref.wait_until_unpinned(deadline::passed()) == wait_result::reached);
  ref.bury();
  CHECK(ref.wait_until_idle(0) == wait_result::reached);
}

TEST_CASE("a wait for bits of the host ends when they are clear, by whichever call") {
  using layout = pinref::bias_layout<std::uint64_t, 24, 511, 4>;
  page_ref<layout> ref;
  ref.init(2);
  CHECK(ref.wait_until_clear(3) == wait_result::reached);
  ref.set_host_bits(7);
  CHECK(ref.wait_until_clear(8, deadline::passed()) == wait_result::reached);
  CHECK(ref.wait_until_clear(1, deadline::passed()) == wait_result::timed_out);
  CHECK(ref.wait_until_clear(1, deadline::in_nanoseconds(1'000'000)) == wait_result::timed_out);
  CHECK(ref.snapshot().zone() == pinref::zone::alive);
  const auto ends_by = [&](auto change) {
    std::thread waiter(
        [&] { CHECK(ref.wait_until_clear(3, deadline::in_nanoseconds(long_time)) == wait_result::reached); });
    until_watched(ref);
    change();
    waiter.join();
    CHECK((ref.host_bits() & 3) == 0);
  };
  ends_by([&] {
    // One bit less is not enough, and the waiter marks the word again.
    CHECK(ref.clear_host_bits(1) == 7);
    until_watched(ref);
    CHECK(ref.clear_host_bits(2) == 6);
  });
  ref.set_host_bits(3);
  ends_by([&] { CHECK(ref.put_and_change({.clear = 3}) == release_result::released); });
  ref.set_host_bits(3);
  REQUIRE(ref.try_pin() == take_result::taken);
  ends_by([&] { CHECK(ref.unpin_and_change({.clear = 3}, 1, pinref::owner_ref::resident) == release_result::idle); });
  ref.set_host_bits(3);
  ends_by([&] { CHECK(ref.put_and_change({.clear = 3}) == release_result::last); });
  pinref::wait_canceller<> stop;
  stop.cancel();
  ref.set_host_bits(1);
  CHECK(ref.wait_until_clear(1, deadline::never(), stop) == wait_result::given_up);
}
