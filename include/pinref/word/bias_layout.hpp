// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// bias_layout: references and pins in one word, a pin being worth `pin_bias` references.
///
/// A value: plain constexpr arithmetic on a word; `bias_word` loads and stores it. Widths are free, so that a test can
/// visit every state of an 8-bit word.
///
/// When not to use it: on its own from several threads. `page_ref` is the atomic word around it.
///
/// Example:
///
///     constexpr pinref::bias64 word = pinref::bias64::live(2, 3);
///     static_assert(word.references() == 2 && word.pins() == 3 && word.maybe_pinned());
///
/// Errors: none; `live` has a precondition.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux GUP_PIN_COUNTING_BIAS and folio_maybe_dma_pinned().

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/word/zones.hpp"

namespace pinref::inline v0_1 {

/// `Word` counts `references + pins * 2^PinShift` holders; see `zones` for how a word stands for them, for `Takers`,
/// for the `HostBits` below them and for `Claimants`.
///
/// With `exact_pins` references have at least half of the word: counts below 2^(PinShift-1) references are exact, and
/// as many releases too many cannot hide a pin, because the pin count is rounded to the nearest bias. Without it the
/// fields overlap as in Linux: "not pinned" is certain, "pinned" means pinned or at least `pin_bias` references.
template <std::unsigned_integral Word, unsigned PinShift, unsigned Takers, unsigned HostBits, unsigned Claimants>
class bias_layout {
 public:
  /// The integer it is, and how that stands for holders.
  using word_type = Word;
  using zones = pinref::zones<Word, Takers, HostBits, Claimants>;
  /// The word that counts them.
  template <class Sync>
  using counter = bias_word<bias_layout, Sync>;

  static_assert(PinShift < zones::bits - HostBits - 1, "pinref: PinShift leaves no room for pins below the sign bit");

  /// What one pin adds.
  static constexpr Word pin_bias = static_cast<Word>(Word{1} << PinShift);
  /// Is "pinned" as certain as "not pinned"?
  static constexpr bool exact_pins = 2 * PinShift >= zones::bits - HostBits;
  /// Largest n of one bulk take or release of references, and of pins.
  static constexpr std::size_t max_references_at_once = zones::max_at_once(1);
  static constexpr std::size_t max_pins_at_once = zones::max_at_once(pin_bias);
  static_assert(max_pins_at_once > 0, "pinref: this word is too small for so many takers");

  /// A dead page.
  constexpr bias_layout() noexcept = default;
  /// The word as it stands in memory.
  constexpr explicit bias_layout(Word raw) noexcept : raw_(raw) {}
  /// A live page with these holders. Precondition: `references + pins * pin_bias <= zones::max_holders`.
  [[nodiscard]] static constexpr bias_layout live(Word references, Word pins = 0) noexcept {
    return bias_layout{zones::live(static_cast<Word>(references + pins * pin_bias))};
  }

  /// The word as it stands in memory.
  [[nodiscard]] constexpr Word raw() const noexcept { return raw_; }
  /// The bits of the host.
  [[nodiscard]] constexpr Word host() const noexcept { return static_cast<Word>(raw_ & zones::host_mask); }
  /// The zone it stands in.
  [[nodiscard]] constexpr pinref::zone zone() const noexcept { return zones::zone_of(raw_); }

  /// Plain references; negative on an exact layout if more were put than taken while the page is pinned.
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
    // One comparison decides the most likely case.
    if (plainly_unpinned()) [[likely]]
      return false;
    return pins() != 0;
  }

  /// Is the page plainly alive, and surely not pinned? One comparison; false of a word that somebody waits for.
  [[nodiscard]] PINREF_FAST_PATH constexpr bool plainly_unpinned() const noexcept {
    constexpr Word fewest = exact_pins ? pin_bias / 2 : pin_bias;
    return raw_ < zones::live(fewest);
  }

  /// Has the page at most n holders, a pin counting as `pin_bias`? Never true of a frozen page: its claimant holds it.
  [[nodiscard]] constexpr bool at_most(std::uint64_t n) const noexcept {
    return zone() != zone::frozen && std::uint64_t{zones::holders(raw_)} <= n;
  }

  /// Does every release that leaves at most n holders wake waiters? Those that leave fewer than `pin_bias` do.
  [[nodiscard]] static constexpr bool wakes_at(std::uint64_t n) noexcept { return n < pin_bias; }

  friend constexpr bool operator==(bias_layout, bias_layout) noexcept = default;

 private:
  Word raw_ = zones::dead;
};

/// The default: pins exact below 2^31 references, 2^31 pins.
using bias64 = bias_layout<std::uint64_t, 32>;
/// 4 bytes a page and the counts of a Linux small page: 2 097 152 pins, "maybe pinned" from 1024 references.
using bias32 = bias_layout<std::uint32_t, 10>;

}  // namespace pinref::inline v0_1
