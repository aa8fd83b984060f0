// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// split_word: holders in one word, the pins among them in another. The counter of a split_layout.
///
/// When not to use it: see `split_layout`. A pin or unpin is two locked operations on one line, and a snapshot is two
/// loads that may belong to different instants.
///
/// Example:
///
///     pinref::split_word<pinref::split32, pinref::std_sync> word{pinref::split32::live(1)};
///     if (word.take<pinref::hold::pin>(1) != pinref::take_result::taken) return give_up("dead, or overflow");
///     if (word.release<pinref::hold::pin>(1, pinref::owner_ref::counted) == pinref::release_result::last) free_page();
///
/// Errors: as the results of a take and a release say.
/// Memory order: that of zoned_word; pins have (S1) to (S4).
/// Progress: that of zoned_word.
/// Source: Linux try_grab_folio() and gup_put_folio() for large folios.

#include <atomic>
#include <cstddef>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/split_layout.hpp"
#include "pinref/word/zoned_word.hpp"

namespace pinref::inline v0_1 {

/// Holders in one zoned word, pins in another. The members are those of reference_counter and ticketed_counter.
template <class Layout, class Sync>
class split_word {
 public:
  using layout = Layout;
  using sync = Sync;
  using site = no_site;

  constexpr explicit split_word(Layout state) noexcept : holders_(state.raw()), pins_(state.raw_pins()) {}

  /// No pin outlives a life; only a frozen page is sure to have none.
  void start(std::size_t n, zone from, site = {}) noexcept {
    if (from == zone::dead) pins_.store(0, std::memory_order_relaxed);
    holders_.start(count(n), from);
  }
  void bury() noexcept { holders_.bury(); }

  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take(std::size_t n, site = {}) noexcept {
    const take_result held = holders_.take(count(n));
    if constexpr (Mode == hold::pin)
      // (S1) pairs with (S3): acquire, so that an unmapper that asks and does not see this pin is seen by the look at
      // the mapping after it.
      if (held == take_result::taken) pins_.fetch_add(count(n), std::memory_order_acquire);
    return held;
  }
  [[nodiscard]] take_result take_if_alive(std::size_t n, site = {}) noexcept {
    return holders_.take_if_alive(count(n));
  }
  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take_held(std::size_t n, site = {}) noexcept {
    const take_result held = holders_.take_held(count(n));
    if constexpr (Mode == hold::pin)
      if (held == take_result::taken) pins_.fetch_add(count(n), std::memory_order_relaxed);
    return held;
  }

  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH release_result release(std::size_t n, owner_ref owner, site = {}) noexcept {
    if constexpr (Mode == hold::pin) {
      // (S2) pairs with (S3), (S4): release, so that a call that finds the page unpinned sees what the device's owner
      // did with it.
      if (pins_.fetch_sub(count(n), std::memory_order_release) < count(n)) [[unlikely]] {
        pins_.fetch_add(count(n), std::memory_order_relaxed);
        return release_result::underflow;
      }
    }
    const release_result result = holders_.release(count(n), owner);
    if constexpr (Mode == hold::pin)
      // The references that came with the pins are gone: a wrong release has put them.
      if (result == release_result::underflow) pins_.fetch_add(count(n), std::memory_order_relaxed);
    return result;
  }
  [[nodiscard]] release_result release_nothing(owner_ref owner) const noexcept {
    return holders_.release_nothing(owner);
  }
  [[nodiscard]] release_result release_sole(owner_ref owner, site = {}) noexcept {
    return holders_.release_sole(owner);
  }

  /// Refused if there is a pin before or after the claim. A pin that is being taken and is not counted yet is one of
  /// the n holders, all of which must be the caller's.
  [[nodiscard]] bool freeze(std::size_t n, site = {}) noexcept {
    if (pins_.load(std::memory_order_relaxed) != 0) return false;
    if (!holders_.freeze(count(n))) return false;
    if (!dma_pinned()) return true;
    holders_.start(count(n), zone::frozen);
    return false;
  }

  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned() noexcept {
    // (S3) pairs with (S1), (S2): acquire and release, and a read-modify-write, so that it comes before a pin or sees
    // it.
    constexpr auto order = std::memory_order_acq_rel;
    if constexpr (requires { Sync::load_by_rmw(pins_, order); })
      return Sync::load_by_rmw(pins_, order) != 0;
    else
      return pins_.fetch_add(0, order) != 0;
  }
  [[nodiscard]] bool idle(at_most question) noexcept { return question(Layout{holders_.load_ordered(), 0}); }
  [[nodiscard]] Layout snapshot() const noexcept { return {holders_.load(), pins_.load(std::memory_order_relaxed)}; }

  template <class Question, class Canceller>
  [[nodiscard]] wait_result wait(Question question, const deadline& until, const Canceller& stop) noexcept {
    return holders_.wait(of_the_holders(question), until, stop);
  }
  template <class Question>
  [[nodiscard]] wait_ticket<Sync> prepare_wait(Question question) noexcept {
    auto reached = of_the_holders(question);
    return holders_.prepare_wait(reached);
  }
  void abandon_wait() noexcept { holders_.abandon_wait(); }

 private:
  using word_type = typename Layout::word_type;
  using atomic = typename Sync::template atomic<word_type>;

  // Every unpin releases a holder after its pin, so a waiter that watches the holders is woken. But the holders may be
  // as many again by then, so it sleeps only while the pins are what it saw, too.
  struct no_pins {
    const atomic& pins;
    word_type seen = 0;

    [[nodiscard]] bool operator()(word_type word) noexcept {
      // (S4) pairs with (S2): acquire, so that the waiter sees what the devices' owners did.
      seen = pins.load(std::memory_order_acquire);
      return Layout{word, seen}.pins() == 0;
    }
    [[nodiscard]] auto also() const noexcept {
      return Sync::futex_of(pins, Sync::template nr_futexes<word_type> - 1, seen);
    }
  };

  [[nodiscard]] no_pins of_the_holders(unpinned) const noexcept { return {pins_}; }
  [[nodiscard]] static constexpr auto of_the_holders(at_most question) noexcept {
    return [question](word_type word) noexcept { return question(Layout{word, 0}); };
  }
  [[nodiscard]] static constexpr word_type count(std::size_t n) noexcept { return static_cast<word_type>(n); }

  zoned_word<typename Layout::zones, Layout::zones::nobody, Sync> holders_;
  atomic pins_;
};

}  // namespace pinref::inline v0_1
