// SPDX-License-Identifier: MIT

// A hot page: threads count for themselves while others make it exact, hot again, ask, freeze and free.

#include <array>
#include <type_traits>
#include <utility>

#include "pinref/ref/hot_ref.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::release_result;

// With two slots T1 and T2 have a number, the body and T3 do not: they use the shared word.
using hot_sync = explored_hot_sync;

template <class Sync = hot_sync, unsigned Slots = 2, class Layout = pinref::bias64>
struct page : freed_once {
  using ref_type = pinref::hot_ref<Layout, Sync, Slots>;

  page() {
    ref.init();
    check(ref.make_hot(counts), "made hot");
  }

  // The end of the owner's reference.
  void retire() {
    use();
    check(ref.make_exact() == release_result::released, "its owner still holds it");
    released(ref.put());
  }

  ref_type ref;
  typename Sync::threads threads;
  typename ref_type::slots counts{threads};
  explorer::ghost<int> pinned{0};
  typename Sync::template atomic<int> entry{1};
  typename Sync::template atomic<int> handed{0};
};

template <class Page>
Page& make(execution& x) {
  Page& p = x.make<Page>();
  x.name(p, "page");
  x.name(p.ref, "ref");
  x.name(p.counts, "slots");
  x.name(p.data, "data");
  x.name(p.entry, "entry");
  x.name(p.handed, "handed");
  return p;
}

template <class Page>
void ends_dead(execution& x, Page& p) {
  x.join();
  check(p.freed.get() == 1, "freed at last");
  check(!p.ref.is_hot() && p.ref.snapshot() == pinref::bias64{}, "ends dead, and nothing is left in the word");
}

template <class Page>
void get_use_put(Page& p) {
  if (p.ref.try_get() != taken) return;
  p.use();
  p.released(p.ref.put());
}

template <class Page>
void pin_use_unpin(Page& p) {
  if (p.ref.try_pin() != taken) return;
  p.use();
  p.released(p.ref.unpin());
}

template <class Sync = hot_sync, unsigned Slots = 2>
void switched_under_one(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { get_use_put(p); });
  x.thread([&p] { p.retire(); });
  ends_dead(x, p);
}

template <class Sync = hot_sync, unsigned Slots = 2>
void switched_under_two(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { get_use_put(p); });
  x.thread([&p] { pin_use_unpin(p); });
  x.thread([&p] { p.retire(); });
  ends_dead(x, p);
}

// Exact, hot and exact again: a call may be halfway through any of them.
template <class Sync = hot_sync, unsigned Slots = 2>
void there_and_back(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { get_use_put(p); });
  x.thread([&p] {
    (void)p.ref.make_exact();
    (void)p.ref.make_hot(p.counts);
    p.retire();
  });
  ends_dead(x, p);
}

// Taken on one thread, released on another: each slot alone is off, only the sum is right.
template <class Sync = hot_sync, unsigned Slots = 2>
void handed_over(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] {
    if (p.ref.try_pin() != taken) return p.handed.store(2, std::memory_order_relaxed);
    p.use();
    p.handed.store(1, std::memory_order_release);
  });
  x.thread([&p] {
    int now = 0;
    while ((now = p.handed.load(std::memory_order_acquire)) == 0) hot_sync::pause();
    if (now == 2) return;
    p.use();
    p.released(p.ref.unpin());
  });
  x.thread([&p] { p.retire(); });
  ends_dead(x, p);
}

// The counts are made by whoever makes the page hot, while others use it.
template <class Sync = hot_sync, unsigned Slots = 2>
void new_counts(execution& x) {
  using ref_type = typename page<Sync, Slots>::ref_type;
  struct storage {
    typename Sync::threads threads;
    typename ref_type::slots counts{threads};
  };
  auto& ref = x.make<ref_type>();
  x.name(ref, "ref");
  ref.init();
  x.thread([&ref] {
    if (ref.try_get() == taken) (void)ref.put();
  });
  x.thread([&x, &ref] { (void)ref.make_hot(x.make<storage>().counts); });
  x.join();
  (void)ref.make_exact();
  check(ref.snapshot() == pinref::bias64::live(1), "one reference is left");
}

// Whoever comes second finds the page as the first left it.
template <class Sync = hot_sync, unsigned Slots = 2>
void two_switches(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] {
    check(p.ref.try_get() == taken, "its owner holds it");
    check(p.ref.make_exact() == release_result::released, "its owner still holds it");
  });
  x.thread([&p] { check(p.ref.make_exact() == release_result::released, "its owner still holds it"); });
  x.join();
  check(p.ref.snapshot() == pinref::bias64::live(2), "two references, counted once");
}

// The second life begins hot, and somebody may still be halfway through a take of the first.
template <class Sync = hot_sync, unsigned Slots = 2>
void second_life(execution& x) {
  struct reborn : page<Sync, Slots> {
    void released(release_result result) {
      check(result != release_result::underflow, "a rightful release is not refused");
      if (result == last) next();
    }
    void next() {
      if (this->data.read() == 2) return this->free();
      this->data.write(2);
      this->ref.init();
      (void)this->ref.make_hot(this->counts);
      retire();
    }
    void retire() {
      this->use();
      check(this->ref.make_exact() == release_result::released, "its owner still holds it");
      released(this->ref.put());
    }
  };
  auto& p = make<reborn>(x);
  x.thread([&p] { get_use_put(p); });
  x.thread([&p] { p.retire(); });
  ends_dead(x, p);
}

// Pin, then look at the entry, against: clear the entry, then ask. Both are never unaware of the other.
template <class Page>
void pin_and_look(Page& p) {
  if (p.ref.try_pin() != taken) return;
  if (p.entry.load(std::memory_order_relaxed) == 1) p.use();
  (void)p.ref.unpin();
}

template <class Page>
void clear_and_ask(Page& p) {
  p.entry.store(0, std::memory_order_relaxed);
  if (!p.ref.dma_pinned()) p.data.write(2);
}

template <class Sync = hot_sync, unsigned Slots = 2>
void pinned_or_unmapped(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { pin_and_look(p); });
  x.thread([&p] { clear_and_ask(p); });
}

template <class Sync = hot_sync, unsigned Slots = 2>
void pinned_or_unmapped_while_switched(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { pin_and_look(p); });
  x.thread([&p] { clear_and_ask(p); });
  x.thread([&p] { (void)p.ref.make_exact(); });
}

template <class Sync = hot_sync, unsigned Slots = 2>
void pinned_or_unmapped_while_made_hot(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  (void)p.ref.make_exact();
  x.thread([&p] { pin_and_look(p); });
  x.thread([&p] { clear_and_ask(p); });
  x.thread([&p] { (void)p.ref.make_hot(p.counts); });
}

// There is a pin all the time, but never for long the same: taken on one thread, released on another.
template <class Sync = hot_sync, unsigned Slots = 2>
void never_unpinned(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  (void)p.ref.try_pin();  // counted by the word
  x.thread([&p] {
    (void)p.ref.try_pin();
    p.handed.store(1, std::memory_order_release);
  });
  x.thread([&p] {
    if (p.handed.load(std::memory_order_acquire) == 1) (void)p.ref.unpin();
  });
  x.thread([&p] { check(p.ref.dma_pinned(), "somebody pins it all the time"); });
  x.join();
  check(p.ref.dma_pinned(), "one pin is left");
}

template <class Sync = hot_sync, unsigned Slots = 2>
void never_unpinned_while_switched(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  (void)p.ref.try_pin();
  x.thread([&p] {
    (void)p.ref.try_pin();
    (void)p.ref.unpin();
  });
  x.thread([&p] { (void)p.ref.make_exact(); });
  x.thread([&p] { check(p.ref.dma_pinned(), "somebody pins it all the time"); });
  x.join();
  (void)p.ref.make_exact();
  check(p.ref.pins() == 1 && p.ref.references() == 1, "nothing is lost");
}

// Frozen, nobody else has it.
template <class Sync = hot_sync, unsigned Slots = 2>
void frozen(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { get_use_put(p); });
  x.thread([&p] {
    if (p.ref.freeze(1)) {
      p.data.write(2);
      p.ref.unfreeze(1);
    }
    p.retire();
  });
  ends_dead(x, p);
}

template <class Sync = hot_sync, unsigned Slots = 2>
void frozen_by_one_of_two(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] { pin_use_unpin(p); });
  x.thread([&p] {
    if (!p.ref.freeze(1)) return;
    p.data.write(2);
    p.ref.unfreeze(1);
  });
  x.thread([&p] { check(p.ref.make_exact() == release_result::released, "its owner still holds it"); });
  x.join();
  check(p.ref.snapshot() == pinref::bias64::live(1), "one reference is left");
}

// A look at a page while it is switched may see what only the switch put there, but nothing is missing.
template <class Sync = hot_sync, unsigned Slots = 1>
void looked_at(execution& x) {
  auto& p = make<page<Sync, Slots>>(x);
  x.thread([&p] {
    (void)p.ref.make_exact();
    (void)p.ref.make_hot(p.counts);
  });
  x.thread([&p] {
    const pinref::bias64 seen = p.ref.snapshot();
    check(seen.zone() == pinref::zone::alive, "it lives all the time");
    check(pinref::bias64::zones::holders(seen.raw()) >= 1, "and is held");
  });
}

// A small word, of which two pins fit in each of two slots, or four in one. The body can take and release for a thread
// to come, so that this one finds its slot full.
using layout16 = pinref::bias_layout<std::uint16_t, 8, 1>;

struct folding : hot_sync {
  static constexpr unsigned nobody = ~0u;
  static inline unsigned instead_of = nobody;
  struct threads {
    unsigned number() const noexcept { return explorer::self() == 0 ? instead_of : explorer::self() - 1; }
    unsigned enroll() const noexcept { return number(); }
  };
};

template <class Sync, unsigned Slots>
struct small : page<Sync, Slots, layout16> {
  small() { folding::instead_of = folding::nobody; }

  // Before the threads start; 0 is nobody's.
  void pinned_by(unsigned thread, std::size_t n) {
    folding::instead_of = thread - 1;
    check(this->ref.try_pin(n) == taken, "there is room");
    folding::instead_of = folding::nobody;
  }
  void unpinned_by(unsigned thread, std::size_t n) {
    folding::instead_of = thread - 1;
    (void)this->ref.unpin(n);
    folding::instead_of = folding::nobody;
  }

  void ends_with(std::uint16_t pins) {
    check(this->ref.snapshot() == layout16::live(1, pins), "nothing is lost");
    check(this->ref.make_exact() == release_result::released, "its owner still holds it");
    check(this->ref.snapshot() == layout16::live(1, pins), "nothing is lost");
  }
};

// A thread that has taken much moves it into the word, while another asks, switches, freezes.
template <class Sync = folding>
void folds_takes_beside_a_question(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(1, 4);
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { check(p.ref.dma_pinned(), "pinned all the time"); });
  x.join();
  p.ends_with(5);
}

// One that has released much.
template <class Sync = folding>
void folds_releases_beside_a_question(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(0, 8);
  p.unpinned_by(1, 4);
  x.thread([&p] { (void)p.ref.unpin(2); });
  x.thread([&p] { check(p.ref.dma_pinned(), "pinned all the time"); });
  x.join();
  p.ends_with(2);
}

// Both, and the pin that there is all the time passes from one to the other.
template <class Sync = folding>
void folds_on_both_sides(execution& x) {
  auto& p = make<small<Sync, 2>>(x);
  p.pinned_by(1, 2);
  p.pinned_by(0, 1);
  p.unpinned_by(2, 2);
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { (void)p.ref.unpin(); });
  x.join();
  check(p.ref.dma_pinned(), "one pin is left");
  p.ends_with(1);
}

template <class Sync = folding>
void folds_on_both_sides_of_a_question(execution& x) {
  auto& p = make<small<Sync, 2>>(x);
  p.pinned_by(1, 2);
  p.pinned_by(0, 2);
  p.unpinned_by(2, 2);
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { (void)p.ref.unpin(); });
  x.thread([&p] { check(p.ref.dma_pinned(), "pinned all the time"); });
  x.join();
  p.ends_with(2);
}

template <class Sync = folding>
void folds_beside_a_switch(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(1, 4);
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { check(p.ref.make_exact() == release_result::released, "its owner still holds it"); });
  x.join();
  p.ends_with(5);
}

// The add after the fold may be late, for the first switch or the second.
template <class Sync = folding>
void folds_there_and_back(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(1, 4);
  x.thread([&p] {
    check(p.ref.try_pin() == taken, "there is room");
    (void)p.ref.unpin(5);
  });
  x.thread([&p] {
    (void)p.ref.make_exact();
    (void)p.ref.make_hot(p.counts);
  });
  x.join();
  p.ends_with(0);
}

// While another is late: its slot is another, and its add goes where the switch says.
template <class Sync = folding>
void folds_beside_a_latecomer(execution& x) {
  auto& p = make<small<Sync, 2>>(x);
  p.pinned_by(1, 2);
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { (void)p.ref.make_exact(); });
  x.join();
  p.ends_with(4);
}

template <class Sync = folding>
void folds_takes_beside_a_freeze(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(1, 4);
  x.thread([&p] { check(p.ref.try_pin() == taken, "there is room"); });
  x.thread([&p] { check(!p.ref.freeze(1), "pinned all the time"); });
  x.join();
  p.ends_with(5);
}

// Pins that another thread released are moved, and the one that is taken then is seen, or sees the page unmapped.
template <class Sync = folding>
void folds_beside_an_unmapper(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(1, 4);
  p.unpinned_by(0, 4);
  x.thread([&p] { pin_and_look(p); });
  x.thread([&p] { clear_and_ask(p); });
}

// Its holder freezes the page, or is not alone; what other holders did is seen.
template <class Sync = folding>
void folds_beside_a_freeze(execution& x) {
  auto& p = make<small<Sync, 1>>(x);
  p.pinned_by(0, 5);
  p.unpinned_by(1, 4);
  x.thread([&p] {
    p.use();
    p.released(p.ref.unpin());
  });
  x.thread([&p] {
    if (p.ref.freeze(1)) {
      p.data.write(2);
      p.ref.unfreeze(1);
    }
    p.retire();
  });
  x.join();
  check(p.freed.get() == 1, "freed at last");
}

// Threads that come and go: their numbers are from a pool, and two may have had the same one.
struct numbered : hot_sync {
  using pool = pinref::detail::number_pool<explored_sync>;
  static inline unsigned numbers[explorer::max_threads];
  struct threads {
    unsigned number() const noexcept { return numbers[explorer::self()]; }
    unsigned enroll() const noexcept { return number(); }
  };
};

template <class Sync = numbered, unsigned Slots = 1>
void numbers_change_hands(execution& x) {
  for (unsigned& each : numbered::numbers) each = numbered::pool::none;
  auto& p = make<page<Sync, Slots>>(x);
  auto& pool = x.make<numbered::pool>();
  x.name(pool, "numbers");
  for (int i = 0; i != 2; ++i)
    x.thread([&p, &pool] {
      unsigned& mine = numbered::numbers[explorer::self()];
      mine = pool.take();
      check(p.ref.try_get() == taken, "its owner holds it");
      pool.give_back(mine);
      mine = numbered::pool::none;
    });
  x.join();
  check(p.ref.snapshot() == pinref::bias64::live(3), "each reference is counted once");
  check(p.ref.make_exact() == release_result::released, "its owner still holds it");
  check(p.ref.snapshot() == pinref::bias64::live(3), "each reference is counted once");
}

// Two at a time have two numbers, and the third has none.
void numbers_are_each_ones_own(execution& x) {
  auto& pool = x.make<numbered::pool>();
  x.name(pool, "numbers");
  for (unsigned i = 2; i != numbered::pool::size; ++i) (void)pool.take();
  auto& owners = x.make<std::array<explorer::ghost<int>, numbered::pool::size>>();
  for (int i = 0; i != 3; ++i)
    x.thread([&pool, &owners] {
      const unsigned mine = pool.take();
      if (mine == numbered::pool::none) return;
      owners[mine].add(1);
      check(owners[mine].get() == 1, "a number has one owner");
      owners[mine].add(-1);
      pool.give_back(mine);
    });
}

// Where one thread alone has a number, one slot is enough, and fewer steps.
PROTOCOL("hot: a switch loses no hold, and of all releasers exactly one frees", switched_under_one<hot_sync, 1>,
         switched_under_two<hot_sync, 1>, handed_over<>)
PROTOCOL("hot: exact, hot and exact again", new_counts<hot_sync, 1>, two_switches<hot_sync, 1>,
         there_and_back<hot_sync, 1>, second_life<hot_sync, 1>)
PROTOCOL("hot: pin, then look, against clear, then ask", pinned_or_unmapped<hot_sync, 1>,
         pinned_or_unmapped_while_made_hot<hot_sync, 1>)
PROTOCOL("hot: a pin that passes from hand to hand is never missed", never_unpinned<>)
PROTOCOL("hot: no holder is missing in a look during a switch", looked_at<>)
PROTOCOL("hot: frozen is alone", frozen<hot_sync, 1>)
PROTOCOL("hot: a thread counts on where the last owner of its number ended", numbers_change_hands<>,
         numbers_are_each_ones_own)

PROTOCOL("hot: a thread moves its difference into the word, and no pin is missed or lost",
         folds_takes_beside_a_question<>, folds_releases_beside_a_question<>, folds_on_both_sides<>,
         folds_beside_a_switch<>, folds_there_and_back<>, folds_beside_a_freeze<>)

// These pass in every execution too, but that takes a minute.
TEST_CASE("hot: three threads, and at most two switches away from one that could go on") {
  for (const program& each :
       std::initializer_list<program>{switched_under_two<>, pinned_or_unmapped_while_switched<hot_sync, 1>,
                                      never_unpinned_while_switched<hot_sync, 1>, frozen_by_one_of_two<hot_sync, 1>,
                                      folds_on_both_sides_of_a_question<>, folds_beside_a_latecomer<>}) {
    const auto r = explorer::explore({.preemption_bound = 2}, each);
    CHECK_MESSAGE(!r.failed, r.text());
    CHECK(r.exhausted);
  }
}

// Broken barriers.

struct no_heavy_barrier : hot_sync {
  static void heavy_barrier() noexcept {}
};
struct no_light_barrier : hot_sync {
  static void light_barrier() noexcept {}
};

// A switch that waits for nobody: who came late is not collected again.
struct deaf : hot_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    bool compare_exchange_weak(T& seen, T desired, std::memory_order success, std::memory_order failure,
                               explorer::place at = {}) noexcept {
      if (failure != std::memory_order_acquire || success != std::memory_order_release)
        return explorer::atomic<T>::compare_exchange_weak(seen, desired, success, failure, at);
      this->fetch_sub(static_cast<T>(seen - desired), success, at);
      return true;
    }
  };
};

// What came late is counted in the word without looking whether it was collected.
struct hasty : hot_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    bool compare_exchange_strong(T& seen, T desired, std::memory_order success, std::memory_order failure,
                                 explorer::place at = {}) noexcept {
      if (success != std::memory_order_relaxed)
        return explorer::atomic<T>::compare_exchange_strong(seen, desired, success, failure, at);
      this->store(desired, success, at);
      return true;
    }
  };
};

// A fold that does not ask whether somebody is at the switch, and closes it for nobody.
struct unasked : folding {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    static inline bool inside[explorer::max_threads] = {};
    bool compare_exchange_strong(T& seen, T desired, std::memory_order success, std::memory_order failure,
                                 explorer::place at = {}) noexcept {
      if (success != std::memory_order_acquire)
        return explorer::atomic<T>::compare_exchange_strong(seen, desired, success, failure, at);
      return inside[explorer::self()] = true;
    }
    T fetch_sub(T n, std::memory_order how, explorer::place at = {}) noexcept {
      if (std::is_same_v<T, std::uint32_t> && std::exchange(inside[explorer::self()], false)) return n;
      return explorer::atomic<T>::fetch_sub(n, how, at);
    }
  };
};

// A fold that clears the slot inside the switch, and adds to the word when it is open again.
struct belated : folding {
  static inline explorer::atomic<std::uint16_t>* word[explorer::max_threads] = {};
  static inline std::uint16_t delta[explorer::max_threads] = {};

  template <class T>
  struct atomic : explorer::atomic<T> {
    using explorer::atomic<T>::atomic;
    T fetch_add(T n, std::memory_order how, explorer::place at = {}) noexcept {
      if constexpr (std::is_same_v<T, std::uint16_t>)
        if (how == std::memory_order_relaxed) {
          word[explorer::self()] = this;
          delta[explorer::self()] = n;
          return 0;
        }
      return explorer::atomic<T>::fetch_add(n, how, at);
    }
    T fetch_sub(T n, std::memory_order how, explorer::place at = {}) noexcept {
      const T old = explorer::atomic<T>::fetch_sub(n, how, at);
      if (std::is_same_v<T, std::uint32_t> && word[explorer::self()] != nullptr)
        std::exchange(word[explorer::self()], nullptr)
            ->fetch_add(delta[explorer::self()], std::memory_order_relaxed, at);
      return old;
    }
  };
};

TEST_CASE("hot: a fold outside the switch hides a pin, or is counted twice, and is caught") {
  caught("pinned all the time", folds_takes_beside_a_question<unasked>);
  caught("pinned all the time", folds_releases_beside_a_question<unasked>);
  caught("nothing is lost", folds_beside_a_switch<unasked>);
  caught("pinned all the time", folds_takes_beside_a_question<belated>);
  caught("pinned all the time", folds_takes_beside_a_freeze<belated>);
}

TEST_CASE("hot: without either barrier a hold is lost, and a pinner and an unmapper both unaware") {
  caught("freed at last", switched_under_one<no_heavy_barrier, 1>);
  caught("freed at last", switched_under_one<no_light_barrier, 1>);
  caught("data race", pinned_or_unmapped<no_heavy_barrier, 1>);
  caught("data race", pinned_or_unmapped<no_light_barrier, 1>);
}

// A pool that forgets what it has given: two threads count in one slot.
TEST_CASE("hot: one number for two threads is caught") {
  caught("each reference is counted once", [](execution& x) {
    auto& p = make<page<numbered, 1>>(x);
    for (unsigned& each : numbered::numbers) each = 0;
    for (int i = 0; i != 2; ++i) x.thread([&p] { check(p.ref.try_get() == taken, "its owner holds it"); });
    x.join();
    check(p.ref.snapshot() == pinref::bias64::live(3), "each reference is counted once");
  });
}

TEST_CASE("hot: a switch that does not look for latecomers is caught, and a latecomer that does not look") {
  caught("freed at last", switched_under_one<deaf, 1>);
  caught("a rightful release is not refused", switched_under_one<hasty, 1>);
}

}  // namespace
