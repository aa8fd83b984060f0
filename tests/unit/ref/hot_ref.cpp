// SPDX-License-Identifier: MIT

// What the explorer cannot show: that a hot page is a page_ref to everybody who uses one.

#include "pinref/ref/hot_ref.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "all_pins.hpp"
#include "hot_pages.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"

using pinref::bias64;
using pinref::foll;
using pinref::hot_ref;
using pinref::hot_sync;
using pinref::release_result;
using pinref::take_result;
using support::hot_page;
using support::no_barrier;
using support::numbered;

static_assert(pinref::reference_word<hot_ref<>>);
static_assert(pinref::reference_word<support::accounted<hot_ref<>>>);
static_assert(pinref::reference_word<pinref::checked_ref<hot_ref<>>>);
static_assert(sizeof(hot_ref<>) <= 24);

TEST_CASE("exact, hot, and changing between the two: the same answers and counts as page_ref") {
  enum class mode { exact, hot, changing };
  for (const mode how : {mode::exact, mode::hot, mode::changing}) {
    CAPTURE(static_cast<int>(how));
    hot_page<> p;
    pinref::page_ref<> plain;
    plain.init();
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
      REQUIRE(p.ref.references() == plain.references());
      REQUIRE(p.ref.pins() == plain.pins());
    }
    if (how == mode::hot) CHECK(p.ref.is_hot());
  }
}

TEST_CASE("zero: told when the page is exact; a reference that went while it was hot is told by the switch") {
  hot_page<> p;
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
  p.ref.init(2);
  REQUIRE(p.heat());
  CHECK(p.ref.references() == 2);
}

TEST_CASE("the idle level and releases of too much are told when the page is exact") {
  hot_page<> p;
  REQUIRE_HOT(p);
  REQUIRE(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.unpin(1, pinref::owner_ref::resident) == release_result::released);
  (void)p.ref.make_exact();
  REQUIRE(p.ref.try_pin() == take_result::taken);
  CHECK(p.ref.unpin(1, pinref::owner_ref::resident) == release_result::idle);
  CHECK(p.ref.unpin(2) == release_result::underflow);
  REQUIRE(p.heat());
  CHECK(p.ref.put(2) == release_result::released);
  CHECK(p.ref.make_exact() == release_result::underflow);
  // The page leaks, and is not reused under anybody; it is neither pinned for good nor out of room.
  CHECK(p.ref.snapshot() == bias64::live(2));
  CHECK_FALSE(p.ref.dma_pinned());
}

TEST_CASE("a bulk above the limit is refused and changes nothing, hot or exact") {
  hot_page<> p;
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
    CHECK(p.ref.snapshot() == bias64::live(1));
  }
}

TEST_CASE("pins of a hot page overflow where the word does, and not one is lost") {
  hot_page<hot_ref<bias64, numbered, 2>> p;
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
  CHECK(p.ref.snapshot() == bias64::live(1, held));
  CHECK_FALSE(p.heat());  // far too many for that
  for (; held != 0; held -= bulk) REQUIRE(p.ref.unpin(bulk) == release_result::released);
  CHECK(p.heat());
  CHECK(p.ref.snapshot() == bias64::live(1));
}

TEST_CASE("a hot page with more pins than a switch may carry is not made hot, and a hot one is hot already") {
  hot_page<> p;
  const std::size_t bulk = p.ref.max_pins_at_once, most = std::size_t{1} << 26;
  for (std::size_t held = 0; held != most; held += bulk) REQUIRE(p.ref.try_pin(bulk) == take_result::taken);
  CHECK_FALSE(p.heat());
  REQUIRE(p.ref.unpin(2) == release_result::released);
  REQUIRE_HOT(p);
  CHECK(p.heat());
  CHECK(p.ref.snapshot() == bias64::live(1, most - 2));
}

TEST_CASE("freeze: alone with a hot page makes it exact and takes it; not alone leaves it hot") {
  hot_page<> p;
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
  CHECK(p.ref.snapshot() == bias64::live(1));
  CHECK(p.heat());
}

TEST_CASE("a hot page that is made dead is exact, whatever it counts, and can live and be hot again") {
  hot_page<> p;
  REQUIRE_HOT(p);
  REQUIRE(p.ref.try_pin(3) == take_result::taken);
  p.ref.bury();
  CHECK_FALSE(p.ref.is_hot());
  CHECK(p.ref.try_get() == take_result::dead);
  p.ref.init();
  CHECK(p.ref.snapshot() == bias64::live(1));
  CHECK(p.heat());
  CHECK(p.ref.snapshot() == bias64::live(1));
}

TEST_CASE("without a barrier a page stays as it is and works") {
  hot_page<hot_ref<bias64, no_barrier>> p;
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
      hot_page<ref> p;
      REQUIRE_HOT(p);
      numbered::own = taker;
      REQUIRE(p.ref.try_pin(3) == take_result::taken);
      REQUIRE(p.ref.get(5) == take_result::taken);
      numbered::own = releaser;
      CHECK(p.ref.unpin(2) == release_result::released);
      CHECK(p.ref.put(5) == release_result::released);
      CHECK(p.ref.dma_pinned());
      CHECK(p.ref.snapshot() == bias64::live(1, 1));
      CHECK(p.ref.unpin() == release_result::released);
      CHECK_FALSE(p.ref.dma_pinned());
      CHECK(p.ref.make_exact() == release_result::released);
      CHECK(p.ref.snapshot() == bias64::live(1));
    }
  numbered::own = 0;
}

TEST_CASE("a wait makes the page exact, and it is not made hot under the waiter") {
  hot_page<> p;
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

TEST_CASE("any threads take and release, and every answer is that of the word of an exact page") {
  using layout = pinref::bias_layout<std::uint16_t, 8, 2>;
  hot_page<hot_ref<layout, numbered, 3>> p;
  pinref::page_ref<layout> plain;
  plain.init();
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

TEST_CASE("many threads, while the page is switched and asked about") {
  hot_page<> p;
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
  CHECK(p.ref.snapshot() == bias64::live(1));
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
    CHECK(pinref::page_pins(hot) == 1);
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
