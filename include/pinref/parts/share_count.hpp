// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// share_count: in how many places a page is used, by mappings and by swap entries, in one word.
///
/// To decide by the sum whether a page has a single user, the sum must never be seen too low. A transfer from one side
/// to the other is one operation here, so the sum is exact at every instant. With two counters a transfer would have to
/// add on one side before it drops on the other, and a reader would still see the sum too low if it read them in the
/// wrong order.
///
/// When not to use it: to hold the page. Users are counted here besides being holders of the page.
///
/// Example:
///
///     pinref::share_count<> users;
///     users.map();                                               // one mapping
///     users.map_to_swap();                                       // the same user, now a swap entry
///     if (users.sum() == 1) reuse();
///     if (users.swap_free()) free_page();                        // that was the last user
///
/// Errors: none; more drops than users are not noticed.
/// Memory order: a sum of 1 sees what the other users did before they left.
/// Progress: wait-free.
/// Source: Linux page_mapcount(), page_swapcount(), reuse_swap_page().

#include <atomic>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// The users of a page: mappings and swap entries.
template <class Sync>
class share_count {
 public:
  share_count() noexcept = default;
  share_count(const share_count&) = delete;
  share_count& operator=(const share_count&) = delete;

  /// One mapping more, or one swap entry more. Precondition: the caller is a user, or there is none.
  void map() noexcept { word_.fetch_add(one_mapping, std::memory_order_relaxed); }
  void swap_dup() noexcept { word_.fetch_add(one_swap, std::memory_order_relaxed); }
  /// One less. True for the last user of either kind.
  bool unmap() noexcept { return this->drop(one_mapping); }
  bool swap_free() noexcept { return this->drop(one_swap); }
  /// The same user, by other means: the sum does not change.
  void map_to_swap() noexcept { word_.fetch_add(one_swap - one_mapping, std::memory_order_relaxed); }
  void swap_to_map() noexcept { word_.fetch_sub(one_swap - one_mapping, std::memory_order_relaxed); }

  /// Users of both kinds.
  [[nodiscard]] std::uint64_t sum() const noexcept {
    // (U1) pairs with (U2): acquire, so that a sole user sees what the others did before they left.
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    return (word & (one_swap - 1)) + word / one_swap;
  }
  /// Users by mapping, at some instant. Order: none.
  [[nodiscard]] std::uint64_t mappings() const noexcept {
    return word_.load(std::memory_order_relaxed) & (one_swap - 1);
  }
  /// Users by swap entry, at some instant. Order: none.
  [[nodiscard]] std::uint64_t swap_entries() const noexcept { return word_.load(std::memory_order_relaxed) / one_swap; }

 private:
  static constexpr std::uint64_t one_mapping = 1;
  static constexpr std::uint64_t one_swap = std::uint64_t{1} << 32;

  bool drop(std::uint64_t user) noexcept {
    // (U2) pairs with (U1), (U2): release, so that the users that stay see what this one did; acquire, so that the last
    // one to leave sees what all others did.
    return word_.fetch_sub(user, std::memory_order_acq_rel) == user;
  }

  typename Sync::template atomic<std::uint64_t> word_{0};
};

/// A page's place in swap: a value behind a flag. The value is written before the flag, and read after it.
template <class Sync>
class swap_slot {
 public:
  /// Sets the value. Precondition: none is set.
  void set(std::uint64_t value) noexcept {
    value_.store(value, std::memory_order_relaxed);
    // (U3) pairs with (U4): release, so that a reader that sees the flag sees the value.
    present_.store(true, std::memory_order_release);
  }
  /// Takes the value away.
  void clear() noexcept { present_.store(false, std::memory_order_relaxed); }
  /// Reads the value; false if none is set.
  [[nodiscard]] bool get(std::uint64_t& value) const noexcept {
    // (U4) pairs with (U3): acquire, so that the value is not older than the flag.
    if (!present_.load(std::memory_order_acquire)) return false;
    value = value_.load(std::memory_order_relaxed);
    return true;
  }

 private:
  typename Sync::template atomic<std::uint64_t> value_{0};
  typename Sync::template atomic<bool> present_{false};
};

}  // namespace pinref::inline v0_1
