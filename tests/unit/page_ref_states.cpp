#include <doctest/doctest.h>

#include <vector>

#include "layouts.hpp"

// Every operation in every state of a small word, against an oracle in plain integers.

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

namespace {

enum class kind { alive, overflow, watched, frozen, dead, in_flight };

// A word of so many bits for so many takers, in plain integers: what state it is in and how many holders it counts.
struct small_word {
  int values, takers;
  int part = values / 32;
  int most_holders = 16 * part, overflow_end = 18 * part, watched = 19 * part, watched_end = 22 * part;
  int frozen = 23 * part, dead = 27 * part, watch_limit = part, nobody = values - 1;
  int max_delta = 2 * part / (takers + 1);

  [[nodiscard]] kind kind_of(int word) const {
    if (word < most_holders || word == nobody) return kind::alive;
    if (word < overflow_end) return kind::overflow;
    if (word >= watched && word < watched + watch_limit) return kind::watched;
    if (word == frozen) return kind::frozen;
    if (word == dead) return kind::dead;
    return kind::in_flight;  // only while some other thread is inside a call
  }
  [[nodiscard]] int holders_of(int word) const {
    return kind_of(word) == kind::watched ? word - watched : (word + 1) % values;
  }
  [[nodiscard]] int live(int holders) const { return (holders + nobody) % values; }
  [[nodiscard]] bool at_rest(int word) const { return kind_of(word) != kind::in_flight && word != nobody; }
  // All numbers for one call if they are few, else the ends.
  [[nodiscard]] std::vector<int> deltas() const {
    std::vector<int> all;
    for (int n = 0; n <= max_delta; ++n)
      if (n < 4 || n > max_delta - 3 || max_delta < 16) all.push_back(n);
    return all;
  }
};

template <class Layout>
constexpr small_word oracle_of{1 << Layout::zones::bits, static_cast<int>(Layout::zones::takers)};

struct expected_take {
  take_result result;
  int word;
};

expected_take oracle_take(const small_word& w, int word, int delta) {
  const int holders = w.holders_of(word) + delta;
  switch (w.kind_of(word)) {
    case kind::alive:
      if (holders > w.most_holders) return {take_result::overflow, word};
      return {take_result::taken, w.live(holders)};
    case kind::watched:
      return {take_result::taken, holders < w.watch_limit ? w.watched + holders : w.live(holders)};
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
expected_release oracle_release(const small_word& w, int word, int delta, int idle_level, int quiet) {
  const int held = w.holders_of(word);
  const bool counts = w.kind_of(word) == kind::alive || w.kind_of(word) == kind::watched;
  if (delta == 0)
    return {counts && idle_level != 0 && held == idle_level ? release_result::idle : release_result::released, word};
  if (w.kind_of(word) == kind::dead || w.kind_of(word) == kind::frozen) return {release_result::underflow, word};
  if (w.kind_of(word) == kind::overflow) return {release_result::released, word - delta};
  const int left = held - delta;
  if (left < 0) return {release_result::underflow, word};
  if (left == 0) return {release_result::last, w.dead};
  const bool stays_watched = w.kind_of(word) == kind::watched && left >= quiet;
  return {left == idle_level && !stays_watched ? release_result::idle : release_result::released,
          stays_watched ? w.watched + left : w.live(left)};
}

// The word after `operation` on a page_ref in state `word`, and what it answered.
template <class Layout, class Operation>
auto apply(int word, Operation operation) {
  page_ref<Layout> ref{Layout{static_cast<typename Layout::word_type>(word)}};
  const auto result = operation(ref);
  return std::pair{result, static_cast<int>(ref.snapshot().raw())};
}

template <class Layout, class Operation>
void check_take(int word, int delta, Operation operation) {
  const small_word& w = oracle_of<Layout>;
  if (w.kind_of(word) == kind::overflow && word + delta >= w.overflow_end) return;  // more than may be in flight
  const auto [result, after] = apply<Layout>(word, operation);
  const expected_take expected = oracle_take(w, word, delta);
  REQUIRE(result == expected.result);
  REQUIRE(after == expected.word);
}

template <class Layout, class Operation>
void check_release(int word, int delta, int idle_level, Operation operation) {
  const auto [result, after] = apply<Layout>(word, operation);
  const expected_release expected = oracle_release(oracle_of<Layout>, word, delta, idle_level, Layout::pin_bias);
  REQUIRE(result == expected.result);
  REQUIRE(after == expected.word);
}

}  // namespace

TEST_CASE_TEMPLATE("takes in every state of a small word", Layout, SMALL_BIAS_LAYOUTS) {
  const int bias = Layout::pin_bias;
  const small_word& w = oracle_of<Layout>;
  for (int word = 0; word != w.values; ++word) {
    if (!w.at_rest(word)) continue;
    CAPTURE(word);
    for (const int n : w.deltas()) {
      CAPTURE(n);
      const auto count = static_cast<std::size_t>(n);
      check_take<Layout>(word, n, [&](auto& ref) { return ref.get(count); });
      check_take<Layout>(word, n, [&](auto& ref) { return ref.try_get(count); });
      check_take<Layout>(word, n, [&](auto& ref) { return ref.try_get_if_alive(count); });
      if (n * bias > w.max_delta) continue;
      check_take<Layout>(word, n * bias, [&](auto& ref) { return ref.try_pin(count); });
      check_take<Layout>(word, n * bias, [&](auto& ref) { return ref.add_pin(count); });
    }
  }
}

TEST_CASE_TEMPLATE("releases in every state of a small word, at both idle levels", Layout, SMALL_BIAS_LAYOUTS) {
  const int bias = Layout::pin_bias;
  const small_word& w = oracle_of<Layout>;
  for (int word = 0; word != w.values; ++word) {
    if (!w.at_rest(word)) continue;
    CAPTURE(word);
    for (int idle_level : {0, 1}) {
      CAPTURE(idle_level);
      const auto level = static_cast<std::size_t>(idle_level);
      for (const int n : w.deltas()) {
        CAPTURE(n);
        const auto count = static_cast<std::size_t>(n);
        check_release<Layout>(word, n, idle_level, [&](auto& ref) { return ref.put(count, level); });
        if (n * bias <= w.max_delta)
          check_release<Layout>(word, n * bias, idle_level, [&](auto& ref) { return ref.unpin(count, level); });
      }
      check_release<Layout>(word, 1, idle_level, [&](auto& ref) { return ref.put_sole(level); });
    }
  }
}

TEST_CASE_TEMPLATE("freeze succeeds from exactly the expected references and from nothing else", Layout,
                   SMALL_BIAS_LAYOUTS) {
  const small_word& w = oracle_of<Layout>;
  for (int word = 0; word != w.values; ++word) {
    // A watched word may have more holders than one that is newly watched.
    const bool watched = word >= w.watched && word < w.watched_end;
    const bool counts = watched || w.kind_of(word) == kind::alive || w.kind_of(word) == kind::overflow;
    const int holders = watched ? word - w.watched : w.holders_of(word);
    for (const int expected : {0, 1, 2, 7, w.watch_limit, w.most_holders, holders - 1, holders, holders + 1}) {
      if (expected < 0 || expected > w.most_holders) continue;
      const auto [frozen, after] =
          apply<Layout>(word, [&](auto& ref) { return ref.freeze(static_cast<std::size_t>(expected)); });
      REQUIRE(frozen == (expected != 0 && counts && holders == expected));
      REQUIRE(after == (frozen ? w.frozen : word));
    }
  }
}

TEST_CASE_TEMPLATE("a life begins by adding: adds of takes that are under way are holders of the new life", Layout,
                   SMALL_BIAS_LAYOUTS) {
  const small_word& w = oracle_of<Layout>;
  for (int in_flight = 0; in_flight < 2 * w.part; ++in_flight)
    for (int n = 1; n != w.part * 4; n += n < 20 ? 1 : 97) {
      if (n > w.part * 4) break;
      for (const int centre : {w.dead, w.frozen}) {
        const auto count = static_cast<std::size_t>(n);
        const auto begin = [&](auto how) {
          page_ref<Layout> ref{Layout{static_cast<typename Layout::word_type>(centre + in_flight)}};
          how(ref);
          return static_cast<int>(ref.snapshot().raw());
        };
        REQUIRE(begin([&](auto& ref) { ref.reset(count); }) == w.live(n + in_flight));
        REQUIRE(begin([&](auto& ref) { ref.unfreeze(count); }) == w.live(n + in_flight));
        REQUIRE(begin([&](auto& ref) { ref.bury(); }) == w.dead + in_flight);
      }
    }
}

TEST_CASE_TEMPLATE("whatever state a page is in, it can be made dead", Layout, SMALL_BIAS_LAYOUTS) {
  const small_word& w = oracle_of<Layout>;
  for (int word = 0; word != w.values; ++word) {
    if (!w.at_rest(word)) continue;
    page_ref<Layout> ref{Layout{static_cast<typename Layout::word_type>(word)}};
    ref.bury();
    REQUIRE(ref.snapshot() == Layout{});
    REQUIRE(ref.try_get() == take_result::dead);
  }
}

TEST_CASE_TEMPLATE("questions change nothing and agree with the word", Layout, SMALL_BIAS_LAYOUTS) {
  for (int word = 0; word != oracle_of<Layout>.values; ++word) {
    CAPTURE(word);
    const Layout state{static_cast<typename Layout::word_type>(word)};
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
  for (int word = 0; word != oracle_of<Layout>.values; ++word) {
    page_ref<Layout> ref{Layout{static_cast<typename Layout::word_type>(word)}};
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
  const small_word& w = oracle_of<split8>;
  const auto state_of = [](int word, int pins) {
    return split8{static_cast<std::uint8_t>(word), static_cast<std::uint8_t>(pins)};
  };
  const auto counts = [&](int word) { return w.kind_of(word) != kind::dead && w.kind_of(word) != kind::frozen; };
  for (int word = 0; word != w.values; ++word) {
    if (!w.at_rest(word)) continue;
    CAPTURE(word);
    const int most = !counts(word) ? 0 : w.holders_of(word);
    for (int pins = 0; pins <= most; ++pins) {
      CAPTURE(pins);
      const split8 state = state_of(word, pins);
      for (int n = 1; n <= w.max_delta; ++n) {
        CAPTURE(n);
        if (w.kind_of(word) == kind::overflow && word + n >= w.overflow_end) continue;
        const auto count = static_cast<std::size_t>(n);
        const expected_take taken = oracle_take(w, word, n);
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
          const expected_release released = oracle_release(w, word, n, idle_level, every_release);
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
      CHECK(ref.freeze(3) == (counts(word) && w.holders_of(word) == 3 && pins == 0));
      CHECK(ref.snapshot() == (ref.snapshot().zone() == pinref::zone::frozen ? state_of(w.frozen, 0) : state));
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
