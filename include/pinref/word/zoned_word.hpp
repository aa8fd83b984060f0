// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// zoned_word: the one atomic word under every counter, with its slow paths and memory orders.
///
/// "Sign shows trouble": a take is one locked add and one branch, a release one locked subtract and one branch.
/// Everything that is not plainly alive lies behind that branch.
///
/// No add is ever lost. A new life begins by adding, not by overwriting. So a call that finds trouble after its add
/// knows that the add is still in the word, in whatever zone the word is by then. Where it may not count (dead,
/// overflow) the call takes it out again; where the page lives it counts. The slow paths therefore need no old value,
/// and the fast paths no register for it.
///
/// Longer than other headers, because the operations on one word and their orders are read together.
///
/// When not to use it: in a host. It counts holders; `bias_word` and `split_word` tell references from pins, and
/// `page_ref` refuses what is beyond their limits.
///
/// Example:
///
///     using words = pinref::zones<std::uint64_t>;
///     pinref::zoned_word<words, 1, pinref::std_sync> word{words::live(1)};
///     if (word.take(1) != pinref::take_result::taken) return give_up("dead, or overflow");
///     if (word.release(1, pinref::owner_ref::counted) == pinref::release_result::last) free_page();
///
/// Errors: as the results of a take and a release say.
/// Memory order: acquire on takes, release on releases, both on questions; the table in docs/memory-model.md has (R1)
/// to (R16).
/// Progress: takes and releases are wait-free while the page lives, lock-free always; `wait` sleeps.
/// Source: Linux page_ref.h and rcuref.h (unconditional add, holders minus one); Anderson, Blelloch and Wei, "Turning
/// Manual Concurrent Memory Reclamation into Automatic Reference Counting" (zero decided by CAS).

#include <atomic>
#include <cstdint>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/flags_only.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/zones.hpp"

namespace pinref::inline v0_1 {

/// `Zones` says how a word stands for its holders. A release that leaves fewer than `Quiet` of them wakes waiters.
template <class Zones, auto Quiet, class Sync>
class zoned_word {
 public:
  /// The integer it is.
  using word_type = typename Zones::word_type;

  /// A word in a given state.
  constexpr explicit zoned_word(word_type word) noexcept : word_(word) {}

  /// The word as it stands. Gives no order: for statistics and hints.
  [[nodiscard]] word_type load() const noexcept { return word_.load(std::memory_order_relaxed); }

  /// The word as it stands. Order: acquire.
  [[nodiscard]] PINREF_FAST_PATH word_type load_acquire() const noexcept {
    // (R17) pairs with (R3), (R8), (R13): acquire, so that a pin that has gone shows what came before its release.
    return word_.load(std::memory_order_acquire);
  }

  /// The word as it stands, by a read-modify-write. A take that is not seen here sees what the caller wrote before. An
  /// answer to decide on must come from this one.
  [[nodiscard]] PINREF_FAST_PATH word_type load_ordered() noexcept {
    // (R7) pairs with (R1), (R2), (R3), (R8), (R12), (R13): release, so that a take ordered after this reads what was
    // written before it; acquire, so that a release seen here shows what its holder wrote.
    constexpr auto order = std::memory_order_acq_rel;
    if constexpr (requires { Sync::load_by_rmw(word_, order); })
      return Sync::load_by_rmw(word_, order);
    else
      return word_.fetch_add(0, order);
  }

  /// Begins a life with n holders. Precondition: the word is dead, or frozen by `who`, as `most_likely` says, and the
  /// caller is its only owner. Takes whose add is in the word and that have not looked yet become holders of this life.
  void start(word_type n, zone most_likely, unsigned who = 0) noexcept {
    const word_type from = most_likely == zone::frozen ? Zones::frozen_by(who) : Zones::dead;
    // (R5) pairs with (R1), (R2): release, so that a take in this life sees the page as its owner prepared it.
    const word_type old = word_.fetch_add(static_cast<word_type>(Zones::live(n) - from), std::memory_order_release);
    if (Zones::zone_of(old) != most_likely) [[unlikely]] {
      const word_type centre = most_likely == zone::frozen ? Zones::dead : Zones::frozen_by(Zones::claimant_of(old));
      // Relaxed: a read-modify-write, it continues the release sequence of the add above.
      word_.fetch_add(static_cast<word_type>(from - centre), std::memory_order_relaxed);
    }
  }

  /// Ends a life by force: the word is dead. Precondition: the caller froze it, or nobody else can reach it. Takes
  /// whose add is in the frozen word take it out again themselves.
  void bury() noexcept {
    word_type now = load();
    while (Zones::zone_of(now) != zone::dead) {
      const word_type dead = Zones::centre_of(zone::dead, now);
      const bool frozen = Zones::zone_of(now) == zone::frozen;
      const word_type next = frozen ? static_cast<word_type>(now - Zones::centre_of(zone::frozen, now) + dead) : dead;
      // (R11) pairs with (R9): release, so that a waiter that finds the page free sees what its owner did.
      if (word_.compare_exchange_weak(now, next, std::memory_order_release, std::memory_order_relaxed)) break;
    }
  }

  /// Adds n holders. Wait-free while the page lives. n is at most `Zones::max_delta`.
  [[nodiscard]] PINREF_FAST_PATH take_result take(word_type n) noexcept {
    // (R1) pairs with (R5), (R7): acquire, so that what follows the take sees the page of this life, and the entry as
    // it was write-protected.
    if (add(Zones::delta(n), std::memory_order_acquire)) [[unlikely]]
      return resolve_take(Zones::delta(n));
    return take_result::taken;
  }

  /// As take, with a look first: a refusal is one load and leaves the line where it is.
  [[nodiscard]] take_result take_if_alive(word_type n) noexcept {
    switch (Zones::zone_of(load())) {
      case zone::frozen:
      case zone::dead:
      case zone::underflow:
        return take_result::dead;
      case zone::overflow:
        return take_result::overflow;
      case zone::alive:
      case zone::watched:
        break;
    }
    return this->take(n);
  }

  /// As take, for a caller that holds the page already, which gives it all the order it needs.
  [[nodiscard]] PINREF_FAST_PATH take_result take_held(word_type n) noexcept {
    if (add(Zones::delta(n), std::memory_order_relaxed)) [[unlikely]]
      return resolve_take(Zones::delta(n));
    return take_result::taken;
  }

  /// Adds n holders if the word is plainly alive and has at most `most_holders`, and says whether. Never adds where it
  /// may not count: for an n above `Zones::max_delta`. Precondition: the caller holds the page. Order: acquire.
  [[nodiscard]] bool add_if_alive(word_type n, word_type most_holders) noexcept {
    word_type now = load();
    while (Zones::zone_of(now) == zone::alive && Zones::holders(now) <= most_holders)
      // (R12) pairs with (R7): acquire as (R1), for the threads that the caller lets count elsewhere from now on.
      if (word_.compare_exchange_weak(now, static_cast<word_type>(now + Zones::delta(n)), std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return true;
    return false;
  }

  /// Subtracts n holders and says what that made of the page. Touches the word after giving up the holders: words must
  /// be type-stable.
  [[nodiscard]] PINREF_FAST_PATH release_result release(word_type n, owner_ref owner) noexcept {
    // (R3) pairs with (R4), (R6), (R7), (R8), (R9), (R13), (R17): release, so that what the holder did with the page
    // happens before the page is freed, reused, or reported as free of holders.
    constexpr auto order = std::memory_order_release;
    const word_type delta = Zones::delta(n);
    if constexpr (requires { Sync::sub_negative(word_, delta, order); })
      if (owner == owner_ref::counted) {
        if (Sync::sub_negative(word_, delta, order)) [[unlikely]]
          return resolve_release(delta, owner_ref::counted);
        return release_result::released;
      }
    const word_type left = static_cast<word_type>(word_.fetch_sub(delta, order) - delta);
    if (Zones::troubled(left)) [[unlikely]]
      return resolve_release(delta, owner);
    return owner == owner_ref::resident && left < Zones::unit ? release_result::idle : release_result::released;
  }

  /// What take and take_held do behind their branch: `delta` has been added, and the word shows trouble. For fast paths
  /// that are compiled elsewhere.
  [[nodiscard]] PINREF_SLOW_PATH take_result resolve_take(word_type delta) noexcept {
    for (;;) {
      // (R2) pairs with (R5), (R7): acquire as (R1), because the add may count after all, in the life found here.
      word_type now = word_.load(std::memory_order_acquire);
      const auto step = Zones::after_take(now, delta);
      if (step.next == now) return step.result;
      if (word_.compare_exchange_weak(now, step.next, std::memory_order_relaxed, std::memory_order_relaxed)) {
        if (step.wakes) wake();
        return step.result;
      }
    }
  }

  /// What release does behind its branch: `delta` has been subtracted, and the word shows trouble.
  [[nodiscard]] PINREF_SLOW_PATH release_result resolve_release(word_type delta, owner_ref owner) noexcept {
    word_type now = load();
    for (;;) {
      const auto step = Zones::after_release(now, delta, Quiet, owner);
      if (step.next == now) return step.result;
      // (R4) pairs with (R3), (R13): acquire, so that the last releaser sees every access of every earlier holder, also
      // of one that came and went since the caller's subtract.
      if (word_.compare_exchange_weak(now, step.next, std::memory_order_acquire, std::memory_order_relaxed)) {
        if (step.wakes) wake();
        return step.result;
      }
    }
  }

  /// What a release of no holder says. Never `last`, which only a release that gives up a holder may be told.
  [[nodiscard]] release_result release_nothing(owner_ref owner) const noexcept {
    const word_type now = load();
    const bool counts = Zones::zone_of(now) == zone::alive || Zones::zone_of(now) == zone::watched;
    return owner == owner_ref::resident && counts && Zones::holders(now) == 1 ? release_result::idle
                                                                              : release_result::released;
  }

  /// As release of one holder, for a caller that is most likely the only one: one locked operation when it is.
  [[nodiscard]] release_result release_sole(owner_ref owner) noexcept {
    word_type sole = guess(1);
    // (R8) pairs with (R3), (R7), (R9), (R13), (R17): acquire, so that the caller frees after what every earlier holder
    // did; release, so that a question that finds the page without holders sees what this one did.
    if (owner == owner_ref::counted &&
        word_.compare_exchange_strong(sole, Zones::centre_of(zone::dead, sole), std::memory_order_acq_rel,
                                      std::memory_order_relaxed))
      return release_result::last;
    return release(1, owner);
  }

  /// As release, and changes the bits of the host in the same exchange. A lock-free loop.
  [[nodiscard]] release_result release_and_change(word_type n, owner_ref owner,
                                                  host_change<word_type> change) noexcept {
    word_type now = load();
    for (;;) {
      const auto step = Zones::releasing(now, n, Quiet, owner, change);
      if (step.result == release_result::underflow) return step.result;
      // (R13) pairs with (R3), (R4), (R6), (R7), (R8), (R9), (R13), (R14), (R15), (R16), (R17): acquire and release as
      // (R3) and (R4), and so that a reader of the bits sees what came before their change.
      if (word_.compare_exchange_weak(now, step.next, std::memory_order_acq_rel, std::memory_order_relaxed)) {
        if (step.wakes) wake();
        return step.result;
      }
    }
  }

  /// The bits of the host. Order: acquire.
  [[nodiscard]] word_type bits() const noexcept {
    // (R16) pairs with (R13), (R14), (R15): acquire, so that what came before a change of a bit is seen with it.
    return static_cast<word_type>(word_.load(std::memory_order_acquire) & Zones::host_mask);
  }

  /// Sets bits of the host, of a word in any state, by one atomic operation; returns what they were. Waiters look
  /// again.
  word_type set_bits(word_type mask) noexcept {
    // (R14) pairs with (R6), (R9), (R13), (R14), (R15), (R16): acquire and release, so that a call that sees a bit
    // changed sees what came before the change.
    return changed(word_.fetch_or(static_cast<word_type>(mask & Zones::host_mask), std::memory_order_acq_rel));
  }
  /// Clears bits of the host, likewise.
  word_type clear_bits(word_type mask) noexcept {
    // (R15) pairs with (R6), (R9), (R13), (R14), (R15), (R16): as (R14).
    return changed(word_.fetch_and(static_cast<word_type>(~(mask & Zones::host_mask)), std::memory_order_acq_rel));
  }

  /// Claims the page exclusively for `who` if it has exactly `expected` holders, all of them the caller's own.
  [[nodiscard]] bool freeze(word_type expected, unsigned who = 0) noexcept {
    return claim(expected, who, [](word_type) noexcept { return true; });
  }
  /// As freeze, if the bits of the host in `mask` are those of `value`.
  [[nodiscard]] bool freeze_if(word_type expected, word_type mask, word_type value, unsigned who = 0) noexcept {
    return claim(expected, who,
                 [mask, value](word_type seen) noexcept { return (seen & mask & Zones::host_mask) == value; });
  }

  /// A ticket to sleep on until `reached(word)` is true. Marks the word: takes and releases use their slow paths, and a
  /// release that leaves fewer than `Quiet` holders takes the mark away and wakes. The ticket asks to look again every
  /// `poll_interval` if the word cannot be marked, or if `reached` may become true with more holders (`wakes` false). A
  /// condition that reads a second word has a member `also()`: the futex of that word, with the value read.
  template <class Condition>
  [[nodiscard]] wait_ticket<Sync> prepare_wait(Condition& reached, bool wakes = true) noexcept {
    wait_ticket<Sync> ticket;
    for (;;) {
      word_type now{};
      ticket.reached = look(reached, now);
      if (ticket.reached) return ticket;
      if (wakes && nr_futexes != 0 && Zones::can_be_watched(now)) {
        const word_type marked = static_cast<word_type>(now + Zones::watching);
        if (!word_.compare_exchange_weak(now, marked, std::memory_order_relaxed, std::memory_order_relaxed)) continue;
        now = marked;
      }
      ticket.look_again = poll_interval;
      if constexpr (nr_futexes != 0)
        if (wakes && Zones::zone_of(now) == zone::watched) sleep_on_halves(now, reached, ticket);
      return ticket;
    }
  }

  /// Takes the mark away, and wakes the other waiters, which mark the word again. Without a mark nothing happens.
  void abandon_wait() noexcept {
    word_type now = load();
    while (Zones::zone_of(now) == zone::watched)
      if (word_.compare_exchange_weak(now, Zones::unwatched(now), std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
        wake();
        return;
      }
  }

  /// Sleeps as prepare_wait says until `reached(word)` is true, or `until`, or until `stop` is cancelled.
  template <class Condition, cancels_waits<Sync> Canceller>
  [[nodiscard]] wait_result wait(Condition reached, const deadline& until, const Canceller& stop,
                                 bool wakes = true) noexcept {
    detail::waiter<Sync, Canceller> self(until, stop);
    word_type now{};
    // A wait with a passed deadline must not mark the word: marking sends every take and release to its slow path.
    wait_result over = self.over();
    while (over == wait_result::reached) {
      const wait_ticket<Sync> ticket = prepare_wait(reached, wakes);
      if (ticket.reached) return wait_result::reached;
      over = self.sleep(ticket);
      if (over != wait_result::reached && ticket.nr_futexes != 0) abandon_wait();
    }
    return look(reached, now) ? wait_result::reached : over;
  }

  /// Wakes all waiters, to look again: for those whose waker has died between its release and the wake-up it owed.
  void wake_waiters() noexcept { wake(); }

 private:
  using atomic = typename Sync::template atomic<word_type>;
  static_assert(atomic::is_always_lock_free, "pinref: the reference word must be lock-free on this target");

  static constexpr unsigned nr_futexes = Sync::template nr_futexes<word_type>;

  // Adds and says whether there is trouble, by the flags of the add where the Sync can.
  [[nodiscard]] PINREF_FAST_PATH bool add(word_type delta, std::memory_order order) noexcept {
    if constexpr (requires { Sync::add_negative(word_, delta, order); })
      return Sync::add_negative(word_, delta, order);
    else
      return Zones::troubled(static_cast<word_type>(word_.fetch_add(delta, order) + delta));
  }

  template <class Condition>
  [[nodiscard]] bool look(Condition& reached, word_type& now) const noexcept {
    // (R9) pairs with (R3), (R8), (R11), (R13), (R14), (R15): acquire, so that a waiter that finds the holders gone
    // sees what they did.
    now = word_.load(std::memory_order_acquire);
    return reached(now);
  }

  // The mark goes only by an exchange of the whole word, so the half that holds it changes with it. If every word with
  // the same half is one to wait on, that half is enough. If not, the condition may come true and the half be marked
  // again by another waiter before this one sleeps: then it sleeps on both.
  template <class Condition>
  void sleep_on_halves(word_type now, Condition& reached, wait_ticket<Sync>& ticket) const noexcept {
    ticket.look_again = INT64_MAX;
    ticket.add(Sync::futex_of(word_, 0, now));
    if constexpr (requires { reached.also(); }) {
      ticket.add(reached.also());
    } else if constexpr (nr_futexes > 1) {
      constexpr unsigned half = Zones::bits / 2;
      if (reached(static_cast<word_type>(now >> half << half))) ticket.add(Sync::futex_of(word_, 1, now));
    }
  }

  template <class Condition>
  [[nodiscard]] bool claim(word_type expected, unsigned who, Condition bits_are_right) noexcept {
    word_type seen = guess(expected);
    while (bits_are_right(seen)) {
      const bool watched = Zones::zone_of(seen) == zone::watched;
      const word_type claimed = static_cast<word_type>(Zones::frozen_by(who) | (seen & Zones::host_mask));
      // (R6) pairs with (R3), (R13), (R14), (R15): acquire, so that the claimant sees what every former holder did.
      if (word_.compare_exchange_strong(seen, claimed, std::memory_order_acquire, std::memory_order_relaxed)) {
        if (watched) wake();
        return true;
      }
      if (Zones::zone_of(seen) == zone::underflow || Zones::holders(seen) != expected) return false;
    }
    return false;
  }

  // The bits of the host before a change. Wakes the waiters, which look again.
  word_type changed(word_type old) noexcept {
    if (Zones::zone_of(old) == zone::watched) abandon_wait();
    return static_cast<word_type>(old & Zones::host_mask);
  }

  // What a word with n holders most likely is.
  [[nodiscard]] word_type guess(word_type n) const noexcept {
    if constexpr (Zones::host_bits == 0)
      return Zones::live(n);
    else
      return static_cast<word_type>(Zones::live(n) | (load() & Zones::host_mask));
  }

  void wake() noexcept { Sync::wake_all(word_); }

  atomic word_;
};

}  // namespace pinref::inline v0_1
