// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "storage_host.hpp"

using pinref::deadline;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;
using pinref::wait_result;

namespace {

template <class Page>
bool somebody_waits(Page& page) {
  return pinref::page_traits<Page>::ref(pinref::compound_head(page)).snapshot().zone() == pinref::zone::watched;
}

// One waiter in a thread of its own, which has marked the word by the time `release` runs. If nothing wakes it, this
// does not return.
template <class Page, class Wait, class Release>
void wakes(Page& page, Wait wait, Release release) {
  std::thread sleeper([&] { CHECK(wait() == wait_result::reached); });
  while (!somebody_waits(page)) std::this_thread::yield();
  release();
  sleeper.join();
  CHECK_FALSE(somebody_waits(page));
}

}  // namespace

TEST_CASE_TEMPLATE("a wait for what is so already returns at once, on any page", Host, ALL_HOSTS) {
  Host host;
  for (const bool compound : {false, true}) {
    auto& head = compound ? host.compound() : host.small();
    auto& page = compound ? host.nth(head, 2) : head;
    CHECK(pinref::wait_until_unpinned(page) == wait_result::reached);
    REQUIRE(pinref::get_page(page, 3) == take_result::taken);
    CHECK(pinref::wait_until_unpinned(page, deadline::passed()) == wait_result::reached);
    CHECK(pinref::put_page(page, 4) == release_result::last);
    CHECK(pinref::wait_until_unpinned(head) == wait_result::reached);
    CHECK(pinref::wait_until_idle(head) == wait_result::reached);
  }
}

TEST_CASE_TEMPLATE("a page outside all counting is never waited for", Host, FOREIGN_HOSTS) {
  Host host;
  auto& zero = host.small();
  REQUIRE(pinref::try_pin_page(zero) == take_result::taken);
  zero.immortal = true;
  CHECK(pinref::wait_until_unpinned(zero) == wait_result::reached);
  CHECK(pinref::wait_until_idle(zero) == wait_result::reached);
}

TEST_CASE_TEMPLATE("a wait ends at its deadline or when it is cancelled, and leaves nothing behind", Host, ALL_HOSTS) {
  Host host;
  auto& head = host.compound();
  auto& page = host.nth(head, 1);
  REQUIRE(pinref::try_pin_page(page) == take_result::taken);
  for (const deadline until : {deadline::passed(), deadline::in_nanoseconds(-1), deadline::in_nanoseconds(1),
                               deadline::in_nanoseconds(1'000'000)}) {
    CHECK(pinref::wait_until_unpinned(page, until) == wait_result::timed_out);
    CHECK(pinref::wait_until_idle(page, until) == wait_result::timed_out);
  }
  pinref::wait_canceller<> stop;
  std::thread canceller([&] {
    while (!somebody_waits(page)) std::this_thread::yield();
    stop.cancel();
  });
  CHECK(pinref::wait_until_unpinned(page, deadline::never(), stop) == wait_result::given_up);
  canceller.join();
  // It counts for later waits, too, but not against a page that is as asked for.
  CHECK(pinref::wait_until_idle(page, deadline::never(), stop) == wait_result::given_up);
  CHECK(page_pins(page) == 1);
  CHECK(pinref::unpin_user_page(page) == release_result::released);
  CHECK(pinref::wait_until_unpinned(page, deadline::never(), stop) == wait_result::reached);
  CHECK(pinref::put_page(page) == release_result::last);
}

TEST_CASE_TEMPLATE("A4.3: a waiter for unpinned wakes, whichever call the last pin goes by", Host, ALL_HOSTS) {
  Host host;
  for (const bool compound : {false, true}) {
    auto& head = compound ? host.compound() : host.small();
    auto& page = compound ? host.nth(head, 2) : head;
    typename Host::page* array[] = {&page, nullptr, &page};
    const auto each = [&](std::size_t pins, auto release) {
      REQUIRE(pinref::try_pin_page(page, pins) == take_result::taken);
      wakes(
          page, [&] { return pinref::wait_until_unpinned(page); }, release);
      CHECK(page_references(page) == 1);
      CHECK(page_pins(page) == 0);
    };
    const gup_result one{1, gup_error::none}, two{2, gup_error::none};
    each(1, [&] { CHECK(pinref::unpin_user_page(page) == release_result::released); });
    each(2, [&] { CHECK(pinref::unpin_user_pages(array, 3) == two); });
    each(2, [&] { CHECK(pinref::unpin_user_pages_dirty_lock(array, 3, true) == two); });
    each(2, [&] { CHECK(pinref::unpin_user_folio(page, 2) == two); });
    each(2, [&] { CHECK(pinref::unpin_user_folio_dirty_lock(page, 2) == two); });
    const std::size_t run = compound ? 2 : 1;
    each(run, [&] { CHECK(pinref::unpin_user_page_range(&page, run) == (compound ? two : one)); });
    each(run, [&] { CHECK(pinref::unpin_user_page_range_dirty_lock(&page, run, true) == (compound ? two : one)); });
  }
}

TEST_CASE_TEMPLATE("A4.3: a waiter for idle wakes, whichever call the last holder goes by", Host, ALL_HOSTS) {
  Host host;
  const auto each = [&](auto take, auto release) {
    auto& page = host.small();
    REQUIRE(take(page) == take_result::taken);
    REQUIRE(pinref::put_page(page) == release_result::released);
    typename Host::page* array[] = {&page};
    wakes(
        page, [&] { return pinref::wait_until_idle(page); }, [&] { release(page, array); });
    CHECK(pinref::get_page_unless_zero(page) == take_result::dead);
  };
  const auto get = [](auto& page) { return pinref::get_page(page); };
  const auto pin = [](auto& page) { return pinref::try_pin_page(page); };
  each(get, [](auto& page, auto) { CHECK(pinref::put_page(page) == release_result::last); });
  each(get, [](auto&, auto array) { CHECK(pinref::release_pages(array, 1).ok()); });
  each(pin, [](auto& page, auto) { CHECK(pinref::unpin_user_page(page) == release_result::last); });
  each(pin, [](auto&, auto array) { CHECK(pinref::unpin_user_pages(array, 1).ok()); });
  each(pin, [](auto&, auto array) { CHECK(pinref::unpin_user_pages_dirty_lock(array, 1, true).ok()); });
  each(pin, [](auto& page, auto) { CHECK(pinref::unpin_user_folio(page, 1).ok()); });
  each(pin, [](auto& page, auto) { CHECK(pinref::unpin_user_folio_dirty_lock(page, 1).ok()); });
  each(pin, [](auto& page, auto) { CHECK(pinref::unpin_user_page_range(&page, 1).ok()); });
  each(pin, [](auto& page, auto) { CHECK(pinref::unpin_user_page_range_dirty_lock(&page, 1, true).ok()); });
  each(get, [](auto& page, auto) {
    CHECK(pinref::page_traits<typename Host::page>::ref(page).freeze(1));
    pinref::page_traits<typename Host::page>::ref(page).bury();
    pinref::page_traits<typename Host::page>::free_page(page);
  });
}

TEST_CASE_TEMPLATE("a device page is waited for until one reference is left, and is idle once", Host, FOREIGN_HOSTS) {
  Host host;
  auto& page = host.device();
  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  REQUIRE(pinref::get_page_unless_zero(page) == take_result::taken);
  wakes(
      page, [&] { return pinref::wait_until_idle(page); },
      [&] {
        CHECK(pinref::unpin_user_page(page) == release_result::released);
        CHECK(pinref::put_page(page) == release_result::released);
        // Of two words every release wakes, and the waiter marks again.
        while (!somebody_waits(page)) std::this_thread::yield();
        CHECK(pinref::unpin_user_page(page) == release_result::idle);
      });
  CHECK(page.marks.idled == 1);
  CHECK(page.freed == 0);
}

TEST_CASE_TEMPLATE("all waiters of a page wake, each for what it waits for", Host, ALL_HOSTS) {
  Host host;
  auto& page = host.small();
  REQUIRE(pinref::try_pin_page(page) == take_result::taken);
  std::atomic<int> unpinned{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i != 3; ++i)
    sleepers.emplace_back([&] {
      CHECK(pinref::wait_until_unpinned(page) == wait_result::reached);
      ++unpinned;
    });
  std::thread until_free([&] { CHECK(pinref::wait_until_idle(page) == wait_result::reached); });
  while (!somebody_waits(page)) std::this_thread::yield();
  CHECK(pinref::unpin_user_page(page) == release_result::released);
  for (std::thread& each : sleepers) each.join();
  CHECK(unpinned == 3);
  CHECK(pinref::put_page(page) == release_result::last);
  until_free.join();
}
