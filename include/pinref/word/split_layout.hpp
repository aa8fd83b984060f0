// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// split_layout: a reference count and a pin count in two words, as Linux keeps them for large folios.
///
/// Every pin holds a reference too, so the reference word alone decides life and death, and pins are exact. The price
/// is a second locked operation for each pin and unpin.
///
/// When not to use it: for new code. It is here to be compared with `bias_layout`, and for hosts that must mirror
/// Linux's large folios.
///
/// Example:
///
///     constexpr pinref::split32 word = pinref::split32::live(2, 3);
///     static_assert(word.references() == 2 && word.pins() == 3);
///
/// Errors: none; `live` has a precondition.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux struct folio, _refcount and _pincount.

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/word/zones.hpp"

namespace pinref::inline v0_1 {

/// Two words: `zones` of all holders, a pin being one of them, and the number of pins.
template <std::unsigned_integral Word, unsigned Takers, unsigned Claimants>
class split_layout {
 public:
  /// The integer each word is, and how the first stands for holders.
  using word_type = Word;
  using zones = pinref::zones<Word, Takers, 0, Claimants>;
  /// The words that count them.
  template <class Sync>
  using counter = split_word<split_layout, Sync>;

  /// "Pinned" is as certain as "not pinned".
  static constexpr bool exact_pins = true;
  /// Largest n of one bulk take or release of references, and of pins.
  static constexpr std::size_t max_references_at_once = zones::max_at_once(1);
  static constexpr std::size_t max_pins_at_once = zones::max_at_once(1);

  /// A dead page.
  constexpr split_layout() noexcept = default;
  /// The two words as they stand in memory: `zones` of all holders, and the pins among them.
  constexpr split_layout(Word raw, Word pins) noexcept : raw_(raw), pins_(pins) {}
  /// A live page with these holders. Precondition: `references + pins <= zones::max_holders`.
  [[nodiscard]] static constexpr split_layout live(Word references, Word pins = 0) noexcept {
    return {zones::live(static_cast<Word>(references + pins)), pins};
  }

  /// The two words as they stand in memory.
  [[nodiscard]] constexpr Word raw() const noexcept { return raw_; }
  [[nodiscard]] constexpr Word raw_pins() const noexcept { return pins_; }
  /// The zone the first word stands in.
  [[nodiscard]] constexpr pinref::zone zone() const noexcept { return zones::zone_of(raw_); }

  /// Plain references; negative if more were put than taken while the page is pinned.
  [[nodiscard]] constexpr std::int64_t references() const noexcept {
    return static_cast<std::int64_t>(std::uint64_t{zones::holders(raw_)} - std::uint64_t{pins()});
  }

  /// Pins; 0 on a dead or frozen page. Exact.
  [[nodiscard]] constexpr Word pins() const noexcept {
    return zone() == zone::dead || zone() == zone::frozen ? Word{0} : pins_;
  }

  /// Never false for a pinned page.
  [[nodiscard]] constexpr bool maybe_pinned() const noexcept { return pins() != 0; }

  /// Has the page at most n holders? Never true of a frozen page: its claimant holds it.
  [[nodiscard]] constexpr bool at_most(std::uint64_t n) const noexcept {
    return zone() != zone::frozen && std::uint64_t{zones::holders(raw_)} <= n;
  }

  friend constexpr bool operator==(split_layout, split_layout) noexcept = default;

 private:
  Word raw_ = zones::dead;
  Word pins_ = 0;
};

/// 8 bytes, and the counts of a Linux large folio.
using split32 = split_layout<std::uint32_t>;

}  // namespace pinref::inline v0_1
