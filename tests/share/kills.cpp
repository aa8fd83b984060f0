// SPDX-License-Identifier: MIT

// A process is killed at each of the atomic operations of each call, and its survivors find out what it did.

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "mortal_child.hpp"

namespace {

using namespace share_test;
using pinref::hold;
using pinref::join_result;
using pinref::ledger_hold;
using pinref::ledger_offer;
using pinref::ledger_result;

constexpr pinref::segment_shape shape{.places = 4, .slots = 4, .pages = 5, .page_size = 0};

// Kept by the pool; the parent has a reference and a pin of it besides.
constexpr std::uint32_t busy_page = 0;
// Kept by the pool, which nobody else holds.
constexpr std::uint32_t kept_page = 1;
// The parent offers it.
constexpr std::uint32_t offered_page = 2;
// 3 and 4 are free.
constexpr std::uint32_t free_page = 3;

// One call of the child, and what it does before.
struct call {
  const char* name;
  std::function<void(member&, ledger_hold&)> before;
  std::function<void(member&, ledger_hold&, const ledger_offer&)> run;
};

void take(member& me, ledger_hold& held, std::uint32_t page, hold mode, unsigned n) {
  const auto taken = mode == hold::pin ? me.try_pin(page, n) : me.try_get(page, n);
  if (taken.why != ledger_result::done) _exit(3);
  held = taken.held;
}
void expect(ledger_result found, ledger_result wanted) {
  if (found != wanted) _exit(4);
}
void nothing(member&, ledger_hold&) {}

const std::vector<call>& calls() {
  static const std::vector<call> all = {
      {"try_pin", nothing,
       [](member& me, ledger_hold&, auto&) { expect(me.try_pin(busy_page, 2).why, ledger_result::done); }},
      {"try_get", nothing,
       [](member& me, ledger_hold&, auto&) { expect(me.try_get(busy_page, 3).why, ledger_result::done); }},
      {"try_pin of a free page", nothing,
       [](member& me, ledger_hold&, auto&) { expect(me.try_pin(free_page).why, ledger_result::dead); }},
      {"add", [](member& me, ledger_hold& held) { take(me, held, busy_page, hold::reference, 2); },
       [](member& me, ledger_hold& held, auto&) { expect(me.add(held, 3), ledger_result::done); }},
      {"add pins", [](member& me, ledger_hold& held) { take(me, held, kept_page, hold::pin, 2); },
       [](member& me, ledger_hold& held, auto&) { expect(me.add(held, 3), ledger_result::done); }},
      {"release", [](member& me, ledger_hold& held) { take(me, held, busy_page, hold::pin, 2); },
       [](member& me, ledger_hold& held, auto&) { expect(me.release(held), ledger_result::done); }},
      {"release of some", [](member& me, ledger_hold& held) { take(me, held, busy_page, hold::reference, 7); },
       [](member& me, ledger_hold& held, auto&) { expect(me.release(held, 3), ledger_result::done); }},
      {"release by the last", [](member& me, ledger_hold& held) { held = me.allocate().held; },
       [](member& me, ledger_hold& held, auto&) { expect(me.release(held), ledger_result::freed); }},
      {"release of a pin by the last",
       [](member& me, ledger_hold& held) {
         ledger_hold page = me.allocate().held;
         take(me, held, page.page(), hold::pin, 1);
         (void)me.release(page);
       },
       [](member& me, ledger_hold& held, auto&) { expect(me.release(held), ledger_result::freed); }},
      {"allocate", nothing, [](member& me, ledger_hold&, auto&) { expect(me.allocate().why, ledger_result::done); }},
      {"keep", [](member& me, ledger_hold& held) { held = me.allocate().held; },
       [](member& me, ledger_hold& held, auto&) { expect(me.keep(held), ledger_result::done); }},
      {"keep of what is kept", [](member& me, ledger_hold& held) { take(me, held, busy_page, hold::reference, 2); },
       [](member& me, ledger_hold& held, auto&) { expect(me.keep(held), ledger_result::kept_already); }},
      {"claim", nothing, [](member& me, ledger_hold&, auto&) { expect(me.claim(kept_page).why, ledger_result::done); }},
      {"claim of what is not kept", nothing,
       [](member& me, ledger_hold&, auto&) { expect(me.claim(free_page).why, ledger_result::not_kept); }},
      {"freeze", [](member& me, ledger_hold& held) { held = me.claim(kept_page).held; },
       [](member& me, ledger_hold& held, auto&) { expect(me.freeze(held), ledger_result::done); }},
      {"freeze of its own", [](member& me, ledger_hold& held) { held = me.allocate().held; },
       [](member& me, ledger_hold& held, auto&) { expect(me.freeze(held), ledger_result::done); }},
      {"freeze of what others hold", [](member& me, ledger_hold& held) { held = me.claim(busy_page).held; },
       [](member& me, ledger_hold& held, auto&) { expect(me.freeze(held), ledger_result::others_hold); }},
      {"thaw",
       [](member& me, ledger_hold& held) {
         held = me.claim(kept_page).held;
         (void)me.freeze(held);
       },
       [](member& me, ledger_hold& held, auto&) { expect(me.thaw(held), ledger_result::done); }},
      {"free",
       [](member& me, ledger_hold& held) {
         held = me.allocate().held;
         (void)me.freeze(held);
       },
       [](member& me, ledger_hold& held, auto&) { expect(me.free(held), ledger_result::freed); }},
      {"evict",
       [](member& me, ledger_hold& held) {
         held = me.claim(kept_page).held;
         (void)me.freeze(held);
       },
       [](member& me, ledger_hold& held, auto&) { expect(me.free(held), ledger_result::freed); }},
      {"offer", [](member& me, ledger_hold& held) { take(me, held, busy_page, hold::pin, 2); },
       [](member& me, ledger_hold& held, auto&) {
         ledger_offer mine;
         expect(me.offer(held, mine), ledger_result::done);
         expect(me.withdraw(mine, held), ledger_result::done);
       }},
      {"accept", nothing,
       [](member& me, ledger_hold&, const ledger_offer& offer) { expect(me.accept(offer).why, ledger_result::done); }},
      {"lock and unlock", nothing,
       [](member& me, ledger_hold&, auto&) {
         if (me.lock_page(busy_page) != pinref::page_lock_result::locked) _exit(5);
         expect(me.unlock_page(busy_page), ledger_result::done);
       }},
  };
  return all;
}

struct world {
  segment pool;
  member me;
  ledger_hold reference, pin;
  ledger_offer offer;

  world() {
    REQUIRE(pool.create(shape) == pinref::segment_error::none);
    REQUIRE(me.join(pool.memory()) == join_result::joined);
    for (const std::uint32_t page : {busy_page, kept_page, offered_page}) {
      auto fresh = me.allocate();
      REQUIRE(fresh.held.page() == page);
      if (page == offered_page)
        REQUIRE(me.offer(fresh.held, offer) == ledger_result::done);
      else
        REQUIRE(me.keep(fresh.held) == ledger_result::done);
    }
    reference = me.try_get(busy_page).held;
    pin = me.try_pin(busy_page).held;
  }
  ~world() {
    ledger_hold back;
    if (me.withdraw(offer, back) == ledger_result::done) CHECK(me.release(back) == ledger_result::freed);
    CHECK(me.release(pin) == ledger_result::done);
    CHECK(me.release(reference) == ledger_result::done);
    CHECK(me.leave() == pinref::leave_result::left);
    all_is_well(pool.memory());
    // What is left is kept by the pool.
    unsigned kept = 0;
    for (std::uint32_t page = 0; page != shape.pages; ++page) kept += pool.page(page).kept();
    CHECK(pool.nr_free() == shape.pages - kept);
  }
};

pinref::recovery_report recover(const segment& pool) {
  return pinref::recover(pool.memory(), quiet_hooks{});
}

// The child of one call, which dies before its k-th operation.
fate run_and_kill(const world& it, const call& what, long k) {
  return child(it.pool, [&](segment& pool, member& me) {
    if (me.join(pool.memory()) != join_result::joined) _exit(2);
    ledger_hold held;
    what.before(me, held);
    killing_sync::left = k;
    what.run(me, held, it.offer);
    killing_sync::left = -1;
  });
}

}  // namespace

TEST_CASE("a member is killed at each operation of each call") {
  for (const call& what : calls()) {
    CAPTURE(what.name);
    long k = 0;
    for (;; ++k) {
      CAPTURE(k);
      world it;
      const fate end = run_and_kill(it, what, k);
      const auto report = recover(it.pool);
      CHECK(report.members == 1);
      all_is_given_back(it.pool, report);
      // What was the pool's is the pool's again, but for what is being evicted.
      if (what.name != std::string("evict")) CHECK(it.pool.page(kept_page).kept());
      if (end == fate::finished) break;
    }
    CHECK(k >= 2);
    support::cover("kill points", static_cast<unsigned>(k));
  }
}

TEST_CASE("a member is killed while it joins, and while it leaves") {
  for (const bool leaves : {false, true}) {
    long k = 0;
    for (;; ++k) {
      CAPTURE(k);
      world it;
      const fate end = child(it.pool, [&](segment& pool, member& me) {
        if (leaves && me.join(pool.memory()) != join_result::joined) _exit(2);
        killing_sync::left = k;
        if (leaves && me.leave() != pinref::leave_result::left) _exit(3);
        if (!leaves && me.join(pool.memory()) != join_result::joined) _exit(2);
        killing_sync::left = -1;
      });
      CHECK(recover(it.pool).left_dead == 0);
      all_is_well(it.pool.memory());
      // All places can be taken.
      member others[2];
      for (member& other : others) CHECK(other.join(it.pool.memory()) == join_result::joined);
      for (member& other : others) CHECK(other.leave() == pinref::leave_result::left);
      if (end == fate::finished) break;
    }
    CHECK(k >= 3);
  }
}

TEST_CASE("whoever recovers is killed at each operation, and the next one goes on") {
  for (const call& what : calls()) {
    CAPTURE(what.name);
    // Killed early, in the middle and late.
    long length = 0;
    for (;; ++length) {
      world it;
      const fate end = run_and_kill(it, what, length);
      (void)recover(it.pool);
      if (end == fate::finished) break;
    }
    for (const long at : {length / 4, length / 2, length - 1})
      for (long k = 0;; ++k) {
        CAPTURE(at);
        CAPTURE(k);
        world it;
        (void)run_and_kill(it, what, at);
        const fate end = child(it.pool, [&](segment& pool, member&) {
          killing_sync::left = k;
          (void)recover(pool);
          killing_sync::left = -1;
        });
        all_is_given_back(it.pool, recover(it.pool));
        if (end == fate::finished) break;
      }
  }
}

TEST_CASE("whoever gives a page another frame is killed at each operation, and the next one goes on") {
  for (long k = 0;; ++k) {
    CAPTURE(k);
    segment pool;
    REQUIRE(pool.create({.places = 4, .slots = 4, .pages = 2}) == pinref::segment_error::none);
    // Two processes have the page pinned, which is theirs alone.
    std::uint32_t page = 0;
    {
      member me;
      REQUIRE(me.join(pool.memory()) == join_result::joined);
      auto mine = me.allocate();
      page = mine.held.page();
      std::memset(pool.data(page), 'a', 4096);
      for (int i = 0; i != 2; ++i)
        CHECK(child(pool, [&](segment& its, member& it) {
                if (it.join(its.memory()) != join_result::joined || !it.try_pin(page, 2)) _exit(2);
                ::kill(::getpid(), SIGKILL);
              }) == fate::killed);
      CHECK(me.release(mine.held) == ledger_result::done);
    }
    const fate end = child(pool, [&](segment& its, member&) {
      killing_sync::left = k;
      (void)pinref::recover(its.memory(), pinref::frame_replacer{its});
      killing_sync::left = -1;
    });
    all_is_given_back(pool, pinref::recover(pool.memory(), pinref::frame_replacer{pool}));
    CHECK(pool.nr_free() == 2);
    CHECK(pool.data(page)[0] == std::byte{0});
    if (end == fate::finished) break;
  }
}
