// SPDX-License-Identifier: MIT

// Waiting for holders to leave: no wake-up is lost, whichever way they leave. A lost one is a deadlock.

#include "broken_syncs.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::deadline;
using pinref::wait_result;

constexpr auto reached = wait_result::reached;

template <class Layout, class Sync = explored_sync>
struct page {
  page(std::size_t references, std::size_t pins) {
    ref.init(references);
    for (std::size_t i = 0; i != pins; ++i) (void)ref.try_pin();
  }

  ref_of<Layout, Sync> ref;
  explorer::plain<int> data{1};  // what a device writes
};

template <class Layout, class Sync = explored_sync>
page<Layout, Sync>& make(execution& x, std::size_t references, std::size_t pins) {
  auto& p = x.make<page<Layout, Sync>>(references, pins);
  x.name(p, "page");
  x.name(p.ref, "word");
  x.name(p.data, "data");
  return p;
}

// A device finishes, and the waiter owns its data.
template <class Layout, class Sync = explored_sync>
void unpin(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] {
    p.data.write(2);
    (void)p.ref.unpin();
  });
  x.thread([&p] {
    check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait");
    check(p.data.read() == 2, "the waiter sees what the device wrote");
  });
}

template <class Layout, class Sync = explored_sync>
void two_pins(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 2);
  for (int i = 0; i < 2; ++i)
    x.thread([&p] {
      p.data.read();
      (void)p.ref.unpin();
    });
  x.thread([&p] {
    check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait");
    p.data.write(2);
  });
}

template <class Layout, class Sync = explored_sync>
void two_waiters(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] { (void)p.ref.unpin(); });
  for (int i = 0; i < 2; ++i)
    x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
}

// Somebody pins again meanwhile, and leaves again.
template <class Layout, class Sync = explored_sync>
void pinned_again(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] {
    if (p.ref.try_pin() == taken) (void)p.ref.unpin();
  });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
  x.join();
  check(p.ref.snapshot().references() == 1 && p.ref.snapshot().pins() == 0, "no holder is lost");
}

// Two waiters of two kinds, and holders of both.
template <class Layout, class Sync = explored_sync>
void unpinned_and_idle(execution& x) {
  auto& p = make<Layout, Sync>(x, 2, 1);
  x.thread([&p] {
    (void)p.ref.unpin();
    (void)p.ref.put();
  });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
  x.thread([&p] { check(p.ref.wait_until_idle(1) == reached, "nothing else can end the wait"); });
}

// The last holder goes, by each of the calls that can be the last.
template <class Layout, class Sync, class Release>
void until_free(execution& x, Release release) {
  auto& p = make<Layout, Sync>(x, 1, 0);
  x.thread([&p, release] {
    p.data.write(2);
    release(p.ref);
  });
  x.thread([&p] {
    check(p.ref.wait_until_idle(0) == reached, "nothing else can end the wait");
    check(p.data.read() == 2, "the waiter sees what the last holder did");
  });
}

template <class Layout, class Sync = explored_sync>
void until_put(execution& x) {
  until_free<Layout, Sync>(x, [](auto& ref) { check(ref.put() == last, "the only holder"); });
}
template <class Layout, class Sync = explored_sync>
void until_put_sole(execution& x) {
  until_free<Layout, Sync>(x, [](auto& ref) { check(ref.put_sole() == last, "the only holder"); });
}
// A page that is frozen for a moment is not free. Its claimant gives it back, or buries it.
template <class Layout, class Sync = explored_sync>
void until_free_not_frozen(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 0);
  x.thread([&p] {
    check(p.ref.freeze(1), "waiting does not keep the owner from freezing");
    p.data.write(2);
    p.ref.unfreeze(1);
    p.data.read();
    check(p.ref.put() == last, "the only holder");
  });
  x.thread([&p] {
    check(p.ref.wait_until_idle(0) == reached, "nothing else can end the wait");
    check(p.data.read() == 2, "a page that is frozen for a moment is not free");
    p.data.write(3);
  });
}
template <class Layout, class Sync = explored_sync>
void until_buried(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 0);
  x.thread([&p] {
    check(p.ref.freeze(1), "waiting does not keep the owner from freezing");
    p.data.write(2);
    p.ref.bury();
  });
  x.thread([&p] {
    check(p.ref.wait_until_idle(0) == reached, "nothing else can end the wait");
    check(p.data.read() == 2, "the waiter sees what the last owner did");
    p.data.write(3);
  });
}
// The owner of the last reference waits until it is the last, and takes the page away for good.
template <class Layout, class Sync = explored_sync>
void until_mine_alone(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] {
    p.data.write(2);
    (void)p.ref.unpin();
  });
  x.thread([&p] {
    if (p.ref.try_get() == taken) (void)p.ref.put();
  });
  x.thread([&p] {
    do check(p.ref.wait_until_idle(1) == reached, "nothing else can end the wait");
    while (!p.ref.freeze(1));
    p.data.write(3);
    p.ref.bury();
  });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

// The holders that leave are takes that undo themselves, and takes that meet a dead word.
template <class Layout, class Sync = explored_sync>
void takers_pass_by(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 0);
  x.thread([&p] {
    if (p.ref.try_get() == taken) (void)p.ref.put();
  });
  x.thread([&p] { (void)p.ref.put(); });
  x.thread([&p] { check(p.ref.wait_until_idle(0) == reached, "nothing else can end the wait"); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

// A device page: its owner's reference stays, and whoever leaves it idle is told so, once.
template <class Layout, class Sync = explored_sync>
void until_idle(execution& x) {
  auto& p = make<Layout, Sync>(x, 2, 1);
  auto& idles = x.make<explorer::ghost<int>>();
  const auto note = [&idles](pinref::release_result result) {
    check(result != last && result != pinref::release_result::underflow, "the owner still holds the page");
    if (result == pinref::release_result::idle) idles.add(1);
  };
  x.thread([&p, note] { note(p.ref.put(1, pinref::owner_ref::resident)); });
  x.thread([&p, note] { note(p.ref.unpin(1, pinref::owner_ref::resident)); });
  x.thread([&p] { check(p.ref.wait_until_idle(1) == reached, "nothing else can end the wait"); });
  x.join();
  check(idles.get() == 1, "idle is told once");
}

// A waiter gives up, and takes its mark away. Another goes on waiting.
template <class Layout, class Sync = explored_sync>
void gives_up(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] { (void)p.ref.wait_until_unpinned(some_day()); });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "another's giving up is not one's own"); });
  x.join();
  check(p.ref.snapshot() == Layout::live(1), "nothing but the reference is left, and no mark");
}

// Nobody waits any more, and the word is as it was.
template <class Layout, class First, class Second>
void leave_no_mark(execution& x, First first, Second second) {
  auto& p = make<Layout>(x, 1, 1);
  x.thread([&p, first] { first(p.ref); });
  x.thread([&p, second] { second(p.ref); });
  x.join();
  check(p.ref.snapshot() == Layout::live(1, 1), "the pin is left, and no mark");
}
constexpr auto wait_for_a_while = [](auto& ref) { (void)ref.wait_until_unpinned(some_day()); };
template <class Layout>
void one_leaves_no_mark(execution& x) {
  leave_no_mark<Layout>(x, wait_for_a_while, [](auto& ref) {
    if (ref.try_get() == taken) (void)ref.put();
  });
}
template <class Layout>
void two_leave_no_mark(execution& x) {
  leave_no_mark<Layout>(x, wait_for_a_while, [](auto& ref) { (void)ref.wait_until_idle(1, some_day()); });
}

template <class Layout>
void looks_once(execution& x) {
  auto& p = make<Layout>(x, 1, 1);
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] { (void)p.ref.wait_until_unpinned(deadline::passed()); });
  x.join();
  check(p.ref.put() == last, "nothing but the reference is left");
}

// A canceller ends a wait for something that never comes.
template <class Layout, class Sync = explored_sync>
void cancelled(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  auto& stop = x.make<pinref::wait_canceller<Sync>>();
  x.name(stop, "stop");
  x.thread([&p, &stop] {
    p.data.write(2);
    stop.cancel();
  });
  x.thread([&p, &stop] {
    check(p.ref.wait_until_unpinned(deadline::never(), stop) == wait_result::given_up, "the pin stays");
    check(p.data.read() == 2, "given_up shows what the canceller wrote");
  });
}

// Another waiter of the same page is not concerned; and its mark does not hide the cancellation.
template <class Layout, class Sync = explored_sync>
void cancelled_beside_another(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  auto& stop = x.make<pinref::wait_canceller<Sync>>();
  x.name(stop, "stop");
  x.thread([&stop] { stop.cancel(); });
  x.thread([&p, &stop] {
    const wait_result done = p.ref.wait_until_unpinned(deadline::never(), stop);
    check(done == wait_result::given_up || done == reached, "it ends by one of the two");
  });
  x.thread([&p] { check(p.ref.wait_until_idle(1) == reached, "another's cancelling is not one's own"); });
  x.thread([&p] { (void)p.ref.unpin(); });
  x.join();
  check(p.ref.snapshot() == Layout::live(1), "nothing but the reference is left, and no mark");
}

// Two waiters of different conditions. The first sees the word marked; by the time it sleeps the other has marked it
// again, with fewer holders, and with the same mark.
template <class Layout, class Sync = explored_sync>
void one_left_and_none_left(execution& x) {
  auto& p = make<Layout, Sync>(x, 3, 0);
  x.thread([&p] { check(p.ref.wait_until_idle(1) == reached, "nothing else can end the wait"); });
  x.thread([&p] { (void)p.ref.prepare_wait_until_idle(0); });
  x.thread([&p] {
    (void)p.ref.put();
    (void)p.ref.put();
  });
}

// Pins have a word of their own: the holders are as many again when the pins are gone.
template <class Layout, class Sync = explored_sync>
void pins_gone_holders_back(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
  x.thread([&p] { (void)p.ref.prepare_wait_until_idle(0); });
  x.thread([&p] {
    (void)p.ref.unpin();
    (void)p.ref.get();
  });
}

// Every release takes the mark away, and wakes for the next one.
template <class Layout, class Sync = explored_sync>
void two_puts(execution& x) {
  auto& p = make<Layout, Sync>(x, 3, 0);
  x.thread([&p] { check(p.ref.wait_until_idle(1) == reached, "nothing else can end the wait"); });
  x.thread([&p] {
    (void)p.ref.put();
    (void)p.ref.put();
  });
}

// The word is frozen, given back and begins another life while somebody waits for it.
template <class Layout, class Sync = explored_sync>
void frozen_and_reborn(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 0);
  x.thread([&p] {
    check(p.ref.freeze(1), "waiting does not keep the owner from freezing");
    p.ref.unfreeze(1);
    if (p.ref.put() == last) p.ref.init(), (void)p.ref.put();
  });
  x.thread([&p] { check(p.ref.wait_until_idle(0) == reached, "nothing else can end the wait"); });
}
template <class Layout, class Sync = explored_sync>
void reborn_unpinned(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  const auto end = [&p](pinref::release_result result) {
    if (result == last) p.ref.init(), (void)p.ref.try_get();
  };
  x.thread([&p, end] { end(p.ref.put()); });
  x.thread([&p, end] { end(p.ref.unpin()); });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
}

// A ticket is what an executor sleeps on: here a thread that sleeps by hand. One is abandoned.
template <class Layout, class Sync = explored_sync>
void by_ticket(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] {
    p.data.write(2);
    (void)p.ref.unpin();
  });
  x.thread([&p] {
    for (;;) {
      const auto ticket = p.ref.prepare_wait_until_unpinned();
      if (ticket.reached) break;
      (void)Sync::wait(ticket.futexes, ticket.nr_futexes, deadline::never(), ticket.look_again);
    }
    check(p.data.read() == 2, "the waiter sees what the device wrote");
  });
  x.thread([&p] {
    if (!p.ref.prepare_wait_until_idle(1).reached) p.ref.abandon_wait();
  });
  x.join();
  check(p.ref.snapshot() == Layout::live(1), "nothing but the reference is left, and no mark");
}

// A wait for more holders than a release looks at is a poll.
template <class Layout>
void one_pin_left(execution& x) {
  auto& p = make<Layout>(x, 1, 2);
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] { check(p.ref.wait_until_idle(Layout::pin_bias + 1) == reached, "nothing else can end the wait"); });
}

// It polls also where another waiter has marked the word, because what leaves enough for it need not wake.
template <class Layout>
void one_pin_left_while_watched(execution& x) {
  auto& p = make<Layout>(x, 1, 2);
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] {
    check(p.ref.wait_until_idle(Layout::pin_bias + 1) == reached, "nothing else can end the wait");
    (void)p.ref.unpin();
  });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
}

// A word grows too large to be watched while somebody watches it.
template <class Layout>
void unwatched(execution& x) {
  auto& p = make<Layout>(x, 7, 0);
  x.thread([&p] {
    if (p.ref.try_get(4) == taken) (void)p.ref.put(4);
  });
  x.thread([&p] { (void)p.ref.put(4); });
  x.thread([&p] { check(p.ref.wait_until_idle(3) == reached, "nothing else can end the wait"); });
  x.join();
  check(Layout::zones::holders(p.ref.snapshot().raw()) == 3, "no holder is lost");
}

// The same with two pins that leave.
template <class Layout, class Sync = explored_sync>
void unwatched_after_all(execution& x) {
  auto& p = make<Layout, Sync>(x, 1, 1);
  x.thread([&p] {
    if (p.ref.try_get(4) == taken) (void)p.ref.put(4);
  });
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == reached, "nothing else can end the wait"); });
  x.join();
  check(Layout::zones::holders(p.ref.snapshot().raw()) == 1, "no holder is lost");
}

// A word that is too large to be watched when the wait begins.
template <class Layout>
void too_large_to_watch(execution& x) {
  auto& p = make<Layout>(x, 18, 0);
  x.thread([&p] {
    for (int i = 0; i != 2; ++i) check(p.ref.put(4) == pinref::release_result::released, "others hold the page");
  });
  x.thread([&p] { (void)p.ref.wait_until_idle(0, some_day()); });
  x.join();
  check(Layout::zones::holders(p.ref.snapshot().raw()) == 10, "no holder is lost");
  check(p.ref.snapshot().zone() == pinref::zone::alive, "not watched");
}

// However many holders come and go, a word with too many is not left watched.
template <class Layout>
void mark_is_taken_away(execution& x) {
  using zones = typename Layout::zones;
  auto& p = make<Layout>(x, zones::watch_limit - 3, 0);
  x.thread([&p] { check(p.ref.try_get(4) == taken, "a watched page can be taken"); });
  x.thread([&p] { (void)p.ref.put(); });
  x.thread([&p] { (void)p.ref.wait_until_idle(0, some_day()); });
  x.join();
  check(zones::holders(p.ref.snapshot().raw()) == zones::watch_limit, "no holder is lost");
  check(p.ref.snapshot().zone() == pinref::zone::alive, "not watched");
}

// Nothing happens until the deadline, which is over already.
template <class Layout>
void times_out(execution& x) {
  auto& p = make<Layout>(x, 1, 1);
  x.thread([&p] { check(p.ref.wait_until_unpinned(deadline::passed()) == wait_result::timed_out, "the pin stays"); });
}

PROTOCOL("whoever waits until a page is unpinned wakes up and sees the data", unpin<pinref::bias64>, unpin<tiny>,
         unpin<pinref::split32>)

PROTOCOL("the last of two pins wakes, and one pin wakes two waiters", two_pins<pinref::bias64>,
         two_pins<pinref::split32>, two_waiters<pinref::bias64>, two_waiters<pinref::split32>)

PROTOCOL("a page that is pinned again in between wakes its waiter in the end", pinned_again<pinref::bias64>,
         pinned_again<pinref::split32>)

PROTOCOL("a release wakes every kind of waiter it concerns", unpinned_and_idle<pinref::bias64>,
         unpinned_and_idle<pinref::split32>)

PROTOCOL("every way to be the last holder wakes", until_put<pinref::bias64>, until_put_sole<pinref::bias64>,
         until_put<pinref::split32>, until_put_sole<pinref::split32>)

PROTOCOL("a page that is frozen for a moment is not free, and one that is buried is",
         until_free_not_frozen<pinref::bias64>, until_free_not_frozen<pinref::split32>, until_buried<pinref::bias64>,
         until_buried<pinref::split32>, until_buried<tiny>)

PROTOCOL("whoever waits until only its own reference is left can take the page away", until_mine_alone<pinref::bias64>,
         until_mine_alone<pinref::split32>)

PROTOCOL("two waiters of different conditions do not sleep through each other's mark",
         one_left_and_none_left<pinref::bias64>, one_left_and_none_left<pinref::bias32>,
         one_left_and_none_left<pinref::split32>, pins_gone_holders_back<pinref::bias64>,
         pins_gone_holders_back<pinref::split32>)

PROTOCOL("a word that is waited on can be frozen, given back, and live again", frozen_and_reborn<pinref::bias64>,
         frozen_and_reborn<pinref::split32>, reborn_unpinned<pinref::bias64>, reborn_unpinned<pinref::split32>)

PROTOCOL("a ticket tells what to sleep on, and an abandoned one leaves no mark", by_ticket<pinref::bias64>,
         by_ticket<pinref::split32>)

PROTOCOL("takes that pass by do not hide the end of a page from its waiter", takers_pass_by<pinref::bias64>)

PROTOCOL("a watched device page is idle once", until_idle<pinref::bias64>, until_idle<pinref::split32>)

PROTOCOL("a waiter that gives up harms nobody, and leaves no mark", gives_up<pinref::bias64>, gives_up<pinref::split32>,
         one_leaves_no_mark<pinref::bias64>, one_leaves_no_mark<pinref::split32>, two_leave_no_mark<pinref::bias64>,
         two_leave_no_mark<pinref::split32>, looks_once<pinref::bias64>, looks_once<pinref::split32>,
         times_out<pinref::bias64>)

PROTOCOL("a cancelled waiter wakes up and sees what the canceller wrote", cancelled<pinref::bias64>,
         cancelled<pinref::split32>, cancelled_beside_another<pinref::bias64>,
         cancelled_beside_another<pinref::split32>)

PROTOCOL("whoever waits for a few pins to leave goes on when they have", one_pin_left<pinref::bias32>,
         one_pin_left_while_watched<pinref::bias32>)

PROTOCOL("a word that grows too large to be watched is looked at again", unwatched<tiny>, unwatched_after_all<tiny>,
         too_large_to_watch<tiny>, mark_is_taken_away<tiny>)

TEST_CASE("a release that wakes nobody is caught, by whatever call the holder leaves") {
  using pinref::bias64, pinref::split32;
  for (const program& each : std::initializer_list<program>{
           unpin<bias64, silent>, unpin<tiny, silent>, unpin<split32, silent>, two_pins<bias64, silent>,
           two_waiters<bias64, silent>, unpinned_and_idle<bias64, silent>, until_put<bias64, silent>,
           until_put<split32, silent>, until_put_sole<bias64, silent>, until_free_not_frozen<bias64, silent>,
           takers_pass_by<bias64, silent>, until_idle<bias64, silent>, unwatched_after_all<tiny, silent>,
           gives_up<bias64, silent>, cancelled<bias64, silent>, by_ticket<bias64, silent>})
    caught("lost wake-up", each);
}

TEST_CASE("a release that wakes before it has changed the word is caught") {
  caught("lost wake-up", two_puts<pinref::bias64, woken_early>);
  caught("lost wake-up", two_puts<pinref::split32, woken_early>);
}

TEST_CASE("a sleep on the half with the mark alone, or on the holders without the pins, is caught") {
  caught("lost wake-up", one_left_and_none_left<pinref::bias64, sleeping_on_one>);
  caught("lost wake-up", pins_gone_holders_back<pinref::split32, sleeping_on_one>);
}

TEST_CASE("a sleep that does not compare what was seen is caught") {
  caught("lost wake-up", unpin<pinref::bias64, sleeping_unseen>);
  caught("lost wake-up", cancelled<pinref::bias64, sleeping_unseen>);
}

// A canceller without a word of its own to sleep on: it sets its flag and wakes the page's waiters, or nobody.
struct flag_alone : pinref::wait_canceller<explored_sync> {
  [[nodiscard]] bool cancelled() const noexcept { return flag.load(std::memory_order_acquire) != 0; }
  void futex() const = delete;
  explorer::atomic<std::uint32_t> flag{0};
};

template <bool Wakes>
void cancelled_by_a_flag(execution& x) {
  auto& p = make<pinref::bias64>(x, 1, 1);
  auto& stop = x.make<flag_alone>();
  x.name(stop, "stop");
  x.thread([&] {
    stop.flag.store(1, std::memory_order_release);
    if (Wakes) p.ref.abandon_wait();
  });
  x.thread([&] { (void)p.ref.wait_until_unpinned(deadline::never(), stop); });
  // Another one that waits, and marks the word again.
  x.thread([&] { (void)p.ref.prepare_wait_until_unpinned(); });
}

TEST_CASE("a canceller that wakes nobody, or only by the page's mark, is caught") {
  caught("lost wake-up", cancelled<pinref::bias64, silent>);
  caught("lost wake-up", cancelled_by_a_flag<false>);
  caught("lost wake-up", cancelled_by_a_flag<true>);
}

}  // namespace
