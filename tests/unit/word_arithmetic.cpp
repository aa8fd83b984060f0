#include <doctest/doctest.h>

#include "layouts.hpp"

using pinref::bias32;
using pinref::bias64;
using pinref::bias_layout;
using pinref::release_result;
using pinref::split;
using pinref::take_result;
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
                          : w < 152           ? zone::underflow
                          : w < 176           ? zone::watched
                          : w < 200           ? zone::frozen
                          : w < 232           ? zone::dead
                                              : zone::underflow));
    const bool unknown = (w >= 144 && w < 152) || (w >= 232 && w < 255);
    CHECK(z::holders(word) == (w == 255 ? 0 : unknown ? 128 : w < 144 ? w + 1 : w >= 152 && w < 176 ? w - 152 : 0));
  }
  CHECK((z::frozen == 184 && z::dead == 216));
}

// All takers at once, each with the most that one call may take, stay in the zone that the word was in.
template <class Z>
void has_room_for_all_takers() {
  using word = typename Z::word_type;
  constexpr auto most = static_cast<word>(Z::takers * Z::max_delta);
  static_assert(most / Z::max_delta == Z::takers, "does not wrap");
  static_assert(Z::of(static_cast<word>(Z::dead + most)) == zone::dead);
  static_assert(Z::of(static_cast<word>(Z::frozen + most)) == zone::frozen);
  static_assert(Z::of(static_cast<word>(Z::live(Z::max_holders) + most)) == zone::overflow);
  static_assert(Z::of(static_cast<word>(Z::watched + Z::watch_limit - 1 + most)) == zone::watched);
  // And as much is missing.
  static_assert(Z::of(static_cast<word>(Z::live(0) - most)) == zone::underflow);
  static_assert(Z::of(static_cast<word>(Z::dead - most)) == zone::dead);
}

TEST_CASE("all adds that may be in flight fit into a zone, above the dead value and above the fullest words") {
  has_room_for_all_takers<zones<std::uint8_t, 1>>();
  has_room_for_all_takers<zones<std::uint8_t, 3>>();
  has_room_for_all_takers<zones<std::uint16_t, 1>>();
  has_room_for_all_takers<zones<std::uint16_t, 511>>();
  has_room_for_all_takers<zones<std::uint32_t>>();
  has_room_for_all_takers<zones<std::uint64_t>>();
  CHECK(zones<std::uint64_t>::takers == 511);
  CHECK(zones<std::uint64_t>::slack == std::uint64_t{1} << 60);
  CHECK(zones<std::uint32_t>::slack == 1u << 28);
}

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

using one_taker = zones<std::uint8_t, 1>;
using three_takers = zones<std::uint8_t, 3>;

TEST_CASE_TEMPLATE("what a slow path makes of every word it may find, for every add and subtract", Zones, one_taker,
                   three_takers) {
  using word_type = typename Zones::word_type;
  for (unsigned w = 0; w != 256; ++w)
    for (unsigned d = 1; d <= Zones::max_delta; ++d) {
      const auto now = static_cast<word_type>(w), delta = static_cast<word_type>(d);
      CAPTURE(w);
      CAPTURE(d);
      const auto take = Zones::after_take(now, delta);
      const bool counts = Zones::of(now) == zone::alive || Zones::of(now) == zone::watched;
      REQUIRE((take.result == take_result::taken) == counts);
      REQUIRE(take.wakes == (Zones::of(now) == zone::watched && Zones::of(take.next) == zone::alive));
      if (counts) REQUIRE(Zones::holders(take.next) == Zones::holders(now));
      if (Zones::of(now) == zone::dead) REQUIRE((take.next >= Zones::dead && Zones::of(take.next) == zone::dead));
      if (Zones::of(now) == zone::frozen) REQUIRE((take.next >= Zones::frozen && Zones::of(take.next) == zone::frozen));
      for (const unsigned quiet : {1u, 4u, 255u})
        for (const unsigned level : {0u, 1u}) {
          const auto release =
              Zones::after_release(now, delta, static_cast<word_type>(quiet), static_cast<word_type>(level));
          const bool nobody_left = counts && Zones::holders(now) == 0;
          REQUIRE((release.result == release_result::last) == nobody_left);
          if (nobody_left) REQUIRE(release.next == Zones::dead);
          if (release.result == release_result::idle) REQUIRE((counts && level != 0 && Zones::holders(now) == level));
          if (counts && !nobody_left) REQUIRE(Zones::holders(release.next) == Zones::holders(now));
          REQUIRE(release.wakes == (Zones::of(now) == zone::watched && Zones::holders(now) < quiet));
          if (release.wakes) REQUIRE(Zones::of(release.next) != zone::watched);
          // What was wrong is given back, and the centre of a dead or frozen word is not passed by that.
          if (release.result == release_result::underflow && Zones::of(now) != zone::underflow)
            REQUIRE(
                (release.next > now && release.next <= (Zones::of(now) == zone::dead ? Zones::dead : Zones::frozen)));
        }
    }
}

TEST_CASE("an exact layout gives back the counts it was made of, below half a bias of references") {
  using small = support::bias16_exact;
  for (std::uint16_t pins = 0; pins != 127; ++pins)
    for (std::uint16_t references = 0; references != 128; ++references) {
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
