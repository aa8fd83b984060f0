// SPDX-License-Identifier: MIT

// get, put and free: exactly one releaser frees, nobody touches the page afterwards, no reference is lost.

#include "broken_syncs.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::release_result;
using pinref::take_result;

template <class Layout, class Sync = explored_sync>
struct page : freed_once {
  explicit page(std::size_t references = 1) { ref.init(references); }

  ref_of<Layout, Sync> ref;
};

template <class Page>
Page& make(execution& x, std::size_t references = 1) {
  Page& p = x.make<Page>(references);
  x.name(p, "page");
  x.name(p.ref, "word");
  x.name(p.data, "data");
  return p;
}

template <class Page>
void ends_dead(execution& x, Page& p) {
  x.join();
  check(p.freed.get() == 1, "freed at last");
  check(p.ref.snapshot().zone() == pinref::zone::dead, "ends dead");
  check(p.ref.snapshot() == typename decltype(p.ref)::layout{}, "nothing is left in the word");
}

// The owner puts, one thread gets and puts, one pins and unpins.
template <class Page>
void put_against_takes(execution& x) {
  auto& p = make<Page>(x);
  x.thread([&p] {
    p.use();
    p.released(p.ref.put());
  });
  x.thread([&p] {
    if (p.ref.try_get() != taken) return;
    p.use();
    p.released(p.ref.put());
  });
  x.thread([&p] {
    if (p.ref.try_pin() != taken) return;
    p.use();
    p.released(p.ref.unpin());
  });
  ends_dead(x, p);
}

// Takes may revive the page at zero or find it dead.
template <class Layout, class Sync = explored_sync>
void get_put_free(execution& x) {
  put_against_takes<page<Layout, Sync>>(x);
}

// The same by the calls for a likely sole holder, for a caller that holds already, and for several at once.
template <class Layout>
void sole_clone_and_bulk(execution& x) {
  auto& p = make<page<Layout>>(x, 3);
  x.thread([&p] {
    p.use();
    p.released(p.ref.put(2));
    p.use();
    p.released(p.ref.put_sole());
  });
  x.thread([&p] {
    if (p.ref.try_get_if_alive() != taken) return;
    check(p.ref.get(2) == taken, "a holder can always take more");
    p.released(p.ref.put(1));
    p.use();
    p.released(p.ref.put(2));
  });
  ends_dead(x, p);
}

template <class Layout>
void two_sole_releasers(execution& x) {
  auto& p = make<page<Layout>>(x, 2);
  for (int i = 0; i < 2; ++i)
    x.thread([&p] {
      p.use();
      p.released(p.ref.put_sole());
    });
  x.thread([&p] {
    if (p.ref.try_pin() != taken) return;
    check(p.ref.add_pin() == taken, "a pinner can always pin more");
    p.use();
    p.released(p.ref.unpin());
    p.released(p.ref.unpin());
  });
  ends_dead(x, p);
}

// The last holder of the first life prepares the page and begins a second one, whoever it is.
template <class Layout, class Sync = explored_sync>
struct reborn : page<Layout, Sync> {
  using page<Layout, Sync>::page;

  void released(release_result result) {
    check(result != release_result::underflow, "a rightful release is not refused");
    if (result != last) return;
    this->data.write(this->data.read() + 1);
    if (this->data.read() == 3) return this->free();
    this->ref.init(references);
    this->use();
    released(this->ref.put(references));
  }

  std::size_t references = 1;
};

// Takes may add to the dead word and find themselves in the next life.
template <class Layout, class Sync = explored_sync>
void two_lives(execution& x) {
  put_against_takes<reborn<Layout, Sync>>(x);
}

template <class Layout>
void a_life_of_two_references(execution& x) {
  auto& p = make<reborn<Layout>>(x);
  p.references = 2;
  x.thread([&p] {
    p.use();
    p.released(p.ref.put_sole());
  });
  x.thread([&p] {
    if (p.ref.try_get(2) != taken) return;
    p.use();
    p.released(p.ref.put());
    p.use();
    p.released(p.ref.put());
  });
  ends_dead(x, p);
}

// The page is dead to begin with: what an owner wrote before reset is seen by whoever takes it.
template <class Layout, class Sync = explored_sync>
void born_under_fire(execution& x) {
  auto& p = make<page<Layout, Sync>>(x);
  p.released(p.ref.put_sole() == last ? release_result::released : release_result::underflow);
  const auto taker = [&p] {
    if (p.ref.try_get() != taken) return;
    check(p.data.read() == 2, "a taker sees the page as prepared");
    p.released(p.ref.put());
  };
  x.thread([&p] {
    p.data.write(2);
    p.ref.init();
    p.use();
    p.released(p.ref.put());
  });
  x.thread(taker);
  x.thread(taker);
  ends_dead(x, p);
}

// The books of checked_ref are changed beside the word, and a rightful holder always finds its entry in them.
struct counted_misuse {
  void operator()(const pinref::misuse&) const noexcept { ++found; }
  static inline int found;
};

template <class Layout>
void checked(execution& x) {
  counted_misuse::found = 0;
  auto& ref = x.make<pinref::checked_ref<ref_of<Layout>, counted_misuse>>();
  x.name(ref, "word");
  ref.init(2);
  for (int i = 0; i != 2; ++i) x.thread([&ref] { (void)ref.put(); });
  x.thread([&ref] {
    if (ref.try_get() == taken) (void)ref.put();
  });
  x.join();
  check(counted_misuse::found == 0, "all of them held what they released");
  check(ref.put() == pinref::release_result::underflow, "nothing is left");
  check(counted_misuse::found == 1, "and that is reported");
}

PROTOCOL("what is released is on the books of a checked page, whoever else takes and releases", checked<pinref::bias64>,
         checked<pinref::split32>)

PROTOCOL("of all releasers exactly one frees, and nobody touches the page afterwards", get_put_free<pinref::bias64>,
         get_put_free<tiny>, get_put_free<pinref::split32>)

PROTOCOL("put_sole, get and several at once keep the same count", sole_clone_and_bulk<pinref::bias64>,
         sole_clone_and_bulk<tiny>, sole_clone_and_bulk<pinref::split32>, two_sole_releasers<pinref::bias64>,
         two_sole_releasers<pinref::split32>)

PROTOCOL("a take that met a dead page is given back, or counts in the next life", two_lives<pinref::bias64>,
         two_lives<tiny>, two_lives<pinref::split32>, a_life_of_two_references<pinref::bias64>)

PROTOCOL("whoever takes a page sees it as its owner prepared it", born_under_fire<pinref::bias64>,
         born_under_fire<pinref::split32>)

// Broken words. The word's own code runs on atomics that do one thing wrong.

// A life begins by overwriting the word, and forgets the adds in it.
struct overwriting : explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    T fetch_add(T n, std::memory_order how, explorer::place at = {}) noexcept {
      if (how != std::memory_order_release) return explorer::atomic<T>::fetch_add(n, how, at);
      return this->exchange(static_cast<T>(n + pinref::zones<T>::dead), how, at);
    }
  };
};

TEST_CASE("a life that begins by overwriting the word is caught") {
  caught("use after destroy", two_lives<pinref::bias64, overwriting>);
}

TEST_CASE("a slow path that does not compare is caught") {
  caught("freed once", get_put_free<pinref::bias64, blind>);
}

TEST_CASE("a release that does not order what its holder did is caught") {
  caught("data race", get_put_free<pinref::bias64>,
         {.orders = explorer::weaken(explorer::op::rmw, std::memory_order_release, std::memory_order_relaxed, "word")});
}

}  // namespace
