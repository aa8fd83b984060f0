#include <doctest/doctest.h>

#include "layouts.hpp"

// Every operation in every state of an 8-bit word, against an oracle in plain integers.

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

namespace {

constexpr int sign = 128, dead_begin = 192, dead = 224, noise = 16, max_delta = 16;

bool is_dead(int word) {
  return word >= dead_begin;
}

// A dead word collects noise up to the clamp; further out it comes only while somebody is inside a take.
bool at_rest(int word) {
  return !is_dead(word) || (word > dead - noise && word < dead + noise);
}

int clamped(int word) {
  return at_rest(word) ? word : dead;
}

struct expected_take {
  take_result result;
  int word;
};

expected_take oracle_take(int word, int delta) {
  if (is_dead(word)) return {take_result::dead, clamped(word + delta)};
  if (word + delta >= sign) return {take_result::overflow, word};
  return {take_result::taken, word + delta};
}

struct expected_release {
  release_result result;
  int word;
};

expected_release oracle_release(int word, int delta, int idle_level) {
  if (is_dead(word)) return {release_result::underflow, clamped(word - delta)};
  if (word >= sign) return {release_result::released, word - delta};
  if (word < delta) return {release_result::underflow, word};
  if (word == delta) return {release_result::last, dead};
  return {word - delta == idle_level ? release_result::idle : release_result::released, word - delta};
}

// The word after `operation` on a page_ref in state `word`, and what it answered.
template <class Layout, class Operation>
auto apply(int word, Operation operation) {
  page_ref<Layout> ref{Layout{static_cast<std::uint8_t>(word)}};
  const auto result = operation(ref);
  return std::pair{result, static_cast<int>(ref.snapshot().raw())};
}

template <class Layout, class Operation>
void check_take(int word, int delta, Operation operation) {
  const auto [result, after] = apply<Layout>(word, operation);
  const expected_take expected = oracle_take(word, delta);
  CHECK(result == expected.result);
  CHECK(after == expected.word);
}

template <class Layout, class Operation>
void check_release(int word, int delta, int idle_level, Operation operation) {
  const auto [result, after] = apply<Layout>(word, operation);
  const expected_release expected = oracle_release(word, delta, idle_level);
  CHECK(result == expected.result);
  CHECK(after == expected.word);
}

}  // namespace

TEST_CASE_TEMPLATE("takes in every state of an 8-bit word", Layout, SMALL_BIAS_LAYOUTS) {
  const int bias = Layout::pin_bias;
  for (int word = 0; word != 256; ++word) {
    if (!at_rest(word)) continue;
    CAPTURE(word);
    for (int n = 0; n <= max_delta; ++n) {
      CAPTURE(n);
      const auto count = static_cast<std::size_t>(n);
      check_take<Layout>(word, n, [&](auto& ref) { return ref.get(count); });
      check_take<Layout>(word, n, [&](auto& ref) { return ref.try_get(count); });
      if (n * bias <= max_delta) check_take<Layout>(word, n * bias, [&](auto& ref) { return ref.try_pin(count); });

      const auto [result, after] = apply<Layout>(word, [&](auto& ref) { return ref.try_get_if_alive(count); });
      const expected_take full = oracle_take(word, n);
      CHECK(result == (word >= sign && !is_dead(word) ? take_result::overflow : full.result));
      CHECK(after == (is_dead(word) ? word : full.word));
    }
  }
}

TEST_CASE_TEMPLATE("releases in every state of an 8-bit word, at both idle levels", Layout, SMALL_BIAS_LAYOUTS) {
  const int bias = Layout::pin_bias;
  for (int word = 0; word != 256; ++word) {
    if (!at_rest(word)) continue;
    CAPTURE(word);
    for (int idle_level : {0, 1}) {
      CAPTURE(idle_level);
      const auto level = static_cast<std::size_t>(idle_level);
      for (int n = 1; n <= max_delta; ++n) {
        CAPTURE(n);
        const auto count = static_cast<std::size_t>(n);
        check_release<Layout>(word, n, idle_level, [&](auto& ref) { return ref.put(count, level); });
        if (n * bias <= max_delta)
          check_release<Layout>(word, n * bias, idle_level, [&](auto& ref) { return ref.unpin(count, level); });
      }
      check_release<Layout>(word, 1, idle_level, [&](auto& ref) { return ref.put_sole(level); });
    }
  }
}

TEST_CASE_TEMPLATE("freeze succeeds from exactly the expected references and from nothing else", Layout,
                   SMALL_BIAS_LAYOUTS) {
  for (int word = 0; word != 256; ++word)
    for (int expected = 0; expected != sign; ++expected) {
      const auto [frozen, after] =
          apply<Layout>(word, [&](auto& ref) { return ref.freeze(static_cast<std::size_t>(expected)); });
      REQUIRE(frozen == (expected != 0 && word == expected));
      REQUIRE(after == (frozen ? dead : word));
    }
}

TEST_CASE_TEMPLATE("reset and unfreeze overwrite whatever noise a dead word has", Layout, SMALL_BIAS_LAYOUTS) {
  for (int word = dead_begin; word != 256; ++word)
    for (std::size_t n = 1; n != 128; ++n) {
      page_ref<Layout> ref{Layout{static_cast<std::uint8_t>(word)}};
      ref.reset(n);
      REQUIRE(ref.snapshot().raw() == n);
      page_ref<Layout> frozen{Layout{static_cast<std::uint8_t>(word)}};
      frozen.unfreeze(n);
      REQUIRE(frozen.snapshot().raw() == n);
    }
}

TEST_CASE_TEMPLATE("questions change nothing and agree with the word", Layout, SMALL_BIAS_LAYOUTS) {
  for (int word = 0; word != 256; ++word) {
    CAPTURE(word);
    const Layout state{static_cast<std::uint8_t>(word)};
    page_ref<Layout> ref{state};
    CHECK(ref.dma_pinned() == state.maybe_pinned());
    CHECK(ref.dma_pinned_hint() == state.maybe_pinned());
    CHECK(ref.count() == state.references());
    CHECK(ref.pins() == state.pins());
    CHECK(ref.snapshot() == state);
  }
}

TEST_CASE_TEMPLATE("a bulk above the limit is refused and changes nothing, in every state", Layout,
                   SMALL_BIAS_LAYOUTS) {
  for (int word = 0; word != 256; ++word) {
    page_ref<Layout> ref{Layout{static_cast<std::uint8_t>(word)}};
    CHECK(ref.get(Layout::max_references_at_once + 1u) == take_result::overflow);
    CHECK(ref.try_get(Layout::max_references_at_once + 1u) == take_result::overflow);
    CHECK(ref.try_get_if_alive(Layout::max_references_at_once + 1u) == take_result::overflow);
    CHECK(ref.try_pin(Layout::max_pins_at_once + 1u) == take_result::overflow);
    CHECK(ref.put(Layout::max_references_at_once + 1u) == release_result::underflow);
    CHECK(ref.unpin(Layout::max_pins_at_once + 1u) == release_result::underflow);
    CHECK(ref.try_pin(~std::size_t{0}) == take_result::overflow);
    REQUIRE(ref.snapshot().raw() == word);
  }
}

TEST_CASE("split: every state of two 8-bit words") {
  using support::split8;
  for (int holders = 0; holders != 256; ++holders) {
    if (!at_rest(holders)) continue;
    CAPTURE(holders);
    const int most = is_dead(holders) ? 0 : holders > 127 ? 127 : holders;
    for (int pins = 0; pins <= most; ++pins) {
      CAPTURE(pins);
      const split8 state{static_cast<std::uint8_t>(holders), static_cast<std::uint8_t>(pins)};
      for (int n = 1; n <= max_delta; ++n) {
        CAPTURE(n);
        const auto count = static_cast<std::size_t>(n);
        {
          page_ref<split8> ref{state};
          const expected_take expected = oracle_take(holders, n);
          REQUIRE(ref.try_get(count) == expected.result);
          REQUIRE(ref.snapshot() == split8{static_cast<std::uint8_t>(expected.word), static_cast<std::uint8_t>(pins)});
        }
        {
          page_ref<split8> ref{state};
          const expected_take expected = oracle_take(holders, n);
          const int pins_after = expected.result == take_result::taken ? pins + n : pins;
          REQUIRE(ref.try_pin(count) == expected.result);
          REQUIRE(ref.snapshot() ==
                  split8{static_cast<std::uint8_t>(expected.word), static_cast<std::uint8_t>(pins_after)});
        }
        for (int idle_level : {0, 1}) {
          const auto level = static_cast<std::size_t>(idle_level);
          {
            page_ref<split8> ref{state};
            const expected_release expected = oracle_release(holders, n, idle_level);
            REQUIRE(ref.put(count, level) == expected.result);
            REQUIRE(ref.snapshot() ==
                    split8{static_cast<std::uint8_t>(expected.word), static_cast<std::uint8_t>(pins)});
          }
          {
            page_ref<split8> ref{state};
            const bool enough = pins >= n;
            const expected_release expected =
                enough ? oracle_release(holders, n, idle_level) : expected_release{release_result::underflow, holders};
            REQUIRE(ref.unpin(count, level) == expected.result);
            REQUIRE(ref.snapshot() == split8{static_cast<std::uint8_t>(expected.word),
                                             static_cast<std::uint8_t>(enough ? pins - n : pins)});
          }
        }
      }
      page_ref<split8> ref{state};
      CHECK(ref.dma_pinned() == (pins != 0));
      CHECK(ref.dma_pinned_hint() == (pins != 0));
      const bool frozen = ref.freeze(3);
      CHECK(frozen == (holders == 3));
      ref.reset(2);
      CHECK(ref.snapshot() == split8{2, 0});
    }
  }
}
