#pragma once

/// \file
/// zoned_word: the one atomic word under every page_ref, with its slow paths and memory orders.
///
/// "Sign shows trouble": a take is one locked add and one branch, a release one locked subtract and one branch.
/// Everything that is not plainly alive lies behind that branch.
///
/// When not to use it: in a host. `page_ref` gives the word its meaning (references, pins, limits of n).
///
/// Example:
///
///     pinref::zoned_word<std::uint64_t, 512, pinref::std_sync> word{1};
///     if (word.take(1) == pinref::take_result::taken) (void)word.release(1, 0);
///
/// Source: Linux page_ref.h and rcuref.h (unconditional add, dead zone); Anderson, Blelloch and Wei, "Turning Manual
/// Concurrent Memory Reclamation into Automatic Reference Counting" (zero decided by CAS).

#include <atomic>
#include <concepts>
#include <type_traits>

#include "pinref/ref/result.hpp"
#include "pinref/word/zones.hpp"

#if defined(__GNUC__)
#define PINREF_SLOW_PATH [[gnu::noinline, gnu::cold]]
#else
#define PINREF_SLOW_PATH
#endif

namespace pinref {

template <std::unsigned_integral Word, unsigned Takers, class Sync>
class zoned_word {
 public:
  using zones = pinref::zones<Word, Takers>;

  constexpr explicit zoned_word(Word word) noexcept : word_(word) {}

  /// The word as it stands. Gives no order: for statistics and hints.
  [[nodiscard]] Word load() const noexcept { return word_.load(std::memory_order_relaxed); }

  /// The word as it stands, as a read-modify-write: a taker that this does not see sees, after its take, whatever the
  /// caller wrote before. Precondition of deciding on an answer.
  [[nodiscard]] Word load_ordered() noexcept {
    // (R7) pairs with (R1), (R3): a take ordered after this reads what was written before it; a release seen here shows
    // what its holder wrote.
    return word_.fetch_add(0, std::memory_order_acq_rel);
  }

  /// Starts a life. Precondition: the word is dead and the caller is its only owner. It overwrites, because failed
  /// takes may have left noise.
  void store(Word word) noexcept {
    // (R5) pairs with (R1): who takes from this life on sees the page as its owner prepared it.
    word_.store(word, std::memory_order_release);
  }

  /// Adds `delta` holders. Wait-free while the page lives. `delta` is at most `zones::max_delta`.
  [[nodiscard]] take_result take(Word delta) noexcept {
    // (R1) pairs with (R5), (R7): what follows a take sees the page of this life, and the entry as it was
    // write-protected.
    const Word old = word_.fetch_add(delta, std::memory_order_acquire);
    if (zones::troubled(static_cast<Word>(old + delta))) [[unlikely]]
      return refuse(old, delta);
    return take_result::taken;
  }

  /// As take, with a look first: a refusal is one load and leaves the line where it is.
  [[nodiscard]] take_result take_if_alive(Word delta) noexcept {
    switch (zones::of(load())) {
      case zone::dead:
        return take_result::dead;
      case zone::overflow:
        return take_result::overflow;
      case zone::alive:
        break;
    }
    return take(delta);
  }

  /// As take, for a caller that holds the page already, which gives it all the order it needs.
  [[nodiscard]] take_result take_held(Word delta) noexcept {
    const Word old = word_.fetch_add(delta, std::memory_order_relaxed);
    if (zones::troubled(static_cast<Word>(old + delta))) [[unlikely]]
      return refuse(old, delta);
    return take_result::taken;
  }

  /// Subtracts `delta` holders and says what that made of the page; `idle_level` is 0, or 1 for a page whose owner's
  /// own reference never goes. Touches the word after giving up the holders: words must be type-stable.
  [[nodiscard]] release_result release(Word delta, Word idle_level) noexcept {
    // (R3) pairs with (R4), (R6), (R7), (R8): what the holder did with the page happens before it is freed or reused.
    const Word old = word_.fetch_sub(delta, std::memory_order_release);
    if (as_signed(old) <= as_signed(static_cast<Word>(delta + idle_level))) [[unlikely]]
      return settle(old, delta, idle_level);
    return release_result::released;
  }

  /// As release of one holder, for a caller that is most likely the only one: one locked operation when it is.
  [[nodiscard]] release_result release_sole(Word idle_level) noexcept {
    Word sole = 1;
    // (R8) pairs with (R3): the owner frees after what every earlier holder did.
    if (idle_level == 0 &&
        word_.compare_exchange_strong(sole, zones::dead, std::memory_order_acquire, std::memory_order_relaxed))
      return release_result::last;
    return release(1, idle_level);
  }

  /// Claims the page exclusively if it has exactly `expected` holders, all of them the caller's own.
  [[nodiscard]] bool freeze(Word expected) noexcept {
    // (R6) pairs with (R3): the claimant sees what every former holder did.
    return word_.compare_exchange_strong(expected, zones::dead, std::memory_order_acquire, std::memory_order_relaxed);
  }

 private:
  using signed_word = std::make_signed_t<Word>;
  using atomic = typename Sync::template atomic<Word>;
  static_assert(atomic::is_always_lock_free, "pinref: the reference word must be lock-free on this target");

  [[nodiscard]] static constexpr signed_word as_signed(Word word) noexcept { return static_cast<signed_word>(word); }

  // The old value of the caller's own add decides. Never a later read: a new life may have begun in between.
  PINREF_SLOW_PATH take_result refuse(Word old, Word delta) noexcept {
    if (zones::of(old) == zone::dead) {
      clamp();
      return take_result::dead;
    }
    // The add was counted in a life that cannot end before it is given back. Once others have left, it may stand.
    Word now = load();
    while (zones::troubled(now))
      if (word_.compare_exchange_weak(now, static_cast<Word>(now - delta), std::memory_order_relaxed,
                                      std::memory_order_relaxed))
        return take_result::overflow;
    return take_result::taken;
  }

  PINREF_SLOW_PATH release_result settle(Word old, Word delta, Word idle_level) noexcept {
    switch (zones::of(old)) {
      case zone::dead:
        clamp();
        return release_result::underflow;
      case zone::overflow:
        return release_result::released;
      case zone::alive:
        break;
    }
    if (old < delta) {
      word_.fetch_add(delta, std::memory_order_relaxed);
      return release_result::underflow;
    }
    const Word left = static_cast<Word>(old - delta);
    if (left == 0) return bury() ? release_result::last : release_result::released;
    return left == idle_level ? release_result::idle : release_result::released;
  }

  // Zero is decided here: of all releasers that saw it, one wins, unless a take has revived the page.
  [[nodiscard]] bool bury() noexcept {
    Word zero = 0;
    // (R4) pairs with (R3): also the holder that came and went between the caller's subtract and here.
    return word_.compare_exchange_strong(zero, zones::dead, std::memory_order_acquire, std::memory_order_relaxed);
  }

  void clamp() noexcept {
    Word now = load();
    while (zones::noisy(now))
      if (word_.compare_exchange_weak(now, zones::dead, std::memory_order_relaxed, std::memory_order_relaxed)) return;
  }

  atomic word_;
};

}  // namespace pinref
