// SPDX-License-Identifier: MIT

// What a member can do, and every way in which it is refused.

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "audit.hpp"
#include "pinref/share.hpp"

namespace {

using pinref::hold;
using pinref::join_result;
using pinref::leave_result;
using pinref::ledger_hold;
using pinref::ledger_offer;
using pinref::ledger_record;
using pinref::ledger_result;
using pinref::page_lock_result;
using pinref::record_state;
using share_test::all_is_well;

constexpr auto done = ledger_result::done;

struct pool_of : pinref::segment {
  explicit pool_of(std::uint32_t pages = 3, std::uint32_t slots = 4, std::uint32_t places = 3) {
    REQUIRE(create({.places = places, .slots = slots, .pages = pages, .page_size = 0}) == pinref::segment_error::none);
  }
};
struct in : pinref::member {
  explicit in(const pinref::segment& pool) { REQUIRE(join(pool.memory()) == join_result::joined); }
};

}  // namespace

TEST_CASE("a record says what it was made of") {
  for (const hold mode : {hold::reference, hold::pin})
    for (const bool pools : {false, true})
      for (int state = 1; state <= static_cast<int>(record_state::replacing); ++state) {
        const auto r = ledger_record::of(static_cast<record_state>(state), mode, 0xffff'fffe, ledger_record::max_n,
                                         ledger_record::max_n - 1, pools);
        CHECK(r.page() == 0xffff'fffe);
        // In these two all that the record counts is in doubt.
        const bool nothing_sure = r.state() == record_state::entering || r.state() == record_state::leaving;
        CHECK(r.n() == (nothing_sure ? 0 : ledger_record::max_n));
        CHECK(r.k() == ledger_record::max_n - !nothing_sure);
        CHECK(static_cast<int>(r.state()) == state);
        CHECK(r.mode() == mode);
        CHECK(r.pools() == pools);
        CHECK(!r.empty());
        CHECK(r.is_of(0xffff'fffe));
        CHECK(!r.is_of(0));
        CHECK(r.in_doubt() == (static_cast<record_state>(state) > record_state::frozen));
        CHECK(r.left_with(0) == ledger_record{});
        CHECK(r.left_with(3) == ledger_record::of(record_state::held, mode, 0xffff'fffe, 3, 0, pools));
        CHECK(std::strcmp(to_string(r.state()), "unknown") != 0);
      }
  CHECK(ledger_record{}.empty());
  CHECK(!ledger_record{}.is_of(0));
  CHECK(ledger_record{}.raw() == 0);
}

TEST_CASE("takes, releases, and what they make of the page") {
  pool_of pool;
  in me(pool);
  auto page = me.allocate();
  REQUIRE(page.why == done);
  const std::uint32_t i = page.held.page();
  CHECK(pool.page(i).snapshot() == pinref::shared64::live(1));
  CHECK(pool.nr_free() == 2);
  auto pins = me.try_pin(i, 3);
  REQUIRE(pins.why == done);
  CHECK(pool.page(i).snapshot() == pinref::shared64::live(1, 3));
  CHECK(pool.page(i).dma_pinned());
  CHECK(me.add(pins.held, 2) == done);
  CHECK(pins.held.what.n() == 5);
  CHECK(pool.page(i).snapshot() == pinref::shared64::live(1, 5));
  CHECK(me.release(pins.held, 4) == done);
  CHECK(pins.held.what.n() == 1);
  CHECK(me.release(page.held) == done);
  CHECK(!page.held);
  CHECK(pool.page(i).snapshot() == pinref::shared64::live(0, 1));
  CHECK(me.release(pins.held) == ledger_result::freed);
  CHECK(pool.page(i).snapshot() == pinref::shared64{});
  CHECK(pool.nr_free() == 3);
  CHECK(me.leave() == leave_result::left);
  all_is_well(pool.memory());
}

TEST_CASE("what is refused, and leaves everything as it was") {
  pool_of pool;
  in me(pool);
  CHECK(me.try_pin(0).why == ledger_result::dead);
  CHECK(me.try_get(3).why == ledger_result::no_such_page);
  CHECK(me.claim(3).why == ledger_result::no_such_page);
  CHECK(me.claim(0).why == ledger_result::not_kept);
  auto page = me.allocate();
  const std::uint32_t i = page.held.page();
  CHECK(me.try_get(i, 0).why == ledger_result::too_many);
  CHECK(me.try_pin(i, ledger_record::max_n + 1).why == ledger_result::too_many);
  CHECK(me.add(page.held, ledger_record::max_n) == ledger_result::too_many);
  CHECK(me.add(page.held, 0) == ledger_result::too_many);
  auto many = me.try_pin(i, ledger_record::max_n);
  REQUIRE(many);
  CHECK(pool.page(i).snapshot().pins() == ledger_record::max_n);
  CHECK(me.add(many.held) == ledger_result::too_many);
  CHECK(me.release(many.held, 0) == ledger_result::not_held);
  CHECK(me.release(many.held, ledger_record::max_n + 1) == ledger_result::not_held);
  CHECK(me.release(many.held) == done);
  CHECK(me.release(many.held) == ledger_result::not_held);
  // A copy is no second hold.
  ledger_hold copy = page.held;
  CHECK(me.thaw(page.held) == ledger_result::not_held);
  CHECK(me.free(page.held) == ledger_result::not_held);
  ledger_hold nothing;
  CHECK(me.release(nothing) == ledger_result::not_held);
  CHECK(me.add(nothing) == ledger_result::not_held);
  CHECK(me.keep(nothing) == ledger_result::not_held);
  CHECK(me.freeze(nothing) == ledger_result::not_held);
  ledger_hold wrong{1000, page.held.what};
  CHECK(me.release(wrong) == ledger_result::not_held);
  CHECK(me.release(page.held) == ledger_result::freed);
  CHECK(me.release(copy) == ledger_result::not_held);
  all_is_well(pool.memory());
}

TEST_CASE("records and pages come to an end") {
  pool_of pool(3, 4);
  in me(pool);
  std::vector<ledger_hold> holds;
  for (int n = 0; n != 3; ++n) {
    auto page = me.allocate();
    REQUIRE(page);
    holds.push_back(page.held);
  }
  CHECK(me.allocate().why == ledger_result::none_free);
  holds.push_back(me.try_pin(holds[0].page()).held);
  CHECK(me.try_get(0).why == ledger_result::full);
  CHECK(me.allocate().why == ledger_result::full);
  CHECK(me.claim(0).why == ledger_result::full);
  CHECK(me.leave() == leave_result::holds);
  CHECK(me.joined());
  CHECK(me.release(holds[3]) == done);
  for (int n = 0; n != 3; ++n) CHECK(me.release(holds[static_cast<std::size_t>(n)]) == ledger_result::freed);
  CHECK(me.leave() == leave_result::left);
  CHECK(me.leave() == leave_result::no_member);
  CHECK(me.try_pin(0).why == ledger_result::no_such_page);
  all_is_well(pool.memory());
}

TEST_CASE("so many members, and no more") {
  pool_of pool(1, 1, 2);
  pinref::member a, b, c;
  CHECK(a.join(pool.memory()) == join_result::joined);
  CHECK(a.join(pool.memory()) == join_result::joined_already);
  CHECK(b.join(pool.memory()) == join_result::joined);
  CHECK(c.join(pool.memory()) == join_result::full);
  CHECK(!c.joined());
  CHECK(a.leave() == leave_result::left);
  CHECK(c.join(pool.memory()) == join_result::joined);
  CHECK(c.place() == 0);
  CHECK(pool.memory().places[0].generation.load() == 2);
  // Another thread cannot end a membership.
  std::thread([&c] { CHECK(c.leave() == leave_result::other_thread); }).join();
  CHECK(c.joined());
}

TEST_CASE("the pool keeps a page, and gives it up to be evicted") {
  pool_of pool;
  in me(pool), other(pool);
  auto page = me.allocate();
  const std::uint32_t i = page.held.page();
  CHECK(me.add(page.held, 2) == done);
  CHECK(me.keep(page.held) == done);
  CHECK(page.held.what.n() == 2);
  CHECK(pool.page(i).kept());
  CHECK(me.keep(page.held) == ledger_result::kept_already);
  CHECK(me.release(page.held) == done);
  CHECK(pool.page(i).snapshot() == pinref::shared64::live(1));
  auto pinned = other.try_pin(i);
  CHECK(me.keep(pinned.held) == ledger_result::not_held);
  auto claimed = me.claim(i);
  REQUIRE(claimed);
  CHECK(!pool.page(i).kept());
  CHECK(other.claim(i).why == ledger_result::not_kept);
  CHECK(me.freeze(claimed.held) == ledger_result::others_hold);
  CHECK(other.release(pinned.held) == done);
  CHECK(me.freeze(claimed.held) == done);
  CHECK(me.release(claimed.held) == ledger_result::not_held);
  CHECK(pool.page(i).snapshot().zone() == pinref::zone::frozen);
  CHECK(pinref::shared64::zones::claimant_of(pool.page(i).snapshot().raw()) == me.place() + 1);
  CHECK(other.try_get(i).why == ledger_result::dead);
  CHECK(me.leave() == leave_result::holds);
  CHECK(me.thaw(claimed.held) == done);
  CHECK(other.try_get(i).why == done);
  auto got = other.find(i, hold::reference);
  CHECK(other.find(i, hold::pin).what.empty());
  CHECK(other.release(got) == done);
  CHECK(me.freeze(claimed.held) == done);
  CHECK(me.free(claimed.held) == ledger_result::freed);
  CHECK(pool.nr_free() == 3);
  all_is_well(pool.memory());
}

TEST_CASE("a hold goes to another member") {
  pool_of pool(3, 2);
  in giver(pool), taker(pool);
  auto page = giver.allocate();
  auto pins = giver.try_pin(page.held.page(), 7);
  ledger_offer offered, none;
  CHECK(giver.offer(pins.held, offered) == done);
  CHECK(!pins.held);
  CHECK(giver.offer(pins.held, none) == ledger_result::not_held);
  CHECK(giver.leave() == leave_result::holds);
  // Back, and offered again.
  CHECK(taker.withdraw(offered, pins.held) == ledger_result::gone);
  CHECK(giver.withdraw(offered, pins.held) == done);
  CHECK(giver.withdraw(offered, pins.held) == ledger_result::gone);
  CHECK(taker.accept(offered).why == ledger_result::gone);
  CHECK(giver.offer(pins.held, offered) == done);
  CHECK(giver.accept(offered).why == ledger_result::gone);
  auto taken = taker.accept(offered);
  REQUIRE(taken);
  CHECK(taken.held.what.n() == 7);
  CHECK(taken.held.what.mode() == hold::pin);
  CHECK(giver.withdraw(offered, pins.held) == ledger_result::gone);
  CHECK(taker.accept(offered).why == ledger_result::gone);
  // The giver has its record again.
  auto more = giver.try_get(page.held.page());
  CHECK(more);
  CHECK(giver.release(more.held) == done);
  CHECK(giver.release(page.held) == done);
  CHECK(giver.leave() == leave_result::left);
  CHECK(taker.release(taken.held) == ledger_result::freed);
  // Offers that never were.
  CHECK(taker.accept({}).why == ledger_result::gone);
  CHECK(taker.accept({0, 5000, offered.what}).why == ledger_result::gone);
  CHECK(taker.accept({5000, 0, offered.what}).why == ledger_result::gone);
  CHECK(taker.accept({0, 0, ledger_record::of(record_state::offered, hold::pin, 5000, 1)}).why == ledger_result::gone);
  all_is_well(pool.memory());
}

TEST_CASE("a lease is over when it is fenced, and not before") {
  pool_of pool;
  in me(pool);
  auto page = me.allocate();
  const std::uint32_t i = page.held.page();
  auto leased = me.try_pin(i, 2), plain = me.try_pin(i);
  CHECK(me.lease(leased.held, 1000) == done);
  CHECK(me.lease(page.held, 1000) == ledger_result::not_held);
  unsigned asked = 0;
  const auto fence = [&](bool can) {
    return [&asked, can](std::uint32_t, unsigned n) noexcept {
      asked += n;
      return can;
    };
  };
  CHECK(me.expire_leases(999, fence(true)) == 0);
  CHECK(asked == 0);
  CHECK(me.expire_leases(1000, fence(false)) == 0);
  CHECK(asked == 2);
  CHECK(pool.page(i).snapshot().pins() == 3);
  CHECK(me.expire_leases(1000, fence(true)) == 2);
  CHECK(pool.page(i).snapshot().pins() == 1);
  CHECK(me.release(leased.held) == ledger_result::not_held);
  // The record that was leased is no lease any more.
  auto next = me.try_pin(i);
  CHECK(next.held.slot == leased.held.slot);
  CHECK(me.expire_leases(5000, fence(true)) == 0);
  CHECK(me.release(next.held) == done);
  CHECK(me.release(plain.held) == done);
  CHECK(me.release(page.held) == ledger_result::freed);
}

TEST_CASE("page locks") {
  pool_of pool(6);
  in me(pool), other(pool);
  CHECK(me.lock_page(6) == page_lock_result::no_such_page);
  CHECK(me.unlock_page(6) == ledger_result::no_such_page);
  CHECK(me.unlock_page(0) == ledger_result::not_held);
  CHECK(me.lock_page(0) == page_lock_result::locked);
  CHECK(pool.page(0).lock_owner() == me.place());
  CHECK(other.lock_page(0, pinref::deadline::passed()) == page_lock_result::timed_out);
  CHECK(other.unlock_page(0) == ledger_result::not_held);
  CHECK(me.leave() == leave_result::holds);
  for (std::uint32_t i = 1; i != 4; ++i) CHECK(me.lock_page(i) == page_lock_result::locked);
  CHECK(me.lock_page(4) == page_lock_result::too_many);
  std::thread waiter([&pool] {
    in third(pool);
    CHECK(third.lock_page(0) == page_lock_result::locked);
    CHECK(third.unlock_page(0) == done);
    CHECK(third.leave() == leave_result::left);
  });
  for (std::uint32_t i = 0; i != 4; ++i) CHECK(me.unlock_page(i) == done);
  waiter.join();
  CHECK(other.lock_page(0) == page_lock_result::locked);
  CHECK(other.unlock_page(0) == done);
}

TEST_CASE("a hold that knows its place") {
  pool_of pool(3, 3);
  in me(pool);
  auto page = me.allocate();
  const std::uint32_t i = page.held.page();
  {
    pinref::recorded_hold<pinref::shared_traits> one(me);
    REQUIRE(one.valid());
    CHECK(!one.held());
    CHECK(one.release() == ledger_result::not_held);
    CHECK(one.try_pin(3) == ledger_result::no_such_page);
    CHECK(one.try_pin(i, 0) == ledger_result::too_many);
    CHECK(one.try_get((i + 1) % 3) == ledger_result::dead);
    CHECK(one.try_pin(i, 2) == done);
    CHECK(one.page() == i);
    CHECK(one.try_pin(i) == ledger_result::not_held);
    CHECK(pool.page(i).snapshot() == pinref::shared64::live(1, 2));
    CHECK(one.release() == done);
    CHECK(one.try_get(i) == done);
    // Handed on as an ordinary hold.
    ledger_hold given = one.give();
    CHECK(one.give().what.empty());
    CHECK(me.release(given) == done);
    CHECK(one.try_pin(i) == done);
    // Somebody else has released it.
    ledger_hold found = me.find(i, hold::pin);
    CHECK(me.release(found) == done);
    CHECK(one.release() == ledger_result::not_held);
  }
  {
    pinref::recorded_hold<pinref::shared_traits> a(me), b(me), c(me);
    CHECK(!c.valid());
    CHECK(c.try_pin(i) == ledger_result::full);
    CHECK(a.try_pin(i) == done);
    // Its end releases it.
  }
  CHECK(pool.page(i).snapshot() == pinref::shared64::live(1));
  CHECK(me.release(page.held) == ledger_result::freed);
  all_is_well(pool.memory());
}

TEST_CASE("what a member held that is destroyed is for its survivors") {
  pool_of pool;
  std::thread([&pool] {
    in me(pool);
    CHECK(me.allocate());
  }).join();
  CHECK(pool.nr_free() == 2);
  const auto report = pinref::recover(pool.memory(), pinref::no_hooks{});
  CHECK(report.members == 1);
  CHECK(report.references == 1);
  CHECK(report.freed == 1);
  all_is_well(pool.memory());
}

TEST_CASE("every result has its name") {
  for (int i = 0; i <= static_cast<int>(ledger_result::underflow); ++i)
    CHECK(std::strcmp(to_string(static_cast<ledger_result>(i)), "unknown") != 0);
  for (int i = 0; i <= static_cast<int>(join_result::joined_already); ++i)
    CHECK(std::strcmp(to_string(static_cast<join_result>(i)), "unknown") != 0);
  for (int i = 0; i <= static_cast<int>(leave_result::no_member); ++i)
    CHECK(std::strcmp(to_string(static_cast<leave_result>(i)), "unknown") != 0);
  for (int i = 0; i <= static_cast<int>(page_lock_result::no_such_page); ++i)
    CHECK(std::strcmp(to_string(static_cast<page_lock_result>(i)), "unknown") != 0);
  for (int i = 0; i <= static_cast<int>(pinref::life_result::busy); ++i)
    CHECK(std::strcmp(to_string(static_cast<pinref::life_result>(i)), "unknown") != 0);
  for (int i = 0; i <= static_cast<int>(pinref::place_state::dead); ++i)
    CHECK(std::strcmp(to_string(static_cast<pinref::place_state>(i)), "unknown") != 0);
  for (int i = 0; i <= static_cast<int>(pinref::settle_result::unaccounted); ++i)
    CHECK(std::strcmp(to_string(static_cast<pinref::settle_result>(i)), "unknown") != 0);
}
