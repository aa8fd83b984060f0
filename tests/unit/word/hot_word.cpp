// SPDX-License-Identifier: MIT

// What a hot page keeps for each thread, and when that moves into its word.

#include "pinref/word/hot_word.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "hot_pages.hpp"
#include "layouts.hpp"
#include "other_stamp.hpp"

using pinref::bias64;
using pinref::hot_ref;
using pinref::hot_sync;
using pinref::hot_threads;
using pinref::release_result;
using pinref::take_result;
using support::alone;
using support::hooked_sync;
using support::hot_page;
using support::numbered;

static_assert(pinref::hot_counter<hot_ref<>::counter> && pinref::reference_counter<hot_ref<>::counter>);
static_assert(!pinref::hot_counter<pinref::page_ref<>::counter> && !pinref::ticketed_counter<hot_ref<>::counter>);

TEST_CASE("each take and release of a hot page is counted in its thread's slot, and leaves the word alone") {
  hot_page<hot_ref<bias64, numbered, 2>> p;
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
  hot_page<hot_ref<layout, numbered, 2>> p;
  for (int hot = 0; hot != 2; ++hot) {
    if (hot == 1) REQUIRE_HOT(p);
    CHECK_FALSE(p.ref.freeze(256 + 1));
    CHECK(p.ref.idle(256));
    CHECK(p.ref.snapshot() == layout::live(1));
  }
  (void)p.ref.make_exact();
  REQUIRE(p.ref.put() == release_result::last);
  CHECK_FALSE(p.ref.freeze(0));
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
  hot_page<hot_ref<bias64, meeting, 2>> p;
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
  CHECK(p.ref.snapshot() == bias64::live(1, 1));
}

TEST_CASE("a thread without a number counts in the word, and gets one when one is free") {
  hot_page<> p;
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
  CHECK(p.ref.snapshot() == bias64::live(1, 1));
  for (const auto& each : p.counts->each) CHECK(each.taken.load() == 0);
  stop = true;
  for (std::thread& each : others) each.join();
  CHECK(p.ref.unpin() == release_result::released);
  CHECK(p.ref.snapshot() == bias64::live(1));
  if (hot) CHECK(p.threads().number() == 0);
}

TEST_CASE("a thread with numbers from several objects counts in the right slots, and gives all of them back") {
  hot_page<> here, there;
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
  for (hot_page<>* each : {&here, &there}) std::thread{[each] { CHECK(each->threads().enroll() == 0); }}.join();
  CHECK(here.ref.snapshot() == bias64::live(4));
  CHECK(there.ref.snapshot() == bias64::live(7));
}

TEST_CASE("a destructor at the end of a thread that has given its number back counts in the word") {
  struct at_the_end {
    ~at_the_end() { call(); }
    std::function<void()> call;
  };
  hot_page<> p;
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
  CHECK(p.ref.snapshot() == bias64::live(8));
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
    CHECK(p.ref.references() == 1);
    CHECK(p.ref.pins() == 0);
  };
  SUBCASE("in a small word, one by one") {
    // Two pins fit in a slot: each second one closes the switch, adds to the word, opens the switch.
    hot_page<hot_ref<layout, alone, 2>> p;
    play(p, 1, 100'000, 100'000 / 2 * 2 * 3);
  }
  SUBCASE("in a large one, by so many at once that the word would be full after a few thousand") {
    hot_page<hot_ref<bias64, alone, 4>> p;
    const std::size_t n = p.ref.max_pins_at_once / 16;
    play(p, n, 100'000, 100'000 / 8 * 2 * 3);  // eight times so many fit
  }
  SUBCASE("by more at once than a slot counts") {
    hot_page<hot_ref<layout, alone, 4>> p;
    play(p, p.ref.max_pins_at_once, 10'000, 10'000 * 2);
  }
}

TEST_CASE("a thread that releases what it took never changes the word") {
  hot_page<hot_ref<pinref::bias_layout<std::uint16_t, 8, 2>, alone, 2>> p;
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
  hot_page<hot_ref<layout, asked, 2>> p;
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
  CHECK(p.ref.snapshot() == layout::live(1, 2));
  CHECK(p.ref.unpin(2) == release_result::released);
  CHECK(p.ref.snapshot() == layout::live(1));
  numbered::own = 0;
  CHECK(p.ref.try_pin() == take_result::taken);
  CHECK(p.counts->each[0].outstanding() == layout::pin_bias);
  CHECK(p.ref.unpin() == release_result::released);
}

TEST_CASE("a difference for which the word has no room stays in its slot") {
  using layout = pinref::bias_layout<std::uint16_t, 8, 2>;
  hot_page<hot_ref<layout, numbered, 2>> p;
  REQUIRE_HOT(p);
  numbered::own = 0;
  REQUIRE(p.ref.try_pin(2) == take_result::taken);
  numbered::own = ~0u;
  std::uint16_t held = 2;
  while (p.ref.try_pin() == take_result::taken) ++held;
  numbered::own = 0;
  CHECK(p.ref.try_pin() == take_result::overflow);
  CHECK(p.counts->each[0].outstanding() == 2 * layout::pin_bias);
  CHECK(p.ref.snapshot() == layout::live(1, held));
  for (; held != 0; --held) REQUIRE(p.ref.unpin() == release_result::released);
  CHECK(p.ref.snapshot() == layout::live(1));
  CHECK(p.ref.make_exact() == release_result::released);
  CHECK(p.ref.snapshot() == layout::live(1));
}

TEST_CASE("make_hot adds nothing to a word that has filled up meanwhile") {
  using layout = support::bias16_exact;
  hot_page<hot_ref<layout, alone, 2>> p;
  alone::own = ~0u;
  constexpr auto full = layout::zones::max_holders;
  hooked_sync::interleave([&p](int step) {
    if (step == 1)  // the look is past
      while (p.ref.references() + p.ref.pins() * layout::pin_bias < full) REQUIRE(p.ref.get() == take_result::taken);
    if (step > 1) CHECK(p.ref.try_get() == take_result::overflow);
  });
  const bool hot = p.heat();
  hooked_sync::hook = nullptr;
  CHECK_FALSE(hot);
  CHECK(p.ref.snapshot() == layout::live(full));
}

TEST_CASE("slots that another version has made are not counted in") {
  hot_page<hot_ref<bias64, numbered, 2>> p;
  support::stamp_otherwise(*p.counts);
  CHECK_FALSE(p.heat());
  CHECK(p.ref.snapshot() == bias64::live(1));
}
