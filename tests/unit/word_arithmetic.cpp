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
static_assert(bias64::of(0).zone() == zone::alive && bias64::of(0).references() == 0);
// Holders minus one.
static_assert(bias64::of(2, 3).raw() == 3 * (std::uint64_t{1} << 32) + 2 - 1);
static_assert(bias32::of(2, 3).raw() == 3 * 1024 + 2 - 1);
static_assert(bias64::pin_bias == std::uint64_t{1} << 32 && bias32::pin_bias == 1024);
static_assert(bias64::exact_pins && !bias32::exact_pins && split::exact_pins);
static_assert(bias64::max_pins_at_once >= 262144, "all pages of 1 GiB in one take");
static_assert(bias32::max_pins_at_once >= 512, "all pages of 2 MiB in one take");
static_assert(sizeof(pinref::page_ref<bias64>) == 8 && sizeof(pinref::page_ref<bias32>) == 4);
static_assert(bias_layout<std::uint16_t, 5, 4>::of(7, 9).pins() == 9);

TEST_CASE("every 8-bit word is in the zone its value says, and counts what that says") {
  using z = zones<std::uint8_t, 1>;
  for (unsigned w = 0; w != 256; ++w) {
    CAPTURE(w);
    const auto word = static_cast<std::uint8_t>(w);
    CHECK(z::troubled(word) == (w >= 128));
    CHECK(z::of(word) == (w < 128 || w == 255 ? zone::alive
                          : w < 144           ? zone::overflow
                          : w < 160           ? zone::lost
                          : w < 192           ? zone::watched
                          : w < 240           ? zone::dead
                                              : zone::lost));
    CHECK(z::holders(word) == (w == 255 ? 0 : w < 144 ? w + 1 : w < 160 || w > 191 ? 0 : w - 160));
  }
}

TEST_CASE("all adds that may be in flight fit into a zone, above the dead value and above the fullest words") {
  using z = zones<std::uint64_t>;
  CHECK(z::takers * z::max_delta <= z::slack);
  CHECK(z::dead + z::slack <= z::lost_begin);
  CHECK(z::live(z::max_holders) + z::slack < z::overflow_end);
  CHECK(z::watched + z::watch_limit + z::slack <= z::dead_begin);
  CHECK(z::slack == std::uint64_t{1} << 60);
  CHECK(zones<std::uint32_t>::slack == 1u << 28);
}

TEST_CASE_TEMPLATE("an 8-bit word counts as plain integers do", Layout, SMALL_BIAS_LAYOUTS) {
  const unsigned bias = Layout::pin_bias;
  for (unsigned w = 0; w != 256; ++w) {
    CAPTURE(w);
    const Layout word{static_cast<std::uint8_t>(w)};
    const unsigned holders = Layout::zones::holders(static_cast<std::uint8_t>(w));
    const unsigned pins = Layout::exact_pins ? (holders + bias / 2) / bias : holders / bias;
    CHECK(word.pins() == pins);
    CHECK(static_cast<int>(word.references()) == static_cast<int>(holders) - static_cast<int>(pins * bias));
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
  CHECK(word.raw() == 4);
  CHECK(word.references() == 2);
  CHECK(word.pins() == 3);
  CHECK(split{}.zone() == zone::dead);
  CHECK(split{}.pins() == 0);
}
