// SPDX-License-Identifier: MIT

// Every operation in every state of a small word, against an oracle in plain integers; and the hazards of Linux's page
// and refcount code, each with the answer given here.

#include "pinref/ref/page_ref.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "small_words.hpp"

using pinref::owner_ref;
using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;
using pinref::zone;
using support::oracle_of;
using support::small_word;
using support::with_host;

#define SMALL_LAYOUTS SMALL_BIAS_LAYOUTS, SMALL_LAYOUTS_WITH_A_HOST

namespace {

constexpr owner_ref both_owners[] = {owner_ref::counted, owner_ref::resident};

// Calls `visit(word, host)` for every word that is at rest, and the host's bits beside it.
template <class Layout, class Visit>
void for_each_word_at_rest(Visit visit) {
  const small_word& w = oracle_of<Layout>;
  for (int word = 0; word != w.values; ++word) {
    if (!w.at_rest(word)) continue;
    CAPTURE(word);
    for (const int host : support::host_patterns<Layout>()) visit(word, host);
  }
}

// A page_ref in this state, and how it reads afterwards: the host's bits are as they were.
template <class Layout>
struct subject {
  subject(int word, int host) : host_(host), ref(Layout{with_host<Layout>(word, host)}) {}

  [[nodiscard]] int word() const {
    const Layout now = ref.snapshot();
    REQUIRE(now.host() == host_);
    return static_cast<int>(now.raw() >> Layout::zones::host_bits);
  }

  int host_;
  page_ref<Layout> ref;
};

template <class Layout, class Operation>
void check_take(int word, int host, int delta, Operation operation) {
  const small_word& w = oracle_of<Layout>;
  if (w.zone_of(word) == zone::overflow && word + delta >= w.overflow_end) return;  // more than may be in flight
  subject<Layout> s(word, host);
  const take_result result = operation(s.ref);
  REQUIRE(support::answer<take_result>{result, s.word()} == support::take_of(w, word, delta));
}

template <class Layout, class Operation>
void check_release(int word, int host, int delta, owner_ref owner, Operation operation) {
  subject<Layout> s(word, host);
  const release_result result = operation(s.ref);
  REQUIRE(support::answer<release_result>{result, s.word()} ==
          support::release_of(oracle_of<Layout>, word, delta, owner, Layout::pin_bias));
}

}  // namespace

TEST_CASE_TEMPLATE("takes in every state of a small word", Layout, SMALL_LAYOUTS) {
  const int bias = Layout::pin_bias;
  const small_word& w = oracle_of<Layout>;
  for_each_word_at_rest<Layout>([&](int word, int host) {
    for (const int n : w.deltas()) {
      CAPTURE(n);
      const auto count = static_cast<std::size_t>(n);
      check_take<Layout>(word, host, n, [&](auto& ref) { return ref.get(count); });
      check_take<Layout>(word, host, n, [&](auto& ref) { return ref.try_get(count); });
      check_take<Layout>(word, host, n, [&](auto& ref) { return ref.try_get_if_alive(count); });
      if (n * bias > w.max_delta) continue;
      check_take<Layout>(word, host, n * bias, [&](auto& ref) { return ref.try_pin(count); });
      check_take<Layout>(word, host, n * bias, [&](auto& ref) { return ref.add_pin(count); });
    }
  });
}

TEST_CASE_TEMPLATE("releases in every state of a small word, of an owner who stays and of one who does not", Layout,
                   SMALL_LAYOUTS) {
  const int bias = Layout::pin_bias;
  const small_word& w = oracle_of<Layout>;
  for_each_word_at_rest<Layout>([&](int word, int host) {
    for (const owner_ref owner : both_owners) {
      CAPTURE(owner);
      for (const int n : w.deltas()) {
        CAPTURE(n);
        const auto count = static_cast<std::size_t>(n);
        check_release<Layout>(word, host, n, owner, [&](auto& ref) { return ref.put(count, owner); });
        if (n * bias <= w.max_delta)
          check_release<Layout>(word, host, n * bias, owner, [&](auto& ref) { return ref.unpin(count, owner); });
      }
      check_release<Layout>(word, host, 1, owner, [&](auto& ref) { return ref.put_sole(owner); });
    }
  });
}

TEST_CASE_TEMPLATE("freeze succeeds from exactly the expected references and from nothing else", Layout,
                   SMALL_LAYOUTS) {
  const small_word& w = oracle_of<Layout>;
  for (int word = 0; word != w.values; ++word) {
    const zone found = w.zone_of(word);
    const bool counts = found == zone::alive || found == zone::watched || found == zone::overflow;
    const int holders = w.holders_of(word);
    for (const int host : support::host_patterns<Layout>())
      for (const int expected : {0, 1, 2, 7, w.watch_limit, w.most_holders, holders - 1, holders, holders + 1}) {
        if (expected < 0 || expected > w.most_holders) continue;
        subject<Layout> s(word, host);
        const bool frozen = s.ref.freeze(static_cast<std::size_t>(expected));
        REQUIRE(frozen == (expected != 0 && counts && holders == expected));
        REQUIRE(s.word() == (frozen ? w.frozen_by(0) : word));
      }
  }
}

TEST_CASE_TEMPLATE("a life begins by adding: adds of takes that are under way are holders of the new life", Layout,
                   SMALL_LAYOUTS) {
  const small_word& w = oracle_of<Layout>;
  for (const int host : support::host_patterns<Layout>())
    for (int in_flight = 0; in_flight < w.slack; ++in_flight)
      for (int n = 1; n <= w.part * 4; n += n < 20 ? 1 : 97)
        for (const int centre : {w.dead, w.frozen_by(0)}) {
          const auto count = static_cast<std::size_t>(n);
          const auto begin = [&](auto how) {
            subject<Layout> s(centre + in_flight, host);
            how(s.ref);
            return s.word();
          };
          REQUIRE(begin([&](auto& ref) { ref.init(count); }) == w.live(n + in_flight));
          REQUIRE(begin([&](auto& ref) { ref.unfreeze(count); }) == w.live(n + in_flight));
          REQUIRE(begin([&](auto& ref) { ref.bury(); }) == w.dead + in_flight);
        }
}

TEST_CASE_TEMPLATE("whatever state a page is in, it can be made dead", Layout, SMALL_LAYOUTS) {
  for_each_word_at_rest<Layout>([&](int word, int host) {
    subject<Layout> s(word, host);
    s.ref.bury();
    REQUIRE(s.word() == oracle_of<Layout>.dead);
    REQUIRE(s.ref.try_get() == take_result::dead);
  });
}

TEST_CASE_TEMPLATE("questions change nothing and agree with the word", Layout, SMALL_LAYOUTS) {
  for (int word = 0; word != oracle_of<Layout>.values; ++word) {
    CAPTURE(word);
    for (const int host : support::host_patterns<Layout>()) {
      const Layout state{with_host<Layout>(word, host)};
      page_ref<Layout> ref{state};
      CHECK(ref.dma_pinned() == state.maybe_pinned());
      CHECK(ref.dma_pinned_hint() == state.maybe_pinned());
      CHECK(ref.references() == state.references());
      CHECK(ref.pins() == state.pins());
      CHECK(ref.idle(3) == state.at_most(3));
      CHECK(ref.snapshot() == state);
    }
  }
}

TEST_CASE_TEMPLATE("a bulk above the limit is refused and changes nothing, in every state", Layout, SMALL_LAYOUTS) {
  for (int word = 0; word != oracle_of<Layout>.values; ++word) {
    subject<Layout> s(word, 0);
    CHECK(s.ref.get(Layout::max_references_at_once + 1u) == take_result::overflow);
    CHECK(s.ref.try_get(Layout::max_references_at_once + 1u) == take_result::overflow);
    CHECK(s.ref.try_get_if_alive(Layout::max_references_at_once + 1u) == take_result::overflow);
    CHECK(s.ref.try_pin(Layout::max_pins_at_once + 1u) == take_result::overflow);
    CHECK(s.ref.put(Layout::max_references_at_once + 1u) == release_result::underflow);
    CHECK(s.ref.unpin(Layout::max_pins_at_once + 1u) == release_result::underflow);
    CHECK(s.ref.try_pin(~std::size_t{0}) == take_result::overflow);
    REQUIRE(s.word() == word);
  }
}

TEST_CASE_TEMPLATE("the bits of the host are read, set and cleared in every state, and the holders stay", Layout,
                   SMALL_LAYOUTS_WITH_A_HOST) {
  using word_type = typename Layout::word_type;
  const small_word& w = oracle_of<Layout>;
  const auto all = static_cast<word_type>(Layout::zones::host_mask);
  for (int word = 0; word != w.values; ++word) {
    CAPTURE(word);
    // Whoever waits for the page looks again.
    const int after = w.zone_of(word) == zone::watched ? w.live(w.holders_of(word)) : word;
    for (const int host : support::host_patterns<Layout>())
      for (const word_type mask : {word_type{0}, word_type{1}, all, static_cast<word_type>(~word_type{0})}) {
        const auto change = [&](bool set) {
          page_ref<Layout> ref{Layout{with_host<Layout>(word, host)}};
          REQUIRE(ref.host_bits() == host);
          REQUIRE((set ? ref.set_host_bits(mask) : ref.clear_host_bits(mask)) == host);
          const int now = set ? host | (mask & all) : host & ~mask;
          REQUIRE(ref.host_bits() == now);
          REQUIRE(ref.snapshot() == Layout{with_host<Layout>(after, now)});
        };
        change(true);
        change(false);
      }
  }
}

TEST_CASE_TEMPLATE("a release that changes the host's bits does both, or neither if that is not held, in every state",
                   Layout, SMALL_LAYOUTS_WITH_A_HOST) {
  using word_type = typename Layout::word_type;
  using change = pinref::host_change<word_type>;
  const small_word& w = oracle_of<Layout>;
  const int bias = Layout::pin_bias;
  const auto all = static_cast<word_type>(Layout::zones::host_mask);
  const change changes[] = {{}, {all, 0}, {0, all}, {1, all}, {all, all}};
  for_each_word_at_rest<Layout>([&](int word, int host) {
    const bool watched = w.zone_of(word) == zone::watched;
    for (const owner_ref owner : both_owners)
      for (const change& bits : changes) {
        const int after = bits.of(static_cast<word_type>(host));
        const auto check = [&](int n, auto release) {
          if (n == 0) return;
          CAPTURE(n);
          auto expected = support::release_of(w, word, n, owner, bias);
          const bool held = expected.result != release_result::underflow;
          // A waiter for bits looks again, however many holders are left.
          if (watched && held && after != host && w.zone_of(expected.word) == zone::watched) {
            const int left = w.holders_of(expected.word);
            expected = {left == 1 && owner == owner_ref::resident ? release_result::idle : release_result::released,
                        w.live(left)};
          }
          page_ref<Layout> ref{Layout{with_host<Layout>(word, host)}};
          REQUIRE(release(ref) == expected.result);
          REQUIRE(ref.snapshot() == Layout{with_host<Layout>(expected.word, held ? after : host)});
        };
        for (const int n : w.deltas()) {
          const auto count = static_cast<std::size_t>(n);
          check(n, [&](auto& ref) { return ref.put_and_change(bits, count, owner); });
          if (n * bias <= w.max_delta)
            check(n * bias, [&](auto& ref) { return ref.unpin_and_change(bits, count, owner); });
        }
      }
  });
}

TEST_CASE_TEMPLATE("a freeze on condition of the host's bits fails where they are others, and leaves all as it was",
                   Layout, SMALL_LAYOUTS_WITH_A_HOST) {
  using word_type = typename Layout::word_type;
  const small_word& w = oracle_of<Layout>;
  const auto all = static_cast<word_type>(Layout::zones::host_mask);
  for_each_word_at_rest<Layout>([&](int word, int host) {
    for (const word_type mask : {word_type{0}, word_type{1}, all})
      for (const word_type value : {word_type{0}, word_type{1}, all, static_cast<word_type>(host & mask)})
        for (const int expected : {1, 2, w.holders_of(word)}) {
          page_ref<Layout> plain{Layout{with_host<Layout>(word, host)}};
          page_ref<Layout> ref{Layout{with_host<Layout>(word, host)}};
          const auto count = static_cast<std::size_t>(expected);
          const bool frozen = (host & mask) == value && plain.freeze(count);
          REQUIRE(ref.freeze_if(count, mask, value) == frozen);
          REQUIRE(ref.snapshot() == (frozen ? plain.snapshot() : Layout{with_host<Layout>(word, host)}));
        }
  });
}

TEST_CASE("the bits of the host go on from one life to the next") {
  using layout = pinref::bias_layout<std::uint64_t, 24, 511, 4>;
  page_ref<layout> ref;
  CHECK(ref.set_host_bits(5) == 0);
  ref.init();
  CHECK(ref.host_bits() == 5);
  REQUIRE(ref.try_pin(3) == take_result::taken);
  CHECK(ref.unpin_and_change({.set = 2, .clear = 1}, 3) == release_result::released);
  CHECK(ref.host_bits() == 6);
  REQUIRE(ref.freeze_if(1, 2, 2));
  CHECK(ref.host_bits() == 6);
  CHECK(ref.clear_host_bits(4) == 6);
  ref.unfreeze(1);
  CHECK(ref.put_and_change({.set = 8}) == release_result::last);
  CHECK(ref.host_bits() == 10);
  CHECK(ref.try_get() == take_result::dead);
  ref.bury();
  ref.init();
  CHECK(ref.host_bits() == 10);
  CHECK(ref.snapshot().references() == 1);
  // None at all is no release, whatever it would change, and too many are none either.
  CHECK(ref.put_and_change({.set = 1}, 0) == release_result::released);
  CHECK(ref.put_and_change({.set = 1}, ref.max_references_at_once + 1) == release_result::underflow);
  CHECK(ref.unpin_and_change({.set = 1}, ref.max_pins_at_once + 1) == release_result::underflow);
  CHECK(ref.host_bits() == 10);
}

TEST_CASE_TEMPLATE("more than one call may take is refused by each, and a number that the word cannot hold not cut off",
                   Layout, ALL_LAYOUTS, SMALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
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

// The hazards of Linux's page and refcount code, each with the answer given here, for references and for pins.

TEST_CASE_TEMPLATE("increment from zero: a dead page is not taken, whatever the call", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  CHECK(ref.get() == take_result::dead);
  CHECK(ref.try_get() == take_result::dead);
  CHECK(ref.try_get_if_alive() == take_result::dead);
  CHECK(ref.try_pin() == take_result::dead);
  CHECK(ref.snapshot().zone() == pinref::zone::dead);
  CHECK(ref.references() == 0);
  CHECK_FALSE(ref.dma_pinned());
}

TEST_CASE_TEMPLATE("double put: the second is an underflow, frees nothing and leaves the page dead", Layout,
                   ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
  CHECK(ref.put() == release_result::last);
  for (int i = 0; i != 1000; ++i) REQUIRE(ref.put() == release_result::underflow);
  CHECK(ref.try_get() == take_result::dead);
  ref.init();
  CHECK(ref.references() == 1);
}

TEST_CASE_TEMPLATE("double unpin: the second is an underflow, frees nothing and leaves the page dead", Layout,
                   ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK(ref.put() == release_result::released);
  CHECK(ref.unpin() == release_result::last);
  for (int i = 0; i != 1000; ++i) REQUIRE(ref.unpin() == release_result::underflow);
  CHECK(ref.try_pin() == take_result::dead);
}

TEST_CASE_TEMPLATE("put of n too many on a live page: refused, and the count is what it was", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init(3);
  CHECK(ref.put(4) == release_result::underflow);
  CHECK(ref.put(100) == release_result::underflow);
  CHECK(ref.references() == 3);
  CHECK(ref.put(3) == release_result::last);
}

TEST_CASE_TEMPLATE("unpin of n too many on a live page: refused, and the count is what it was", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init(3);
  REQUIRE(ref.try_pin(2) == take_result::taken);
  CHECK(ref.unpin(3) == release_result::underflow);
  CHECK(ref.references() == 3);
  CHECK(ref.pins() == 2);
}

TEST_CASE_TEMPLATE("overflow by one: the take beyond the last is refused and changes nothing", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref{support::full<Layout>()};
  const Layout before = ref.snapshot();
  CHECK(ref.get() == take_result::overflow);
  CHECK(ref.try_get() == take_result::overflow);
  CHECK(ref.try_pin() == take_result::overflow);
  CHECK(ref.snapshot() == before);
  CHECK(ref.put() == release_result::released);
  CHECK(ref.try_get() == take_result::taken);
  CHECK(ref.try_get() == take_result::overflow);
  CHECK(ref.snapshot() == before);
}

TEST_CASE_TEMPLATE("overflow by n: a bulk that does not fit is refused whole", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref{support::full<Layout>()};
  REQUIRE(ref.put(5) == release_result::released);
  const Layout before = ref.snapshot();
  CHECK(ref.try_get(6) == take_result::overflow);
  CHECK(ref.get(6) == take_result::overflow);
  CHECK(ref.try_pin(6) == take_result::overflow);
  CHECK(ref.snapshot() == before);
  CHECK(ref.try_get(5) == take_result::taken);
}

TEST_CASE_TEMPLATE("saturation: as many pins as the word can count, and then none", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.init();
  std::uint64_t pins = 0;
  for (std::size_t step = page_ref<Layout>::max_pins_at_once; step != 0; step /= 2)
    while (ref.try_pin(step) == take_result::taken) pins += step;
  if constexpr (std::is_same_v<Layout, pinref::bias32>) CHECK(pins == 2097151);
  if constexpr (std::is_same_v<Layout, pinref::bias64>) CHECK(pins == 0x7fffffff);
  CHECK(ref.pins() == pins);
  CHECK(ref.dma_pinned());
  for (std::size_t step = page_ref<Layout>::max_pins_at_once; step != 0; step /= 2)
    while (pins >= step) {
      REQUIRE(ref.unpin(step) == release_result::released);
      pins -= step;
    }
  CHECK(ref.pins() == 0);
  CHECK(ref.put() == release_result::last);
}

TEST_CASE_TEMPLATE("A2.4: at the edge of the word a pin is refused before it wraps, and pinned stays pinned", Layout,
                   ALL_LAYOUTS) {
  using word_type = typename Layout::word_type;
  // One pin from the end and less: it fits exactly, or is refused and changes nothing.
  const auto weight = static_cast<word_type>(support::pin_weight<Layout>());
  for (word_type room : {weight, static_cast<word_type>(weight - 1), word_type{0}}) {
    CAPTURE(room);
    page_ref<Layout> ref{Layout::live(static_cast<word_type>(Layout::zones::max_holders - room))};
    const Layout before = ref.snapshot();
    if (room == weight) {
      CHECK(ref.try_pin() == take_result::taken);
      CHECK(ref.dma_pinned());
      CHECK(ref.unpin() == release_result::released);
    } else {
      CHECK(ref.try_pin() == take_result::overflow);
    }
    CHECK(ref.snapshot() == before);
    if constexpr (!std::is_same_v<Layout, pinref::split32>) CHECK(ref.dma_pinned());
  }
  // Past the sign bit, as other threads' takes may show it until they are given back.
  for (word_type inside : {word_type{0}, word_type{1}, word_type{1023}, word_type{1024}}) {
    const auto raw = static_cast<word_type>(Layout::zones::sign + inside);
    const Layout state = [&] {
      if constexpr (std::is_same_v<Layout, pinref::split32>)
        return Layout{raw, 7};
      else
        return Layout{raw};
    }();
    page_ref<Layout> ref{state};
    CHECK(ref.try_pin() == take_result::overflow);
    CHECK(ref.try_pin(100) == take_result::overflow);
    CHECK(ref.try_get() == take_result::overflow);
    CHECK(ref.try_get_if_alive() == take_result::overflow);
    CHECK(ref.get() == take_result::overflow);
    CHECK(ref.snapshot() == state);
    CHECK(ref.dma_pinned());
    CHECK(ref.dma_pinned_hint());
  }
}

TEST_CASE_TEMPLATE("A2.4: near the end of the word: refused pins never come near it, however many", Layout,
                   pinref::bias64, pinref::bias32) {
  page_ref<Layout> ref;
  for (int i = 0; i != 100000; ++i) {
    REQUIRE(ref.try_pin(page_ref<Layout>::max_pins_at_once) == take_result::dead);
    REQUIRE(ref.snapshot().raw() == Layout::zones::dead);
    REQUIRE_FALSE(ref.dma_pinned());
  }
}

TEST_CASE("A2.5: a put too many cannot hide a pin in bias64: it is lent by the pin and found at the unpin") {
  page_ref<pinref::bias64> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  REQUIRE(ref.put() == release_result::released);
  CHECK(ref.dma_pinned());
  CHECK(ref.pins() == 1);
  CHECK(ref.references() == -1);
  CHECK(ref.unpin() == release_result::underflow);
}

TEST_CASE("A2.5: naive arithmetic on one word loses the pin, which is what bias32 shares with Linux") {
  page_ref<pinref::bias32> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  REQUIRE(ref.put() == release_result::released);
  CHECK(ref.references() == 1023);
  CHECK_FALSE(ref.dma_pinned());
  // Even so the page is never freed early.
  CHECK(ref.unpin() == release_result::underflow);
}

TEST_CASE("a release with a change of bits of more than one step is refused, also where the product wraps around") {
  using layout = pinref::bias_layout<std::uint64_t, 32, 511, 4>;
  page_ref<layout> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  const auto before = ref.snapshot();
  for (const std::size_t n : {layout::max_pins_at_once + 1, (std::size_t{1} << 32) + 1, (std::size_t{1} << 28) + 1}) {
    CHECK(ref.unpin_and_change({.set = 1}, n) == release_result::underflow);
    CHECK(ref.put_and_change({.set = 1}, layout::max_references_at_once + n) == release_result::underflow);
  }
  CHECK(ref.snapshot() == before);
}
