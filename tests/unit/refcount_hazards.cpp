#include <doctest/doctest.h>

#include "layouts.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

// The hazards of Linux's page and refcount code, each with pinref's answer, for references and for pins.

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;
using support::last_misuse;
using support::misuses;
using support::remember;

TEST_CASE_TEMPLATE("increment from zero: a dead page is not taken, whatever the call", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  CHECK(ref.get() == take_result::dead);
  CHECK(ref.try_get() == take_result::dead);
  CHECK(ref.try_get_if_alive() == take_result::dead);
  CHECK(ref.try_pin() == take_result::dead);
  CHECK(ref.snapshot().zone() == pinref::zone::dead);
  CHECK(ref.count() == 0);
  CHECK_FALSE(ref.dma_pinned());
}

TEST_CASE_TEMPLATE("double put: the second is an underflow, frees nothing and leaves the page dead", Layout,
                   ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset();
  CHECK(ref.put() == release_result::last);
  for (int i = 0; i != 1000; ++i) REQUIRE(ref.put() == release_result::underflow);
  CHECK(ref.try_get() == take_result::dead);
  ref.reset();
  CHECK(ref.count() == 1);
}

TEST_CASE_TEMPLATE("double unpin: the second is an underflow, frees nothing and leaves the page dead", Layout,
                   ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK(ref.put() == release_result::released);
  CHECK(ref.unpin() == release_result::last);
  for (int i = 0; i != 1000; ++i) REQUIRE(ref.unpin() == release_result::underflow);
  CHECK(ref.try_pin() == take_result::dead);
}

TEST_CASE_TEMPLATE("put of n too many on a live page: refused, and the count is what it was", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset(3);
  CHECK(ref.put(4) == release_result::underflow);
  CHECK(ref.put(100) == release_result::underflow);
  CHECK(ref.count() == 3);
  CHECK(ref.put(3) == release_result::last);
}

TEST_CASE_TEMPLATE("unpin of n too many on a live page: refused, and the count is what it was", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset(3);
  REQUIRE(ref.try_pin(2) == take_result::taken);
  CHECK(ref.unpin(3) == release_result::underflow);
  CHECK(ref.count() == 3);
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
  ref.reset();
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

TEST_CASE_TEMPLATE("A2.4 at the edge of the word a pin is refused before it wraps, and pinned stays pinned", Layout,
                   ALL_LAYOUTS) {
  using word_type = typename Layout::word_type;
  // One pin from the end and less: it fits exactly, or is refused and changes nothing.
  const auto weight = static_cast<word_type>(support::pin_weight<Layout>());
  for (word_type room : {weight, static_cast<word_type>(weight - 1), word_type{0}}) {
    CAPTURE(room);
    page_ref<Layout> ref{Layout::of(static_cast<word_type>(Layout::zones::max_holders - room))};
    const Layout before = ref.snapshot();
    if (room == weight) {
      CHECK(ref.try_pin() == take_result::taken);
      CHECK(ref.dma_pinned());
      CHECK(ref.unpin() == release_result::released);
    } else {
      CHECK(ref.try_pin() == take_result::overflow);
    }
    CHECK(ref.snapshot() == before);
    if constexpr (!std::is_same_v<Layout, pinref::split>) CHECK(ref.dma_pinned());
  }
  // Past the sign bit, as other threads' takes may show it until they are given back.
  for (word_type inside : {word_type{0}, word_type{1}, word_type{1023}, word_type{1024}}) {
    const auto raw = static_cast<word_type>(Layout::zones::sign + inside);
    const Layout state = [&] {
      if constexpr (std::is_same_v<Layout, pinref::split>)
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

TEST_CASE_TEMPLATE("A2.4 near the end of the word: refused pins never come near it, however many", Layout,
                   pinref::bias64, pinref::bias32) {
  page_ref<Layout> ref;
  for (int i = 0; i != 100000; ++i) {
    REQUIRE(ref.try_pin(page_ref<Layout>::max_pins_at_once) == take_result::dead);
    REQUIRE(ref.snapshot().raw() == Layout::zones::dead);
    REQUIRE_FALSE(ref.dma_pinned());
  }
}

TEST_CASE("A2.5 a put too many cannot hide a pin in bias64: it is lent by the pin and found at the unpin") {
  page_ref<pinref::bias64> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  REQUIRE(ref.put() == release_result::released);
  CHECK(ref.dma_pinned());
  CHECK(ref.pins() == 1);
  CHECK(ref.count() == -1);
  CHECK(ref.unpin() == release_result::underflow);
}

TEST_CASE("A2.5 naive arithmetic on one word loses the pin, which is what bias32 shares with Linux") {
  page_ref<pinref::bias32> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  REQUIRE(ref.put() == release_result::released);
  CHECK(ref.count() == 1023);
  CHECK_FALSE(ref.dma_pinned());
  // Even so the page is never freed early.
  CHECK(ref.unpin() == release_result::underflow);
}

TEST_CASE_TEMPLATE("A2.5 the checked twin diagnoses the put too many where it is made", Layout, ALL_LAYOUTS) {
  pinref::checked_ref<page_ref<Layout>, remember> ref;
  misuses = 0;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  const unsigned line = __LINE__ + 1;
  CHECK(ref.put() == release_result::underflow);
  CHECK(misuses == 1);
  CHECK(last_misuse.kind == pinref::misuse_kind::put_of_a_pin);
  CHECK(last_misuse.where.line == line);
  CHECK(ref.dma_pinned());
  CHECK(ref.unpin() == release_result::last);
}
