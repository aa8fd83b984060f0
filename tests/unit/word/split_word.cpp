// SPDX-License-Identifier: MIT

// Two words: the holders, and the pins among them.

#include "pinref/word/split_word.hpp"

#include <doctest/doctest.h>

#include <cstdint>

#include "hooked_sync.hpp"
#include "pinref/ref/page_ref.hpp"
#include "small_words.hpp"

using pinref::owner_ref;
using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;
using pinref::zone;
using support::hooked_sync;
using support::oracle_of;
using support::small_word;
using support::split8;

TEST_CASE("split: every state of two 8-bit words") {
  constexpr int every_release = 256;
  const small_word& w = oracle_of<split8>;
  const auto state_of = [](int word, int pins) {
    return split8{static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(pins)};
  };
  const auto counts = [&](int word) { return w.zone_of(word) != zone::dead && w.zone_of(word) != zone::frozen; };
  for (int word = 0; word != w.values; ++word) {
    if (!w.at_rest(word)) continue;
    CAPTURE(word);
    const int most = !counts(word) ? 0 : w.holders_of(word);
    for (int pins = 0; pins <= most; ++pins) {
      CAPTURE(pins);
      const split8 state = state_of(word, pins);
      for (int n = 1; n <= w.max_delta; ++n) {
        CAPTURE(n);
        if (w.zone_of(word) == zone::overflow && word + n >= w.overflow_end) continue;
        const auto count = static_cast<std::size_t>(n);
        const auto taken = support::take_of(w, word, n);
        const auto check_take = [&](auto take, int more_pins) {
          page_ref<split8> ref{state};
          REQUIRE(take(ref) == taken.result);
          REQUIRE(ref.snapshot() == state_of(taken.word, taken.result == take_result::taken ? pins + more_pins : pins));
        };
        check_take([&](auto& ref) { return ref.get(count); }, 0);
        check_take([&](auto& ref) { return ref.try_get(count); }, 0);
        check_take([&](auto& ref) { return ref.try_get_if_alive(count); }, 0);
        check_take([&](auto& ref) { return ref.try_pin(count); }, n);
        check_take([&](auto& ref) { return ref.add_pin(count); }, n);
        for (const owner_ref owner : {owner_ref::counted, owner_ref::resident}) {
          const auto released = support::release_of(w, word, n, owner, every_release);
          {
            page_ref<split8> ref{state};
            REQUIRE(ref.put(count, owner) == released.result);
            REQUIRE(ref.snapshot() == state_of(released.word, pins));
          }
          {
            page_ref<split8> ref{state};
            const bool enough = pins >= n;
            REQUIRE(ref.unpin(count, owner) == (enough ? released.result : release_result::underflow));
            REQUIRE(ref.snapshot() == (enough ? state_of(released.word, pins - n) : state));
          }
        }
      }
      page_ref<split8> ref{state};
      CHECK(ref.dma_pinned() == (pins != 0));
      CHECK(ref.dma_pinned_hint() == (pins != 0));
      CHECK(ref.freeze(3) == (counts(word) && w.holders_of(word) == 3 && pins == 0));
      CHECK(ref.snapshot() == (ref.snapshot().zone() == zone::frozen ? state_of(w.frozen_by(0), 0) : state));
    }
  }
  page_ref<split8> ref;
  ref.init(2);
  CHECK(ref.snapshot() == split8::live(2));
}

TEST_CASE("split: a number above the limit of one call is refused and changes nothing") {
  constexpr std::size_t many = page_ref<split8>::max_references_at_once + 1;
  page_ref<split8> ref{split8::live(2 * many, many)};
  CHECK(ref.get(many) == take_result::overflow);
  CHECK(ref.try_get(many) == take_result::overflow);
  CHECK(ref.try_get_if_alive(many) == take_result::overflow);
  CHECK(ref.try_pin(many) == take_result::overflow);
  CHECK(ref.put(many) == release_result::underflow);
  CHECK(ref.unpin(many) == release_result::underflow);
  CHECK(ref.snapshot() == split8::live(2 * many, many));
}

TEST_CASE("split: freeze of no reference, or of more than the word counts, is refused") {
  page_ref<split8> ref{split8::live(1)};
  CHECK_FALSE(ref.freeze(257));
  CHECK_FALSE(ref.freeze(0));
  CHECK(ref.snapshot() == split8::live(1));
  CHECK(ref.put() == release_result::last);
  CHECK_FALSE(ref.freeze(0));
}

TEST_CASE("split: an unpin whose references somebody has put leaves the pins counted") {
  page_ref<split8> ref{split8::live(1, 2)};
  CHECK(ref.put(2) == release_result::released);
  CHECK(ref.unpin(2) == release_result::underflow);
  CHECK(ref.pins() == 2);
}

TEST_CASE("split: a life begins without the pins whose references somebody has put") {
  page_ref<split8> ref{split8::live(1, 2)};
  CHECK(ref.put(3) == release_result::last);
  CHECK(ref.snapshot().raw_pins() == 2);
  ref.init();
  CHECK(ref.snapshot() == split8::live(1));
  CHECK(ref.freeze(1));
}

TEST_CASE("split: a pin that comes while the page is claimed makes the claim fail, and the page lives on") {
  page_ref<pinref::split32, hooked_sync> ref;
  ref.init(2);
  hooked_sync::interleave([&](int step) {
    if (step != 0) return;
    REQUIRE(ref.put() == release_result::released);
    REQUIRE(ref.try_pin() == take_result::taken);
  });
  CHECK_FALSE(ref.freeze(2));
  hooked_sync::stop();
  CHECK(ref.snapshot() == pinref::split32::live(1, 1));
}
