// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// write_protect_seq: keeps lockless pins out of a fork, which write-protects pages and decides to share them.
///
/// A fork copies pinned pages for the child and shares the rest. A pin that is taken without a lock while the fork
/// looks would be missed by it, and a page would be shared and pinned at once. So a fork holds the sequence while it
/// protects and asks; a lockless pin begun meanwhile is refused, and one that overlaps is given back.
///
/// A space that forks has a member `fork_seq()` returning its sequence; `pin_user_pages_fast` then uses it.
///
/// When not to use it: for one entry at a time. "Write-protect, then ask page_dma_pinned" is enough there, see gup.hpp.
///
/// Example:
///
///     pinref::write_protect_seq<> seq;                           // of the space
///     seq.write_begin();                                         // one fork at a time, by the host's lock
///     for (entry& each : parent) share_or_copy(each);
///     seq.write_end();
///     // ... and in a lockless pin:
///     std::uint32_t begun = 0;
///     if (!seq.try_read_begin(begun)) return try_again_later();
///     pin_pages();
///     if (seq.read_retry(begun)) give_pins_back();
///
/// Errors: a refused begin, a retry.
/// Memory order: a lockless pin that begins after a fork sees every entry as the fork left it.
/// Progress: wait-free.
/// Source: Linux mm_struct::write_protect_seq, copy_page_range(), gup_fast().

#include <atomic>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// A sequence that is odd while a fork is under way.
template <class Sync>
class write_protect_seq {
 public:
  write_protect_seq() noexcept = default;
  write_protect_seq(const write_protect_seq&) = delete;
  write_protect_seq& operator=(const write_protect_seq&) = delete;

  /// Begins a fork. Precondition: no other is under way. Relaxed is enough: the acquire and release read-modify-write
  /// of each later page_dma_pinned() orders this store before any pin it does not see.
  void write_begin() noexcept { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

  /// Ends a fork. Order: release.
  void write_end() noexcept {
    // (F1) pairs with (F2): release, so that a pin that begins after the fork sees every entry as the fork left it.
    value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Is a fork under way? For assertions.
  [[nodiscard]] bool active() const noexcept { return value_.load(std::memory_order_relaxed) % 2 != 0; }

  /// Begins a lockless pin; false if a fork is under way. Order: acquire.
  [[nodiscard]] bool try_read_begin(std::uint32_t& seen) const noexcept {
    // (F2) pairs with (F1): acquire, so that the entries are looked up as the last fork left them.
    seen = value_.load(std::memory_order_acquire);
    return seen % 2 == 0;
  }

  /// Did a fork begin meanwhile? The pins are acquire, so they come before this look: if it sees no fork, a later fork
  /// sees the pins.
  [[nodiscard]] bool read_retry(std::uint32_t seen) const noexcept {
    return value_.load(std::memory_order_relaxed) != seen;
  }

 private:
  typename Sync::template atomic<std::uint32_t> value_{0};
};

}  // namespace pinref::inline v0_1
