#pragma once

/// \file
/// Zones of a reference word: how its sign alone tells "plainly alive" from every kind of trouble, and what a slow path
/// makes of each.
///
/// A live word is its number of holders minus one, so that the last release shows in the sign too. The negative half is
/// cut into zones that only the slow paths tell apart, here to scale, in thirty-seconds of the word:
///
///     0                               16  18 19    22 23  25  27  29    32
///     |             alive             | O |U|  W   |f| F+ | d | D+ |  U  |
///
/// - `overflow` O: more holders than the word may count; takes give back what they added.
/// - `watched` W: alive with `word - watched` holders, and somebody waits for them to leave.
/// - `frozen` F: claimed by one exclusive owner. A take adds before it looks, so the word may stand above `frozen` (23)
///   while takes are being given back, and below it (f) while releases of what nobody holds are.
/// - `dead` D: free. Above and below `dead` (27) as for frozen.
/// - `underflow` U: more was released from a live or watched word than was held, until that is given back. How many
///   holders there are cannot be told meanwhile.
/// - `nobody`, all ones: no holder left, and nobody has yet claimed to be the last.
///
/// Why so wide: `slack`, two thirty-seconds, has room for all takes that are between their add and their look, and
/// stands above every zone that a take may meet. A watched word has one more for the holders it counts.
///
/// When not to use it: to count anything but holders of a page; it is the arithmetic under `bias_layout` and
/// `split_layout`, not a counter of its own.
///
/// Example:
///
///     using z = pinref::zones<std::uint64_t>;
///     static_assert(z::of(z::live(1)) == pinref::zone::alive && z::of(z::dead) == pinref::zone::dead);

#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "pinref/fwd.hpp"
#include "pinref/word/result.hpp"

namespace pinref {

/// What a reference word says about its page, apart from the counts.
enum class zone : unsigned char {
  alive,      ///< its holders are counted; none at all is a page about to die
  overflow,   ///< more holders than the word may count are asking: new ones are refused
  watched,    ///< alive, and somebody waits for holders to leave
  frozen,     ///< claimed by one exclusive owner
  dead,       ///< free
  underflow,  ///< more was released than was held, and is being given back
};

/// The zones of a `Word`, for at most `Takers` threads that are inside a bulk take at the same instant.
///
/// `max_delta` is the largest single add or subtract; `Takers` of them are less than `slack`. Smaller takes leave room
/// for more threads: what counts is the sum of the adds that have not looked yet.
template <std::unsigned_integral Word, unsigned Takers>
struct zones {
  static_assert(Takers > 0, "pinref: zones need room for at least one taker");

  using word_type = Word;
  static constexpr unsigned takers = Takers;
  static constexpr unsigned bits = std::numeric_limits<Word>::digits;

  /// A border, in thirty-seconds of the word.
  [[nodiscard]] static constexpr Word at(unsigned thirty_seconds) noexcept {
    return static_cast<Word>(static_cast<Word>(thirty_seconds) << (bits - 5));
  }
  static constexpr Word sign = at(16);
  static constexpr Word overflow_end = at(18);
  static constexpr Word watched = at(19);
  static constexpr Word frozen_begin = at(22);
  static constexpr Word frozen = at(23);
  static constexpr Word dead_begin = at(25);
  static constexpr Word dead = at(27);
  static constexpr Word underflow_begin = at(29);
  static constexpr Word nobody = std::numeric_limits<Word>::max();

  /// Room for all adds in flight.
  static constexpr Word slack = at(2);
  static constexpr Word max_delta = static_cast<Word>(slack / (std::uint64_t{Takers} + 1));
  static_assert(max_delta > 0, "pinref: this word is too small for so many takers");
  static_assert(max_delta <= (slack - 1) / Takers, "all takers at once stay inside a zone");
  /// The most holders of a live word.
  static constexpr Word max_holders = sign;
  /// From so many holders on a word is not watched.
  static constexpr Word watch_limit = at(1);
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
    if (word < watched) return zone::underflow;
    if (word < frozen_begin) return zone::watched;
    if (word < dead_begin) return zone::frozen;
    return word < underflow_begin ? zone::dead : zone::underflow;
  }

  /// The holders a word counts: none of one that is dead or frozen. Of an underflow as many as there can be, because
  /// they cannot be told: whoever asks stays on the safe side.
  [[nodiscard]] static constexpr Word holders(Word word) noexcept {
    switch (of(word)) {
      case zone::alive:
      case zone::overflow:
        return static_cast<Word>(word + 1);
      case zone::watched:
        return static_cast<Word>(word - watched);
      case zone::underflow:
        return max_holders;
      case zone::frozen:
      case zone::dead:
        break;
    }
    return 0;
  }

  /// Can a waiter mark this word?
  [[nodiscard]] static constexpr bool can_be_watched(Word word) noexcept {
    return of(word) == zone::alive && holders(word) < watch_limit;
  }
  /// The same word without its mark. Precondition: it is watched.
  [[nodiscard]] static constexpr Word unwatched(Word word) noexcept { return static_cast<Word>(word - watching); }

  /// What a slow path makes of the word it finds: its answer, and the word to put there. If that is the word it found,
  /// there is nothing to do.
  template <class Result>
  struct step {
    Result result;
    Word next;
    bool wakes = false;  ///< the mark of a waiter goes
  };

  /// After an add of `delta` showed trouble. The add is in the word `now`: where the page lives it counts; elsewhere it
  /// is taken out. What releases of too much have put below the centre of a dead or frozen word ends here, so that it
  /// cannot add up.
  [[nodiscard]] static constexpr step<take_result> after_take(Word now, Word delta) noexcept {
    const Word without = static_cast<Word>(now - delta);
    switch (of(now)) {
      case zone::alive:
        break;
      case zone::watched:
        // Too many to stay watched: the waiters look for themselves.
        if (holders(now) >= watch_limit) return {take_result::taken, unwatched(now), true};
        break;
      case zone::overflow:
        return {take_result::overflow, without};
      case zone::frozen:
        return {take_result::dead, without < frozen ? frozen : without};
      case zone::dead:
        return {take_result::dead, without < dead ? dead : without};
      case zone::underflow:
        return {take_result::dead, without};
    }
    return {take_result::taken, now};
  }

  /// After a subtract of `delta` showed trouble. A release that leaves fewer than `quiet` holders wakes.
  [[nodiscard]] static constexpr step<release_result> after_release(Word now, Word delta, Word quiet,
                                                                    Word idle_level) noexcept {
    switch (of(now)) {
      case zone::alive:
        // Of all releasers that see nobody, the one that buries the page was the last.
        if (now == nobody) return {release_result::last, dead};
        break;
      case zone::watched: {
        const Word left = holders(now);
        if (left >= quiet) break;
        if (left == 0) return {release_result::last, dead, true};
        return {left == idle_level ? release_result::idle : release_result::released, unwatched(now), true};
      }
      case zone::overflow:
        break;
      case zone::frozen:
        return after_wrong_release(now, delta, frozen);
      case zone::dead:
        return after_wrong_release(now, delta, dead);
      case zone::underflow:
        return {release_result::underflow, static_cast<Word>(now + delta)};
    }
    return {release_result::released, now};
  }

 private:
  // A word below its centre was released too often, and what is given back ends there: a refused take may have taken
  // part of it out already. Not below, this is a rightful release that somebody else was faster than.
  [[nodiscard]] static constexpr step<release_result> after_wrong_release(Word now, Word delta, Word centre) noexcept {
    if (now >= centre) return {release_result::released, now};
    const Word with = static_cast<Word>(now + delta);
    return {release_result::underflow, with < centre ? with : centre};
  }
};

}  // namespace pinref
