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
///     constexpr pinref::split word = pinref::split::of(2, 3);
///     static_assert(word.references() == 2 && word.pins() == 3);
///
/// Source: Linux struct folio, _refcount and _pincount.

#include <concepts>
#include <cstdint>

#include "pinref/word/zones.hpp"

namespace pinref {

template <std::unsigned_integral Word, unsigned Takers>
class split_layout {
 public:
  using word_type = Word;
  using zones = pinref::zones<Word, Takers>;

  static constexpr bool exact_pins = true;
  static constexpr Word max_references_at_once = zones::max_delta;
  static constexpr Word max_pins_at_once = zones::max_delta;

  /// A dead page.
  constexpr split_layout() noexcept = default;
  /// The two words as they stand in memory: `zones` of all holders, and the pins among them.
  constexpr split_layout(Word raw, Word pins) noexcept : raw_(raw), pins_(pins) {}
  /// A live page with these holders. Precondition: `references + pins <= zones::max_holders`.
  [[nodiscard]] static constexpr split_layout of(Word references, Word pins = 0) noexcept {
    return {zones::live(static_cast<Word>(references + pins)), pins};
  }

  [[nodiscard]] constexpr Word raw() const noexcept { return raw_; }
  [[nodiscard]] constexpr Word raw_pins() const noexcept { return pins_; }
  [[nodiscard]] constexpr pinref::zone zone() const noexcept { return zones::of(raw_); }

  /// Plain references. Negative when more was put than was taken: pins lent them.
  [[nodiscard]] constexpr std::int64_t references() const noexcept {
    return static_cast<std::int64_t>(std::uint64_t{zones::holders(raw_)} - std::uint64_t{pins()});
  }

  /// Pins; 0 on a dead or frozen page. Exact.
  [[nodiscard]] constexpr Word pins() const noexcept {
    return zone() == zone::dead || zone() == zone::frozen ? Word{0} : pins_;
  }

  /// Never false for a pinned page.
  [[nodiscard]] constexpr bool maybe_pinned() const noexcept { return pins() != 0; }

  /// Has the page at most n holders? Never true of a frozen one, which its claimant holds.
  [[nodiscard]] constexpr bool at_most(std::uint64_t n) const noexcept {
    return zone() != zone::frozen && std::uint64_t{zones::holders(raw_)} <= n;
  }

  friend constexpr bool operator==(split_layout, split_layout) noexcept = default;

 private:
  Word raw_ = zones::dead;
  Word pins_ = 0;
};

using split = split_layout<std::uint32_t>;

}  // namespace pinref
