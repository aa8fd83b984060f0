#include <doctest/doctest.h>

#include "layouts.hpp"

// Every operation in every state of an 8-bit word, against an oracle in plain integers.

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

namespace {

// The 8-bit word, in plain integers: what state it is in and how many holders it counts.
enum class kind { alive, overflow, watched, dead, in_flight };

constexpr int most_holders = 128, watch_limit = 16, dead_word = 224, watched_word = 160, max_delta = 16;

kind kind_of(int word) {
  if (word < 128 || word == 255) return kind::alive;
  if (word < 144) return kind::overflow;
  if (word >= watched_word && word < watched_word + watch_limit) return kind::watched;
  if (word == dead_word) return kind::dead;
  return kind::in_flight;  // only while some other thread is inside a call
}

int holders_of(int word) {
  return kind_of(word) == kind::watched ? word - watched_word : (word + 1) % 256;
}
int live(int holders) {
  return (holders + 255) % 256;
}

struct expected_take {
  take_result result;
  int word;
};

expected_take oracle_take(int word, int delta) {
  const int holders = holders_of(word) + delta;
  switch (kind_of(word)) {
    case kind::alive:
      if (holders > most_holders) return {take_result::overflow, word};
      return {take_result::taken, live(holders)};
    case kind::watched:
      return {take_result::taken, holders < watch_limit ? watched_word + holders : live(holders)};
    case kind::overflow:
      return {take_result::overflow, word};
    default:
      return {take_result::dead, word};
  }
}

struct expected_release {
  release_result result;
  int word;
};

// `quiet`: a release that leaves fewer holders ends the watch.
expected_release oracle_release(int word, int delta, int idle_level, int quiet) {
  if (kind_of(word) == kind::dead) return {release_result::underflow, word};
  if (kind_of(word) == kind::overflow) return {release_result::released, word - delta};
  const int left = holders_of(word) - delta;
  if (left < 0) return {release_result::underflow, word};
  if (left == 0) return {release_result::last, dead_word};
  const bool stays_watched = kind_of(word) == kind::watched && left >= quiet;
  return {left == idle_level && !stays_watched ? release_result::idle : release_result::released,
          stays_watched ? watched_word + left : live(left)};
}

bool at_rest(int word) {
  return kind_of(word) != kind::in_flight && word != 255;
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
  if (kind_of(word) == kind::overflow && word + delta >= 144) return;  // more than may be in flight
  const auto [result, after] = apply<Layout>(word, operation);
  const expected_take expected = oracle_take(word, delta);
  CHECK(result == expected.result);
  CHECK(after == expected.word);
}

template <class Layout, class Operation>
void check_release(int word, int delta, int idle_level, Operation operation) {
  const auto [result, after] = apply<Layout>(word, operation);
  const expected_release expected = oracle_release(word, delta, idle_level, Layout::pin_bias);
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
      if (n * bias > max_delta) continue;
      check_take<Layout>(word, n * bias, [&](auto& ref) { return ref.try_pin(count); });
      check_take<Layout>(word, n * bias, [&](auto& ref) { return ref.add_pin(count); });

      check_take<Layout>(word, n, [&](auto& ref) { return ref.try_get_if_alive(count); });
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
    for (int expected = 0; expected <= most_holders; ++expected) {
      const auto [frozen, after] =
          apply<Layout>(word, [&](auto& ref) { return ref.freeze(static_cast<std::size_t>(expected)); });
      // A watched word may have more holders than one that is newly watched.
      const bool watched = word >= watched_word && word < 192;
      const bool exact =
          watched ? word - watched_word == expected : kind_of(word) == kind::alive && holders_of(word) == expected;
      REQUIRE(frozen == (expected != 0 && exact));
      REQUIRE(after == (frozen ? dead_word : word));
    }
}

TEST_CASE_TEMPLATE("a life begins by adding: adds of takes that are under way are holders of the new life", Layout,
                   SMALL_BIAS_LAYOUTS) {
  for (int in_flight = 0; in_flight != 16; ++in_flight)
    for (int n = 1; n != 64; ++n) {
      const auto state = Layout{static_cast<std::uint8_t>(dead_word + in_flight)};
      page_ref<Layout> ref{state};
      ref.reset(static_cast<std::size_t>(n));
      REQUIRE(ref.snapshot().raw() == live(n + in_flight));
      page_ref<Layout> frozen{state};
      frozen.unfreeze(static_cast<std::size_t>(n));
      REQUIRE(frozen.snapshot().raw() == live(n + in_flight));
    }
}

TEST_CASE_TEMPLATE("a take that is given back leaves a dead word at its centre, whatever it stood at below", Layout,
                   SMALL_BIAS_LAYOUTS) {
  for (int word = 192; word != dead_word; ++word) {
    const auto [result, after] = apply<Layout>(word, [](auto& ref) { return ref.try_get(); });
    CHECK(result == take_result::dead);
    CHECK(after == dead_word);
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
  constexpr int every_release = 256;
  const auto state_of = [](int word, int pins) {
    return split8{static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(pins)};
  };
  for (int word = 0; word != 256; ++word) {
    if (!at_rest(word)) continue;
    CAPTURE(word);
    const int most = kind_of(word) == kind::dead ? 0 : holders_of(word);
    for (int pins = 0; pins <= most; ++pins) {
      CAPTURE(pins);
      const split8 state = state_of(word, pins);
      for (int n = 1; n <= max_delta; ++n) {
        CAPTURE(n);
        if (kind_of(word) == kind::overflow && word + n >= 144) continue;
        const auto count = static_cast<std::size_t>(n);
        const expected_take taken = oracle_take(word, n);
        for (auto get : {&page_ref<split8>::get, &page_ref<split8>::try_get, &page_ref<split8>::try_get_if_alive}) {
          page_ref<split8> ref{state};
          REQUIRE((ref.*get)(count) == taken.result);
          REQUIRE(ref.snapshot() == state_of(taken.word, pins));
        }
        for (auto pin : {&page_ref<split8>::try_pin, &page_ref<split8>::add_pin}) {
          page_ref<split8> ref{state};
          REQUIRE((ref.*pin)(count) == taken.result);
          REQUIRE(ref.snapshot() == state_of(taken.word, taken.result == take_result::taken ? pins + n : pins));
        }
        for (int idle_level : {0, 1}) {
          const auto level = static_cast<std::size_t>(idle_level);
          const expected_release released = oracle_release(word, n, idle_level, every_release);
          {
            page_ref<split8> ref{state};
            REQUIRE(ref.put(count, level) == released.result);
            REQUIRE(ref.snapshot() == state_of(released.word, pins));
          }
          {
            page_ref<split8> ref{state};
            const bool enough = pins >= n;
            REQUIRE(ref.unpin(count, level) == (enough ? released.result : release_result::underflow));
            REQUIRE(ref.snapshot() == (enough ? state_of(released.word, pins - n) : state));
          }
        }
      }
      page_ref<split8> ref{state};
      CHECK(ref.dma_pinned() == (pins != 0));
      CHECK(ref.dma_pinned_hint() == (pins != 0));
      CHECK(ref.freeze(3) == (kind_of(word) != kind::dead && holders_of(word) == 3));
    }
  }
  page_ref<split8> ref;
  ref.reset(2);
  CHECK(ref.snapshot() == split8::of(2));
}

TEST_CASE_TEMPLATE("more than one call may take is refused by each, and a number that the word cannot hold not cut off",
                   Layout, ALL_LAYOUTS, SMALL_BIAS_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  const auto before = ref.snapshot();
  const std::size_t pins = ref.max_pins_at_once + 1;
  CHECK(ref.try_pin(pins) == take_result::overflow);
  CHECK(ref.add_pin(pins) == take_result::overflow);
  CHECK(ref.unpin(pins) == release_result::underflow);
  CHECK(ref.snapshot() == before);
  REQUIRE(ref.unpin() == release_result::released);
  if constexpr (sizeof(typename Layout::word_type) < sizeof(std::size_t))
    CHECK_FALSE(ref.freeze((std::size_t{1} << 8 * sizeof(typename Layout::word_type)) + 1));
  CHECK_FALSE(ref.freeze(0));
  CHECK(ref.freeze(1));
}
