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
///     seq.begin();                                               // one fork at a time: the host's lock
///     for (entry& each : parent) share_or_copy(each);
///     seq.end();
///
/// Source: Linux mm_struct::write_protect_seq, copy_page_range(), gup_fast().

#include <atomic>
#include <cstdint>

#include "pinref/ref/sync.hpp"

namespace pinref {

template <class Sync = std_sync>
class write_protect_seq {
 public:
  write_protect_seq() noexcept = default;
  write_protect_seq(const write_protect_seq&) = delete;
  write_protect_seq& operator=(const write_protect_seq&) = delete;

  /// Begins a fork. Precondition: no other is under way. Wait-free. The questions that follow, page_dma_pinned of each
  /// page, order it against pins.
  void begin() noexcept { value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

  /// Ends it.
  void end() noexcept {
    // (F1) pairs with (F2): a pin that begins after the fork sees every entry as the fork left it.
    value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// Is a fork under way? For assertions.
  [[nodiscard]] bool active() const noexcept { return value_.load(std::memory_order_relaxed) % 2 != 0; }

  /// Begins a lockless pin; false if a fork is under way.
  [[nodiscard]] bool try_begin_pin(std::uint32_t& seen) const noexcept {
    // (F2) pairs with (F1): the entries are looked up as the last fork left them.
    seen = value_.load(std::memory_order_acquire);
    return seen % 2 == 0;
  }

  /// Did a fork begin meanwhile? The pins, which are acquire, come before this look: if it sees none, the fork sees the
  /// pins.
  [[nodiscard]] bool overlapped(std::uint32_t seen) const noexcept {
    return value_.load(std::memory_order_relaxed) != seen;
  }

 private:
  typename Sync::template atomic<std::uint32_t> value_{0};
};

}  // namespace pinref
