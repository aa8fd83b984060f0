// SPDX-License-Identifier: MIT

// Shared pages: whoever dies, at whatever access, the ledger can be settled; and what is wrong with one that cannot.

#include "share_programs.hpp"

namespace {

using namespace support::share_programs;
using namespace support;

// Broken variants. T1 dies somewhere in pinning, T2 has the page pinned in the end, T3 recovers.

template <class World>
void fact_before_intent(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  mine.conclude(w.slot(place), a_pin);
  (void)mine.word(0).take(World::steps::weight(hold::pin, 1));
}
template <class World>
void no_intent(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  (void)mine.word(0).take(World::steps::weight(hold::pin, 1));
  mine.conclude(w.slot(place), a_pin);
}
template <class World>
void unrecorded(World& w, unsigned place) {
  (void)typename World::steps{w.parts, place}.word(0).take(World::steps::weight(hold::pin, 1));
}
// The doubts of the dead are taken for facts.
template <class World>
void release_at_once(World& w) {
  if (!pinref::find_death(w.parts, 0)) return;
  const ledger_record what = w.what(0);
  typename World::steps acting{w.parts, 0};
  if (what.empty()) return;
  const auto held = what.in(record_state::held, what.n() + what.k());
  check(acting.release(w.slot(0), held, held.n()) != release_result::underflow, "nothing is released that is not held");
}

// No call is counted, so the second collect sees what the first has seen.
struct uncounted_sync : mortal_sync {
  template <class T>
  struct atomic : mortal_sync::atomic<T> {
    using mortal_sync::atomic<T>::atomic;
    void store(T value, std::memory_order how, explorer::place at = {}) noexcept {
      if constexpr (std::is_same_v<T, std::uint32_t>)
        if (how == std::memory_order_release) return;
      mortal_sync::atomic<T>::store(value, how, at);
    }
  };
};
// Everybody may recover at any time.
struct twice_sync : mortal_sync {
  struct life_lock : mortal_sync::life_lock {
    [[nodiscard]] pinref::life_result try_lock() noexcept {
      if (owner.load(std::memory_order_acquire) == 0) return pinref::life_result::acquired;
      return mortal_sync::life_lock::try_lock();
    }
  };
};
// Who is slow is taken for dead.
struct impatient_sync : mortal_sync {
  struct life_lock : mortal_sync::life_lock {
    [[nodiscard]] pinref::life_result try_lock() noexcept {
      const auto result = mortal_sync::life_lock::try_lock();
      return result == pinref::life_result::busy ? pinref::life_result::orphaned : result;
    }
  };
};

template <class World, deed<World> First, void (*Recover)(World&)>
void and_two_recoverers(execution& x) {
  auto& w = make<World>(x);
  w.kept();
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] { Recover(w); });
  x.thread([&w] { Recover(w); });
  x.join();
  w.ends_well();
}
// T2 has a pin that the ledger does not know of.
void one_unrecorded(execution& x) {
  world& w = make<world>(x);
  w.kept();
  x.thread([&w] { w.all.live([&w] { pin_and_keep_pinned(w, 0); }); });
  x.thread([&w] {
    unrecorded(w, 1);
    recover(w);
    check(w.page.dma_pinned(), "what is pinned stays pinned");
  });
  x.join();
}

using uncounted = ledger_world<uncounted_sync>;
using twice = ledger_world<twice_sync>;
using impatient = ledger_world<impatient_sync>;

}  // namespace

TEST_CASE("whoever dies, at any access, leaves a ledger that survivors can settle") {
  holds(small);
}
TEST_CASE("a survivor that dies over it leaves to the next what the first dead one left") {
  holds(with_a_second_recoverer);
}
TEST_CASE("two members and a recoverer, all of whom may die") {
  const auto r = explorer::explore({.random_walks = 50'000}, both_and_a_recoverer<pin_and_unpin, pin_and_unpin, true>);
  CHECK_MESSAGE(!r.failed, r.text());
}
TEST_CASE("a fact that is stored before its intent is caught") {
  caught("the word agrees with the ledger", and_a_recoverer<world, fact_before_intent, pin_and_unpin, recover>);
  caught("the word counts what is recorded", and_a_recoverer<world, no_intent, pin_and_unpin, recover>);
}
TEST_CASE("a holder that nothing records is caught") {
  caught("what is pinned stays pinned", one_unrecorded);
}
TEST_CASE("a release of what is only in doubt is caught") {
  caught("nothing is released that is not held", and_a_recoverer<world, pin_and_unpin, pin_and_unpin, release_at_once>);
}
TEST_CASE("a look without a second collect is caught") {
  caught("the word agrees with the ledger", and_a_recoverer<uncounted, pin_and_unpin, pin_and_unpin, recover>);
}
TEST_CASE("two recoveries at a time are caught") {
  caught("the word counts what is recorded", and_two_recoverers<twice, pin_and_keep_pinned, recover>);
}
TEST_CASE("a member that is slow and is taken for dead is caught") {
  caught("the word agrees with the ledger", and_a_recoverer<impatient, pin_and_unpin, pin_and_keep_pinned, recover>);
}
