// SPDX-License-Identifier: MIT

// The hook of hooked_sync: called before each read-modify-write of the thread under test, and nowhere else.

#include "pinref/explorer/hooked_sync.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "pinref/ref/page_ref.hpp"

namespace {

using explorer::hooked_sync;
using pinref::release_result;
using pinref::take_result;

struct stopped {
  ~stopped() { hooked_sync::stop(); }
};

}  // namespace

TEST_CASE("the hook is called before each read-modify-write, with its number") {
  const stopped at_end;
  hooked_sync::atomic<std::uint32_t> word{1};
  std::vector<std::uint32_t> seen;
  hooked_sync::interleave([&](int step) {
    CHECK(step == static_cast<int>(seen.size()));
    seen.push_back(word.load(std::memory_order_relaxed));
  });
  constexpr auto rlx = std::memory_order_relaxed;
  word.fetch_add(1, rlx);
  word.fetch_sub(1, rlx);
  word.fetch_or(6, rlx);
  word.fetch_and(3, rlx);
  word.exchange(9, rlx);
  std::uint32_t expected = 8;
  CHECK_FALSE(word.compare_exchange_strong(expected, 10, rlx, rlx));
  CHECK_FALSE(word.compare_exchange_weak(expected = 8, 10, rlx, rlx));
  CHECK(seen == std::vector<std::uint32_t>{1, 2, 1, 7, 3, 9, 9});
  word.store(5, rlx);
  CHECK(word.load(rlx) == 5);
  CHECK(seen.size() == 7);
}

TEST_CASE("what the hook does itself stops nowhere, and it may set another or none") {
  const stopped at_end;
  hooked_sync::atomic<std::uint32_t> word{0};
  int calls = 0;
  hooked_sync::interleave([&](int) {
    word.fetch_add(10, std::memory_order_relaxed);
    if (++calls == 2) hooked_sync::interleave([&](int step) { calls += 100 * (step + 1); });
  });
  for (int i = 0; i != 3; ++i) word.fetch_add(1, std::memory_order_relaxed);
  CHECK(calls == 2 + 100);
  hooked_sync::stop();
  word.fetch_add(1, std::memory_order_relaxed);
  CHECK(calls == 2 + 100);
  CHECK(word.load(std::memory_order_relaxed) == 24);
}

TEST_CASE("one thread plays the other: the last reference goes before the take, or right after its add") {
  const stopped at_end;
  using ref_type = pinref::page_ref<pinref::bias64, hooked_sync>;
  SUBCASE("before") {
    ref_type ref;
    ref.init();
    hooked_sync::interleave([&](int step) {
      if (step == 0) CHECK(ref.put() == release_result::last);
    });
    CHECK(ref.try_get() == take_result::dead);
  }
  SUBCASE("between the two steps of the last release") {
    ref_type ref;
    ref.init();
    hooked_sync::interleave([&](int step) {
      if (step == 1) CHECK(ref.try_get() == take_result::taken);
    });
    CHECK(ref.put() == release_result::released);
    hooked_sync::stop();
    CHECK(ref.put() == release_result::last);
  }
}
