// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// ledger_steps: every change of a shared page, as three steps that a death may part: the intent is stored in a record
/// of the ledger, the word is changed, the fact is stored.
///
/// All of it is plain stores besides the operation on the word. Of a member that died before its intent, or after its
/// fact, it is known what it holds. In between its record says what is in doubt, and a look at the word settles it: see
/// page_account. To be able to look, every call but a release counts itself before it changes a word.
///
/// When not to use it: in a host, which takes nothing that is not recorded. A `member` has these calls for itself;
/// recovery makes them in the name of the dead.
///
/// Example:
///
///     pinref::detail::ledger_steps<pinref::shared_traits> mine{parts, place};
///     auto& slot = parts.slot(place, 0);
///     const auto pinned = pinref::ledger_record::held(pinref::hold::pin, 7, 1);
///     if (mine.take<pinref::hold::pin>(slot, pinned) != pinref::take_result::taken) return give_up("dead");
///     if (mine.release(slot, pinned) == pinref::release_result::underflow) give_up("was released already");
///
/// Errors: what a call finds instead, in its own type; the record is as before then.
/// Memory order: that of the word, and every change is acquire and release. A reader of a fact sees the change before
/// it.
/// Progress: that of zoned_word: wait-free while the page lives.
/// Source: intentions and facts of write-ahead logs; Nahum, Attiya, Ben-Baruch and Hendler, "Recoverable and Detectable
/// Fetch&Add".

#include <atomic>
#include <cstdint>

#include "pinref/share/ledger_memory.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// Calls in the name of the member at one place. Each record is changed by one thread at a time: by the member, or
/// after its death by the recovery. `before`, or `held`, is what the record says.
template <class Traits>
class ledger_steps {
 public:
  /// The parts of the ledger, its records, and the words of its pages.
  using memory = ledger_memory<Traits>;
  using slot_type = ledger_slot<typename Traits::sync>;
  using layout = typename Traits::layout;
  using word_type = typename layout::word_type;

  /// Of the member at `place`, which is in range. `parts` is kept by its address.
  ledger_steps(const memory& parts, unsigned place) noexcept
      : parts_(&parts), mine_(&parts.places[place]), pages_(parts.pages), place_(place) {}

  /// What n holders of a kind weigh in the word.
  [[nodiscard]] static constexpr word_type weight(hold mode, unsigned n) noexcept {
    return static_cast<word_type>(mode == hold::pin ? layout::pin_bias * n : word_type{n});
  }

  /// Takes what `held` says, into a record that is empty.
  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take(slot_type& slot, ledger_record held) noexcept {
    intend(slot, held.entering());
    const take_result result = word(held.page()).take(weight(Mode, held.n()));
    conclude(slot, result == take_result::taken ? held : ledger_record{});
    return result;
  }
  /// Takes k more holders. `before` is held.
  [[nodiscard]] take_result add(slot_type& slot, ledger_record before, unsigned k) noexcept {
    intend(slot, before.in(record_state::taking, before.n(), k));
    const take_result result = word(before.page()).take(weight(before.mode(), k));
    conclude(slot, result == take_result::taken ? before.in(record_state::held, before.n() + k) : before);
    return result;
  }

  /// Releases all that `held` says. Told `last`, it has freed the page already.
  [[nodiscard]] PINREF_FAST_PATH release_result release(slot_type& slot, ledger_record held) noexcept {
    // Not counted: a look that has read the record reads it again.
    slot.entry.store(held.leaving().raw(), std::memory_order_relaxed);
    const release_result result = word(held.page()).release(weight(held.mode(), held.n()), owner_ref::counted);
    if (result != release_result::released) [[unlikely]]
      return ended(*parts_, place_, slot, held, held.n(), result);
    conclude(slot, {});
    return result;
  }
  /// Releases k of the n holders of `before`.
  [[nodiscard]] release_result release(slot_type& slot, ledger_record before, unsigned k) noexcept {
    slot.entry.store(before.in(record_state::releasing, before.n() - k, k).raw(), std::memory_order_relaxed);
    const release_result result = word(before.page()).release(weight(before.mode(), k), owner_ref::counted);
    if (result != release_result::released) return ended(*parts_, place_, slot, before, k, result);
    conclude(slot, before.left_with(before.n() - k));
    return result;
  }

  /// Takes the page off the free list, to live with one reference; false if it is not on it. The record is empty.
  [[nodiscard]] bool allocate(slot_type& slot, std::uint32_t page) noexcept {
    intend(slot, ledger_record::of(record_state::allocating, hold::reference, page, 0, 1));
    // (L9) pairs with (L11): release, so that a look that sees the bit clear sees the intent.
    const std::uint64_t old = bits(page).fetch_and(~bit(page), std::memory_order_release);
    if ((old & bit(page)) == 0) {
      conclude(slot, {});
      return false;
    }
    word(page).start(1, zone::dead);
    conclude(slot, ledger_record::of(record_state::held, hold::reference, page, 1));
    return true;
  }

  /// Gives one reference of `before` to the pool; false if the pool has one already.
  [[nodiscard]] bool keep(slot_type& slot, ledger_record before) noexcept {
    intend(slot, before.in(record_state::giving, before.n() - 1, 1));
    std::uint32_t none = 0;
    // (L12) pairs with (L13), (L14): release, so that who sees the pool's reference sees the intent, and the page as it
    // was given.
    const bool given =
        kept(before.page()).compare_exchange_strong(none, 1, std::memory_order_release, std::memory_order_relaxed);
    conclude(slot, given ? before.left_with(before.n() - 1) : before);
    return given;
  }

  /// Takes the reference of the pool over; false if it has none. The record is empty.
  [[nodiscard]] bool claim(slot_type& slot, std::uint32_t page) noexcept {
    const auto next = ledger_record::of(record_state::held, hold::reference, page, 1, 0, true);
    intend(slot, next.in(record_state::claiming, 0, 1));
    std::uint32_t one = 1;
    // (L13) pairs with (L12), (L14): acquire, so that the page is seen as it was given; release as (L12).
    const bool claimed =
        kept(page).compare_exchange_strong(one, 0, std::memory_order_acq_rel, std::memory_order_relaxed);
    conclude(slot, claimed ? next : ledger_record{});
    return claimed;
  }

  /// Claims a page that has no holder but the n references of `before`.
  [[nodiscard]] bool freeze(slot_type& slot, ledger_record before) noexcept {
    intend(slot, before.in(record_state::freezing, 0, before.n()));
    const bool frozen = word(before.page()).freeze(weight(hold::reference, before.n()), place_ + 1);
    conclude(slot, frozen ? before.in(record_state::frozen, 0, before.n()) : before);
    return frozen;
  }
  /// Gives a claimed page back with the references it had.
  void thaw(slot_type& slot, ledger_record before) noexcept {
    intend(slot, before.in(record_state::thawing, 0, before.k()));
    word(before.page()).start(weight(hold::reference, before.k()), zone::frozen, place_ + 1);
    conclude(slot, before.in(record_state::held, before.k()));
  }
  /// Frees a claimed page. `before` is frozen, or was when a death came between.
  void free_claimed(slot_type& slot, ledger_record before) noexcept {
    intend(slot, before.in(record_state::freeing, 0));
    word(before.page()).bury();
    set_free(before.page());
    conclude(slot, {});
  }

  /// Lets another member take over what `before` holds.
  void offer(slot_type& slot, ledger_record before) noexcept {
    conclude(slot, before.in(record_state::offered, before.n()));
  }
  /// Takes an offer back; false if somebody has accepted it, and the record is empty.
  [[nodiscard]] bool withdraw(slot_type& slot, ledger_record offered) noexcept {
    std::uint64_t seen = offered.raw();
    // Relaxed: who takes it back is who offered it, or who has found him dead.
    return slot.entry.compare_exchange_strong(seen, offered.in(record_state::held, offered.n()).raw(),
                                              std::memory_order_relaxed, std::memory_order_relaxed);
  }
  /// Takes over what `offered`, the record of `from`, holds; false if it is not offered any more. `slot` is empty.
  [[nodiscard]] bool accept(slot_type& slot, slot_type& from, ledger_record offered) noexcept {
    slot.since.store(from.since.load(std::memory_order_relaxed), std::memory_order_relaxed);
    slot.lease.store(from.lease.load(std::memory_order_relaxed), std::memory_order_relaxed);
    intend(slot, offered.in(record_state::receiving, 0, offered.n()));
    std::uint64_t seen = offered.raw();
    // (L16) pairs with (L7), (L8), (L35): acquire, so that the taker sees what the giver did; release, so that a reader
    // that sees the record empty sees the intent.
    const bool taken =
        from.entry.compare_exchange_strong(seen, 0, std::memory_order_acq_rel, std::memory_order_relaxed);
    conclude(slot, taken ? offered.in(record_state::held, offered.n()) : ledger_record{});
    return taken;
  }

  /// Puts the page on the free list. Precondition: its word is dead, and a record of this place is in doubt on it.
  void set_free(std::uint32_t page) noexcept {
    // (L10) pairs with (L11): release, so that a look that sees the bit sees the intent, and the word dead.
    bits(page).fetch_or(bit(page), std::memory_order_release);
  }
  /// Is the page on the free list?
  [[nodiscard]] bool is_free(std::uint32_t page) const noexcept {
    // (L11) pairs with (L9), (L10): acquire, so that a reader that sees the bit changed sees the intent before it.
    return (bits(page).load(std::memory_order_acquire) & bit(page)) != 0;
  }

  /// Stores what is true from now on. A reader that sees it sees the change that it is about.
  PINREF_FAST_PATH void conclude(slot_type& slot, ledger_record fact) noexcept {
    // (L7) pairs with (L8), (L16), (L35): release, so that a reader that sees the fact sees the change.
    slot.entry.store(fact.raw(), std::memory_order_release);
  }
  /// Stores what is about to be done, and counts the call. A reader that sees what is done after it sees both.
  PINREF_FAST_PATH void intend(slot_type& slot, ledger_record intent) noexcept {
    slot.entry.store(intent.raw(), std::memory_order_relaxed);
    count_call(intent.page());
  }

  /// The word of a page.
  [[nodiscard]] PINREF_FAST_PATH auto& word(std::uint32_t page) const noexcept {
    return detail::shared_access::word(pages_[page]);
  }
  /// Has the pool a reference of a page?
  [[nodiscard]] auto& kept(std::uint32_t page) const noexcept { return detail::shared_access::kept(pages_[page]); }
  /// The part of the free list that a page is in.
  [[nodiscard]] auto& bits(std::uint32_t page) const noexcept { return parts_->free[page / 64]; }
  /// The bit of a page in it.
  [[nodiscard]] static constexpr std::uint64_t bit(std::uint32_t page) noexcept {
    return std::uint64_t{1} << page % 64;
  }
  /// The place of the member, and the parts of the ledger.
  [[nodiscard]] unsigned place() const noexcept { return place_; }
  [[nodiscard]] const memory& parts() const noexcept { return *parts_; }

 private:
  PINREF_FAST_PATH void count_call(std::uint32_t page) noexcept {
    auto& calls = mine_->calls[memory::kind(page)];
    const std::uint32_t n = calls.load(std::memory_order_relaxed) + 1;
    // (L5) pairs with (L6): release, so that a reader that counts the call sees its intent.
    calls.store(n, std::memory_order_release);
  }

  // By values, so that who calls it can keep its own in registers.
  PINREF_SLOW_PATH static release_result ended(const memory& parts, unsigned place, slot_type& slot,
                                               ledger_record before, unsigned k, release_result result) noexcept {
    ledger_steps acting{parts, place};
    if (result == release_result::last) {
      acting.set_free(before.page());
      acting.conclude(slot, before.left_with(before.n() - k));
    } else {
      detail::shared_access::taint(parts.pages[before.page()]);
      acting.conclude(slot, before);
    }
    return result;
  }

  const memory* parts_;
  ledger_place<Traits>* mine_;
  shared_page<Traits>* pages_;
  unsigned place_;
};

}  // namespace detail

}  // namespace pinref::inline v0_1
