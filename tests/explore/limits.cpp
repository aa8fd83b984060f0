// SPDX-License-Identifier: MIT

// The ends of the word: more holders than it may count, takes of a dead page, releases of what is not held.

#include "broken_syncs.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using one_taker = pinref::bias_layout<std::uint8_t, 2, 1>;
using explorer::check;
using explorer::execution;
using pinref::release_result;
using pinref::take_result;
using pinref::zone;

template <class Layout, class Sync = explored_sync>
struct page {
  using zones = typename Layout::zones;

  explicit page(std::size_t references) { ref.init(references); }

  [[nodiscard]] std::size_t holders() const { return zones::holders(ref.snapshot().raw()); }
  // Takes, and gives back what it took.
  template <pinref::hold Mode>
  void pass_by(std::size_t n) {
    const take_result result = Mode == pinref::hold::pin ? ref.try_pin(n) : ref.try_get(n);
    check(result != take_result::dead, "a full page is not a dead one");
    if (result != taken) return;
    const release_result released = Mode == pinref::hold::pin ? ref.unpin(n) : ref.put(n);
    check(released == release_result::released, "what was taken can be released");
  }

  ref_of<Layout, Sync> ref;
};

template <class Layout, class Sync = explored_sync>
page<Layout, Sync>& make(execution& x, std::size_t references) {
  auto& p = x.make<page<Layout, Sync>>(references);
  x.name(p.ref, "word");
  return p;
}

// Two takes of which one fits, while somebody leaves.
template <class Layout, class Sync = explored_sync>
void nearly_full(execution& x) {
  constexpr std::size_t most = Layout::zones::max_holders;
  auto& p = make<Layout, Sync>(x, most - 3);
  x.thread([&p] { p.template pass_by<pinref::hold::reference>(3); });
  x.thread([&p] { p.template pass_by<pinref::hold::pin>(1); });
  x.thread([&p] { check(p.ref.put() == release_result::released, "others hold the page"); });
  x.join();
  check(p.holders() == most - 4, "the refused have changed nothing");
}

// All who ask are refused, by every kind of take.
template <class Layout, class Sync = explored_sync>
void full(execution& x) {
  constexpr std::size_t most = Layout::zones::max_holders;
  auto& p = make<Layout, Sync>(x, most);
  x.thread([&p] { check(p.ref.try_get(4) == take_result::overflow, "full"); });
  x.thread([&p] { check(p.ref.get(4) == take_result::overflow, "full"); });
  x.thread([&p] { check(p.ref.try_pin() == take_result::overflow, "full"); });
  x.join();
  check(p.holders() == most, "the refused have changed nothing");
}

// Full until everybody leaves at once: then there is one last holder.
template <class Layout, class Sync = explored_sync>
void full_to_empty(execution& x) {
  auto& p = make<Layout, Sync>(x, Layout::zones::max_holders - 1);
  auto& lasts = x.make<explorer::ghost<int>>();
  const auto note = [&lasts](release_result result) {
    check(result != release_result::underflow, "a rightful release is not refused");
    if (result == last) lasts.add(1);
  };
  x.thread([&p, note] {
    if (p.ref.get(4) == taken) note(p.ref.put(4));
    for (std::size_t left = Layout::zones::max_holders - 1; left != 0;) {
      const std::size_t n = left < 4 ? left : 4;
      note(p.ref.put(n));
      left -= n;
    }
  });
  x.thread([&p, note] {
    if (p.ref.try_get(2) == taken) note(p.ref.put(2));
  });
  x.join();
  check(lasts.get() == 1, "one of them was the last");
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

// The most that takes in flight may add to a dead word, and a life that begins in between.
template <class Layout, class Sync = explored_sync>
void refused_by_the_dead(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  check(p.ref.put() == last, "the only holder");
  for (int i = 0; i < 2; ++i)
    x.thread([&p] {
      if (p.ref.try_get(Layout::max_references_at_once) == taken) (void)p.ref.put(Layout::max_references_at_once);
    });
  x.thread([&p] { p.ref.init(); });
  x.join();
  check(p.ref.snapshot() == Layout::live(1), "nothing of the refused is left in the new life");
}

template <class Layout, class Sync = explored_sync>
void three_refused_by_the_dead(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  check(p.ref.put() == last, "the only holder");
  for (int i = 0; i < 3; ++i)
    x.thread([&p] { check(p.ref.try_get(Layout::max_references_at_once) == take_result::dead, "dead stays dead"); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "nothing of the refused is left");
}

// A put too many, and a take that does not know of it: a page may be lost, but is not freed twice.
template <class Layout, class Sync = explored_sync>
void put_too_often(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  auto& lasts = x.make<explorer::ghost<int>>();
  const auto note = [&lasts](release_result result) {
    if (result == last) lasts.add(1);
  };
  x.thread([&p, note] { note(p.ref.put()); });
  x.thread([&p, note] { note(p.ref.put()); });
  x.thread([&p] { (void)p.ref.try_get(); });
  x.join();
  check(lasts.get() <= 1, "not freed twice");
}

template <class Layout, class Sync = explored_sync>
void unpinned_too_often(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  auto& lasts = x.make<explorer::ghost<int>>();
  const auto note = [&lasts](release_result result) {
    if (result == last) lasts.add(1);
  };
  x.thread([&p, note] { note(p.ref.put()); });
  x.thread([&p, note] { note(p.ref.unpin()); });
  x.thread([&p, note] { note(p.ref.unpin()); });
  x.join();
  check(lasts.get() <= 1, "not freed twice");
}

// Releases of a dead page, alone and against a take that is refused: whatever their sizes, nothing of them is left.
template <class Layout, std::size_t One, std::size_t Other, class Sync = explored_sync>
void put_after_death(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  check(p.ref.put() == last, "the only holder");
  for (const std::size_t n : {One, Other})
    x.thread([&p, n] { check(p.ref.put(n) != last, "the dead are not freed again"); });
  x.thread([&p] { check(p.ref.try_get(2) == take_result::dead, "dead stays dead"); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "a dead word that everybody has left is dead");
}

template <class Layout, class Sync = explored_sync>
void put_after_freeze(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  check(p.ref.freeze(1), "the only holder");
  for (const std::size_t n : {std::size_t{1}, std::size_t{3}})
    x.thread([&p, n] { check(p.ref.put(n) != last, "the frozen are not freed"); });
  x.thread([&p] { check(p.ref.try_get(2) == take_result::dead, "frozen stays frozen"); });
  x.join();
  check(p.ref.snapshot().zone() == pinref::zone::frozen, "and is nobody else's");
  p.ref.unfreeze(1);
  check(p.ref.snapshot() == Layout::live(1), "nothing of them is left in the next life");
}

// While a release of too much is under way nobody can say how many holders there are: the page is pinned and busy.
template <class Layout, class Sync = explored_sync>
void asked_during_an_underflow(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  check(p.ref.try_pin() == taken, "alive");
  x.thread([&p] { (void)p.ref.put(Layout::pin_bias + 2); });
  x.thread([&p] {
    check(p.ref.dma_pinned() && p.ref.dma_pinned_hint(), "the pin is seen");
    check(!p.ref.idle(1), "and nobody else's page");
    check(p.ref.wait_until_unpinned(pinref::deadline::passed()) == pinref::wait_result::timed_out, "at any time");
  });
  x.join();
  check(p.ref.snapshot() == Layout::live(1, 1), "the release is refused");
}

// As many takers as the word has room for, each with the most, around the end of a page and its next life.
template <class Layout, unsigned Takers = Layout::zones::takers>
void all_takers_at_once(execution& x) {
  auto& p = make<Layout>(x, 1);
  auto& lasts = x.make<explorer::ghost<int>>();
  const auto note = [&lasts](release_result result) {
    check(result != release_result::underflow, "a rightful release is not refused");
    if (result == last) lasts.add(1);
  };
  x.thread([&p, note] {
    check(p.ref.get() == taken, "its own page");
    note(p.ref.put());
    note(p.ref.put());
  });
  for (unsigned i = 0; i != Takers; ++i)
    x.thread([&p, note] {
      if (p.ref.try_get(Layout::max_references_at_once) == taken) note(p.ref.put(Layout::max_references_at_once));
    });
  x.join();
  check(lasts.get() == 1, "freed once");
  check(p.ref.snapshot() == Layout{}, "nothing of the refused is left");
}

// A release of nothing, beside the last one.
template <class Layout, class Sync = explored_sync>
void put_of_nothing(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  x.thread([&p] { check(p.ref.put() == last, "the only holder"); });
  x.thread([&p] {
    const release_result none[] = {p.ref.put(0, pinref::owner_ref::resident), p.ref.unpin(0), p.ref.put(0)};
    check(none[0] == release_result::idle || none[0] == release_result::released, "nothing else can be said of it");
    check(none[1] == release_result::released && none[2] == release_result::released, "nor here");
  });
  x.join();
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

PROTOCOL("a full page refuses, and what is refused changes nothing", nearly_full<tiny>, nearly_full<tiny_split>,
         full<tiny>, full<tiny_split>)

PROTOCOL("a full page can be emptied while others ask", full_to_empty<tiny>)

PROTOCOL("a dead page refuses, and what is refused changes nothing", refused_by_the_dead<tiny>,
         refused_by_the_dead<tiny_split>, three_refused_by_the_dead<tiny>)

PROTOCOL("releases of what is not held free nothing twice", put_too_often<tiny>, put_too_often<pinref::bias64>,
         put_too_often<pinref::split32>, unpinned_too_often<tiny>, unpinned_too_often<pinref::bias64>,
         (put_after_death<tiny, 1, 1>), (put_after_death<pinref::bias64, 1, 1>), (put_after_death<tiny, 1, 3>),
         (put_after_death<pinref::bias64, 1, 3>), (put_after_death<tiny, 2, 4>), put_after_freeze<tiny>,
         put_after_freeze<pinref::bias64>)

PROTOCOL("while a release of too much is under way the page is pinned and busy", asked_during_an_underflow<tiny>)

PROTOCOL("as many takers as there is room for do not reach another zone", all_takers_at_once<one_taker>,
         all_takers_at_once<tiny>)

PROTOCOL("a release of nothing is never the last", put_of_nothing<tiny>, put_of_nothing<pinref::bias64>,
         put_of_nothing<pinref::split32>)

// Zones for one taker, used by three: the adds of two carry a dead word out of its zone, where a release that comes
// late is taken for one too many.
TEST_CASE("more takers than the zones have room for are caught") {
  caught("a rightful release is not refused", all_takers_at_once<one_taker, 3>);
}

TEST_CASE("a refused take or release that is not given back is caught") {
  caught("the refused have changed nothing", full<tiny, forgetful>);
  caught("the refused have changed nothing", nearly_full<tiny, forgetful>);
  caught("nothing of the refused is left in the new life", refused_by_the_dead<tiny, forgetful>);
  caught("dead stays dead", put_after_death<tiny, 1, 1, forgetful>);
}

TEST_CASE("a last release that does not compare is caught") {
  caught("one of them was the last", full_to_empty<tiny, blind>);
  caught("not freed twice", put_too_often<pinref::bias64, blind>);
}

}  // namespace
