// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// ledger_record: what one place of a ledger says of one page, in one word that a plain store writes.
///
/// A record counts its `n` holders for sure. While a call is under way its state is one of those from `entering` on,
/// and `k` more are in doubt: of a dead member's record in such a state it is not known whether the word of the page
/// counts them. Before and after each call the state is sure, and `k` is 0; but a frozen page remembers there what it
/// was frozen with.
///
/// When not to use it: to count. A record follows the word of its page; it is no word of its own.
///
/// Example:
///
///     constexpr auto pinned = pinref::ledger_record::of(pinref::record_state::held, pinref::hold::pin, 7, 1);
///     static_assert(pinned.page() == 7 && pinned.n() == 1 && !pinned.in_doubt());
///
/// Errors: none. A record that does not fit is the caller's bug; `max_n` says what fits.
/// Memory order: none; a value.
/// Progress: wait-free.
/// Source: the announcements of Herlihy, "Wait-Free Synchronization"; write-ahead logs.

#include <cstdint>

#include "pinref/word/holder.hpp"

namespace pinref::inline v0_1 {

/// What a place of the ledger is doing.
enum class record_state : unsigned char {
  empty,        ///< nothing: all bits are 0, as in fresh memory
  held,         ///< n holders of the page are this member's
  offered,      ///< the same, and another member may take them over
  quarantined,  ///< n pins of a dead member whose devices may still be at work
  owed,         ///< n holders of a dead member that its survivors are about to release
  frozen,       ///< the page is claimed; it had k references of this member
  entering,     ///< all of its holders are being added: there are none but the k
  leaving,      ///< all of its holders are being subtracted: they are the k
  taking,       ///< n are held, k are being added
  releasing,    ///< n are held, k are being subtracted
  allocating,   ///< the page is being taken off the free list, to live with k references
  giving,       ///< k references go to the pool
  claiming,     ///< k references come from the pool
  receiving,    ///< k holders come from another member
  freezing,     ///< k references become a claim
  thawing,      ///< a claim becomes k references
  freeing,      ///< a claimed page goes to the free list
  replacing,    ///< k pins become a claim, because the page gets another frame
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(record_state state) noexcept {
  switch (state) {
    case record_state::empty:
      return "empty";
    case record_state::held:
      return "held";
    case record_state::offered:
      return "offered";
    case record_state::quarantined:
      return "quarantined";
    case record_state::owed:
      return "owed";
    case record_state::frozen:
      return "frozen";
    case record_state::entering:
      return "entering";
    case record_state::leaving:
      return "leaving";
    case record_state::taking:
      return "taking";
    case record_state::releasing:
      return "releasing";
    case record_state::allocating:
      return "allocating";
    case record_state::giving:
      return "giving";
    case record_state::claiming:
      return "claiming";
    case record_state::receiving:
      return "receiving";
    case record_state::freezing:
      return "freezing";
    case record_state::thawing:
      return "thawing";
    case record_state::freeing:
      return "freeing";
    case record_state::replacing:
      return "replacing";
  }
  return "unknown";
}

/// One record as a value.
class ledger_record {
 public:
  /// The most holders of one record.
  static constexpr unsigned max_n = (1u << 12) - 1;

  /// An empty record.
  constexpr ledger_record() noexcept = default;
  /// The record as it stands in memory.
  constexpr explicit ledger_record(std::uint64_t raw) noexcept : raw_(raw) {}
  /// A record of `page`: n holders for sure, k in doubt. Precondition: both are at most max_n.
  [[nodiscard]] static constexpr ledger_record of(record_state state, hold mode, std::uint32_t page, unsigned n,
                                                  unsigned k = 0, bool pools = false) noexcept {
    return ledger_record{std::uint64_t{page} | std::uint64_t{n} << n_at | std::uint64_t{k} << k_at | bits_of(state) |
                         std::uint64_t{mode == hold::pin} << 62 | std::uint64_t{pools} << 63};
  }
  /// A record that holds n of `page` for sure.
  [[nodiscard]] static constexpr ledger_record held(hold mode, std::uint32_t page, unsigned n) noexcept {
    return of(record_state::held, mode, page, n);
  }
  /// Of a record that is held: the intent of the take that makes it so.
  [[nodiscard]] constexpr ledger_record entering() const noexcept {
    return ledger_record{raw_ ^ bits_of(record_state::held) ^ bits_of(record_state::entering)};
  }
  /// The intent of the release of all of it.
  [[nodiscard]] constexpr ledger_record leaving() const noexcept {
    return ledger_record{raw_ ^ bits_of(record_state::held) ^ bits_of(record_state::leaving)};
  }

  /// As it stands in memory.
  [[nodiscard]] constexpr std::uint64_t raw() const noexcept { return raw_; }
  /// The page. Undefined of an empty record.
  [[nodiscard]] constexpr std::uint32_t page() const noexcept { return static_cast<std::uint32_t>(raw_); }
  /// Holders that the word of the page counts for sure.
  [[nodiscard]] constexpr unsigned n() const noexcept { return all_in_doubt() ? 0 : field(n_at); }
  /// Holders that it may count, or the references of a claim.
  [[nodiscard]] constexpr unsigned k() const noexcept { return all_in_doubt() ? field(n_at) : field(k_at); }
  /// What it is doing.
  [[nodiscard]] constexpr record_state state() const noexcept {
    return static_cast<record_state>(raw_ >> state_at & 31);
  }
  /// References, or pins?
  [[nodiscard]] constexpr hold mode() const noexcept { return (raw_ >> 62 & 1) != 0 ? hold::pin : hold::reference; }
  /// Does it go back to the pool, which it came from, if its member dies?
  [[nodiscard]] constexpr bool pools() const noexcept { return raw_ >> 63 != 0; }
  /// Does it say nothing?
  [[nodiscard]] constexpr bool empty() const noexcept { return state() == record_state::empty; }
  /// Is a call under way?
  [[nodiscard]] constexpr bool in_doubt() const noexcept { return state() >= record_state::entering; }
  /// Is it about this page?
  [[nodiscard]] constexpr bool is_of(std::uint32_t which) const noexcept { return !empty() && page() == which; }

  /// The same page, mode and origin in another state.
  [[nodiscard]] constexpr ledger_record in(record_state state, unsigned n, unsigned k = 0) const noexcept {
    return of(state, mode(), page(), n, k, pools());
  }
  /// The same held, or nothing if n is 0.
  [[nodiscard]] constexpr ledger_record left_with(unsigned n) const noexcept {
    return n == 0 ? ledger_record{} : in(record_state::held, n);
  }

  [[nodiscard]] friend constexpr bool operator==(ledger_record, ledger_record) noexcept = default;

 private:
  static constexpr unsigned n_at = 32, k_at = 44, state_at = 56;

  [[nodiscard]] static constexpr std::uint64_t bits_of(record_state state) noexcept {
    return static_cast<std::uint64_t>(state) << state_at;
  }
  [[nodiscard]] constexpr unsigned field(unsigned at) const noexcept {
    return static_cast<unsigned>(raw_ >> at) & max_n;
  }
  [[nodiscard]] constexpr bool all_in_doubt() const noexcept {
    return state() == record_state::entering || state() == record_state::leaving;
  }

  std::uint64_t raw_ = 0;
};

}  // namespace pinref::inline v0_1
