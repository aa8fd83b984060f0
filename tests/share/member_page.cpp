// SPDX-License-Identifier: MIT

// Handles, owners and gup on the pages of a segment: all they take, release and undo is in the ledger, wherever the
// process is killed.

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <concepts>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "mortal_child.hpp"
#include "pinref/pinref.hpp"

namespace {

using namespace share_test;
using pinref::foll;
using pinref::gup_error;
using pinref::hold;
using pinref::ledger_hold;
using pinref::ledger_record;
using pinref::ledger_result;
using pinref::release_result;
using pinref::take_result;
using page = pinref::member_page<killing_traits>;
using pages = pinref::member_pages<killing_traits>;

static_assert(pinref::reference_counter<page::word::counter> && pinref::numbered_page<page>);
// No life begins here.
template <class Word>
concept begins_lives = requires(Word& word) {
  word.init();
};
static_assert(!begins_lives<page::word> && begins_lives<pinref::page_ref<>>);
static_assert(!std::copy_constructible<page>);

constexpr std::uint32_t nr_pages = 6;
// The pool has these, and the parent a pin of the first one; the others are free.
constexpr std::uint32_t nr_kept = 4;
constexpr pinref::segment_shape shape{.places = 4, .slots = 6, .pages = nr_pages, .page_size = 0};

// Page i of the segment at i * page_size.
struct space {
  using page = ::page;
  static constexpr std::size_t page_size = 4096;

  static bool contains(std::uintptr_t, std::uintptr_t last) noexcept { return last < nr_pages * page_size; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t at, foll) const noexcept {
    return {&all[static_cast<std::uint32_t>(at / page_size)]};
  }
  bool recheck(std::uintptr_t at, const pinref::mapping<page>&) noexcept {
    most_held = std::max(most_held, lookup(at, foll::none).page->held(hold::pin));
    return at / page_size != changes_at;
  }
  // Nothing is mapped at an address whose page is free, and none comes.
  template <class Use>
  gup_error fault_in(std::uintptr_t at, foll flags, Use use) noexcept {
    const pinref::mapping<page> found = lookup(at, flags);
    if (at / page_size == changes_at || at / page_size >= nr_kept) return gup_error::not_mapped;
    return use(found);
  }

  pages all;
  std::size_t changes_at = ~std::size_t{0};
  unsigned most_held = 0;
};

// The pages of one member.
struct view {
  explicit view(member& me) : mine(me, array) {}

  page array[nr_pages];
  pages mine;
  space addresses{mine};
};

struct world {
  segment pool;
  member me;
  ledger_hold pin;

  world() {
    REQUIRE(pool.create(shape) == pinref::segment_error::none);
    REQUIRE(me.join(pool.memory()) == pinref::join_result::joined);
    for (std::uint32_t i = 0; i != nr_kept; ++i) {
      auto fresh = me.allocate();
      REQUIRE(fresh.held.page() == i);
      REQUIRE(me.keep(fresh.held) == ledger_result::done);
    }
    pin = me.try_pin(0).held;
  }
  ~world() {
    CHECK(me.release(pin) == ledger_result::done);
    CHECK(me.leave() == pinref::leave_result::left);
    all_is_well(pool.memory());
    CHECK(pool.nr_free() == nr_pages - nr_kept);
  }

  // So many records of the member say that it holds a page so.
  unsigned records(std::uint32_t number, hold mode, unsigned n) const {
    unsigned found = 0;
    for (std::uint32_t i = 0; i != shape.slots; ++i) {
      const ledger_record what{pool.memory().slot(me.place(), i).entry.load(std::memory_order_relaxed)};
      found += what == ledger_record::held(mode, number, n);
    }
    return found;
  }
  // All that it holds but `pin`.
  unsigned held() const { return audit(pool.memory()).held - 1; }
};

}  // namespace

TEST_CASE("gup on the pages of a segment records each pin") {
  world it;
  view mine{it.me};
  page* some[4] = {};
  const auto pinned = pinref::pin_user_pages(mine.addresses, 0, foll::write, some);
  CHECK(pinned.ok());
  CHECK(it.held() == 4);
  // The parent's own pin stands apart.
  CHECK(it.records(0, hold::pin, 1) == 2);
  for (std::uint32_t i = 1; i != 4; ++i) CHECK(it.records(i, hold::pin, 1) == 1);
  CHECK(audit(it.pool.memory()).right());

  // Once more goes into the same records, so that those of the member last.
  page* again[4] = {};
  CHECK(pinref::pin_user_pages_fast(mine.addresses, 0, foll::write, again).ok());
  for (std::uint32_t i = 0; i != 4; ++i) CHECK(it.records(i, hold::pin, 2) == 1);
  CHECK(pinref::page_pins(mine.mine[0]) == 3);
  CHECK(audit(it.pool.memory()).right());

  CHECK(pinref::unpin_user_pages(again).count == 4);
  CHECK(pinref::unpin_user_pages(some).count == 4);
  CHECK(it.held() == 0);

  page* got[3] = {};
  CHECK(pinref::get_user_pages(mine.addresses, 4096, foll::none, got).ok());
  for (std::uint32_t i = 1; i != 4; ++i) CHECK(it.records(i, hold::reference, 1) == 1);
  CHECK(pinref::release_pages(got).ok());
  CHECK(it.held() == 0);
}

TEST_CASE("a walk that fails gives back what it took, in the ledger too") {
  world it;
  view mine{it.me};
  page* some[nr_pages] = {};
  SUBCASE("a page is dead") {
    const auto done = pinref::pin_user_pages_fast(mine.addresses, 0, foll::all, some);
    CHECK(done.count == 0);
    CHECK(done.reason == gup_error::not_mapped);
  }
  SUBCASE("a page is dead, and those before it are wanted") {
    const auto done = pinref::pin_user_pages_fast(mine.addresses, 0, foll::none, some);
    CHECK(done.count == nr_kept);
    CHECK(it.held() == nr_kept);
    CHECK(pinref::unpin_user_pages(some, done.count).ok());
  }
  SUBCASE("the mapping changes after the take") {
    mine.addresses.changes_at = 2;
    const auto done = pinref::pin_user_pages_fast(mine.addresses, 0, 4, foll::all, some);
    CHECK(done.count == 0);
    CHECK(done.reason == gup_error::not_mapped);
    CHECK(mine.addresses.most_held == 1);
  }
  SUBCASE("no record is free") {
    // Four of the six are taken, one of them for the pin of the parent.
    std::vector<ledger_hold> others;
    for (int i = 0; i != 3; ++i) others.push_back(it.me.try_get(1).held);
    const auto done = pinref::pin_user_pages_fast(mine.addresses, 0, 3, foll::all, some);
    CHECK(done.count == 0);
    CHECK(done.reason == gup_error::overflow);
    for (auto& other : others) CHECK(it.me.release(other) == ledger_result::done);
  }
  SUBCASE("a range") {
    const auto done = pinref::pin_page_range(mine.mine[1], 4);
    CHECK(done.count == 0);
    CHECK(done.reason == gup_error::dead);
  }
  CHECK(it.held() == 0);
  CHECK(audit(it.pool.memory()).right());
}

TEST_CASE("many holders of a page at once") {
  world it;
  view mine{it.me};
  page& one = mine.mine[1];
  CHECK(pinref::try_pin_page(one, 4000) == take_result::taken);
  CHECK(it.records(1, hold::pin, 4000) == 1);
  // More than a record counts.
  CHECK(pinref::try_pin_page(one, 96) == take_result::overflow);
  CHECK(pinref::add_pin(one, 95) == take_result::taken);
  CHECK(pinref::get_page_unless_zero(one, ledger_record::max_n + 1) == take_result::overflow);
  CHECK(pinref::get_page_unless_zero(one, 0) == take_result::taken);
  CHECK(pinref::get_page_unless_zero(mine.mine[nr_kept], 0) == take_result::dead);
  CHECK(one.held(hold::pin) == ledger_record::max_n);
  CHECK(one.held(hold::reference) == 0);
  CHECK(pinref::unpin_user_folio(one, 4095).count == 4095);

  CHECK(pinref::pin_page_range(one, 3).count == 3);
  CHECK(it.held() == 3);
  CHECK(pinref::unpin_user_page_range(&one, 3).count == 3);
  CHECK(it.held() == 0);
}

TEST_CASE("a release of more than is held here changes nothing") {
  world it;
  view mine{it.me};
  page& one = mine.mine[0];
  // The pins of others, and those that the member has otherwise, are not for this page to release.
  CHECK(pinref::unpin_user_page(one) == release_result::underflow);
  CHECK(pinref::try_pin_page(one, 2) == take_result::taken);
  CHECK(pinref::unpin_user_folio(one, 3).reason == gup_error::underflow);
  CHECK(pinref::put_page(one) == release_result::underflow);
  CHECK(pinref::unpin_user_folio(one, 0).ok());
  CHECK(it.records(0, hold::pin, 2) == 1);
  CHECK(it.records(0, hold::pin, 1) == 1);
  // The word has not been asked, so that doubts on the page can still be settled.
  CHECK(!one.shared().tainted());
  CHECK(pinref::unpin_user_folio(one, 2).ok());

  // Somebody has found the record and released it.
  CHECK(pinref::try_pin_page(mine.mine[1]) == take_result::taken);
  ledger_hold found = it.me.find(1, hold::pin);
  CHECK(it.me.release(found) == ledger_result::done);
  SUBCASE("a release") {
    CHECK(pinref::unpin_user_page(mine.mine[1]) == release_result::underflow);
  }
  SUBCASE("a take") {
    CHECK(pinref::try_pin_page(mine.mine[1]) == take_result::taken);
    CHECK(it.records(1, hold::pin, 1) == 1);
    CHECK(pinref::unpin_user_page(mine.mine[1]) == release_result::released);
  }
  CHECK(it.held() == 0);
}

TEST_CASE("handles and owners") {
  world it;
  view mine{it.me};
  page& one = mine.mine[1];
  {
    auto pin = pinref::page_pin<page>::try_pin(one);
    REQUIRE(pin);
    const auto second = pin.share();
    auto reference = pinref::page_ptr<page>::get_page_unless_zero(one);
    CHECK(it.records(1, hold::pin, 2) == 1);
    CHECK(it.records(1, hold::reference, 1) == 1);
    const auto moved = std::move(reference);
    CHECK(moved);
    CHECK(!pinref::page_ptr<page>::get_page_unless_zero(mine.mine[nr_kept]));
  }
  CHECK(it.held() == 0);
  {
    page* some[nr_kept] = {};
    auto range = pinref::pinned_range<page>::pin_user_pages(mine.addresses, 0, foll::write, some);
    CHECK(range.done.ok());
    CHECK(range.pins.unpin_front(1).ok());
    CHECK(it.held() == 3);
  }
  CHECK(it.held() == 0);
  {
    pinref::pin_owner<page, std::mutex> owner{5};
    page* some[nr_kept] = {};
    pinref::pin_request request{owner};
    CHECK(request.pin_user_pages_fast(mine.addresses, 0, foll::write, some).ok());
    page* more[2] = {};
    pinref::pin_request beyond{owner};
    CHECK(beyond.pin_user_pages(mine.addresses, 0, foll::write, more).reason == gup_error::limit_exceeded);
    CHECK(it.held() == nr_kept);
    CHECK(owner.unpin_all().count == nr_kept);
    CHECK(it.held() == 0);
    CHECK(beyond.pin_user_pages(mine.addresses, 0, foll::write, more).ok());
    CHECK(it.held() == 2);
  }
  CHECK(it.held() == 0);
}

TEST_CASE("the last release frees a page, once") {
  world it;
  view mine{it.me};
  auto fresh = it.me.allocate();
  page& one = mine.mine[fresh.held.page()];
  // Of another page it is refused.
  CHECK(mine.mine[0].adopt(fresh.held) == ledger_result::not_held);
  ledger_hold copy = fresh.held;
  CHECK(one.adopt(fresh.held) == ledger_result::done);
  CHECK(!fresh.held);
  // There is no second one.
  CHECK(one.adopt(copy) == ledger_result::not_held);
  CHECK(pinref::try_pin_page(one) == take_result::taken);
  CHECK(pinref::put_page(one) == release_result::released);
  CHECK(it.pool.nr_free() == nr_pages - nr_kept - 1);
  CHECK(pinref::unpin_user_page(one) == release_result::last);
  CHECK(it.pool.nr_free() == nr_pages - nr_kept);
  CHECK(pinref::try_pin_page(one) == take_result::dead);
  CHECK(it.held() == 0);
}

TEST_CASE("a hold comes in and goes out") {
  world it;
  view mine{it.me};
  page& one = mine.mine[1];
  ledger_hold pin = it.me.try_pin(1, 2).held;
  CHECK(pinref::try_pin_page(one, 3) == take_result::taken);
  // Two records become one.
  CHECK(one.adopt(pin) == ledger_result::done);
  CHECK(!pin);
  CHECK(it.records(1, hold::pin, 5) == 1);
  CHECK(it.held() == 5);
  ledger_hold out = one.give(hold::pin);
  CHECK(pinref::unpin_user_page(one) == release_result::underflow);
  CHECK(!one.give(hold::pin));

  // What may be fenced, and what is the pool's, stays apart.
  CHECK(it.me.lease(out, 100) == ledger_result::done);
  CHECK(one.adopt(out) == ledger_result::not_held);
  CHECK(it.me.release(out) == ledger_result::done);
  ledger_hold claimed = it.me.claim(1).held;
  CHECK(one.adopt(claimed) == ledger_result::not_held);
  CHECK(it.me.keep(claimed) == ledger_result::done);

  // More than one record counts.
  ledger_hold many = it.me.try_get(1, ledger_record::max_n).held;
  CHECK(pinref::get_page_unless_zero(one) == take_result::taken);
  CHECK(one.adopt(many) == ledger_result::too_many);
  CHECK(it.me.release(many) == ledger_result::done);
  CHECK(pinref::put_page(one) == release_result::released);
  CHECK(it.held() == 0);
}

TEST_CASE("a page is claimed, and given back or freed") {
  world it;
  view mine{it.me};
  auto fresh = it.me.allocate();
  const std::uint32_t number = fresh.held.page();
  page& one = mine.mine[number];
  REQUIRE(one.adopt(fresh.held) == ledger_result::done);
  CHECK(pinref::get_page(one) == take_result::taken);
  CHECK(!one.ref().freeze(1));
  CHECK(!one.ref().freeze(3));
  CHECK(one.ref().freeze(2));
  CHECK(pinref::get_page_unless_zero(one) == take_result::dead);
  CHECK(pinref::try_pin_page(one) == take_result::dead);
  CHECK(one.ref().try_get_if_alive() == take_result::dead);
  CHECK(pinref::put_page(one) == release_result::underflow);
  CHECK(audit(it.pool.memory()).right());
  SUBCASE("given back") {
    one.ref().unfreeze(2);
    CHECK(it.records(number, hold::reference, 2) == 1);
    CHECK(one.ref().put_sole() == release_result::released);
    CHECK(one.ref().put_sole() == release_result::last);
  }
  SUBCASE("freed") {
    one.ref().bury();
  }
  // Neither brings a page to life, nor ends the life of one, that the member has not claimed.
  one.ref().unfreeze(1);
  CHECK(one.ref().snapshot().zone() == pinref::zone::dead);
  mine.mine[1].ref().bury();
  CHECK(it.held() == 0);
  CHECK(audit(it.pool.memory()).right());
}

TEST_CASE("questions and waits") {
  world it;
  view mine{it.me};
  page& pinned = mine.mine[0];
  page& unpinned = mine.mine[1];
  CHECK(pinref::page_dma_pinned(pinned));
  CHECK(!pinref::page_dma_pinned(unpinned));
  CHECK(unpinned.ref().idle(1));
  CHECK(!unpinned.ref().idle(0));
  CHECK(pinref::wait_until_unpinned(unpinned) == pinref::wait_result::reached);
  CHECK(pinref::wait_until_unpinned(pinned, pinref::deadline::in_nanoseconds(100000)) ==
        pinref::wait_result::timed_out);
  CHECK(unpinned.ref().wait_until_idle(1) == pinref::wait_result::reached);
  CHECK(unpinned.ref().wait_until_idle(0, pinref::deadline::in_nanoseconds(100000)) == pinref::wait_result::timed_out);
  CHECK(pinref::page_references(unpinned) == 1);

  page of_nobody;
  CHECK(pinref::try_pin_page(of_nobody) == take_result::dead);
  CHECK(of_nobody.ref().try_get_if_alive() == take_result::dead);
  CHECK(pinref::unpin_user_page(of_nobody) == release_result::underflow);
  CHECK(!of_nobody.ref().freeze(1));
  ledger_hold pin = it.pin;
  CHECK(of_nobody.adopt(pin) == ledger_result::not_held);
}

namespace {

// One thing that the child does, and what it does before.
struct call {
  const char* name;
  std::function<void(view&, page**)> before;
  std::function<bool(view&, page**)> run;
};

void nothing(view&, page**) {}
void pin_all(view& mine, page** some) {
  if (!pinref::pin_user_pages(mine.addresses, 0, nr_kept, foll::write, some).ok()) _exit(3);
}

const std::vector<call>& calls() {
  static const std::vector<call> all = {
      {"pin_user_pages", nothing,
       [](view& mine, page** some) {
         return pinref::pin_user_pages(mine.addresses, 0, nr_kept, foll::write, some).ok();
       }},
      {"pin_user_pages once more", pin_all,
       [](view& mine, page** some) {
         return pinref::pin_user_pages_fast(mine.addresses, 0, nr_kept, foll::write, some).ok();
       }},
      {"pin_user_pages that is undone", nothing,
       [](view& mine, page** some) {
         return pinref::pin_user_pages_fast(mine.addresses, 0, nr_pages, foll::all, some).count == 0;
       }},
      {"pin_user_pages of what changes", nothing,
       [](view& mine, page** some) {
         mine.addresses.changes_at = 1;
         return pinref::pin_user_pages_fast(mine.addresses, 0, 2, foll::all, some).count == 0;
       }},
      {"unpin_user_pages", pin_all, [](view&, page** some) { return pinref::unpin_user_pages(some, nr_kept).ok(); }},
      {"unpin_user_folio of some",
       [](view& mine, page**) {
         if (pinref::try_pin_page(mine.mine[0], 5) != take_result::taken) _exit(3);
       },
       [](view& mine, page**) { return pinref::unpin_user_folio(mine.mine[0], 3).ok(); }},
      {"two records become one",
       [](view& mine, page**) {
         if (pinref::try_pin_page(mine.mine[0], 5) != take_result::taken) _exit(3);
         if (pinref::try_pin_page(mine.mine[1]) != take_result::taken) _exit(3);
       },
       [](view& mine, page**) {
         ledger_hold out = mine.mine[0].give(hold::pin);
         return pinref::try_pin_page(mine.mine[0], 2) == take_result::taken &&
                mine.mine[0].adopt(out) == ledger_result::done;
       }},
  };
  return all;
}

fate run_and_kill(const world& it, const call& what, long k) {
  return child(it.pool, [&](segment& pool, member& me) {
    if (me.join(pool.memory()) != pinref::join_result::joined) _exit(2);
    view mine{me};
    page* some[nr_pages] = {};
    what.before(mine, some);
    killing_sync::left = k;
    const bool right = what.run(mine, some);
    killing_sync::left = -1;
    if (!right) _exit(4);
  });
}

}  // namespace

TEST_CASE("a process is killed at each operation of gup and of its undo") {
  for (const call& what : calls()) {
    CAPTURE(what.name);
    long k = 0;
    for (;; ++k) {
      CAPTURE(k);
      world it;
      const fate end = run_and_kill(it, what, k);
      const auto report = pinref::recover(it.pool.memory(), quiet_hooks{});
      CHECK(report.members == 1);
      CHECK(it.held() == 0);
      all_is_given_back(it.pool, report);
      if (end == fate::finished) break;
    }
    CHECK(k >= 4);
    support::cover("kill points", static_cast<unsigned>(k));
  }
}
