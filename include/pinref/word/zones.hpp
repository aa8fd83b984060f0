// SPDX-License-Identifier: MIT
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
/// - `watched` W: alive with `word - watched` holders, and a waiter waits for them to leave.
/// - `frozen` F: claimed by one exclusive owner. A take adds before it looks, so the word may stand above `frozen` (23)
///   while takes are being given back, and below it (f) while wrong releases are.
/// - `dead` D: free. Above and below `dead` (27) as for frozen.
/// - `underflow` U: more was released from a live or watched word than was held, until that is given back. How many
///   holders there are cannot be told meanwhile.
/// - `nobody`, all ones: no holder is left, and no releaser has claimed to be the last yet.
///
/// Why so wide: `slack`, two thirty-seconds, has room for all takes that are between their add and their look, and
/// stands above every zone that a take may meet. A watched word has one more for the holders it counts.
///
/// Two parameters cost nothing at their default of 0. `HostBits` low bits of the word are the host's own; holders are
/// then counted in units above them. `Claimants` divides the frozen zone into one part more than that, so that a frozen
/// word says who claimed it, also while takes are being given back:
///
///     22                     23                    24                    25
///     |  f0 F0+              |  f1 F1+             |  f2 F2+             |            Claimants = 2
///
/// When not to use it: to count anything but holders of a page; it is the arithmetic under `bias_layout` and
/// `split_layout`, not a counter of its own.
///
/// Example:
///
///     using z = pinref::zones<std::uint64_t>;
///     static_assert(z::zone_of(z::live(1)) == pinref::zone::alive && z::zone_of(z::dead) == pinref::zone::dead);
///
/// Errors: none; what a word cannot stand for does not compile.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux rcuref.h; the zones are pinref's own.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "pinref/fwd.hpp"
#include "pinref/word/holder.hpp"

namespace pinref::inline v0_1 {

/// What a reference word says about its page, apart from the counts.
enum class zone : unsigned char {
  alive,      ///< its holders are counted; none at all is a page about to die
  overflow,   ///< more holders than the word may count are asking: new ones are refused
  watched,    ///< alive, and a waiter waits for holders to leave
  frozen,     ///< claimed by one exclusive owner
  dead,       ///< free
  underflow,  ///< more was released than was held, and is being given back
};

/// The name of a zone, as spelled above.
[[nodiscard]] constexpr const char* to_string(zone where) noexcept {
  switch (where) {
    case zone::alive:
      return "alive";
    case zone::overflow:
      return "overflow";
    case zone::watched:
      return "watched";
    case zone::frozen:
      return "frozen";
    case zone::dead:
      return "dead";
    case zone::underflow:
      return "underflow";
  }
  return "unknown";
}

/// The zones of a `Word`, for at most `Takers` threads that are inside a bulk take at the same instant.
///
/// `max_delta` is the largest single take or release in holders; `Takers` of them are less than `slack`. Smaller takes
/// leave room for more threads: what counts is the sum of the adds that have not looked yet.
template <std::unsigned_integral Word, unsigned Takers, unsigned HostBits, unsigned Claimants>
struct zones {
  static_assert(Takers > 0, "pinref: zones need room for at least one taker");

  /// The word, the number of its takers, and its bits.
  using word_type = Word;
  static constexpr unsigned takers = Takers;
  static constexpr unsigned bits = std::numeric_limits<Word>::digits;
  static_assert(HostBits < bits - 5, "pinref: this word is too small for so many bits of the host");

  /// The bits of the host, and what one holder adds.
  static constexpr unsigned host_bits = HostBits;
  static constexpr Word unit = static_cast<Word>(Word{1} << HostBits);
  static constexpr Word host_mask = static_cast<Word>(unit - 1);
  /// What n holders add.
  [[nodiscard]] static constexpr Word delta(Word n) noexcept { return static_cast<Word>(n << HostBits); }

  /// A border, in thirty-seconds of the word.
  [[nodiscard]] static constexpr Word at(unsigned thirty_seconds) noexcept {
    return static_cast<Word>(static_cast<Word>(thirty_seconds) << (bits - 5));
  }
  /// Where the zones begin and end; of `watched`, `dead` and `nobody` the word that stands for none, see above.
  static constexpr Word sign = at(16);
  static constexpr Word overflow_end = at(18);
  static constexpr Word watched = at(19);
  static constexpr Word frozen_begin = at(22);
  static constexpr Word dead_begin = at(25);
  static constexpr Word dead = at(27);
  static constexpr Word underflow_begin = at(29);
  static constexpr Word nobody = static_cast<Word>(std::numeric_limits<Word>::max() - host_mask);

  /// The part of the frozen zone that one claimant has: a third below its centre, two thirds above.
  static constexpr Word third = static_cast<Word>(at(1) / (std::uint64_t{Claimants} + 1) & ~std::uint64_t{host_mask});
  static constexpr unsigned claimants = Claimants;
  /// The word as `who` claims it, at most `Claimants`.
  [[nodiscard]] static constexpr Word frozen_by(unsigned who) noexcept {
    return static_cast<Word>(frozen_begin + third + static_cast<Word>(3 * third) * who);
  }
  /// The word as its only claimant claims it.
  static constexpr Word frozen = frozen_by(0);
  /// The claimant of a word. Precondition: it is frozen.
  [[nodiscard]] static constexpr unsigned claimant_of([[maybe_unused]] Word word) noexcept {
    if constexpr (Claimants == 0) {
      return 0;
    } else {
      const unsigned who = static_cast<unsigned>(static_cast<Word>(word - frozen_begin) / static_cast<Word>(3 * third));
      return who < Claimants ? who : Claimants;
    }
  }

  /// Room for all adds in flight.
  static constexpr Word slack = static_cast<Word>(2 * third);
  static constexpr Word max_delta = static_cast<Word>(slack / (std::uint64_t{Takers} + 1) >> HostBits);
  static_assert(max_delta > 0, "pinref: this word is too small for so many takers");
  static_assert(delta(max_delta) <= (slack - 1) / Takers, "all takers at once stay inside a zone");
  static_assert(frozen_by(Claimants) + slack <= dead_begin, "and a claimed word stays its claimant's");
  /// How many of `weight` holders each that is, as a size.
  [[nodiscard]] static constexpr std::size_t max_at_once(Word weight) noexcept {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    const std::uint64_t n = max_delta / weight;
    return n > most ? most : static_cast<std::size_t>(n);
  }
  /// The most holders of a live word.
  static constexpr Word max_holders = static_cast<Word>(sign >> HostBits);
  /// A word with this many holders or more is not watched.
  static constexpr Word watch_limit = static_cast<Word>(at(1) >> HostBits);
  /// What watching adds to a live word.
  static constexpr Word watching = static_cast<Word>(watched + unit);

  /// A live word with n holders, the bits of the host clear.
  [[nodiscard]] static constexpr Word live(Word n) noexcept { return delta(static_cast<Word>(n - 1)); }

  /// True for everything that is not plainly alive: the one question of the fast path.
  [[nodiscard]] static constexpr bool troubled(Word word) noexcept {
    return static_cast<std::make_signed_t<Word>>(word) < 0;
  }

  /// The zone a word stands in.
  [[nodiscard]] static constexpr zone zone_of(Word word) noexcept {
    if (!troubled(word) || word >= nobody) return zone::alive;
    if (word < overflow_end) return zone::overflow;
    if (word < watched) return zone::underflow;
    if (word < frozen_begin) return zone::watched;
    if (word < dead_begin) return zone::frozen;
    return word < underflow_begin ? zone::dead : zone::underflow;
  }

  /// The holders a word counts; none if it is dead or frozen. In underflow their number cannot be told, and the answer
  /// is `max_holders`, which is safe for every question.
  [[nodiscard]] static constexpr Word holders(Word word) noexcept {
    switch (zone_of(word)) {
      case zone::alive:
      case zone::overflow:
        return static_cast<Word>(static_cast<Word>(word + unit) >> HostBits);
      case zone::watched:
        return static_cast<Word>(static_cast<Word>(word - watched) >> HostBits);
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
    return zone_of(word) == zone::alive && holders(word) < watch_limit;
  }
  /// The word without its mark. Precondition: it is watched.
  [[nodiscard]] static constexpr Word unwatched(Word word) noexcept { return static_cast<Word>(word - watching); }
  /// The centre of `where`, dead or frozen, with the bits of the host as they are in `word`.
  [[nodiscard]] static constexpr Word centre_of(zone where, Word word) noexcept {
    const Word centre = where == zone::dead ? dead : frozen_by(claimant_of(word));
    return static_cast<Word>(centre | (word & host_mask));
  }

  /// What a slow path makes of the word it finds: its answer, and the word to put there. If that is the word it found,
  /// there is nothing to do.
  template <class Result>
  struct step {
    Result result;       ///< the answer to the caller
    Word next;           ///< the word to put there
    bool wakes = false;  ///< the mark of a waiter goes
  };

  /// Slow path of a take; the add of `added` is already in the word `now`. If the page lives, the add counts: taken. If
  /// not, take it out again: refused. Only wrong releases lead below the centre of a dead or frozen word: put it back
  /// to the centre, so that they cannot add up.
  [[nodiscard]] static constexpr step<take_result> after_take(Word now, Word added) noexcept {
    const Word without = static_cast<Word>(now - added);
    const zone found = zone_of(now);
    switch (found) {
      case zone::alive:
        break;
      case zone::watched:
        // Too many to stay watched: the waiters look from time to time.
        if (holders(now) >= watch_limit) return {take_result::taken, unwatched(now), true};
        break;
      case zone::overflow:
        return {take_result::overflow, without};
      case zone::frozen:
      case zone::dead: {
        const Word centre = centre_of(found, now);
        return {take_result::dead, without < centre ? centre : without};
      }
      case zone::underflow:
        return {take_result::dead, without};
    }
    return {take_result::taken, now};
  }

  /// Slow path of a release; the subtract of `removed` is already in the word `now`. A release that leaves fewer than
  /// `quiet` holders wakes.
  [[nodiscard]] static constexpr step<release_result> after_release(Word now, Word removed, Word quiet,
                                                                    owner_ref owner) noexcept {
    const zone found = zone_of(now);
    switch (found) {
      case zone::alive:
        // Several releasers may see no holder; the one that makes the word dead is the last.
        if (now >= nobody) return {release_result::last, centre_of(zone::dead, now)};
        break;
      case zone::watched: {
        const Word left = holders(now);
        if (left == 0) return {release_result::last, centre_of(zone::dead, now), true};
        const bool idle = owner == owner_ref::resident && left == 1;
        const bool wakes = left < quiet;
        return {idle ? release_result::idle : release_result::released, wakes ? unwatched(now) : now, wakes};
      }
      case zone::overflow:
        break;
      case zone::frozen:
      case zone::dead: {
        // A word below its centre was released too often. It is put back no further than the centre, because a refused
        // take may have done part of it already. At or above the centre the release was rightful, and another call was
        // faster to end the life.
        const Word centre = centre_of(found, now);
        if (now >= centre) break;
        const Word with = static_cast<Word>(now + removed);
        return {release_result::underflow, with < centre ? with : centre};
      }
      case zone::underflow:
        return {release_result::underflow, static_cast<Word>(now + removed)};
    }
    return {release_result::released, now};
  }

  /// A release of `n` holders that changes the host's bits too, in one exchange: what it makes of a word from which
  /// nothing has been subtracted yet. Answers `underflow`, and leaves the word as it is, if n are not held.
  [[nodiscard]] static constexpr step<release_result> releasing(Word now, Word n, Word quiet, owner_ref owner,
                                                                host_change<Word> change) noexcept {
    const zone found = zone_of(now);
    const bool counts = found == zone::alive || found == zone::watched || found == zone::overflow;
    if (!counts || holders(now) < n) return {release_result::underflow, now};
    const Word kept = static_cast<Word>(change.of(now) & host_mask);
    const Word left = static_cast<Word>(holders(now) - n);
    const bool was_watched = found == zone::watched;
    if (left == 0) return {release_result::last, static_cast<Word>(dead | kept), was_watched};
    // A waiter for a bit looks again too.
    const bool wakes = was_watched && (left < quiet || kept != (now & host_mask));
    const Word rest = static_cast<Word>(was_watched && !wakes ? watched + delta(left) : live(left));
    const bool idle = owner == owner_ref::resident && left == 1;
    return {idle ? release_result::idle : release_result::released, static_cast<Word>(rest | kept), wakes};
  }
};

}  // namespace pinref::inline v0_1
