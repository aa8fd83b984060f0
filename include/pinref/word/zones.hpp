#pragma once

/// \file
/// Zones of a reference word: how its sign alone tells "plainly alive" from every kind of trouble.
///
/// A live word is its number of holders minus one, so that the last release shows in the sign too. The negative half is
/// cut into zones that only the slow paths tell apart:
///
///     0 ..... sign ........... watched ..... dead_begin ..... dead ............ nobody
///     | alive | overflow | lost | watched    | dead + adds in flight | lost    |
///
/// - `overflow`: more holders than the word may count; takes give back what they added.
/// - `watched + n`: alive with n holders, and somebody waits for them to leave.
/// - `dead`: free or frozen. A take adds before it looks, so it may stand above `dead` while takes are being given
/// back.
/// - `lost`: more was released from a live or watched word than was held, until that is given back.
/// - `nobody`, all ones: no holder left, and nobody has yet claimed to be the last.
///
/// When not to use it: to count anything but holders of a page; it is the arithmetic under `bias_layout` and
/// `split_layout`, not a counter of its own.
///
/// Example:
///
///     using z = pinref::zones<std::uint64_t>;
///     static_assert(z::of(z::live(1)) == pinref::zone::alive && z::of(z::dead) == pinref::zone::dead);

#include <concepts>
#include <limits>
#include <type_traits>

#include "pinref/fwd.hpp"

namespace pinref {

/// What a reference word says about its page, apart from the counts.
enum class zone : unsigned char {
  alive,     ///< its holders are counted; none at all is a page about to die
  overflow,  ///< more holders than the word may count are asking: new ones are refused
  watched,   ///< alive, and somebody waits for holders to leave
  dead,      ///< free, or frozen by one exclusive owner
  lost,      ///< more was released than was held, and is being given back
};

/// The zones of a `Word`, for at most `Takers` threads that are inside a take at the same instant.
///
/// `max_delta` is the largest single add or subtract. `Takers * max_delta` adds in flight stay inside a zone.
template <std::unsigned_integral Word, unsigned Takers>
struct zones {
  static_assert(Takers > 0, "pinref: zones need room for at least one taker");

  using word_type = Word;
  static constexpr unsigned takers = Takers;
  static constexpr unsigned bits = std::numeric_limits<Word>::digits;
  static constexpr Word sign = static_cast<Word>(Word{1} << (bits - 1));
  static constexpr Word overflow_end = static_cast<Word>(Word{9} << (bits - 4));
  static constexpr Word watched = static_cast<Word>(Word{5} << (bits - 3));
  static constexpr Word dead_begin = static_cast<Word>(Word{3} << (bits - 2));
  static constexpr Word dead = static_cast<Word>(Word{7} << (bits - 3));
  static constexpr Word lost_begin = static_cast<Word>(Word{15} << (bits - 4));
  static constexpr Word nobody = std::numeric_limits<Word>::max();

  /// Room for all adds in flight.
  static constexpr Word slack = static_cast<Word>(Word{1} << (bits - 4));
  static constexpr Word max_delta = static_cast<Word>(slack / Takers);
  static_assert(max_delta > 0, "pinref: this word is too small for so many takers");
  /// The most holders of a live word.
  static constexpr Word max_holders = sign;
  /// From so many holders on a word is not watched.
  static constexpr Word watch_limit = slack;
  /// What watching adds to a live word.
  static constexpr Word watching = static_cast<Word>(watched + 1);

  /// A live word with n holders.
  [[nodiscard]] static constexpr Word live(Word n) noexcept { return static_cast<Word>(n - 1); }

  /// True for everything that is not plainly alive: the one question of the fast path.
  [[nodiscard]] static constexpr bool troubled(Word word) noexcept {
    return static_cast<std::make_signed_t<Word>>(word) < 0;
  }

  [[nodiscard]] static constexpr zone of(Word word) noexcept {
    if (!troubled(word) || word == nobody) return zone::alive;
    if (word < overflow_end) return zone::overflow;
    if (word < watched) return zone::lost;
    if (word < dead_begin) return zone::watched;
    return word < lost_begin ? zone::dead : zone::lost;
  }

  /// The holders a word counts; 0 of one that is dead or lost.
  [[nodiscard]] static constexpr Word holders(Word word) noexcept {
    switch (of(word)) {
      case zone::alive:
      case zone::overflow:
        return static_cast<Word>(word + 1);
      case zone::watched:
        return static_cast<Word>(word - watched);
      case zone::dead:
      case zone::lost:
        break;
    }
    return 0;
  }
};

}  // namespace pinref
