#include <doctest/doctest.h>

#include "layouts.hpp"

using pinref::bias32;
using pinref::bias64;
using pinref::bias_layout;
using pinref::split;
using pinref::zone;
using pinref::zones;

// The arithmetic is usable at compile time, in every width.
static_assert(bias64{}.zone() == zone::dead);
static_assert(bias64::of(0).zone() == zone::alive);
static_assert(bias64::of(2, 3).raw() == 3 * (std::uint64_t{1} << 32) + 2);
static_assert(bias32::of(2, 3).raw() == 3 * 1024 + 2);
static_assert(bias64::pin_bias == std::uint64_t{1} << 32 && bias32::pin_bias == 1024);
static_assert(bias64::exact_pins && !bias32::exact_pins && split::exact_pins);
static_assert(bias64::max_pins_at_once >= 262144, "all pages of 1 GiB in one take");
static_assert(bias32::max_pins_at_once >= 512, "all pages of 2 MiB in one take");
static_assert(sizeof(pinref::page_ref<bias64>) == 8 && sizeof(pinref::page_ref<bias32>) == 4);
static_assert(bias_layout<std::uint16_t, 5, 4>::of(7, 9).pins() == 9);

TEST_CASE("every 8-bit word is in the zone its value says") {
  using z = zones<std::uint8_t, 1>;
  for (unsigned w = 0; w != 256; ++w) {
    CAPTURE(w);
    const auto word = static_cast<std::uint8_t>(w);
    CHECK(z::troubled(word) == (w >= 128));
    CHECK(z::of(word) == (w < 128 ? zone::alive : w < 192 ? zone::overflow : zone::dead));
    CHECK(z::noisy(word) == (w >= 192 && (w <= 208 || w >= 240)));
  }
}

TEST_CASE("the dead value is the centre of its zone and the clamp leaves room on both sides") {
  CHECK(zones<std::uint64_t>::dead - zones<std::uint64_t>::dead_begin == std::uint64_t{1} << 61);
  CHECK(std::uint64_t{0} - zones<std::uint64_t>::dead == std::uint64_t{1} << 61);
  CHECK(zones<std::uint64_t>::noise == std::uint64_t{1} << 60);
  CHECK(zones<std::uint32_t>::noise == 1u << 28);
}

TEST_CASE_TEMPLATE("an 8-bit word counts as plain integers do", Layout, SMALL_BIAS_LAYOUTS) {
  const unsigned bias = Layout::pin_bias;
  for (unsigned w = 0; w != 256; ++w) {
    CAPTURE(w);
    const Layout word{static_cast<std::uint8_t>(w)};
    if (w >= 192) {
      CHECK(word.pins() == 0);
      CHECK(word.references() == 0);
      CHECK_FALSE(word.maybe_pinned());
      continue;
    }
    const unsigned pins = Layout::exact_pins ? (w + bias / 2) / bias : w / bias;
    CHECK(word.pins() == pins);
    CHECK(static_cast<int>(word.references()) == static_cast<int>(w) - static_cast<int>(pins * bias));
    CHECK(word.maybe_pinned() == (pins != 0));
  }
}

TEST_CASE("an exact layout gives back the counts it was made of, below half a bias of references") {
  using small = support::bias8_exact;
  for (std::uint8_t pins = 0; pins != 8; ++pins)
    for (std::uint8_t references = 0; references != 8; ++references) {
      const small word = small::of(references, pins);
      CHECK(word.pins() == pins);
      CHECK(word.references() == references);
    }
  CHECK(bias64::of(0x7fffffff, 5).pins() == 5);
  CHECK(bias64::of(0x7fffffff, 5).references() == 0x7fffffff);
}

TEST_CASE("an inexact layout says maybe pinned from one bias of references on, and never less") {
  CHECK_FALSE(bias32::of(1023).maybe_pinned());
  CHECK(bias32::of(1024).maybe_pinned());
  CHECK(bias32::of(0, 1).maybe_pinned());
}

TEST_CASE("split keeps pins beside the holders they belong to") {
  const split word = split::of(2, 3);
  CHECK(word.holders() == 5);
  CHECK(word.references() == 2);
  CHECK(word.pins() == 3);
  CHECK(split{}.zone() == zone::dead);
  CHECK(split{}.pins() == 0);
}
