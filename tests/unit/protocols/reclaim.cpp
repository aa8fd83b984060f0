// SPDX-License-Identifier: MIT

#include "pinref/protocols/reclaim.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "storage_host.hpp"
#include "while_waiting.hpp"

using pinref::deadline;
using pinref::expected_ref_count;
using pinref::migrate_result;
using pinref::reclaim_result;
using pinref::release_result;
using pinref::take_result;

static_assert(expected_ref_count(2, 1, false, 1) == 4);

TEST_CASE("each mapping, each cached page, what hangs on the page and the caller is a reference") {
  CHECK(expected_ref_count(0, 0, false, 0) == 0);
  for (const bool has_private : {false, true}) CHECK(expected_ref_count(2, 4, has_private, 1) == (has_private ? 8 : 7));
}

namespace {

// Somebody takes it for an instant whenever it is to be frozen, and is gone when it is waited for.
struct restless_ref : pinref::page_ref<> {
  [[nodiscard]] bool freeze(std::size_t) noexcept { return false; }
  template <class Canceller = pinref::never_cancelled>
  [[nodiscard]] pinref::wait_result wait_until_idle(std::size_t, const deadline& = deadline::never(),
                                                    const Canceller& = {}) noexcept {
    ++waits;
    return waits < 10 ? pinref::wait_result::reached : pinref::wait_result::given_up;
  }
  int waits = 0;
};
struct restless_page {
  restless_ref ref;
};

}  // namespace

template <>
struct pinref::page_traits<restless_page> {
  static auto& ref(restless_page& page) noexcept { return page.ref; }
};

TEST_CASE("a migration ends at its deadline, however often the page has been idle in between") {
  restless_page from, to;
  from.ref.init(2);
  const auto move = [](restless_page&, restless_page&) { FAIL("nothing is moved"); };
  CHECK(pinref::migrate_page(from, to, 1, move, deadline::passed()) == migrate_result::timed_out);
  CHECK(from.ref.waits == 0);
  CHECK(pinref::migrate_page(from, to, 1, move) == migrate_result::given_up);
  CHECK(from.ref.waits == 10);
}

TEST_CASE("a migration that is cancelled ends, however often the page has been idle in between") {
  restless_page from, to;
  from.ref.init(2);
  pinref::wait_canceller<> stop;
  stop.cancel();
  const auto move = [](restless_page&, restless_page&) { FAIL("nothing is moved"); };
  CHECK(pinref::migrate_page(from, to, 1, move, deadline::never(), stop) == migrate_result::given_up);
  CHECK(from.ref.waits == 0);
}

TEST_CASE_TEMPLATE("reclaim takes a clean page from exactly the references expected, and leaves any other as it was",
                   Host, ALL_HOSTS) {
  using traits = pinref::page_traits<typename Host::page>;
  for (const bool compound : {false, true}) {
    Host host;
    auto& head = compound ? host.compound() : host.small();
    auto& page = compound ? host.nth(head, 2) : head;
    REQUIRE(pinref::get_page(page) == take_result::taken);
    const auto unchanged = [&](std::size_t expected, reclaim_result result) {
      const auto before = traits::ref(head).snapshot();
      CHECK(pinref::reclaim_page(page, expected) == result);
      CHECK(traits::ref(head).snapshot() == before);
    };
    for (const std::size_t wrong : {0u, 1u, 3u}) unchanged(wrong, reclaim_result::busy);
    REQUIRE(pinref::try_pin_page(page) == take_result::taken);
    for (const std::size_t own : {1u, 2u}) unchanged(own, reclaim_result::busy);
    CHECK(pinref::unpin_user_folio_dirty_lock(page, 1).ok());
    unchanged(2, reclaim_result::dirty);
    CHECK(traits::dirty(head));
    CHECK(traits::clear_dirty(head));

    CHECK(pinref::reclaim_page(page, 2) == reclaim_result::reclaimed);
    CHECK(pinref::get_page_unless_zero(page) == take_result::dead);
    CHECK(pinref::try_pin_page(page) == take_result::dead);
    CHECK(pinref::reclaim_page(page, 2) == reclaim_result::busy);
    const std::size_t before = host.nr_free();
    traits::free_page(head);
    CHECK(host.nr_free() > before);
  }
}

TEST_CASE_TEMPLATE("a page outside all counting is neither reclaimed nor moved", Host, FOREIGN_HOSTS) {
  Host host;
  auto& zero = host.small();
  zero.immortal = true;
  CHECK(pinref::reclaim_page(zero, 1) == reclaim_result::busy);
  auto& target = host.small();
  CHECK(pinref::put_page(target) == release_result::last);
  const auto move = [](auto&, auto&) { FAIL("moved"); };
  CHECK(pinref::migrate_page(zero, target, 1, move) == migrate_result::busy);
}

namespace {

template <class Host>
struct migration {
  using page = typename Host::page;
  using traits = pinref::page_traits<page>;
  using layout = typename Host::layout;

  // A page with two references, and a dead one for its data.
  explicit migration(bool compound)
      : source(compound ? host.compound() : host.small()), target(compound ? host.compound() : host.small()) {
    REQUIRE(pinref::get_page(source) == take_result::taken);
    traits::ref(target).bury();
  }

  template <class... More>
  migrate_result migrate(page& from, page& to, const More&... more) {
    const auto move = [this](page& moved, page& taker) {
      CHECK(&moved == &source);
      CHECK(&taker == &target);
      // Nobody can take either meanwhile.
      CHECK(pinref::get_page_unless_zero(moved) == take_result::dead);
      CHECK(pinref::try_pin_page(taker) == take_result::dead);
      ++moves;
    };
    return pinref::migrate_page(from, to, 2, move, more...);
  }
  void not_moved(migrate_result result, migrate_result expected) {
    CHECK(result == expected);
    CHECK(moves == 0);
    CHECK(traits::ref(target).snapshot() == layout{});
  }

  Host host;
  page& source;
  page& target;
  int moves = 0;
};

}  // namespace

TEST_CASE_TEMPLATE("migration moves data and references while nobody can take either page", Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    migration<Host> m(compound);
    auto& from = compound ? m.host.nth(m.source, 1) : m.source;
    auto& to = compound ? m.host.nth(m.target, 1) : m.target;
    CHECK(m.migrate(from, to) == migrate_result::migrated);
    CHECK(m.moves == 1);
    CHECK(pinref::page_references(m.target) == 2);
    CHECK(pinref::page_pins(m.target) == 0);
    CHECK(pinref::get_page_unless_zero(m.source) == take_result::dead);
    CHECK(pinref::put_page(to, 2) == release_result::last);
  }
}

TEST_CASE_TEMPLATE("a pin ends a migration at once; a reference nobody accounts for, at the deadline", Host,
                   ALL_HOSTS) {
  migration<Host> m(false);
  const auto before = migration<Host>::traits::ref(m.source).snapshot();
  SUBCASE("pinned") {
    REQUIRE(pinref::try_pin_page(m.source) == take_result::taken);
    m.not_moved(m.migrate(m.source, m.target, deadline::in_nanoseconds(5'000'000)), migrate_result::busy);
    CHECK(pinref::unpin_user_page(m.source) == release_result::released);
  }
  SUBCASE("one reference too few is no reason to wait") {
    CHECK(pinref::put_page(m.source) == release_result::released);
    m.not_moved(m.migrate(m.source, m.target, deadline::in_nanoseconds(5'000'000)), migrate_result::busy);
    REQUIRE(pinref::get_page(m.source) == take_result::taken);
  }
  SUBCASE("one too many, looked at once") {
    REQUIRE(pinref::get_page_unless_zero(m.source) == take_result::taken);
    m.not_moved(m.migrate(m.source, m.target, deadline::passed()), migrate_result::timed_out);
    CHECK(pinref::put_page(m.source) == release_result::released);
  }
  SUBCASE("one too many, waited for") {
    REQUIRE(pinref::get_page_unless_zero(m.source) == take_result::taken);
    m.not_moved(m.migrate(m.source, m.target, deadline::in_nanoseconds(1'000'000)), migrate_result::timed_out);
    CHECK(pinref::put_page(m.source) == release_result::released);
  }
  SUBCASE("cancelled") {
    pinref::wait_canceller<> stop;
    stop.cancel();
    REQUIRE(pinref::get_page_unless_zero(m.source) == take_result::taken);
    m.not_moved(m.migrate(m.source, m.target, deadline::never(), stop), migrate_result::given_up);
    CHECK(pinref::put_page(m.source) == release_result::released);
  }
  CHECK(migration<Host>::traits::ref(m.source).snapshot() == before);
}

TEST_CASE_TEMPLATE("nobody can hold a page by no references: it is not moved, dead or alive", Host, ALL_HOSTS) {
  migration<Host> m(false);
  auto& ref = migration<Host>::traits::ref(m.source);
  const auto move = [&](auto&, auto&) { ++m.moves; };
  m.not_moved(pinref::migrate_page(m.source, m.target, 0, move, deadline::never()), migrate_result::busy);
  CHECK(pinref::page_references(m.source) == 2);
  REQUIRE(ref.freeze(2));
  m.not_moved(pinref::migrate_page(m.source, m.target, 0, move, deadline::never()), migrate_result::busy);
  m.not_moved(pinref::migrate_page(m.source, m.target, 1, move, deadline::never()), migrate_result::busy);
  ref.unfreeze(2);
}

TEST_CASE_TEMPLATE("a passing reference is waited for, and a pin that comes meanwhile ends the wait", Host, ALL_HOSTS) {
  migration<Host> m(false);
  REQUIRE(pinref::get_page_unless_zero(m.source) == take_result::taken);
  int asked = 0;
  SUBCASE("it goes") {
    const support::while_waiting leave([&] {
      if (asked++ == 0) CHECK(pinref::put_page(m.source) == release_result::released);
      return false;
    });
    CHECK(m.migrate(m.source, m.target, deadline::never(), leave) == migrate_result::migrated);
  }
  SUBCASE("it goes, and nothing was said of how long to wait") {
    std::thread holder([&] {
      while (migration<Host>::traits::ref(m.source).snapshot().zone() != pinref::zone::watched)
        std::this_thread::yield();
      CHECK(pinref::put_page(m.source) == release_result::released);
    });
    CHECK(m.migrate(m.source, m.target) == migrate_result::migrated);
    holder.join();
  }
  SUBCASE("a pin comes and stays until the deadline") {
    const support::while_waiting pin([&] {
      if (asked++ == 0) {
        REQUIRE(pinref::try_pin_page(m.source) == take_result::taken);
        CHECK(pinref::put_page(m.source) == release_result::released);
      }
      return false;
    });
    m.not_moved(m.migrate(m.source, m.target, deadline::in_nanoseconds(1'000'000), pin), migrate_result::timed_out);
    CHECK(m.migrate(m.source, m.target) == migrate_result::busy);
    CHECK(pinref::unpin_user_page(m.source) == release_result::released);
  }
}
