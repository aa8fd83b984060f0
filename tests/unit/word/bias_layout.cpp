// SPDX-License-Identifier: MIT

#include "pinref/word/bias_layout.hpp"

#include <doctest/doctest.h>

#include <cstdint>

#include "layouts.hpp"

using pinref::bias32;
using pinref::bias64;
using pinref::bias_layout;
using pinref::zone;

// The arithmetic is usable at compile time, in every width.
static_assert(bias64{}.zone() == zone::dead);
static_assert(bias64::live(0).zone() == zone::alive && bias64::live(0).references() == 0);
// Holders minus one.
static_assert(bias64::live(2, 3).raw() == 3 * (std::uint64_t{1} << 32) + 2 - 1);
static_assert(bias32::live(2, 3).raw() == 3 * 1024 + 2 - 1);
static_assert(bias64::pin_bias == std::uint64_t{1} << 32 && bias32::pin_bias == 1024);
static_assert(bias64::exact_pins && !bias32::exact_pins);
static_assert(bias64::max_pins_at_once >= 262144, "all pages of 1 GiB in one take");
static_assert(bias32::max_pins_at_once >= 512, "all pages of 2 MiB in one take");
static_assert(sizeof(pinref::page_ref<bias64>) == 8 && sizeof(pinref::page_ref<bias32>) == 4);
static_assert(bias_layout<std::uint16_t, 5, 4>::live(7, 9).pins() == 9);

TEST_CASE_TEMPLATE("a small word counts as plain integers do", Layout, SMALL_BIAS_LAYOUTS) {
  using word_type = typename Layout::word_type;
  using z = typename Layout::zones;
  const std::int64_t bias = Layout::pin_bias;
  for (std::int64_t w = 0; w != std::int64_t{1} << z::bits; ++w) {
    CAPTURE(w);
    const Layout word{static_cast<word_type>(w)};
    const std::int64_t holders = z::holders(static_cast<word_type>(w));
    const std::int64_t pins = Layout::exact_pins ? (holders + bias / 2) / bias : holders / bias;
    REQUIRE(std::int64_t{word.pins()} == pins);
    REQUIRE(word.references() == holders - pins * bias);
    REQUIRE(word.maybe_pinned() == (pins != 0));
    for (const std::int64_t n : {std::int64_t{0}, std::int64_t{1}, holders - 1, holders, holders + 1})
      if (n >= 0) REQUIRE(word.at_most(static_cast<std::uint64_t>(n)) == (holders <= n && word.zone() != zone::frozen));
  }
}

TEST_CASE_TEMPLATE("while a release of too much is under way a page is pinned and busy", Layout, bias64, bias32,
                   support::bias8, support::bias16_exact) {
  using z = typename Layout::zones;
  using word_type = typename Layout::word_type;
  for (const word_type raw : {static_cast<word_type>(z::live(1) - 2), static_cast<word_type>(z::watched - 1)}) {
    const Layout word{raw};
    CHECK(word.zone() == zone::underflow);
    CHECK(word.maybe_pinned());
    CHECK_FALSE(word.at_most(1));
  }
}

TEST_CASE("an exact layout gives back the counts it was made of, below half a bias of references") {
  using small = support::bias16_exact;
  for (std::uint16_t pins = 0; pins != 127; ++pins)
    for (std::uint16_t references = 0; references != 128; ++references) {
      const small word = small::live(references, pins);
      CHECK(word.pins() == pins);
      CHECK(word.references() == references);
    }
  CHECK(bias64::live(0x7fffffff, 5).pins() == 5);
  CHECK(bias64::live(0x7fffffff, 5).references() == 0x7fffffff);
}

TEST_CASE("an inexact layout says maybe pinned from one bias of references on, and never less") {
  CHECK_FALSE(bias32::live(1023).maybe_pinned());
  CHECK(bias32::live(1024).maybe_pinned());
  CHECK(bias32::live(0, 1).maybe_pinned());
}
