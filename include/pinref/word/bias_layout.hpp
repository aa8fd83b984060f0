#pragma once

/// \file
/// bias_layout: references and pins in one word, a pin being worth `pin_bias` references.
///
/// The value type is plain constexpr arithmetic on a word that somebody else loads and stores. Widths are free, so that
/// a test can visit every state of an 8-bit word.
///
/// When not to use it: on its own from several threads. `page_ref` is the atomic word around it.
///
/// Example:
///
///     constexpr pinref::bias64 word = pinref::bias64::of(2, 3);
///     static_assert(word.references() == 2 && word.pins() == 3 && word.maybe_pinned());
///
/// Source: Linux GUP_PIN_COUNTING_BIAS and folio_maybe_dma_pinned().

#include <concepts>
#include <cstdint>

#include "pinref/word/paths.hpp"
#include "pinref/word/zones.hpp"

namespace pinref {

/// `Word` counts `references + pins * 2^PinShift` holders; see `zones` for how a word stands for them and for `Takers`.
///
/// With `exact_pins` references have at least half of the word: counts below 2^(PinShift-1) references are exact, and
/// as many releases too many cannot hide a pin, because the pin count is rounded to the nearest bias. Without it the
/// fields overlap as in Linux: "not pinned" is certain, "pinned" means pinned or at least `pin_bias` references.
template <std::unsigned_integral Word, unsigned PinShift, unsigned Takers>
class bias_layout {
 public:
  using word_type = Word;
  using zones = pinref::zones<Word, Takers>;

  static_assert(PinShift < zones::bits - 1, "pinref: PinShift leaves no room for pins below the sign bit");

  static constexpr Word pin_bias = static_cast<Word>(Word{1} << PinShift);
  static constexpr bool exact_pins = 2 * PinShift >= zones::bits;
  /// Largest n of one bulk take or release of references, and of pins.
  static constexpr Word max_references_at_once = zones::max_delta;
  static constexpr Word max_pins_at_once = static_cast<Word>(zones::max_delta / pin_bias);
  static_assert(max_pins_at_once > 0, "pinref: this word is too small for so many takers");

  /// A dead page.
  constexpr bias_layout() noexcept = default;
  /// The word as it stands in memory.
  constexpr explicit bias_layout(Word raw) noexcept : raw_(raw) {}
  /// A live page with these holders. Precondition: `references + pins * pin_bias <= zones::max_holders`.
  [[nodiscard]] static constexpr bias_layout of(Word references, Word pins = 0) noexcept {
    return bias_layout{zones::live(static_cast<Word>(references + pins * pin_bias))};
  }

  [[nodiscard]] constexpr Word raw() const noexcept { return raw_; }
  [[nodiscard]] constexpr pinref::zone zone() const noexcept { return zones::of(raw_); }

  /// Plain references. Negative on an exact layout when more was put than was taken: pins lent them.
  [[nodiscard]] constexpr std::int64_t references() const noexcept {
    return static_cast<std::int64_t>(std::uint64_t{zones::holders(raw_)} - std::uint64_t{pins()} * pin_bias);
  }

  /// Pins; 0 on a dead or frozen page, and as many as there can be while a release of too much is under way. Exact, or
  /// an upper bound: see `exact_pins`.
  [[nodiscard]] constexpr Word pins() const noexcept {
    constexpr Word half = exact_pins ? pin_bias / 2 : 0;
    return static_cast<Word>(static_cast<Word>(zones::holders(raw_) + half) >> PinShift);
  }

  /// Never false for a pinned page.
  [[nodiscard]] PINREF_FAST_PATH constexpr bool maybe_pinned() const noexcept {
    // Of a live word without pins, which is the most likely, one comparison knows.
    constexpr Word fewest = exact_pins ? pin_bias / 2 : pin_bias;
    if (raw_ < zones::live(fewest)) [[likely]]
      return false;
    return pins() != 0;
  }

  /// Has the page at most n holders, a pin counting as `pin_bias`? Never true of a frozen one, which its claimant
  /// holds.
  [[nodiscard]] constexpr bool at_most(std::uint64_t n) const noexcept {
    return zone() != zone::frozen && std::uint64_t{zones::holders(raw_)} <= n;
  }

  friend constexpr bool operator==(bias_layout, bias_layout) noexcept = default;

 private:
  Word raw_ = zones::dead;
};

/// The default: pins exact below 2^31 references, 2^31 pins.
using bias64 = bias_layout<std::uint64_t, 32>;
/// 4 bytes a page and the counts of a Linux small page: 2 097 152 pins, "maybe pinned" from 1024 references.
using bias32 = bias_layout<std::uint32_t, 10>;

}  // namespace pinref
