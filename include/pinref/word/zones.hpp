#pragma once

/// \file
/// Zones of a reference word: how its sign alone tells "plainly alive" from every kind of trouble.
///
/// A word counts holders from zero upwards. Its negative half is cut into zones that only the slow paths tell apart:
///
///     0 ........ sign ............ dead_begin ........ dead ........ 2^bits
///     |  alive   |    overflow     |        dead (noise around the centre) |
///
/// A dead word is written as `dead`, the centre of its zone. Takers add before they look, so a dead word collects
/// noise: failed takes push it up, foreign releases pull it down. Whoever meets noise of `noise` or more clamps the
/// word back to the centre, so that it can never drift out of the zone and come back to life.
///
/// When not to use it: to count anything but holders of a page; it is the arithmetic under `bias_layout` and
/// `split_layout`, not a counter of its own.
///
/// Example:
///
///     using z = pinref::zones<std::uint64_t>;
///     static_assert(z::of(1) == pinref::zone::alive && z::of(z::dead) == pinref::zone::dead);

#include <concepts>
#include <limits>
#include <type_traits>

#include "pinref/fwd.hpp"

namespace pinref {

/// What a reference word says about its page, apart from the counts.
enum class zone : unsigned char {
  alive,     ///< holders are counted from zero; zero itself is a page about to die
  overflow,  ///< more holders than the word can count are asking: new ones are refused
  dead,      ///< free, on a free list, or frozen by one exclusive owner
};

/// The zones of a `Word`, for at most `Takers` threads that are inside a take at the same instant.
///
/// `max_delta` is the largest single add or subtract. The bound that keeps a dead word dead is
/// `Takers * max_delta <= noise`: past the clamp every thread can add at most once before it sees the noise.
template <std::unsigned_integral Word, unsigned Takers>
struct zones {
  static_assert(Takers > 0, "pinref: zones need room for at least one taker");

  static constexpr unsigned takers = Takers;
  static constexpr unsigned bits = std::numeric_limits<Word>::digits;
  static constexpr Word sign = static_cast<Word>(Word{1} << (bits - 1));
  static constexpr Word dead_begin = static_cast<Word>(Word{3} << (bits - 2));
  static constexpr Word dead = static_cast<Word>(Word{7} << (bits - 3));
  static constexpr Word noise = static_cast<Word>(Word{1} << (bits - 4));
  static constexpr Word max_delta = static_cast<Word>(noise / Takers);
  static_assert(max_delta > 0, "pinref: this word is too small for so many takers");

  /// True for everything that is not plainly alive: the one question of the fast path.
  [[nodiscard]] static constexpr bool troubled(Word word) noexcept {
    return static_cast<std::make_signed_t<Word>>(word) < 0;
  }

  [[nodiscard]] static constexpr zone of(Word word) noexcept {
    if (!troubled(word)) return zone::alive;
    return word < dead_begin ? zone::overflow : zone::dead;
  }

  /// True for a dead word that has drifted so far from the centre that it must be clamped.
  [[nodiscard]] static constexpr bool noisy(Word word) noexcept {
    const Word distance = static_cast<Word>(word < dead ? dead - word : word - dead);
    return of(word) == zone::dead && distance >= noise;
  }
};

}  // namespace pinref
