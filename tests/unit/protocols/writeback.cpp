// SPDX-License-Identifier: MIT

#include "pinref/protocols/writeback.hpp"

#include <doctest/doctest.h>

#include "storage_host.hpp"
#include "while_waiting.hpp"

using pinref::deadline;
using pinref::if_pinned;
using pinref::mkclean_result;
using pinref::release_result;
using pinref::take_result;
using pinref::writeback_result;

namespace {

// A page of an object, mapped twice: its object, and each mapping, holds a reference.
template <class Host>
struct stored {
  using page = typename Host::page;
  using traits = pinref::page_traits<page>;

  explicit stored(bool compound = false) : head(object.put_in(2, compound ? host.compound() : host.small())) {}

  void pin() { REQUIRE(pinref::try_pin_page(head) == take_result::taken); }
  void unpin() { CHECK(pinref::unpin_user_page(head) == release_result::released); }

  // Writes the page back and notes how it was written.
  template <class... More>
  writeback_result write_back(page& which, if_pinned policy, const More&... more) {
    const auto write = [this](page& written, bool from_copy) {
      CHECK(&written == &head);
      CHECK(host.locked(head));
      CHECK_FALSE(first.writable());
      CHECK_FALSE(traits::dirty(head));
      ++writes;
      copies += from_copy;
      return !fails;
    };
    const writeback_result done = pinref::writeback_page(which, object, policy, write, more...);
    CHECK_FALSE(host.locked(head));
    return done;
  }

  Host host;
  support::mapped_object<page> object;
  page& head;
  support::object_entry<page>& first = object.map(head);
  support::object_entry<page>& second = object.map(head, false);
  int writes = 0;
  int copies = 0;
  bool fails = false;
};

}  // namespace

TEST_CASE_TEMPLATE("page_mkclean write-protects every mapping that still is one, and tells clean, pinned and truncated",
                   Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    CAPTURE(compound);
    stored<Host> s(compound);
    auto& other = s.object.map(s.object.put_in(3, s.host.small()));
    bool written = true;
    CHECK(pinref::page_mkclean(s.head, s.object, written) == mkclean_result::clean);
    CHECK_FALSE(written);
    CHECK_FALSE(s.first.writable());
    CHECK(other.writable());

    s.first.make_writable();
    s.first.written = true;
    s.pin();
    CHECK(pinref::page_mkclean(s.head, s.object, written) == mkclean_result::pinned);
    CHECK(written);
    CHECK_FALSE(s.first.writable());
    // Told once: it is the caller's now.
    CHECK(pinref::page_mkclean(s.head, s.object, written) == mkclean_result::pinned);
    CHECK_FALSE(written);

    s.object.pages[2] = nullptr;
    s.first.make_writable();
    CHECK(pinref::page_mkclean(s.head, s.object, written) == mkclean_result::truncated);
    CHECK(s.first.writable());
    CHECK(pinref::page_pins(s.head) == 1);
    s.object.pages[2] = &s.head;
    s.unpin();
    CHECK(pinref::page_mkclean(s.head, s.object, written) == mkclean_result::clean);
    CHECK(s.first.unlocked_protects == 0);
  }
}

TEST_CASE_TEMPLATE("pins derived from the mapcount agree where nothing maps or unmaps meanwhile", Host, ALL_HOSTS) {
  stored<Host> s;
  auto& mapcount = s.host.marks(s.head).mapcount;
  mapcount = 2;
  bool written = false;
  const auto mkclean = [&] { return pinref::page_mkclean(s.head, s.object, written, pinref::pins_by_mapcount{}); };
  CHECK(mkclean() == mkclean_result::clean);
  mapcount = 3;
  CHECK(mkclean() == mkclean_result::pinned);
  s.object.unmap(s.second);
  mapcount = 2;
  CHECK(mkclean() == mkclean_result::pinned);
  mapcount = 1;
  CHECK(mkclean() == mkclean_result::clean);
}

TEST_CASE_TEMPLATE("the mapcount that tells of pins is the head's, whichever page is asked about", Host, ALL_HOSTS) {
  Host host;
  auto& head = host.compound();
  auto& tail = host.nth(head, 2);
  host.marks(head).mapcount = 3;
  host.marks(tail).mapcount = 7;
  CHECK(pinref::pins_by_mapcount{}.pinned(tail, 2));
  CHECK_FALSE(pinref::pins_by_mapcount{}.pinned(tail, 3));
}

TEST_CASE_TEMPLATE("a page that nobody has pinned is written and clean, whatever the policy", Host, ALL_HOSTS) {
  for (const if_pinned policy : {if_pinned::skip, if_pinned::bounce, if_pinned::wait, if_pinned::write_anyway}) {
    CAPTURE(policy);
    for (const bool compound : {false, true}) {
      stored<Host> s(compound);
      using traits = typename stored<Host>::traits;
      // By a tail of a compound page: lock and dirty bit are the head's.
      auto& asked = compound ? s.host.nth(s.head, 3) : s.head;
      CHECK(s.write_back(asked, policy) == writeback_result::clean);
      CHECK(s.writes == 0);
      traits::set_dirty(s.head);
      CHECK(s.write_back(asked, policy) == writeback_result::written);
      CHECK(s.writes == 1);
      CHECK_FALSE(traits::dirty(s.head));
      // Dirty only by its mapping.
      s.first.written = true;
      CHECK(s.write_back(asked, policy) == writeback_result::written);
      CHECK(s.writes == 2);
      CHECK(s.write_back(asked, policy) == writeback_result::clean);
      CHECK(s.copies == 0);
    }
  }
}

TEST_CASE_TEMPLATE("a pinned page stays dirty under every policy, and is written as the policy says", Host, ALL_HOSTS) {
  const struct {
    if_pinned policy;
    writeback_result result;
    int writes;
    int copies;
  } expected[] = {
      {if_pinned::skip, writeback_result::skipped, 0, 0},
      {if_pinned::bounce, writeback_result::kept_dirty, 1, 1},
      {if_pinned::wait, writeback_result::skipped, 0, 0},
      {if_pinned::write_anyway, writeback_result::kept_dirty, 1, 0},
  };
  for (const auto& each : expected) {
    CAPTURE(each.policy);
    for (const bool by_mapping : {false, true}) {
      stored<Host> s;
      using traits = typename stored<Host>::traits;
      s.pin();
      CHECK(s.write_back(s.head, each.policy, deadline::passed()) == writeback_result::clean);
      if (by_mapping)
        s.first.written = true;
      else
        traits::set_dirty(s.head);
      CHECK(s.write_back(s.head, each.policy, deadline::passed()) == each.result);
      CHECK(s.writes == each.writes);
      CHECK(s.copies == each.copies);
      CHECK(traits::dirty(s.head));
      CHECK(pinref::page_pins(s.head) == 1);
      s.unpin();
      CHECK(s.write_back(s.head, each.policy) == writeback_result::written);
      CHECK_FALSE(traits::dirty(s.head));
    }
  }
}

TEST_CASE_TEMPLATE("a write that fails leaves the page dirty; a page that was truncated is not written", Host,
                   ALL_HOSTS) {
  stored<Host> s;
  using traits = typename stored<Host>::traits;
  traits::set_dirty(s.head);
  s.fails = true;
  CHECK(s.write_back(s.head, if_pinned::skip) == writeback_result::write_failed);
  CHECK(traits::dirty(s.head));
  s.pin();
  CHECK(s.write_back(s.head, if_pinned::bounce) == writeback_result::write_failed);
  CHECK(traits::dirty(s.head));
  s.object.pages[2] = nullptr;
  s.writes = 0;
  CHECK(s.write_back(s.head, if_pinned::write_anyway) == writeback_result::truncated);
  CHECK(s.writes == 0);
  CHECK(pinref::page_pins(s.head) == 1);
}

TEST_CASE_TEMPLATE("who gets the page lock next finds a page that was not written, or may have changed, dirty again",
                   Host, FOREIGN_HOSTS) {
  stored<Host> s;
  using traits = typename stored<Host>::traits;
  int unlocks = 0;
  s.head.unlocked = [&] {
    CHECK(traits::dirty(s.head));
    ++unlocks;
  };
  const auto keeps_dirty = [&](if_pinned policy, writeback_result result) {
    CAPTURE(policy);
    unlocks = 0;
    traits::set_dirty(s.head);
    CHECK(s.write_back(s.head, policy, deadline::in_nanoseconds(1)) == result);
    CHECK(unlocks == 1);
  };
  s.fails = true;
  keeps_dirty(if_pinned::skip, writeback_result::write_failed);
  s.pin();
  keeps_dirty(if_pinned::bounce, writeback_result::write_failed);
  s.fails = false;
  keeps_dirty(if_pinned::skip, writeback_result::skipped);
  keeps_dirty(if_pinned::wait, writeback_result::skipped);
  keeps_dirty(if_pinned::bounce, writeback_result::kept_dirty);
  keeps_dirty(if_pinned::write_anyway, writeback_result::kept_dirty);
  s.head.unlocked = nullptr;
  s.unpin();
}

TEST_CASE_TEMPLATE("waiting ends when the pins go, without the page lock held; else at the deadline or on request",
                   Host, ALL_HOSTS) {
  stored<Host> s;
  using traits = typename stored<Host>::traits;
  traits::set_dirty(s.head);
  s.pin();
  int asked = 0;
  SUBCASE("the device finishes, and its owner marks the page under its lock") {
    const support::while_waiting finish([&] {
      CHECK_FALSE(s.host.locked(s.head));
      if (++asked == 1) CHECK(pinref::unpin_user_folio_dirty_lock(s.head, 1).ok());
      return false;
    });
    CHECK(s.write_back(s.head, if_pinned::wait, deadline::never(), finish) == writeback_result::written);
    CHECK(asked == 1);
    CHECK_FALSE(traits::dirty(s.head));
  }
  SUBCASE("cancelled") {
    pinref::wait_canceller<> stop;
    stop.cancel();
    CHECK(s.write_back(s.head, if_pinned::wait, deadline::never(), stop) == writeback_result::skipped);
    CHECK(traits::dirty(s.head));
    CHECK(s.writes == 0);
    s.unpin();
  }
  SUBCASE("the deadline passes") {
    CHECK(s.write_back(s.head, if_pinned::wait, deadline::in_nanoseconds(1)) == writeback_result::skipped);
    CHECK(s.write_back(s.head, if_pinned::wait, deadline::in_nanoseconds(1'000'000)) == writeback_result::skipped);
    CHECK(traits::dirty(s.head));
    s.unpin();
  }
}

TEST_CASE_TEMPLATE("a page that is pinned again after every wait does not outlast the deadline", Host, FOREIGN_HOSTS) {
  using page = typename Host::page;
  stored<Host> s;
  using traits = typename stored<Host>::traits;
  traits::set_dirty(s.head);
  s.pin();
  const deadline until = deadline::in_nanoseconds(2'000'000);
  // As soon as the page lock is free the pin goes, before the wait has looked; as soon as the page is locked again,
  // another has come. Long after the deadline none comes any more.
  struct churning : support::mapped_object<page> {
    bool truncated(page&) {
      if (until->left() <= 0) ++late;
      if (late < 1000 && pinref::page_pins(*head) == 0) (void)pinref::try_pin_page(*head);
      return false;
    }
    page* head = nullptr;
    const deadline* until = nullptr;
    int late = 0;
  } object;
  object.head = &s.head;
  object.until = &until;
  s.head.unlocked = [&] { (void)pinref::unpin_user_page(s.head); };
  const auto never_written = [](page&, bool) {
    FAIL("the deadline is outlasted");
    return false;
  };
  CHECK(pinref::writeback_page(s.head, object, if_pinned::wait, never_written, until) == writeback_result::skipped);
  CHECK(until.left() <= 0);
}

TEST_CASE_TEMPLATE("a page outside all counting is written back like any other", Host, FOREIGN_HOSTS) {
  stored<Host> s;
  s.head.immortal = true;
  s.head.dirty = true;
  s.pin();
  CHECK(s.write_back(s.head, if_pinned::skip) == writeback_result::written);
}

TEST_CASE_TEMPLATE("A0.5: truncation takes a pinned page from its object and from no pin: it is freed once, at unpin",
                   Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    stored<Host> s(compound);
    const std::size_t before = s.host.nr_free();
    s.pin();
    s.object.unmap(s.first);
    s.object.unmap(s.second);
    s.object.pages[2] = nullptr;
    CHECK(pinref::put_page(s.head) == release_result::released);
    CHECK(pinref::page_references(s.head) == 0);
    CHECK(pinref::page_pins(s.head) == 1);
    CHECK(pinref::page_dma_pinned(s.head));
    CHECK(s.write_back(s.head, if_pinned::wait) == writeback_result::truncated);
    CHECK(s.host.nr_free() == before);
    CHECK(pinref::unpin_user_page(s.head) == release_result::last);
    CHECK(s.host.nr_free() > before);
    CHECK(pinref::unpin_user_page(s.head) == release_result::underflow);
    CHECK_FALSE(pinref::page_dma_pinned(s.head));
  }
}

TEST_CASE_TEMPLATE("to skip a pinned page is not to wait for it; to wait is", Host, FOREIGN_HOSTS) {
  for (const if_pinned policy : {if_pinned::skip, if_pinned::wait}) {
    Host host;
    support::mapped_object<typename Host::page> object;
    auto& page = object.put_in(0, host.small());
    page.dirty = true;
    REQUIRE(pinref::try_pin_page(page) == take_result::taken);
    page.unlocked = [&page] {
      if (pinref::page_dma_pinned(page)) (void)pinref::unpin_user_page(page);
    };
    int writes = 0;
    const auto write = [&](auto&, bool) {
      ++writes;
      return true;
    };
    const bool waits = policy == if_pinned::wait;
    CHECK(pinref::writeback_page(page, object, policy, write, deadline::never()) ==
          (waits ? writeback_result::written : writeback_result::skipped));
    CHECK(writes == (waits ? 1 : 0));
    CHECK(page.dirty == !waits);
  }
}
