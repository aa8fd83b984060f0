// SPDX-License-Identifier: MIT

// One word, used from C and from C++ at the same time.

#include "both.h"

#include <doctest/doctest.h>
#include <pinref/pinref.hpp>

#include <atomic>
#include <cstdint>
#include <new>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using pinref::release_result, pinref::take_result;
using ref = pinref::page_ref<>;
static_assert(sizeof(pinref_word) == sizeof(ref) && alignof(pinref_word) == alignof(ref));
static_assert(sizeof(pinref_canceller) == sizeof(pinref::wait_canceller<>));

/// A word that C++ made, as C sees it; and the other way round.
pinref_word* in_c(ref& word) {
  return reinterpret_cast<pinref_word*>(&word);
}
ref& in_cxx(pinref_word& word) {
  return *std::launder(reinterpret_cast<ref*>(&word));
}

TEST_CASE("what one language counts the other sees") {
  pinref_word word = PINREF_DEAD_WORD;
  CHECK(in_cxx(word).snapshot().zone() == pinref::zone::dead);
  in_cxx(word).init(2);
  CHECK(both_pin(&word) == PINREF_TAKE_TAKEN);
  CHECK(in_cxx(word).references() == 2);
  CHECK(in_cxx(word).pins() == 1);
  CHECK(in_cxx(word).dma_pinned());
  REQUIRE(in_cxx(word).try_pin() == take_result::taken);
  CHECK(both_unpin(&word) == PINREF_RELEASE_RELEASED);
  CHECK(both_asks(&word));
  CHECK(in_cxx(word).unpin() == release_result::released);
  CHECK_FALSE(both_asks(&word));
  CHECK(in_cxx(word).put(2) == release_result::last);
  CHECK(word.raw == PINREF_DEAD);
}

TEST_CASE("both languages at once, and an evictor in each") {
  ref word{pinref::bias64::live(1)};
  constexpr int rounds = 20'000;
  std::atomic<int> wrong{0};
  int done = 0;
  std::thread evictor{[&] { (void)both_freeze(in_c(word), &done); }};
  std::vector<std::thread> users;
  for (int i = 0; i != 2; ++i) {
    users.emplace_back([&] { wrong += both_use(in_c(word), rounds); });
    users.emplace_back([&] {
      for (int round = 0; round != rounds; ++round) {
        if (word.try_get() != take_result::taken) continue;
        if (word.try_pin() != take_result::taken || !word.dma_pinned()) ++wrong;
        if (word.unpin() != release_result::released || word.put() != release_result::released) ++wrong;
        if (word.freeze(1)) word.unfreeze(1);
      }
    });
  }
  for (std::thread& user : users) user.join();
  __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
  evictor.join();
  CHECK(wrong == 0);
  CHECK(word.references() == 1);
  CHECK(word.pins() == 0);
  CHECK(word.put() == release_result::last);
}

// The sleeper is awake only if the wake-up of the other language is what it sleeps for.
TEST_CASE("a release in one language ends a wait in the other") {
  ref word{pinref::bias64::live(1, 1)};
  const auto watched = [&word] { return word.snapshot().zone() == pinref::zone::watched; };
  {
    std::thread releaser{[&] {
      while (!watched()) std::this_thread::yield();
      CHECK(both_unpin(in_c(word)) == PINREF_RELEASE_RELEASED);
    }};
    CHECK(word.wait_until_unpinned() == pinref::wait_result::reached);
    releaser.join();
  }
  REQUIRE(word.try_pin() == take_result::taken);
  {
    std::thread releaser{[&] {
      while (!watched()) std::this_thread::yield();
      CHECK(word.unpin() == release_result::released);
    }};
    CHECK(both_wait(in_c(word)) == PINREF_WAIT_REACHED);
    releaser.join();
  }
  REQUIRE(word.try_pin() == take_result::taken);
  pinref::wait_canceller<> stop;
  {
    std::thread canceller{[&] {
      while (!watched()) std::this_thread::yield();
      both_cancel(reinterpret_cast<pinref_canceller*>(&stop));
    }};
    CHECK(word.wait_until_unpinned(pinref::deadline::never(), stop) == pinref::wait_result::given_up);
    canceller.join();
  }
  CHECK(word.unpin() == release_result::released);
  CHECK(word.put() == release_result::last);
}

}  // namespace
