// The ends of the word: more holders than it may count, takes of a dead page, releases of what is not held.

#include "broken_syncs.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::release_result;
using pinref::take_result;
using pinref::zone;

template <class Layout, class Sync = explored_sync>
struct page {
  using zones = typename Layout::zones;

  explicit page(std::size_t references) { ref.reset(references); }

  [[nodiscard]] std::size_t holders() const { return zones::holders(ref.snapshot().raw()); }
  // Takes, and gives back what it took.
  void pass_by(take_result (ref_of<Layout, Sync>::*take)(std::size_t) noexcept,
               release_result (ref_of<Layout, Sync>::*release)(std::size_t, std::size_t) noexcept, std::size_t n) {
    const take_result result = (ref.*take)(n);
    check(result != take_result::dead, "a full page is not a dead one");
    if (result != taken) return;
    check((ref.*release)(n, 0) == release_result::released, "what was taken can be released");
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
  using ref = ref_of<Layout, Sync>;
  constexpr std::size_t most = Layout::zones::max_holders;
  auto& p = make<Layout, Sync>(x, most - 3);
  x.thread([&p] { p.pass_by(&ref::try_get, &ref::put, 3); });
  x.thread([&p] { p.pass_by(&ref::try_pin, &ref::unpin, 1); });
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
  x.thread([&p] { p.ref.reset(); });
  x.join();
  check(p.ref.snapshot() == Layout::of(1), "nothing of the refused is left in the new life");
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

// Releases of a dead page, alone and against a take that is refused.
template <class Layout, class Sync = explored_sync>
void put_after_death(execution& x) {
  auto& p = make<Layout, Sync>(x, 1);
  check(p.ref.put() == last, "the only holder");
  for (int i = 0; i < 2; ++i) x.thread([&p] { check(p.ref.put() != last, "the dead are not freed again"); });
  x.thread([&p] { check(p.ref.try_get() == take_result::dead, "dead stays dead"); });
  x.join();
  check(p.ref.snapshot() == Layout{}, "nothing of them is left");
}

PROTOCOL("a full page refuses, and what is refused changes nothing", nearly_full<tiny>, nearly_full<tiny_split>,
         full<tiny>, full<tiny_split>)

PROTOCOL("a full page can be emptied while others ask", full_to_empty<tiny>)

PROTOCOL("a dead page refuses, and what is refused changes nothing", refused_by_the_dead<tiny>,
         refused_by_the_dead<tiny_split>, three_refused_by_the_dead<tiny>)

PROTOCOL("releases of what is not held free nothing twice", put_too_often<tiny>, put_too_often<pinref::bias64>,
         put_too_often<pinref::split>, unpinned_too_often<tiny>, unpinned_too_often<pinref::bias64>,
         put_after_death<tiny>, put_after_death<pinref::bias64>)

// Zones for one taker, used by three: their adds carry a dead word out of its zone.
TEST_CASE("more takers than the zones have room for are caught") {
  caught("dead stays dead", three_refused_by_the_dead<pinref::bias_layout<std::uint8_t, 2, 1>>);
}

TEST_CASE("a refused take or release that is not given back is caught") {
  caught("the refused have changed nothing", full<tiny, forgetful>);
  caught("the refused have changed nothing", nearly_full<tiny, forgetful>);
  caught("", refused_by_the_dead<tiny, forgetful>);
  caught("nothing of them is left", put_after_death<tiny, forgetful>);
}

TEST_CASE("a last release that does not compare is caught") {
  caught("one of them was the last", full_to_empty<tiny, blind>);
  caught("not freed twice", put_too_often<pinref::bias64, blind>);
}

}  // namespace
