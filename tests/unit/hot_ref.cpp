#include "pinref/ref/hot_ref.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "all_pins.hpp"
#include "hooked_sync.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"

// What the explorer cannot show: that a hot page is a page_ref to everybody who uses one.

using pinref::bias64;
using pinref::foll;
using pinref::hot_ref;
using pinref::hot_sync;
using pinref::hot_threads;
using pinref::release_result;
using pinref::take_result;
using support::hooked_sync;

static_assert(pinref::reference_word<hot_ref<>>);
static_assert(pinref::reference_word<support::accounted<hot_ref<>>>);
static_assert(pinref::reference_word<pinref::checked_ref<hot_ref<>>>);
static_assert(sizeof(hot_ref<>) <= 24);

namespace {

struct no_barrier : hot_sync {
  static bool has_heavy_barrier() noexcept { return false; }
};

// Threads say who they are.
struct numbered : hot_sync {
  static inline thread_local unsigned own = 0;
  struct threads {
    static unsigned number() noexcept { return own; }
    static unsigned enroll() noexcept { return own; }
  };
};

// One thread plays all, and sees each read-modify-write.
struct alone : hooked_sync {
  static inline unsigned own = 0;
  struct threads {
    static unsigned number() noexcept { return own; }
    static unsigned enroll() noexcept { return own; }
  };
  static bool has_heavy_barrier() noexcept { return true; }
  static void light_barrier() noexcept {}
  static void heavy_barrier() noexcept {}
  static void pause() noexcept {}
};

template <class Ref = hot_ref<>>
struct page {
  page() { ref.reset(); }
  [[nodiscard]] bool heat() { return ref.make_hot(*counts); }
  [[nodiscard]] typename Ref::threads& threads() { return made->threads; }

  Ref ref;
  struct storage {
    typename Ref::threads threads;
    typename Ref::slots counts{threads};
  };
  std::unique_ptr<storage> made = std::make_unique<storage>();
  typename Ref::slots* counts = &made->counts;
};

// The kernel may be too old; then pages stay as they are, and there is nothing to see.
#define REQUIRE_HOT(page)                                               \
  do {                                                                  \
    if (!(page).heat()) {                                               \
      REQUIRE_MESSAGE(!hot_sync::has_heavy_barrier(), "should be hot"); \
      return;                                                           \
    }                                                                   \
    REQUIRE((page).ref.is_hot());                                       \
  } while (false)

}  // namespace

TEST_CASE("exact, hot, and changing between the two: the same answers and counts as page_ref") {
  enum class mode { exact, hot, changing };
  for (const mode how : {mode::exact, mode::hot, mode::changing}) {
    CAPTURE(static_cast<int>(how));
    page<> p;
    pinref::page_ref<> plain;
    plain.reset();
    if (how != mode::exact) REQUIRE_HOT(p);
    std::mt19937 random{7};
    std::size_t references = 0, pins = 0;
    const auto both = [&](auto operation) {
      const auto expected = operation(plain);
      REQUIRE(operation(p.ref) == expected);
    };
    for (int i = 0; i != 20000; ++i) {
      const std::size_t n = random() % 3;
      switch (random() % 9) {
        case 0:
          both([&](auto& ref) { return ref.get(n); });
          references += n;
          break;
        case 1:
          both([&](auto& ref) { return ref.try_get(n); });
          references += n;
          break;
        case 2:
          both([&](auto& ref) { return ref.try_get_if_alive(n); });
          references += n;
          break;
        case 3:
          both([&](auto& ref) { return ref.try_pin(n); });
          pins += n;
          break;
        case 4:
          both([&](auto& ref) { return ref.add_pin(n); });
          pins += n;
          break;
        case 5:
          if (references < n) break;
          both([&](auto& ref) { return ref.put(n); });
          references -= n;
          break;
        case 6:
          if (pins < n) break;
          both([&](auto& ref) { return ref.unpin(n); });
          pins -= n;
          break;
        case 7:
          if (references == 0) break;
          both([&](auto& ref) { return ref.put_sole(); });
          --references;
          break;
        default:
          both([&](auto& ref) { return ref.idle(n); });
          both([&](auto& ref) { return ref.freeze(references + pins + 2); });
          if (how != mode::changing || i % 5 != 0) break;
          CHECK(p.ref.make_exact() == release_result::released);
          if (i % 2 == 0) REQUIRE(p.heat());
      }
      REQUIRE(p.ref.dma_pinned() == plain.dma_pinned());
      REQUIRE(p.ref.dma_pinned_hint() == plain.dma_pinned());
      REQUIRE(p.ref.snapshot() == plain.snapshot());
      REQUIRE(p.ref.count() == plain.count());
      REQUIRE(p.ref.pins() == plain.pins());
    }
    if (how == mode::hot) CHECK(p.ref.is_hot());
  }
}

TEST_CASE("zero: told when the page is exact; a reference that went while it was hot is told by the switch") {
  page<> p;
  REQUIRE_HOT(p);
  SUBCASE("exact first") {
    CHECK(p.ref.make_exact() == release_result::released);
    CHECK_FALSE(p.ref.is_hot());
    CHECK(p.ref.make_exact() == release_result::released);
    CHECK(p.ref.put() == release_result::last);
  }
  SUBCASE("put while it was hot") {
    CHECK(p.ref.put() == release_result::released);
    CHECK(p.ref.make_exact() == release_result::last);
  }
  SUBCASE("put_sole is a put while it is hot") {
    REQUIRE(p.ref.get() == take_result::taken);
    CHECK(p.ref.put_sole() == release_result::released);
    (void)p.ref.make_exact();
    CHECK(p.ref.put_sole() == release_result::last);
  }
  CHECK(p.ref.try_get() == take_result::dead);
  CHECK(p.ref.try_get_if_alive() == take_result::dead);
  CHECK(p.ref.try_pin() == take_result::dead);
  CHECK(p.ref.snapshot() == bias64{});
  p.ref.reset(2);
  REQUIRE(p.heat());
  CHECK(p.ref.count() == 2);
}

TEST_CASE("the idle level and releases of too much are told when the page is exact") {
  page<> p;
  REQUIRE_HOT(p);
  REQUIRE(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.unpin(1, 1) == release_result::released);
  (void)p.ref.make_exact();
  REQUIRE(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.unpin(1, 1) == release_result::idle);
  CHECK(p.ref.unpin(2) == release_result::underflow);
  REQUIRE(p.heat());
  CHECK(p.ref.put(2) == release_result::released);
  CHECK(p.ref.make_exact() == release_result::underflow);
  // The page leaks, and is not reused under anybody; it is neither pinned for good nor out of room.
  CHECK(p.ref.snapshot() == bias64::of(2));
  CHECK_FALSE(p.ref.dma_pinned());
}

TEST_CASE("a bulk above the limit is refused and changes nothing, hot or exact") {
  page<> p;
  for (int hot = 0; hot != 2; ++hot) {
    if (hot == 1) REQUIRE_HOT(p);
    // Where a size_t can say so many.
    if (const std::size_t n = p.ref.max_references_at_once + 1; n != 0) {
      CHECK(p.ref.get(n) == take_result::overflow);
      CHECK(p.ref.try_get(n) == take_result::overflow);
      CHECK(p.ref.try_get_if_alive(n) == take_result::overflow);
      CHECK(p.ref.put(n) == release_result::underflow);
    }
    CHECK(p.ref.try_pin(p.ref.max_pins_at_once + 1) == take_result::overflow);
    CHECK(p.ref.add_pin(~std::size_t{0}) == take_result::overflow);
    CHECK(p.ref.unpin(~std::size_t{0}) == release_result::underflow);
    CHECK_FALSE(p.ref.freeze(0));
    CHECK_FALSE(p.ref.freeze(~std::size_t{0}));
    CHECK(p.ref.idle(~std::size_t{0}));
    CHECK(p.ref.snapshot() == bias64::of(1));
  }
}

TEST_CASE("pins of a hot page overflow where the word does, and not one is lost") {
  page<hot_ref<bias64, numbered, 2>> p;
  REQUIRE_HOT(p);
  const std::size_t bulk = p.ref.max_pins_at_once;
  std::uint64_t held = 0;
  while (p.ref.try_pin(bulk) == take_result::taken && held <= bias64::zones::max_holders / bias64::pin_bias) {
    held += bulk;
    numbered::own ^= 1;
  }
  numbered::own = 0;
  CHECK(held < bias64::zones::max_holders / bias64::pin_bias);
  CHECK(held > bias64::zones::max_holders / bias64::pin_bias / 2);
  CHECK(p.ref.try_pin(bulk) == take_result::overflow);
  CHECK(p.ref.pins() == held);
  CHECK(p.ref.dma_pinned());
  CHECK(p.ref.make_exact() == release_result::released);
  CHECK(p.ref.snapshot() == bias64::of(1, held));
  CHECK_FALSE(p.heat());  // far too many for that
  for (; held != 0; held -= bulk) REQUIRE(p.ref.unpin(bulk) == release_result::released);
  CHECK(p.heat());
  CHECK(p.ref.snapshot() == bias64::of(1));
}

TEST_CASE("a hot page with more pins than a switch may carry is not made hot, and a hot one is hot already") {
  page<> p;
  const std::size_t bulk = p.ref.max_pins_at_once, most = std::size_t{1} << 26;
  for (std::size_t held = 0; held != most; held += bulk) REQUIRE(p.ref.try_pin(bulk) == take_result::taken);
  CHECK_FALSE(p.heat());
  REQUIRE(p.ref.unpin(2) == release_result::released);
  REQUIRE_HOT(p);
  CHECK(p.heat());
  CHECK(p.ref.snapshot() == bias64::of(1, most - 2));
}

TEST_CASE("each take and release of a hot page is counted in its thread's slot, and leaves the word alone") {
  page<hot_ref<bias64, numbered, 2>> p;
  REQUIRE_HOT(p);
  numbered::own = 1;
  const auto& own = p.counts->each[1];
  std::uint64_t taken = 0, released = 0;
  const auto counted = [&](std::uint64_t more_taken, std::uint64_t more_released) {
    taken += more_taken;
    released += more_released;
    CHECK(own.taken.load() == taken);
    CHECK(own.released.load() == released);
    CHECK(own.outstanding() == taken - released);
  };
  CHECK(p.ref.get(2) == take_result::taken);
  counted(2, 0);
  CHECK(p.ref.try_get(3) == take_result::taken);
  counted(3, 0);
  CHECK(p.ref.try_get_if_alive(4) == take_result::taken);
  counted(4, 0);
  CHECK(p.ref.try_pin() == take_result::taken);
  counted(bias64::pin_bias, 0);
  CHECK(p.ref.add_pin() == take_result::taken);
  counted(bias64::pin_bias, 0);
  CHECK(p.ref.put(8) == release_result::released);
  counted(0, 8);
  CHECK(p.ref.put_sole() == release_result::released);
  counted(0, 1);
  CHECK(p.ref.unpin(2) == release_result::released);
  counted(0, 2 * bias64::pin_bias);
  numbered::own = 0;
  CHECK(p.counts->each[0].taken.load() == 0);
}

TEST_CASE("a number that the word cannot hold is not cut off to one that it can") {
  using layout = support::bias16_exact;
  page<hot_ref<layout, numbered, 2>> p;
  for (int hot = 0; hot != 2; ++hot) {
    if (hot == 1) REQUIRE_HOT(p);
    CHECK_FALSE(p.ref.freeze(256 + 1));
    CHECK(p.ref.idle(256));
    CHECK(p.ref.snapshot() == layout::of(1));
  }
  (void)p.ref.make_exact();
  REQUIRE(p.ref.put() == release_result::last);
  CHECK_FALSE(p.ref.freeze(0));
}

TEST_CASE("freeze: alone with a hot page makes it exact and takes it; not alone leaves it hot") {
  page<> p;
  REQUIRE_HOT(p);
  REQUIRE(p.ref.try_pin() == take_result::taken);
  CHECK_FALSE(p.ref.freeze(1));
  CHECK(p.ref.is_hot());
  REQUIRE(p.ref.unpin() == release_result::released);
  CHECK_FALSE(p.ref.freeze(2));
  CHECK(p.ref.freeze(1));
  CHECK_FALSE(p.ref.is_hot());
  CHECK(p.ref.try_get() == take_result::dead);
  p.ref.unfreeze(1);
  CHECK(p.ref.snapshot() == bias64::of(1));
  CHECK(p.heat());
}

TEST_CASE("without a barrier a page stays as it is and works") {
  page<hot_ref<bias64, no_barrier>> p;
  CHECK_FALSE(p.heat());
  CHECK_FALSE(p.ref.is_hot());
  CHECK(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.dma_pinned());
  CHECK(p.ref.unpin() == release_result::released);
  CHECK(p.ref.make_exact() == release_result::released);
  CHECK(p.ref.put() == release_result::last);
}

TEST_CASE("taken by one thread and released by another, with or without a number of its own") {
  using ref = hot_ref<bias64, numbered, 2>;
  for (const unsigned taker : {0u, 1u, 2u, ~0u})
    for (const unsigned releaser : {0u, 1u, 2u, ~0u}) {
      CAPTURE(taker);
      CAPTURE(releaser);
      page<ref> p;
      REQUIRE_HOT(p);
      numbered::own = taker;
      REQUIRE(p.ref.try_pin(3) == take_result::taken);
      REQUIRE(p.ref.get(5) == take_result::taken);
      numbered::own = releaser;
      CHECK(p.ref.unpin(2) == release_result::released);
      CHECK(p.ref.put(5) == release_result::released);
      CHECK(p.ref.dma_pinned());
      CHECK(p.ref.snapshot() == bias64::of(1, 1));
      CHECK(p.ref.unpin() == release_result::released);
      CHECK_FALSE(p.ref.dma_pinned());
      CHECK(p.ref.make_exact() == release_result::released);
      CHECK(p.ref.snapshot() == bias64::of(1));
    }
  numbered::own = 0;
}

TEST_CASE("a wait makes the page exact, and it is not made hot under the waiter") {
  page<> p;
  REQUIRE_HOT(p);
  CHECK(p.ref.wait_until_idle(1, pinref::deadline::passed()) == pinref::wait_result::reached);
  CHECK_FALSE(p.ref.is_hot());
  REQUIRE(p.heat());
  REQUIRE(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.wait_until_unpinned(pinref::deadline::passed()) == pinref::wait_result::timed_out);
  CHECK_FALSE(p.ref.is_hot());
  std::thread waiter{[&p] { CHECK(p.ref.wait_until_unpinned() == pinref::wait_result::reached); }};
  while (p.ref.snapshot().zone() != pinref::zone::watched) std::this_thread::yield();
  CHECK_FALSE(p.heat());
  CHECK(p.ref.unpin() == release_result::released);
  waiter.join();
  CHECK(p.heat());
}

TEST_CASE("a pool gives each number once, and none when all are taken") {
  pinref::detail::number_pool<pinref::std_sync> pool;
  for (unsigned i = 0; i != pool.size; ++i) CHECK(pool.take() == i);
  CHECK(pool.take() == pool.none);
  for (const unsigned number : {63u, 5u}) {
    pool.give_back(number);
    CHECK(pool.take() == number);
    CHECK(pool.take() == pool.none);
  }
}

TEST_CASE("a question that meets a switch waits until it is over") {
  struct meeting : numbered {
    static std::function<void()>& halfway() {
      static std::function<void()> call;
      return call;
    }
    static std::atomic<unsigned>& pauses() {
      static std::atomic<unsigned> all{0};
      return all;
    }
    static void heavy_barrier() noexcept {
      if (halfway()) std::exchange(halfway(), nullptr)();
      hot_sync::heavy_barrier();
    }
    static void pause() noexcept {
      ++pauses();
      hot_sync::pause();
    }
  };
  page<hot_ref<bias64, meeting, 2>> p;
  REQUIRE_HOT(p);
  REQUIRE(p.ref.try_pin() == take_result::taken);
  std::thread asker;
  meeting::halfway() = [&] {
    asker = std::thread([&p] { CHECK(p.ref.dma_pinned()); });
    while (meeting::pauses() == 0) std::this_thread::yield();
  };
  CHECK(p.ref.make_exact() == release_result::released);
  REQUIRE(asker.joinable());
  asker.join();
  CHECK(p.ref.snapshot() == bias64::of(1, 1));
}

TEST_CASE("live threads have numbers of their own, and leave them to later ones") {
  hot_threads threads;
  constexpr unsigned more = hot_threads::size + 8;
  for (int round = 0; round != 3; ++round) {
    std::vector<unsigned> numbers(more);
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> all;
    for (unsigned i = 0; i != more; ++i)
      all.emplace_back([&, i] {
        numbers[i] = threads.enroll();
        CHECK(threads.number() == numbers[i]);
        ready.fetch_add(1);
        while (ready.load() != more) std::this_thread::yield();
      });
    for (std::thread& thread : all) thread.join();
    std::set<unsigned> given;
    for (const unsigned number : numbers)
      if (number != hot_threads::none) {
        CHECK(number < hot_threads::size);
        CHECK(given.insert(number).second);
      }
    CHECK(given.size() == hot_threads::size);
  }
}

TEST_CASE("a thread without a number counts in the word, and gets one when one is free") {
  page<> p;
  std::atomic<bool> stop{false};
  std::atomic<unsigned> ready{0};
  std::vector<std::thread> others;
  for (unsigned i = 0; i != hot_threads::size; ++i)
    others.emplace_back([&] {
      CHECK(p.threads().enter());
      ready.fetch_add(1);
      while (!stop.load()) std::this_thread::yield();
    });
  while (ready.load() != hot_threads::size) std::this_thread::yield();
  const bool hot = p.heat();
  CHECK_FALSE(p.threads().enter());
  CHECK(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.snapshot() == bias64::of(1, 1));
  for (const auto& each : p.counts->each) CHECK(each.taken.load() == 0);
  stop = true;
  for (std::thread& each : others) each.join();
  CHECK(p.ref.unpin() == release_result::released);
  CHECK(p.ref.snapshot() == bias64::of(1));
  if (hot) CHECK(p.threads().number() == 0);
}

TEST_CASE("a thread with numbers from several objects counts in the right slots, and gives all of them back") {
  page<> here, there;
  REQUIRE_HOT(here);
  REQUIRE_HOT(there);
  std::thread first{[&] {
    CHECK(there.threads().enter());
    CHECK(here.threads().enter());
    std::thread second{[&] {
      CHECK(here.threads().enroll() == 1);
      for (int i = 0; i != 3; ++i) {
        CHECK(here.ref.get() == take_result::taken);
        CHECK(there.ref.get(2) == take_result::taken);
      }
      CHECK(here.threads().number() == hot_threads::none);  // not the last one used
      CHECK(here.threads().enroll() == 1);
      CHECK(there.threads().enroll() == 1);
      CHECK(here.counts->each[1].taken.load() == 3);
      CHECK(there.counts->each[1].taken.load() == 6);
      here.threads().leave();
      std::thread third{[&] {
        CHECK(here.threads().enroll() == 1);
        CHECK(there.threads().enroll() == 2);
      }};
      third.join();
      CHECK(here.threads().enroll() == 1);
      CHECK(there.threads().enroll() == 1);
    }};
    second.join();
  }};
  first.join();
  for (page<>* each : {&here, &there}) std::thread{[each] { CHECK(each->threads().enroll() == 0); }}.join();
  CHECK(here.ref.snapshot() == bias64::of(4));
  CHECK(there.ref.snapshot() == bias64::of(7));
}

TEST_CASE("a thread that has left an object knows nothing of it, and another has its number") {
  std::optional<hot_threads> threads{std::in_place};
  REQUIRE(threads->enroll() == 0);
  threads->leave();
  CHECK(threads->number() == hot_threads::none);
  threads->leave();
  CHECK(threads->enroll() == 0);
  SUBCASE("in the same object") {
    threads->leave();
  }
  SUBCASE("in another at the same place") {
    threads->leave();
    threads.emplace();
  }
  std::thread{[&] {
    CHECK(threads->enroll() == 0);
    std::thread{[&] { CHECK(threads->enroll() == 1); }}.join();
  }}.join();
  CHECK(threads->number() == hot_threads::none);
}

TEST_CASE("a destructor at the end of a thread that has given its number back counts in the word") {
  struct at_the_end {
    ~at_the_end() { call(); }
    std::function<void()> call;
  };
  page<> p;
  REQUIRE_HOT(p);
  std::thread ending{[&p] {
    thread_local at_the_end after;  // made before the thread has a number, destroyed after it has none
    after.call = [&p] {
      CHECK(p.threads().number() == hot_threads::none);
      std::thread{[&p] {
        CHECK(p.ref.get() == take_result::taken);
        CHECK(p.threads().number() == 0);
      }}.join();
      CHECK(p.ref.get(4) == take_result::taken);
      CHECK_FALSE(p.threads().enter());
    };
    CHECK(p.ref.get(2) == take_result::taken);
    CHECK(p.threads().number() == 0);
  }};
  ending.join();
  CHECK(p.counts->each[0].taken.load() == 3);
  CHECK(p.ref.snapshot() == bias64::of(8));
}

TEST_CASE("pins taken on one thread and released on another, for ever, in few operations on the word") {
  using layout = pinref::bias_layout<std::uint16_t, 8, 2>;
  const auto play = [](auto& p, std::size_t n, int times, int most) {
    REQUIRE_HOT(p);
    hooked_sync::interleave([](int) {});
    int refused = 0, wrong = 0;
    for (int i = 0; i != times; ++i) {
      alone::own = 0;
      refused += p.ref.try_pin(n) != take_result::taken;
      alone::own = 1;
      wrong += p.ref.pins() != n;
      refused += p.ref.unpin(n) != release_result::released;
    }
    const int operations = std::exchange(hooked_sync::step, 0);
    hooked_sync::hook = nullptr;
    CHECK(refused == 0);
    CHECK(wrong == 0);
    CHECK(operations <= most);
    CHECK_FALSE(p.ref.dma_pinned());
    CHECK(p.ref.make_exact() == release_result::released);
    CHECK(p.ref.count() == 1);
    CHECK(p.ref.pins() == 0);
  };
  SUBCASE("in a small word, one by one") {
    // Two pins fit in a slot: each second one closes the switch, adds to the word, opens the switch.
    page<hot_ref<layout, alone, 2>> p;
    play(p, 1, 100'000, 100'000 / 2 * 2 * 3);
  }
  SUBCASE("in a large one, by so many at once that the word would be full after a few thousand") {
    page<hot_ref<bias64, alone, 4>> p;
    const std::size_t n = p.ref.max_pins_at_once / 16;
    play(p, n, 100'000, 100'000 / 8 * 2 * 3);  // eight times so many fit
  }
  SUBCASE("by more at once than a slot counts") {
    page<hot_ref<layout, alone, 4>> p;
    play(p, p.ref.max_pins_at_once, 10'000, 10'000 * 2);
  }
}

TEST_CASE("a thread that releases what it took never changes the word") {
  page<hot_ref<pinref::bias_layout<std::uint16_t, 8, 2>, alone, 2>> p;
  alone::own = 1;
  REQUIRE_HOT(p);
  hooked_sync::interleave([](int) {});
  for (int i = 0; i != 1000; ++i) {
    CHECK(p.ref.try_pin() == take_result::taken);
    CHECK(p.ref.unpin() == release_result::released);
  }
  CHECK(hooked_sync::step == 0);
  hooked_sync::hook = nullptr;
}

TEST_CASE("any threads take and release, and every answer is that of the word of an exact page") {
  using layout = pinref::bias_layout<std::uint16_t, 8, 2>;
  page<hot_ref<layout, numbered, 3>> p;
  pinref::page_ref<layout> plain;
  plain.reset();
  REQUIRE_HOT(p);
  std::mt19937 random{11};
  std::size_t references = 0, pins = 0;
  const auto both = [&](auto operation) {
    const auto expected = operation(plain);
    REQUIRE(operation(p.ref) == expected);
  };
  for (int i = 0; i != 200'000; ++i) {
    numbered::own = random() % 4;  // the last has no slot
    // Long runs of takes and of releases, and one that takes what the others release.
    const bool taking =
        random() % 5 != 0 ? numbered::own % 2 == static_cast<unsigned>(i) / 1000 % 2 : random() % 2 != 0;
    const std::size_t n = random() % 4, many = random() % 64;
    if (taking && references + many <= 100) {
      both([&](auto& ref) { return ref.try_get(many); });
      references += many;
    } else if (!taking && references >= many) {
      both([&](auto& ref) { return ref.put(many); });
      references -= many;
    }
    if (taking && pins + n <= 60) {
      both([&](auto& ref) { return ref.try_pin(n); });
      pins += n;
    } else if (!taking && pins >= n) {
      both([&](auto& ref) { return ref.unpin(n); });
      pins -= n;
    }
    REQUIRE(p.ref.snapshot() == plain.snapshot());
    if (i % 16 == 0) REQUIRE(p.ref.dma_pinned() == plain.dma_pinned());
    if (i % 999 == 0) {
      CHECK(p.ref.make_exact() == release_result::released);
      REQUIRE(p.ref.snapshot() == plain.snapshot());
      (void)p.heat();
    }
  }
  numbered::own = 0;
}

TEST_CASE("a thread whose difference is large while another has the switch counts in the word, and does not wait") {
  using layout = pinref::bias_layout<std::uint16_t, 8, 2>;
  struct asked : numbered {
    static std::function<void()>& meanwhile() {
      static std::function<void()> call;
      return call;
    }
    static void heavy_barrier() noexcept {
      if (meanwhile()) std::exchange(meanwhile(), nullptr)();
    }
    static void pause() noexcept { FAIL("waits"); }
  };
  page<hot_ref<layout, asked, 2>> p;
  REQUIRE_HOT(p);
  numbered::own = 0;
  REQUIRE(p.ref.try_pin(2) == take_result::taken);
  asked::meanwhile() = [&p] {
    for (int i = 0; i != 10; ++i) CHECK(p.ref.try_pin() == take_result::taken);
    numbered::own = 1;
    for (int i = 0; i != 10; ++i) CHECK(p.ref.unpin() == release_result::released);
  };
  CHECK(p.ref.dma_pinned());
  CHECK(p.counts->each[0].outstanding() == 2 * layout::pin_bias);
  CHECK(p.ref.snapshot() == layout::of(1, 2));
  CHECK(p.ref.unpin(2) == release_result::released);
  CHECK(p.ref.snapshot() == layout::of(1));
  numbered::own = 0;
  CHECK(p.ref.try_pin() == take_result::taken);
  CHECK(p.counts->each[0].outstanding() == layout::pin_bias);
  CHECK(p.ref.unpin() == release_result::released);
}

TEST_CASE("a difference for which the word has no room stays in its slot") {
  using layout = pinref::bias_layout<std::uint16_t, 8, 2>;
  page<hot_ref<layout, numbered, 2>> p;
  REQUIRE_HOT(p);
  numbered::own = 0;
  REQUIRE(p.ref.try_pin(2) == take_result::taken);
  numbered::own = ~0u;
  std::uint16_t held = 2;
  while (p.ref.try_pin() == take_result::taken) ++held;
  numbered::own = 0;
  CHECK(p.ref.try_pin() == take_result::overflow);
  CHECK(p.counts->each[0].outstanding() == 2 * layout::pin_bias);
  CHECK(p.ref.snapshot() == layout::of(1, held));
  for (; held != 0; --held) REQUIRE(p.ref.unpin() == release_result::released);
  CHECK(p.ref.snapshot() == layout::of(1));
  CHECK(p.ref.make_exact() == release_result::released);
  CHECK(p.ref.snapshot() == layout::of(1));
}

TEST_CASE("make_hot adds nothing to a word that has filled up meanwhile") {
  using layout = support::bias16_exact;
  page<hot_ref<layout, alone, 2>> p;
  alone::own = ~0u;
  constexpr auto full = layout::zones::max_holders;
  hooked_sync::interleave([&p](int step) {
    if (step == 1)  // the look is past
      while (p.ref.count() + p.ref.pins() * layout::pin_bias < full) REQUIRE(p.ref.get() == take_result::taken);
    if (step > 1) CHECK(p.ref.try_get() == take_result::overflow);
  });
  const bool hot = p.heat();
  hooked_sync::hook = nullptr;
  CHECK_FALSE(hot);
  CHECK(p.ref.snapshot() == layout::of(full));
}

TEST_CASE("many threads, while the page is switched and asked about") {
  page<> p;
  REQUIRE_HOT(p);
  std::atomic<bool> stop{false};
  std::atomic<unsigned> wrong{0};
  std::vector<std::thread> threads;
  REQUIRE(p.ref.try_pin() == take_result::taken);
  for (int i = 0; i != 3; ++i)
    threads.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        wrong += p.ref.try_get() != take_result::taken;
        wrong += p.ref.try_pin(2) != take_result::taken;
        wrong += p.ref.put() != release_result::released;
        wrong += p.ref.unpin(2) != release_result::released;
      }
    });
  for (int i = 0; i != 2000; ++i) {
    switch (i % 4) {
      case 0:
        wrong += p.ref.make_exact() != release_result::released;
        break;
      case 1:
        wrong += !p.heat();
        break;
      default:
        wrong += !p.ref.dma_pinned();
        wrong += p.ref.idle(1);
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(p.ref.unpin() == release_result::released);
  CHECK_FALSE(p.ref.dma_pinned());
  (void)p.ref.make_exact();
  CHECK(p.ref.snapshot() == bias64::of(1));
}

TEST_CASE("hosts and pin_user_pages take a hot page unchanged") {
  using ref = hot_ref<>;
  using frame = pinref::basic_frame<ref>;
  static pinref::hot_threads threads;
  static ref::slots counts{threads};
  pinref::basic_frame_arena<ref> arena{1};
  pinref::basic_page_table<ref> space{arena, 0x100000, 16};
  REQUIRE(arena.valid());
  REQUIRE(space.map(0x100000, 4, pinref::protection::read_write));
  frame* pages[4];
  REQUIRE(pinref::pin_user_pages_fast(space, 0x100000, 4, foll::write, pages) ==
          pinref::gup_result{4, pinref::gup_error::none});
  frame& hot = *pages[1];
  REQUIRE(pinref::get_page(hot) == take_result::taken);  // its keeper's
  const bool is_hot = hot.ref().make_hot(counts);
  CHECK(is_hot == hot_sync::has_heavy_barrier());
  CHECK(pinref::page_dma_pinned(hot));
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 4, true) == pinref::gup_result{4, pinref::gup_error::none});
  CHECK(hot.dirty());
  CHECK_FALSE(pinref::page_dma_pinned(hot));
  for (int again = 0; again != 2; ++again) {
    frame* more[4];
    REQUIRE(pinref::pin_user_pages_fast(space, 0x100000, 4, foll::write, more).ok());
    CHECK(more[1] == &hot);
    CHECK(pinref::page_pin_count(hot) == 1);
    CHECK(pinref::page_dma_pinned(hot));
    CHECK(pinref::unpin_user_pages(more, 4).ok());
    CHECK(hot.ref().is_hot() == is_hot);
  }
  space.unmap(0x100000, 4);
  CHECK(arena.nr_free() == arena.nr_frames() - 1);
  CHECK(hot.ref().make_exact() == release_result::released);
  CHECK(pinref::put_page(hot) == release_result::last);
  CHECK(arena.nr_free() == arena.nr_frames());
}
