// SPDX-License-Identifier: MIT

// Freeze, change the page alone, unfreeze; against takes that meet the frozen page, and against waiters.

#include "broken_syncs.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

template <class Layout, class Sync = explored_sync>
struct page {
  explicit page(std::size_t references) { ref.init(references); }

  void take_and_use() {
    if (ref.try_get() != taken) return;
    (void)data.read();
    released(ref.put());
  }
  void pin_and_use() {
    if (ref.try_pin() != taken) return;
    (void)data.read();
    released(ref.unpin());
  }
  void freeze_and_change(std::size_t references) {
    if (!ref.freeze(references)) return;
    data.write(data.read() + 1);
    ref.unfreeze(references);
  }
  void released(pinref::release_result result) {
    check(result != pinref::release_result::underflow, "a rightful release is not refused");
    if (result == last) data.destroy();
  }

  ref_of<Layout, Sync> ref;
  explorer::plain<int> data{1};
};

template <class Layout, class Sync = explored_sync>
page<Layout, Sync>& make(execution& x, std::size_t references = 1) {
  auto& p = x.make<page<Layout, Sync>>(references);
  x.name(p.ref, "word");
  x.name(p.data, "data");
  return p;
}

template <class Layout, class Sync = explored_sync>
void frozen_against_takes(execution& x) {
  auto& p = make<Layout, Sync>(x);
  x.thread([&p] {
    p.freeze_and_change(1);
    p.released(p.ref.put());
  });
  x.thread([&p] { p.take_and_use(); });
  x.thread([&p] { p.pin_and_use(); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

template <class Layout>
void frozen_twice(execution& x) {
  auto& p = make<Layout>(x, 2);
  x.thread([&p] {
    p.freeze_and_change(2);
    p.released(p.ref.put());
    p.freeze_and_change(1);
    p.released(p.ref.put_sole());
  });
  x.thread([&p] { p.take_and_use(); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

// The freezer's references grow while it is frozen.
template <class Layout>
void unfrozen_with_more(execution& x) {
  auto& p = make<Layout>(x);
  x.thread([&p] {
    if (!p.ref.freeze(1)) return p.released(p.ref.put());
    p.data.write(2);
    p.ref.unfreeze(3);
    p.released(p.ref.put(3));
  });
  x.thread([&p] { p.pin_and_use(); });
  x.thread([&p] { p.take_and_use(); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

// A watched word can be frozen, and its waiter is not forgotten.
template <class Layout>
void frozen_while_watched(execution& x) {
  auto& p = make<Layout>(x);
  (void)p.ref.try_pin();
  x.thread([&p] { p.released(p.ref.unpin()); });
  x.thread(
      [&p] { check(p.ref.wait_until_unpinned() == pinref::wait_result::reached, "nothing else can end the wait"); });
  x.thread([&p] { p.freeze_and_change(1); });
  x.join();
  check(p.ref.freeze(1), "nothing but the reference is left");
}

// What begins is another life, and its owner calls it so; or it is the same one, of a page that was given up.
template <class Layout, bool Frozen>
void begun_from_the_other(execution& x) {
  auto& p = make<Layout>(x);
  check(p.ref.freeze(1), "the only holder");
  x.thread([&p] {
    p.data.write(2);
    if (!Frozen) p.ref.bury();
    Frozen ? p.ref.init() : p.ref.unfreeze(1);
    p.released(p.ref.put());
  });
  x.thread([&p] { p.pin_and_use(); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

PROTOCOL("a life may begin on a dead page or a frozen one, by either call", begun_from_the_other<pinref::bias64, true>,
         begun_from_the_other<pinref::bias64, false>, begun_from_the_other<tiny, true>,
         begun_from_the_other<tiny, false>, begun_from_the_other<pinref::split32, true>)

PROTOCOL("a frozen page is its owner's alone", frozen_against_takes<pinref::bias64>, frozen_against_takes<tiny>,
         frozen_against_takes<pinref::split32>, frozen_twice<pinref::bias64>)

PROTOCOL("takes that met a frozen page count after it or not at all", unfrozen_with_more<pinref::bias64>,
         unfrozen_with_more<tiny>, unfrozen_with_more<pinref::split32>)

PROTOCOL("a watched page can be frozen, and wakes its waiter", frozen_while_watched<pinref::bias64>,
         frozen_while_watched<pinref::split32>)

TEST_CASE("a freeze that looks first and then writes is caught") {
  caught("data race", frozen_against_takes<pinref::bias64, looking_first>);
}

TEST_CASE("an unfreeze that does not order the change is caught") {
  caught("data race", frozen_against_takes<pinref::bias64>,
         {.orders = explorer::weaken(explorer::op::rmw, std::memory_order_acquire, std::memory_order_relaxed, "word")});
}

}  // namespace
