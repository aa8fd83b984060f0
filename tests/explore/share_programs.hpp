// SPDX-License-Identifier: MIT
#pragma once

// Programs of members that die before any access, and survivors that recover, and die in turn.

#include "protocol.hpp"
#include "share_world.hpp"

namespace support::share_programs {

using explorer::check;
using explorer::execution;
using pinref::hold;
using pinref::ledger_record;
using pinref::record_state;
using pinref::release_result;
using pinref::take_result;

template <class World>
World& make(execution& x) {
  auto& w = x.make<World>();
  x.name(w.page, "page");
  x.name(w.slots, "records");
  x.name(w.places, "places");
  x.name(w.head, "head");
  x.name(w.free, "free list");
  x.name(w.all, "dead");
  x.name(w.data, "data");
  x.name(w.letter, "letter");
  return w;
}
inline constexpr auto a_pin = ledger_record::of(record_state::held, hold::pin, 0, 1);
inline constexpr auto a_reference = ledger_record::of(record_state::held, hold::reference, 0, 1);

// What a member does with the page. It has one record, which is empty before and afterwards, unless it says so.
template <class World>
void pin_and_unpin(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (mine.template take<hold::pin>(w.slot(place), a_pin) != take_result::taken) return;
  (void)w.data.read();
  check(mine.release(w.slot(place), a_pin) != release_result::underflow, "a rightful release is not refused");
}
template <class World>
void pin_and_keep_pinned(World& w, unsigned place) {
  (void)typename World::steps{w.parts, place}.template take<hold::pin>(w.slot(place), a_pin);
}
template <class World>
void pin_twice_and_keep_pinned(World& w, unsigned place) {
  pin_and_unpin(w, place);
  pin_and_keep_pinned(w, place);
}
template <class World>
void put(World& w, unsigned place) {
  check(typename World::steps{w.parts, place}.release(w.slot(place), a_reference) != release_result::underflow,
        "a rightful release is not refused");
}
template <class World>
void allocate_and_put(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (!mine.allocate(w.slot(place), 0)) return;
  (void)w.data.read();
  put(w, place);
}
template <class World>
void allocate_and_fill(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (!mine.allocate(w.slot(place), 0)) return;
  if (mine.freeze(w.slot(place), a_reference)) {
    w.data.write(3);
    mine.thaw(w.slot(place), w.what(place));
  }
  put(w, place);
}
template <class World>
void allocate_and_hold(World& w, unsigned place) {
  (void)typename World::steps{w.parts, place}.allocate(w.slot(place), 0);
}
// Filled while nobody else knows of it, and given to the pool.
template <class World>
void fill_and_keep(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (!mine.allocate(w.slot(place), 0)) return;
  w.data.write(4);
  check(mine.keep(w.slot(place), a_reference), "nobody else has given it");
}
template <class World>
void claim_and_read(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (mine.claim(w.slot(place), 0)) (void)w.data.read();
}
template <class World>
void get_and_hold(World& w, unsigned place) {
  (void)typename World::steps{w.parts, place}.template take<hold::reference>(w.slot(place), a_reference);
}
template <class World>
void allocate_and_keep(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (mine.allocate(w.slot(place), 0) && !mine.keep(w.slot(place), a_reference)) put(w, place);
}
template <class World>
void evict(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (!mine.claim(w.slot(place), 0)) return;
  if (mine.freeze(w.slot(place), w.what(place))) {
    w.data.write(1);
    return mine.free_claimed(w.slot(place), w.what(place));
  }
  if (!mine.keep(w.slot(place), w.what(place))) check(false, "who claimed it gives it back");
}
template <class World>
void claim_and_thaw(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (!mine.claim(w.slot(place), 0)) return;
  if (mine.freeze(w.slot(place), w.what(place))) {
    w.data.write(2);
    mine.thaw(w.slot(place), w.what(place));
  }
  if (!mine.keep(w.slot(place), w.what(place))) check(false, "who claimed it gives it back");
}
template <class World>
void offer_a_pin(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  if (mine.template take<hold::pin>(w.slot(place), a_pin) != take_result::taken) return;
  w.letter.write(1);
  mine.offer(w.slot(place), a_pin);
}
template <class World>
void offer_and_withdraw(World& w, unsigned place) {
  offer_a_pin(w, place);
  const auto offered = a_pin.in(record_state::offered, 1);
  if (typename World::steps{w.parts, place}.withdraw(w.slot(place), offered))
    (void)typename World::steps{w.parts, place}.release(w.slot(place), a_pin);
}
template <class World>
void accept(World& w, unsigned place) {
  typename World::steps mine{w.parts, place};
  const auto offered = a_pin.in(record_state::offered, 1);
  if (!mine.accept(w.slot(place), w.slot(1 - place), offered)) return;
  w.letter.write(w.letter.read() + 1);
  (void)mine.release(w.slot(place), a_pin);
}
// Finds the other one dead, and says so; no more.
template <class World>
void notice(World& w, unsigned place) {
  (void)pinref::find_death(w.parts, 1 - place);
}
// Joins where the other one was, if it is dead and everything of it has been given back.
template <class World>
void follow(World& w, unsigned) {
  pinref::basic_member<typename World::Traits> me;
  if (me.join(w.parts, {1, 1, 1}) != pinref::join_result::joined) return;
  check(me.place() == 0, "where the dead one was");
  auto pinned = me.try_pin(0);
  if (pinned) (void)me.release(pinned.held);
  check(me.leave() == pinref::leave_result::left, "with nothing held");
}
template <class World>
void recover(World& w) {
  (void)pinref::recover(w.parts, typename World::at_rest{}, 1);
}

template <class World = ledger_world<>>
using deed = void (*)(World&, unsigned);
using world = ledger_world<>;

// T1 may die in what it does; T2 does something with the page, and recovers.
template <deed<> First, deed<> Second, bool Kept, bool SecondDies = false>
void one_and_a_survivor(execution& x) {
  world& w = make<world>(x);
  if (Kept) w.kept();
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] {
    if (SecondDies)
      w.all.live([&w] { Second(w, 1), recover(w); });
    else
      Second(w, 1), recover(w);
  });
  x.join();
  w.ends_well();
}
// Both may die, and somebody else recovers, and may die over it, too, or has been faster.
template <deed<> First, deed<> Second, bool Kept>
void both_and_a_recoverer(execution& x) {
  world& w = make<world>(x);
  if (Kept) w.kept();
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] { w.all.live([&w] { Second(w, 1); }); });
  x.thread([&w] { w.all.live([&w] { recover(w); }); });
  x.join();
  w.ends_well();
}
// T1 may die; of two that recover then one may die.
template <deed<> First, bool Kept>
void two_recoverers(execution& x) {
  world& w = make<world>(x);
  if (Kept) w.kept();
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] { w.all.live([&w] { recover(w); }); });
  x.thread([&w] { recover(w); });
  x.join();
  w.ends_well();
}

template <class World, deed<World> First, deed<World> Second, void (*Recover)(World&), bool Kept = true>
void and_a_recoverer(execution& x) {
  auto& w = make<World>(x);
  if (Kept) w.kept();
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] { Second(w, 1); });
  x.thread([&w] { Recover(w); });
  x.join();
  w.ends_well();
}
// Members that lock the page. T1 may die with it, T2 sleeps until it is free, T3 sees to it that it will be.
inline void a_page_lock(execution& x) {
  using pinref::page_lock_result;
  using member = pinref::basic_member<world::Traits>;
  world& w = make<world>(x);
  w.nobody_has_joined();
  auto& first = x.make<member>();
  auto& second = x.make<member>();
  auto& done = x.make<explorer::atomic<int>>(0);
  // T2 has joined, in place 0.
  check(second.join(w.parts, {1, 1, 1}) == pinref::join_result::joined, "there is a place");
  w.places[0].life.owner.store(3, std::memory_order_relaxed);
  x.thread([&] {
    w.all.live([&] {
      if (first.join(w.parts, {1, 1, 1}) != pinref::join_result::joined) return;
      if (first.lock_page(0) > page_lock_result::owner_died) return;
      w.data.write(w.data.read() + 1);
      check(first.unlock_page(0) == pinref::ledger_result::done, "whoever has locked it unlocks it");
    });
    done.store(1, std::memory_order_release);
  });
  x.thread([&] {
    check(second.lock_page(0) <= page_lock_result::owner_died, "a lock without a deadline is got");
    w.data.write(w.data.read() + 1);
    check(second.unlock_page(0) == pinref::ledger_result::done, "whoever has locked it unlocks it");
  });
  x.thread([&] {
    while (done.load(std::memory_order_acquire) == 0) explorer::pause();
    recover(w);
  });
  x.join();
  for (bool& mortal : w.all.mortal) mortal = false;
  recover(w);
  check(w.page.lock_owner() == ~0u, "the lock is free");
  for (auto& place : w.places)
    for (auto& locking : place.locking) check(locking.load(std::memory_order_relaxed) == 0, "nobody looks for it");
}

// T1 dies in pinning, T2 has offered a pin, T3 accepts it, T4 recovers.
inline void across_a_hand_over(execution& x) {
  using three = ledger_world<mortal_sync, 1, 3>;
  auto& w = make<three>(x);
  w.kept();
  (void)three::steps{w.parts, 1}.take<hold::pin>(w.slot(1), a_pin);
  three::steps{w.parts, 1}.offer(w.slot(1), a_pin);
  x.thread([&w] { w.all.live([&w] { (void)three::steps{w.parts, 0}.take<hold::pin>(w.slot(0), a_pin); }); });
  x.thread([] {});
  x.thread([&w] { (void)three::steps{w.parts, 2}.accept(w.slot(2), w.slot(1), a_pin.in(record_state::offered, 1)); });
  x.thread([&w] { recover(w); });
  x.join();
  w.ends_well();
}

// What stands beside the word: the dirty bit, and the host's tag.
inline void a_dirty_bit(execution& x) {
  world& w = make<world>(x);
  x.thread([&w] {
    w.data.write(5);
    w.page.set_dirty();
  });
  x.thread([&w] {
    if (w.page.clear_dirty()) check(w.data.read() == 5, "what is dirty is there to be read");
  });
  x.join();
}
inline void a_tag(execution& x) {
  world& w = make<world>(x);
  x.thread([&w] {
    w.data.write(6);
    w.page.set_tag(1);
  });
  x.thread([&w] {
    if (w.page.tag() == 1) check(w.data.read() == 6, "the page is as its tag says");
  });
  x.join();
}
// T1 goes without releasing; T2 gives back what it held, and writes to the page.
inline void a_member_that_abandons(execution& x) {
  using member = pinref::basic_member<world::Traits>;
  world& w = make<world>(x);
  w.nobody_has_joined();
  auto& first = x.make<member>();
  x.thread([&] {
    check(first.join(w.parts, {1, 1, 1}) == pinref::join_result::joined, "there is a place");
    if (!first.allocate()) return;
    w.data.write(7);
    first.abandon();
  });
  x.thread([&] {
    if (pinref::recover(w.parts, world::at_rest{}, 1).freed == 1) w.data.write(8);
  });
  x.join();
  w.ends_well();
}

// One joins, pins and dies, or does not; another looks for a place meanwhile.
inline void two_that_join(execution& x) {
  using member = pinref::basic_member<world::Traits>;
  world& w = make<world>(x);
  w.kept();
  w.nobody_has_joined();
  auto& first = x.make<member>();
  auto& second = x.make<member>();
  x.thread([&] {
    w.all.live([&] {
      if (first.join(w.parts, {1, 1, 1}) != pinref::join_result::joined) return;
      auto pinned = first.try_pin(0);
      if (pinned) (void)first.release(pinned.held);
      check(first.leave() == pinref::leave_result::left, "with nothing held");
    });
  });
  x.thread([&] {
    if (second.join(w.parts, {1, 1, 1}) != pinref::join_result::joined) return;
    check(second.leave() == pinref::leave_result::left, "with nothing held");
  });
  x.join();
  w.ends_well();
  for (auto& place : w.places)
    check(place.state.load(std::memory_order_relaxed) == pinref::place_state::free, "every place is free again");
}

// Small enough to be seen whole, also with each memory order one step weaker.
// clang-format off
inline const std::vector<program> small{
    one_and_a_survivor<pin_and_unpin, pin_and_unpin, true>,
    one_and_a_survivor<pin_and_unpin, evict, true>,
    one_and_a_survivor<evict, pin_and_unpin, true>,
    one_and_a_survivor<claim_and_thaw, pin_and_unpin, true>,
    one_and_a_survivor<evict, evict, true>,
    one_and_a_survivor<allocate_and_put, allocate_and_put, false>,
    one_and_a_survivor<allocate_and_put, allocate_and_keep, false>,
    one_and_a_survivor<offer_a_pin, accept, true>,
    one_and_a_survivor<accept, offer_a_pin, true>,
    one_and_a_survivor<offer_and_withdraw, accept, true>,
    one_and_a_survivor<pin_and_unpin, pin_and_unpin, true, true>,
    and_a_recoverer<world, pin_and_unpin, pin_and_keep_pinned, recover>,
    and_a_recoverer<world, pin_and_unpin, pin_and_unpin, recover>,
    and_a_recoverer<world, pin_and_unpin, pin_twice_and_keep_pinned, recover>,
    and_a_recoverer<world, evict, pin_and_unpin, recover>,
    and_a_recoverer<world, offer_a_pin, accept, recover>,
    and_a_recoverer<world, pin_and_unpin, claim_and_thaw, recover>,
    and_a_recoverer<world, pin_and_unpin, evict, recover>,
    and_a_recoverer<world, pin_and_keep_pinned, notice, recover>,
    and_a_recoverer<world, pin_and_keep_pinned, follow, recover>,
    and_a_recoverer<world, allocate_and_put, allocate_and_hold, recover, false>,
    and_a_recoverer<world, get_and_hold, claim_and_read, recover>,
    and_a_recoverer<world, get_and_hold, claim_and_thaw, recover>,
    one_and_a_survivor<fill_and_keep, claim_and_read, false>,
    a_page_lock,
    a_dirty_bit,
    a_tag,
    a_member_that_abandons,
    two_that_join,
    one_and_a_survivor<claim_and_read, fill_and_keep, false>,
    and_a_recoverer<world, allocate_and_fill, allocate_and_fill, recover, false>,
    and_a_recoverer<world, allocate_and_put, pin_and_unpin, recover, false>,
};
inline const std::vector<program> with_a_second_recoverer{
    two_recoverers<pin_and_unpin, true>,
    two_recoverers<evict, true>,
    two_recoverers<allocate_and_put, false>,
    both_and_a_recoverer<offer_a_pin, accept, true>,
    across_a_hand_over,
};
// clang-format on

}  // namespace support::share_programs
