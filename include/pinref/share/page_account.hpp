// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_account: everything that a ledger says of one page, and its word, as of one instant.
///
/// No member is stopped for it. The calls that every member has begun on pages of this kind are counted, the records
/// are read, then the pool's reference and the word, then the records are read again, and the calls counted again. If
/// nothing has changed, and no record of a living member says that a call is under way, then nothing of this page has
/// changed from the first count to the look at the word. For a call that the word shows has stored its intent before,
/// and, unless it is a release, has been counted before. So it was in the first count, too, and its intent was there to
/// be read, or its fact, and then the word came after that. A release begins in a record of the page, which the first
/// look has read, and the second would find changed.
///
/// What the word counts and no record has for sure is then what dead members were killed at: see `settle`.
///
/// When not to use it: for a question. `holders_of` tells who holds a page without waiting for a quiet instant.
///
/// Example:
///
///     pinref::page_account<pinref::shared_traits> account{parts, 7};
///     if (!account.look(100)) return try_again_later();          // no quiet instant
///     std::printf("%u records in doubt\n", account.nr_doubts);
///
/// Errors: `look` is false when the page had no quiet instant.
/// Memory order: the look is acquire: what is read is as the members left it.
/// Progress: wait-free; as many attempts as were asked for.
/// Source: double collect with sequence numbers, Afek, Attiya, Dolev, Gafni, Merritt and Shavit, "Atomic Snapshots of
/// Shared Memory".

#include <atomic>
#include <cstdint>

#include "pinref/share/ledger.hpp"
#include "pinref/share/place_life.hpp"

namespace pinref::inline v0_1 {

/// One page's account.
template <class Traits>
class page_account {
 public:
  /// The parts of the ledger, the calls on it, and its words.
  using memory = ledger_memory<Traits>;
  using steps = detail::ledger_steps<Traits>;
  using layout = typename Traits::layout;
  using word_type = typename layout::word_type;
  static_assert(layout::exact_pins, "pinref: a ledger needs exact pins");

  /// A record of a dead member that is in doubt.
  struct doubt {
    unsigned place;      ///< of the member
    std::uint32_t slot;  ///< the number of the record
    ledger_record what;  ///< what it says
  };
  /// More than this on one page are settled one after the other.
  static constexpr unsigned max_doubts = 16;

  word_type word = 0;             ///< of the page
  bool is_free = false;           ///< is it on the free list?
  bool kept = false;              ///< has the pool a reference?
  std::uint64_t sure = 0;         ///< holders that are recorded for sure, the pool's among them
  std::uint64_t possible = 0;     ///< holders that are in doubt
  doubt doubts[max_doubts] = {};  ///< the records in doubt
  unsigned nr_doubts = 0;         ///< how many there are
  bool too_many = false;          ///< there are more doubts than are here

  /// Of `page`, which is in range.
  page_account(const memory& parts, std::uint32_t page) noexcept : m_(parts), page_(page) {}

  /// Looks, at most so many times, until there is a quiet instant; says whether there was.
  [[nodiscard]] bool look(unsigned times) noexcept {
    for (unsigned i = 0; i != times; ++i)
      if (try_look()) return true;
    return false;
  }

  /// The zone of the word.
  [[nodiscard]] pinref::zone zone() const noexcept { return zones::zone_of(word); }
  /// The member that has claimed the page, or ~0u.
  [[nodiscard]] unsigned claimant() const noexcept {
    return zone() == zone::frozen ? zones::claimant_of(word) - 1 : ~0u;
  }
  /// How many holders the word counts: also of a dead or claimed page, whose holders are adds that have not been given
  /// back. Negative if that cannot be told.
  [[nodiscard]] std::int64_t counted() const noexcept {
    switch (zone()) {
      case zone::alive:
      case zone::watched:
      case zone::overflow:
        return static_cast<std::int64_t>(zones::holders(word));
      case zone::dead:
      case zone::frozen: {
        const word_type centre = zones::centre_of(zone(), word);
        return word < centre ? -1 : static_cast<std::int64_t>(static_cast<word_type>(word - centre) / zones::unit);
      }
      case zone::underflow:
        break;
    }
    return -1;
  }

 private:
  using zones = typename layout::zones;
  static constexpr unsigned max_places = memory::max_places;

  [[nodiscard]] bool try_look() noexcept {
    std::uint32_t begun[max_places];
    const unsigned kind = memory::kind(page_);
    for (unsigned place = 0; place != m_.nr_places; ++place) {
      // (L6) pairs with (L5): acquire, so that the intents of all calls that are counted here can be read.
      begun[place] = m_.places[place].calls[kind].load(std::memory_order_acquire);
    }
    sure = 0;
    possible = 0;
    nr_doubts = 0;
    too_many = false;
    read_ = 0;
    for (unsigned place = 0; place != m_.nr_places; ++place)
      if (!read(place)) return false;
    const steps any{m_, 0};
    // (L14) pairs with (L12), (L13): acquire, so that if the pool's reference is seen changed, the call is counted.
    kept = any.kept(page_).load(std::memory_order_acquire) != 0;
    if (kept) ++sure;
    word = any.word(page_).load_ordered();
    is_free = any.is_free(page_);
    const std::uint64_t first = read_;
    read_ = 0;
    for (unsigned place = 0; place != m_.nr_places; ++place) read_again(place);
    if (read_ != first) return false;
    for (unsigned place = 0; place != m_.nr_places; ++place)
      if (m_.places[place].calls[kind].load(std::memory_order_relaxed) != begun[place]) return false;
    return true;
  }

  // What has been read, as one number.
  void note(unsigned place, std::uint32_t slot, ledger_record what) noexcept {
    for (const std::uint64_t part : {std::uint64_t{place} << 32 | slot, what.raw()}) {
      read_ = (read_ ^ part) * 0x9e37'79b9'7f4a'7c15;
      read_ ^= read_ >> 29;
    }
  }
  void read_again(unsigned place) noexcept {
    for (std::uint32_t i = 0, n = m_.nr_used(place); i != n; ++i) {
      // (L35) pairs with (L7), (L16): acquire, so that a record that says the same again shows the call that made it
      // so as counted.
      const ledger_record what{m_.slot(place, i).entry.load(std::memory_order_acquire)};
      if (what.is_of(page_)) note(place, i, what);
    }
  }

  // False if a living member is in the middle of a call.
  [[nodiscard]] bool read(unsigned place) noexcept {
    for (std::uint32_t i = 0, n = m_.nr_used(place); i != n; ++i) {
      // (L8) pairs with (L7), (L16): acquire, so that the look at the word sees the change that a fact is about.
      const ledger_record what{m_.slot(place, i).entry.load(std::memory_order_acquire)};
      if (!what.is_of(page_)) continue;
      note(place, i, what);
      sure += steps::weight(what.mode(), what.n());
      if (!what.in_doubt()) continue;
      if (!pinref::find_death(m_, place)) return false;
      // A death that is found now: the record may have changed since it was read.
      const ledger_record final{m_.slot(place, i).entry.load(std::memory_order_relaxed)};
      if (final != what) return false;
      if (what.state() != record_state::freeing) possible += steps::weight(what.mode(), what.k());
      if (nr_doubts == max_doubts)
        too_many = true;
      else
        doubts[nr_doubts++] = {place, i, what};
    }
    return true;
  }

  const memory m_;
  const std::uint32_t page_;
  std::uint64_t read_ = 0;
};

}  // namespace pinref::inline v0_1
