#pragma once

/// \file
/// zoned_word: the one atomic word under every page_ref, with its slow paths and memory orders.
///
/// "Sign shows trouble": a take is one locked add and one branch, a release one locked subtract and one branch.
/// Everything that is not plainly alive lies behind that branch.
///
/// No add is ever lost. A new life begins by adding, not by overwriting, so whoever finds trouble after its add knows
/// that the add is still in the word, wherever the word stands by then: it is given back where it may not count (dead,
/// overflow), and it counts where the page lives. The slow paths therefore need no old value, and the fast paths no
/// register for it.
///
/// When not to use it: in a host. `page_ref` gives the word its meaning (references, pins, limits of n).
///
/// Example:
///
///     using words = pinref::zones<std::uint64_t>;
///     pinref::zoned_word<words, 1, pinref::std_sync> word{words::live(1)};
///     if (word.take(1) == pinref::take_result::taken) (void)word.release(1, 0);
///
/// Source: Linux page_ref.h and rcuref.h (unconditional add, holders minus one); Anderson, Blelloch and Wei, "Turning
/// Manual Concurrent Memory Reclamation into Automatic Reference Counting" (zero decided by CAS).

#include <atomic>
#include <cstdint>

#include "pinref/ref/deadline.hpp"
#include "pinref/ref/flags_only.hpp"
#include "pinref/ref/wait_canceller.hpp"
#include "pinref/ref/waiting.hpp"
#include "pinref/word/paths.hpp"
#include "pinref/word/result.hpp"
#include "pinref/word/zones.hpp"

namespace pinref {

/// `Zones` says how a word stands for its holders. Waiters are woken when fewer than `Quiet` are left.
template <class Zones, auto Quiet, class Sync>
class zoned_word {
 public:
  using word_type = typename Zones::word_type;

  constexpr explicit zoned_word(word_type word) noexcept : word_(word) {}

  /// The word as it stands. Gives no order: for statistics and hints.
  [[nodiscard]] word_type load() const noexcept { return word_.load(std::memory_order_relaxed); }

  /// The word as it stands, as a read-modify-write: a taker that this does not see sees, after its take, whatever the
  /// caller wrote before. Precondition of deciding on an answer.
  [[nodiscard]] PINREF_FAST_PATH word_type load_ordered() noexcept {
    // (R7) pairs with (R1), (R2), (R3), (R8), (R12): a take ordered after this reads what was written before it; a
    // release seen here shows what its holder wrote.
    constexpr auto order = std::memory_order_acq_rel;
    if constexpr (requires { Sync::load_by_rmw(word_, order); })
      return Sync::load_by_rmw(word_, order);
    else
      return word_.fetch_add(0, order);
  }

  /// Begins a life with n holders. Precondition: the word is dead or frozen, `most_likely` the one of the two, and the
  /// caller is its only owner. Adds of takes that met the word meanwhile stay: they are holders now.
  void start(word_type n, zone most_likely) noexcept {
    const word_type from = most_likely == zone::frozen ? Zones::frozen : Zones::dead;
    // (R5) pairs with (R1), (R2): a take from this life on sees the page as its owner prepared it.
    const word_type old = word_.fetch_add(static_cast<word_type>(Zones::live(n) - from), std::memory_order_release);
    if (Zones::of(old) != most_likely) [[unlikely]] {
      const word_type centre = most_likely == zone::frozen ? Zones::dead : Zones::frozen;
      // Relaxed: it goes on with what the add before it has released.
      word_.fetch_add(static_cast<word_type>(from - centre), std::memory_order_relaxed);
    }
  }

  /// Ends a life by force: the word is dead. Precondition: the caller froze it, or nobody else can reach it. Adds of
  /// takes that met the frozen word stay, and are given back.
  void bury() noexcept {
    word_type now = load();
    while (Zones::of(now) != zone::dead) {
      const bool frozen = Zones::of(now) == zone::frozen;
      const word_type next = frozen ? static_cast<word_type>(now - Zones::frozen + Zones::dead) : Zones::dead;
      // (R11) pairs with (R9): a waiter that finds the page free sees what its owner did.
      if (word_.compare_exchange_weak(now, next, std::memory_order_release, std::memory_order_relaxed)) break;
    }
  }

  /// Adds `delta` holders. Wait-free while the page lives. `delta` is at most `Zones::max_delta`.
  [[nodiscard]] PINREF_FAST_PATH take_result take(word_type delta) noexcept {
    // (R1) pairs with (R5), (R7): what follows a take sees the page of this life, and the entry as it was
    // write-protected.
    if (add(delta, std::memory_order_acquire)) [[unlikely]]
      return resolve_take(delta);
    return take_result::taken;
  }

  /// As take, with a look first: a refusal is one load and leaves the line where it is.
  [[nodiscard]] take_result take_if_alive(word_type delta) noexcept {
    switch (Zones::of(load())) {
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
    return this->take(delta);
  }

  /// As take, for a caller that holds the page already, which gives it all the order it needs.
  [[nodiscard]] PINREF_FAST_PATH take_result take_held(word_type delta) noexcept {
    if (add(delta, std::memory_order_relaxed)) [[unlikely]]
      return resolve_take(delta);
    return take_result::taken;
  }

  /// Adds `delta` holders if the word is plainly alive and has at most `most_holders`, and says whether. Never adds
  /// where it may not count: for a delta above `Zones::max_delta`. Precondition: the caller holds the page. Order:
  /// acquire.
  [[nodiscard]] bool add_if_alive(word_type delta, word_type most_holders) noexcept {
    word_type now = load();
    while (Zones::of(now) == zone::alive && Zones::holders(now) <= most_holders)
      // (R12) pairs with (R7): as (R1), for those whom the caller lets count elsewhere.
      if (word_.compare_exchange_weak(now, static_cast<word_type>(now + delta), std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return true;
    return false;
  }

  /// Subtracts `delta` holders and says what that made of the page; `idle_level` is 0, or 1 for a page whose owner's
  /// own reference never goes. Touches the word after giving up the holders: words must be type-stable.
  [[nodiscard]] PINREF_FAST_PATH release_result release(word_type delta, word_type idle_level) noexcept {
    // (R3) pairs with (R4), (R6), (R7), (R8), (R9): what the holder did with the page happens before it is
    // freed, reused, or reported as free of holders.
    constexpr auto order = std::memory_order_release;
    if constexpr (requires { Sync::sub_negative(word_, delta, order); })
      if (idle_level == 0) {
        if (Sync::sub_negative(word_, delta, order)) [[unlikely]]
          return resolve_release(delta, 0);
        return release_result::released;
      }
    const word_type left = static_cast<word_type>(word_.fetch_sub(delta, order) - delta);
    if (Zones::troubled(left)) [[unlikely]]
      return resolve_release(delta, idle_level);
    return idle_level != 0 && left == Zones::live(1) ? release_result::idle : release_result::released;
  }

  /// What a release of no holder says: nothing of `last`, which is somebody else's.
  [[nodiscard]] release_result release_nothing(word_type idle_level) const noexcept {
    const word_type now = load();
    const bool counts = Zones::of(now) == zone::alive || Zones::of(now) == zone::watched;
    return idle_level != 0 && counts && Zones::holders(now) == idle_level ? release_result::idle
                                                                          : release_result::released;
  }

  /// As release of one holder, for a caller that is most likely the only one: one locked operation when it is.
  [[nodiscard]] release_result release_sole(word_type idle_level) noexcept {
    word_type sole = Zones::live(1);
    // (R8) pairs with (R3), (R7), (R9): the owner frees after what every earlier holder did, and a question that finds
    // the page without holders sees what this one did.
    if (idle_level == 0 &&
        word_.compare_exchange_strong(sole, Zones::dead, std::memory_order_acq_rel, std::memory_order_relaxed))
      return release_result::last;
    return release(1, idle_level);
  }

  /// Claims the page exclusively if it has exactly `expected` holders, all of them the caller's own.
  [[nodiscard]] bool freeze(word_type expected) noexcept {
    word_type seen = Zones::live(expected);
    for (;;) {
      const bool watched = Zones::of(seen) == zone::watched;
      // (R6) pairs with (R3): the claimant sees what every former holder did.
      if (word_.compare_exchange_strong(seen, Zones::frozen, std::memory_order_acquire, std::memory_order_relaxed)) {
        if (watched) wake();
        return true;
      }
      if (Zones::of(seen) == zone::underflow || Zones::holders(seen) != expected) return false;
    }
  }

  /// What to sleep on until `reached(word)` is true of the word. The word is marked: takes and releases use their slow
  /// paths, and a release that leaves fewer than `Quiet` holders takes the mark away and wakes. A word that cannot be
  /// marked is to be looked at every `poll_interval`, and so is every word if `reached` may become true with more
  /// (`wakes` false). A condition that reads another word besides has a member `also()`, its futex with the value read.
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
        if (wakes && Zones::of(now) == zone::watched) sleep_on_halves(now, reached, ticket);
      return ticket;
    }
  }

  /// Takes the mark of a waiter away, and wakes the others, who mark again. Changes nothing if there is none.
  void abandon_wait() noexcept {
    word_type now = load();
    while (Zones::of(now) == zone::watched)
      if (word_.compare_exchange_weak(now, Zones::unwatched(now), std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
        wake();
        return;
      }
  }

  /// Sleeps as prepare_wait says until `reached(word)` is true of the word, or `until`, or until `stop` is cancelled.
  template <class Condition, cancels_waits<Sync> Canceller>
  [[nodiscard]] wait_result wait(Condition reached, const deadline& until, const Canceller& stop,
                                 bool wakes = true) noexcept {
    detail::waiter<Sync, Canceller> self(until, stop);
    word_type now{};
    // A wait that only looks does not mark the word: that would slow everybody down.
    wait_result over = self.over();
    while (over == wait_result::reached) {
      const wait_ticket<Sync> ticket = prepare_wait(reached, wakes);
      if (ticket.reached) return wait_result::reached;
      over = self.sleep(ticket);
      if (over != wait_result::reached && ticket.nr_futexes != 0) abandon_wait();
    }
    return look(reached, now) ? wait_result::reached : over;
  }

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

  PINREF_SLOW_PATH take_result resolve_take(word_type delta) noexcept {
    for (;;) {
      // (R2) pairs with (R5), (R7): the life in which the add counts after all, as if it had been taken there.
      word_type now = word_.load(std::memory_order_acquire);
      const auto step = Zones::after_take(now, delta);
      if (step.next == now) return step.result;
      if (word_.compare_exchange_weak(now, step.next, std::memory_order_relaxed, std::memory_order_relaxed)) {
        if (step.wakes) wake();
        return step.result;
      }
    }
  }

  PINREF_SLOW_PATH release_result resolve_release(word_type delta, word_type idle_level) noexcept {
    word_type now = load();
    for (;;) {
      const auto step = Zones::after_release(now, delta, Quiet, idle_level);
      if (step.next == now) return step.result;
      // (R4) pairs with (R3): also the holder that came and went between the caller's subtract and here.
      if (word_.compare_exchange_weak(now, step.next, std::memory_order_acquire, std::memory_order_relaxed)) {
        if (step.wakes) wake();
        return step.result;
      }
    }
  }

  template <class Condition>
  [[nodiscard]] bool look(Condition& reached, word_type& now) const noexcept {
    // (R9) pairs with (R3), (R8), (R11): a waiter that is told that the holders have left sees what they did.
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

  void wake() noexcept { Sync::wake_all(word_); }

  atomic word_;
};

}  // namespace pinref
