// SPDX-License-Identifier: MIT

// Pins that are a place in a table, which the benchmarks measure beside the ledger: whoever dies, at whatever access,
// no page is taken away while it is pinned, and nothing is left in doubt.

#include "../../bench/place_pins.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "protocol.hpp"
#include "share_world.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

// membarrier(2), or fences on both sides where there is none.
struct barriers : mortal_sync {
  static void light_barrier(explorer::place at = {}) noexcept {
    deaths::here();
    explorer::light_barrier(at);
  }
  static void heavy_barrier(explorer::place at = {}) noexcept {
    deaths::here();
    explorer::heavy_barrier(at);
  }
};
struct fences : mortal_sync {
  static void light_barrier(explorer::place at = {}) noexcept {
    deaths::here();
    explorer::fence(std::memory_order_seq_cst, at);
  }
  static void heavy_barrier(explorer::place at = {}) noexcept { light_barrier(at); }
};

// Two members with a place and a slot each, which threads T1 and T2 are, and pages that are open.
template <class Sync, unsigned Pages = 1>
struct world {
  using sync = Sync;

  deaths all;
  bench::pin_place<Sync, 1> places[2];
  bench::pin_page<Sync> pages[Pages];
  explorer::plain<int> data[Pages];  // read by holders, written by who has the page for itself
  typename Sync::template atomic<int> posted{0};
  typename Sync::template atomic<int> completed{0};
  bench::place_pins<Sync, 1> parts{places, pages, 2, Pages};

  world() {
    deaths::current() = &all;
    for (unsigned i = 0; i != 2; ++i) {
      places[i].use.store(bench::place_use::live, std::memory_order_relaxed);
      places[i].life.owner.store(i + 2, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] bool holds(unsigned place, std::uint32_t page = 0) {
    return places[place].pinned[0].load(std::memory_order_relaxed) == page + 1;
  }
};

// What a member does, in its place.
template <class World>
void pin_and_unpin(World& w, unsigned place) {
  if (!w.parts.pin(place, 0, 0)) return;
  (void)w.data[0].read();
  w.parts.unpin(place, 0);
}
template <class World>
void pin_and_keep_pinned(World& w, unsigned place) {
  if (w.parts.pin(place, 0, 0)) (void)w.data[0].read();
}
template <class World>
void pin_twice(World& w, unsigned place) {
  pin_and_unpin(w, place);
  pin_and_unpin(w, place);
}
// Another block is read into the page, if nobody has it pinned.
template <class World>
void evict(World& w, unsigned place) {
  if (!w.parts.close(place, 0)) return;
  if (!w.parts.pinned(0)) w.data[0].write(w.data[0].read() + 1);
  w.parts.open(0);
}
template <class World>
void pin_and_evict(World& w, unsigned place) {
  pin_and_unpin(w, place);
  evict(w, place);
}
template <class World>
void pin_another(World& w, unsigned place) {
  pin_and_unpin(w, place);
  if (w.parts.pin(place, 0, 1)) (void)w.data[1].read();
}
// A device is told to write to the page, which stays pinned unless that is over.
template <class World>
void pin_and_post(World& w, unsigned place) {
  if (!w.parts.pin(place, 0, 0)) return;
  w.posted.store(1, std::memory_order_release);
  if (w.completed.load(std::memory_order_acquire) != 0) w.parts.unpin(place, 0);
}
template <class World>
void device(World& w) {
  if (w.posted.load(std::memory_order_acquire) == 0) return;
  w.data[0].write(7);
  w.completed.store(1, std::memory_order_release);
}

template <class World>
[[nodiscard]] bool recover(World& w) {
  return w.parts.recover([&w](unsigned, std::uint32_t) noexcept {
    return w.posted.load(std::memory_order_relaxed) == 0 || w.completed.load(std::memory_order_acquire) != 0;
  });
}
template <class World>
[[nodiscard]] bool recover_at_once(World& w) {
  return w.parts.recover([](unsigned, std::uint32_t) noexcept { return true; });
}
// A member that comes where T1 was, if that has been given back.
template <class World>
void follow(World& w) {
  if (!w.parts.join(0)) return;
  check(!w.holds(0), "a place is empty when it is given away");
  pin_and_unpin(w, 0);
  w.parts.leave(0);
}

template <class World>
World& make(execution& x) {
  auto& w = x.make<World>();
  x.name(w.places, "places");
  x.name(w.pages, "pages");
  x.name(w.data, "data");
  x.name(w.all, "dead");
  return w;
}
// The last look: the dead have nothing any more, and a page that nobody has pinned is open, and can be taken.
template <class World>
void ends_well(World& w, bool quiet = true) {
  for (bool& mortal : w.all.mortal) mortal = false;
  check(recover_at_once(w) || !quiet, "nothing of the dead is in doubt");
  for (unsigned place = 0; place != 2; ++place)
    check(!w.all.died(place + 1) || (!w.holds(place, 0) && !w.holds(place, 1)), "the dead have nothing");
  const bool held = w.holds(0) || w.holds(1);
  check(w.pages[0].closed_by.load(std::memory_order_relaxed) == 0, "every page is open");
  check(w.parts.pinned(0) == held, "what is pinned is what the members hold");
}

template <class World>
using deed = void (*)(World&, unsigned);

// T1 may die in what it does; T2 recovers before or after what it does.
template <class World, deed<World> First, deed<World> Second, bool SecondDies = false>
void one_and_a_survivor(execution& x) {
  auto& w = make<World>(x);
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] {
    const auto body = [&w] {
      Second(w, 1);
      (void)recover(w);
      Second(w, 1);
    };
    if (SecondDies)
      w.all.live(body);
    else
      body();
  });
  x.join();
  ends_well(w);
}
// Both may die, and so may who recovers.
template <class World, deed<World> First, deed<World> Second>
void both_and_a_recoverer(execution& x) {
  auto& w = make<World>(x);
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] { w.all.live([&w] { Second(w, 1); }); });
  x.thread([&w] { w.all.live([&w] { (void)recover(w); }); });
  x.join();
  ends_well(w);
}
template <class World, deed<World> First, deed<World> Second>
void both_and_two_recoverers(execution& x) {
  auto& w = make<World>(x);
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] { w.all.live([&w] { Second(w, 1); }); });
  x.thread([&w] { w.all.live([&w] { (void)recover(w); }); });
  x.thread([&w] { (void)recover(w); });
  x.join();
  ends_well(w);
}
// T1 may die; T2 is another who takes the page away; of two who recover one may die.
template <class World, deed<World> First>
void two_recoverers(execution& x) {
  auto& w = make<World>(x);
  x.thread([&w] { w.all.live([&w] { First(w, 0); }); });
  x.thread([&w] {
    (void)recover(w);
    evict(w, 1);
  });
  x.thread([&w] { w.all.live([&w] { (void)recover(w); }); });
  x.join();
  ends_well(w);
}
// T1 dies, or keeps the page, while a device writes to it.
template <class World, bool (*Recover)(World&)>
void with_a_device(execution& x) {
  auto& w = make<World>(x);
  x.thread([&w] { w.all.live([&w] { pin_and_post(w, 0); }); });
  x.thread([&w] {
    (void)Recover(w);
    evict(w, 1);
  });
  x.thread([&w] { device(w); });
  x.join();
  ends_well(w);
}
// T1 dies with a pin, and somebody else joins in its place, while another recovery is under way.
template <class World, bool (*Recover)(World&)>
void with_a_follower(execution& x) {
  auto& w = make<World>(x);
  x.thread([&w] { w.all.live([&w] { pin_and_keep_pinned(w, 0); }); });
  x.thread([&w] {
    (void)Recover(w);
    evict(w, 1);
  });
  x.thread([&w] {
    (void)recover(w);
    follow(w);
  });
  x.join();
  ends_well(w);
}

template <class Sync>
const std::vector<program> programs{
    one_and_a_survivor<world<Sync>, pin_and_unpin, evict>,
    one_and_a_survivor<world<Sync>, pin_twice, evict>,
    one_and_a_survivor<world<Sync>, evict, pin_and_unpin>,
    one_and_a_survivor<world<Sync>, evict, evict>,
    one_and_a_survivor<world<Sync>, pin_and_unpin, evict, true>,
    one_and_a_survivor<world<Sync>, evict, pin_and_unpin, true>,
    one_and_a_survivor<world<Sync, 2>, pin_another, evict>,
    both_and_a_recoverer<world<Sync>, pin_and_unpin, evict>,
    both_and_a_recoverer<world<Sync>, pin_and_keep_pinned, pin_and_unpin>,
    both_and_a_recoverer<world<Sync>, evict, evict>,
    two_recoverers<world<Sync>, pin_and_unpin>,
    two_recoverers<world<Sync>, evict>,
    with_a_device<world<Sync>, recover>,
    with_a_follower<world<Sync>, recover>,
};

const std::vector<program> larger{
    both_and_a_recoverer<world<barriers>, pin_and_evict, pin_and_evict>,
    both_and_two_recoverers<world<barriers>, pin_and_unpin, evict>,
};

// Broken variants.

struct no_light_barrier : barriers {
  static void light_barrier(explorer::place = {}) noexcept {}
};
struct no_heavy_barrier : barriers {
  static void heavy_barrier(explorer::place = {}) noexcept {}
};
// Who is slow is taken for dead.
struct impatient : barriers {
  struct life_lock : barriers::life_lock {
    [[nodiscard]] pinref::life_result try_lock() noexcept {
      const auto result = barriers::life_lock::try_lock();
      return result == pinref::life_result::busy ? pinref::life_result::orphaned : result;
    }
  };
};
template <class World>
void pin_without_a_look(World& w, unsigned place) {
  w.places[place].pinned[0].store(1, std::memory_order_release);
  World::sync::light_barrier();
  (void)w.data[0].read();
  w.parts.unpin(place, 0);
}
template <class World>
void evict_what_was_not_pinned(World& w, unsigned place) {
  if (w.parts.pinned(0) || !w.parts.close(place, 0)) return;
  w.data[0].write(w.data[0].read() + 1);
  w.parts.open(0);
}
// Dead is dead: its place is emptied without its lock.
template <class World>
bool recover_without_the_lock(World& w) {
  if (w.all.died(1)) w.parts.unpin(0, 0);
  return true;
}

using real = world<barriers>;

// T2 passes its pin on to T1, whose slot is read before its own.
void handed_over(execution& x) {
  auto& w = make<real>(x);
  check(w.parts.pin(1, 0, 0), "the page is open");
  x.thread([&w] {
    w.places[0].pinned[0].store(1, std::memory_order_release);
    w.posted.store(1, std::memory_order_release);
    (void)w.data[0].read();
    w.parts.unpin(0, 0);
  });
  x.thread([&w] {
    if (w.posted.load(std::memory_order_acquire) != 0) w.parts.unpin(1, 0);
  });
  x.thread([&w] {
    if (w.parts.pinned(0)) return;
    w.data[0].write(1);
  });
  x.join();
}

bool is_of_the_pins(const explorer::site& s) {
  return std::strstr(s.at.file, "place_pins.hpp") != nullptr;
}

}  // namespace

TEST_CASE("whoever dies, at any access, a pin that is a place keeps its page, and nothing is in doubt") {
  holds(programs<barriers>);
}
TEST_CASE("a survivor that dies over a pin that is a place leaves to the next what the first dead one left") {
  holds(larger);
}
TEST_CASE("two members with pins that are places, and two recoverers, at random") {
  const auto r = explorer::explore({.random_walks = 20'000},
                                   both_and_two_recoverers<world<barriers, 2>, pin_another, pin_and_evict>);
  CHECK_MESSAGE(!r.failed, r.text());
}
TEST_CASE("a pin that is a place holds with fences in place of the barriers, too") {
  holds(programs<fences>);
}
TEST_CASE("a barrier that is left out is caught") {
  caught("data race", one_and_a_survivor<world<no_light_barrier>, pin_and_unpin, evict>);
  caught("data race", one_and_a_survivor<world<no_heavy_barrier>, pin_and_unpin, evict>);
}
TEST_CASE("a pin without a look at the page after it is caught") {
  caught("data race", one_and_a_survivor<real, pin_without_a_look, evict>);
}
TEST_CASE("a scan that begins before the page is closed is caught") {
  caught("data race", one_and_a_survivor<real, pin_and_unpin, evict_what_was_not_pinned>);
}
TEST_CASE("a pin that is passed on to another member is caught") {
  caught("data race", handed_over);
}
TEST_CASE("a place that is emptied before the devices of the dead are quiet is caught") {
  caught("data race", with_a_device<real, recover_at_once>);
}
TEST_CASE("a place that is emptied again, after somebody else has joined there, is caught") {
  caught("data race", with_a_follower<real, recover_without_the_lock>);
}
TEST_CASE("a member that is slow and loses its place is caught") {
  caught("data race", one_and_a_survivor<world<impatient>, pin_and_unpin, evict>);
}
TEST_CASE("each order of a pin that is a place is needed") {
  std::vector<explorer::site> sites;
  for (const program& each : programs<barriers>)
    for (const explorer::site& s : explorer::explore({}, each).sites)
      if (is_of_the_pins(s) && std::find(sites.begin(), sites.end(), s) == sites.end()) sites.push_back(s);
  int weaker = 0;
  for (const explorer::site& s : sites)
    for (const std::memory_order to : explorer::weaker(s)) {
      ++weaker;
      const auto fails = [&](const program& each) {
        return explorer::explore({.orders = explorer::at_site(s, to)}, each).failed;
      };
      CHECK_MESSAGE(std::any_of(programs<barriers>.begin(), programs<barriers>.end(), fails),
                    explorer::text(s) << " -> " << explorer::text(to) << ": nothing fails");
    }
  CHECK(weaker == 7);
}
