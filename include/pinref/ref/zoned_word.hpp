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
#include "pinref/ref/result.hpp"
#include "pinref/word/paths.hpp"
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
    // (R7) pairs with (R1), (R2), (R3), (R8): a take ordered after this reads what was written before it; a
    // release seen here shows what its holder wrote.
    constexpr auto order = std::memory_order_acq_rel;
    if constexpr (requires { Sync::load_by_rmw(word_, order); })
      return Sync::load_by_rmw(word_, order);
    else
      return word_.fetch_add(0, order);
  }

  /// Begins a life with n holders. Precondition: the word is dead and the caller is its only owner. Adds of takes that
  /// met the dead word stay: they are holders now.
  void start(word_type n) noexcept {
    // (R5) pairs with (R1), (R2): who takes from this life on sees the page as its owner prepared it.
    word_.fetch_add(static_cast<word_type>(Zones::live(n) - Zones::dead), std::memory_order_release);
  }

  /// Adds `delta` holders. Wait-free while the page lives. `delta` is at most `Zones::max_delta`.
  [[nodiscard]] PINREF_FAST_PATH take_result take(word_type delta) noexcept {
    // (R1) pairs with (R5), (R7): what follows a take sees the page of this life, and the entry as it was
    // write-protected.
    if (add(delta, std::memory_order_acquire)) [[unlikely]]
      return place(delta);
    return take_result::taken;
  }

  /// As take, with a look first: a refusal is one load and leaves the line where it is.
  [[nodiscard]] take_result take_if_alive(word_type delta) noexcept {
    switch (Zones::of(load())) {
      case zone::dead:
      case zone::lost:
        return take_result::dead;
      case zone::overflow:
        return take_result::overflow;
      case zone::alive:
      case zone::watched:
        break;
    }
    return take(delta);
  }

  /// As take, for a caller that holds the page already, which gives it all the order it needs.
  [[nodiscard]] PINREF_FAST_PATH take_result take_held(word_type delta) noexcept {
    if (add(delta, std::memory_order_relaxed)) [[unlikely]]
      return place(delta);
    return take_result::taken;
  }

  /// Subtracts `delta` holders and says what that made of the page; `idle_level` is 0, or 1 for a page whose owner's
  /// own reference never goes. Touches the word after giving up the holders: words must be type-stable.
  [[nodiscard]] PINREF_FAST_PATH release_result release(word_type delta, word_type idle_level) noexcept {
    // (R3) pairs with (R4), (R6), (R7), (R8), (R9), (R10): what the holder did with the page happens before it is
    // freed, reused, or reported as free of holders.
    constexpr auto order = std::memory_order_release;
    if constexpr (requires { Sync::sub_negative(word_, delta, order); })
      if (idle_level == 0) {
        if (Sync::sub_negative(word_, delta, order)) [[unlikely]]
          return settle(delta, 0);
        return release_result::released;
      }
    const word_type left = static_cast<word_type>(word_.fetch_sub(delta, order) - delta);
    if (Zones::troubled(left)) [[unlikely]]
      return settle(delta, idle_level);
    return idle_level != 0 && left == Zones::live(1) ? release_result::idle : release_result::released;
  }

  /// As release of one holder, for a caller that is most likely the only one: one locked operation when it is.
  [[nodiscard]] release_result release_sole(word_type idle_level) noexcept {
    word_type sole = Zones::live(1);
    // (R8) pairs with (R3), (R7), (R9): the owner frees after what every earlier holder did, and who finds the page
    // without holders sees what this one did.
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
      if (word_.compare_exchange_strong(seen, Zones::dead, std::memory_order_acquire, std::memory_order_relaxed)) {
        if (watched) wake();
        return true;
      }
      if (Zones::holders(seen) != expected) return false;
    }
  }

  /// Sleeps until `reached(word)` is true of the word, or `until`, or until `given_up()`. Takes and releases use their
  /// slow paths meanwhile, and a release that leaves fewer than `Quiet` holders wakes. A word with too many holders to
  /// be watched is looked at every millisecond, and so is every word if `reached` may become true with more (`wakes`
  /// false).
  template <class Reached, class GivenUp>
  [[nodiscard]] wait_result wait(Reached reached, const deadline& until, GivenUp given_up, bool wakes = true) noexcept {
    auto& event = Sync::event_of(this);
    for (;;) {
      // (W1) pairs with (W2), (C3): read before the word, so that a wake-up after that is not missed.
      const std::uint32_t seen = event.ticks.load(std::memory_order_acquire);
      // (R9) pairs with (R3), (R8): who is told that the holders have left sees what they did.
      word_type now = word_.load(std::memory_order_acquire);
      if (reached(now)) return wait_result::reached;
      if (given_up()) return wait_result::given_up;
      // Before the word is watched: who only looks slows nobody down.
      const std::int64_t left = until.left();
      if (left <= 0) return wait_result::timed_out;
      bool watched = wakes && Zones::of(now) == zone::watched;
      if (wakes && Zones::of(now) == zone::alive && Zones::holders(now) < Zones::watch_limit) {
        // (R10) pairs with (R3): as (R9), for what `reached` reads besides the word.
        if (!word_.compare_exchange_weak(now, static_cast<word_type>(now + Zones::watching), std::memory_order_acquire,
                                         std::memory_order_relaxed))
          continue;
        if (reached(now)) return wait_result::reached;
        watched = true;
      }
      Sync::wait(event, seen, watched ? until : deadline::in(left < 1'000'000 ? left : 1'000'000));
    }
  }

 private:
  using atomic = typename Sync::template atomic<word_type>;
  static_assert(atomic::is_always_lock_free, "pinref: the reference word must be lock-free on this target");

  // Adds and says whether there is trouble, by the flags of the add where the Sync can.
  [[nodiscard]] PINREF_FAST_PATH bool add(word_type delta, std::memory_order order) noexcept {
    if constexpr (requires { Sync::add_negative(word_, delta, order); })
      return Sync::add_negative(word_, delta, order);
    else
      return Zones::troubled(static_cast<word_type>(word_.fetch_add(delta, order) + delta));
  }

  // The add of a take that found trouble is in the word. Where does the word stand?
  PINREF_SLOW_PATH take_result place(word_type delta) noexcept {
    for (;;) {
      // (R2) pairs with (R5), (R7): the life in which the add counts after all, as if it had been taken there.
      word_type now = word_.load(std::memory_order_acquire);
      word_type without = static_cast<word_type>(now - delta);
      take_result refused = take_result::dead;
      switch (Zones::of(now)) {
        case zone::alive:
          return take_result::taken;
        case zone::watched:
          if (Zones::holders(now) >= Zones::watch_limit) unwatch();
          return take_result::taken;
        case zone::overflow:
          refused = take_result::overflow;
          break;
        case zone::dead:
          // Below the centre only releases of too much can have brought it: they end here.
          if (without < Zones::dead) without = Zones::dead;
          break;
        case zone::lost:
          break;
      }
      if (word_.compare_exchange_weak(now, without, std::memory_order_relaxed, std::memory_order_relaxed))
        return refused;
    }
  }

  // The subtract of a release that found trouble is in the word. Where does the word stand?
  PINREF_SLOW_PATH release_result settle(word_type delta, word_type idle_level) noexcept {
    word_type now = load();
    for (;;) {
      word_type next = static_cast<word_type>(now + delta);
      release_result result = release_result::underflow;
      switch (Zones::of(now)) {
        case zone::alive:
          // Others have come, or this is zero: of all releasers that see it, one wins.
          if (now != Zones::nobody) return release_result::released;
          next = Zones::dead;
          result = release_result::last;
          break;
        case zone::watched: {
          const word_type left = Zones::holders(now);
          if (left >= Quiet) return release_result::released;
          next = left == 0 ? Zones::dead : static_cast<word_type>(now - Zones::watching);
          result = left == 0            ? release_result::last
                   : left == idle_level ? release_result::idle
                                        : release_result::released;
          break;
        }
        case zone::overflow:
          return release_result::released;
        case zone::dead:
          // Somebody else was the last, unless the word was dead before the subtract.
          if (now >= Zones::dead) return release_result::released;
          break;
        case zone::lost:
          break;
      }
      const bool watched = Zones::of(now) == zone::watched;
      // (R4) pairs with (R3): also the holder that came and went between the caller's subtract and here.
      if (word_.compare_exchange_weak(now, next, std::memory_order_acquire, std::memory_order_relaxed)) {
        if (watched) wake();
        return result;
      }
    }
  }

  // Too many holders to stay watched: the waiters look for themselves.
  void unwatch() noexcept {
    word_type now = load();
    while (Zones::of(now) == zone::watched)
      if (word_.compare_exchange_weak(now, static_cast<word_type>(now - Zones::watching), std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
        wake();
        return;
      }
  }

  void wake() noexcept {
    auto& event = Sync::event_of(this);
    // (W2) pairs with (W1): a waiter that sees this wake-up sees the word as it is by now.
    event.ticks.fetch_add(1, std::memory_order_release);
    Sync::wake(event);
  }

  atomic word_;
};

}  // namespace pinref
