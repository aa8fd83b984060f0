// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// range_queue: ranges of addresses, told from where nothing may be allocated and no call may wait.
///
/// A hook inside malloc or munmap pushes; the thread that has the lock drains. The room is fixed: when it is used up,
/// every address is meant.
///
/// When not to use it: for ranges that must not be forgotten one by one. A full queue says "everything" instead.
///
/// Example:
///
///     pinref::detail::range_queue<64, pinref::std_sync> told;
///     told.push(first, last);                                    // in the hook
///     told.drain([](std::uintptr_t a, std::uintptr_t b) noexcept { forget(a, b); });
///
/// Errors: none.
/// Memory order: of a push and a drain one sees the other: a drain that does not see the range comes before the push,
/// and then the pusher sees what came before the drain.
/// Progress: push is wait-free; drain is for one at a time.
/// Source: pinref's own; Linux's inotify and fanotify also say "overflow" when their queue is full.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"

namespace pinref::inline v0_1::detail {

template <std::size_t Room, class Sync>
class range_queue {
 public:
  /// Tells of the bytes from `first` to `last`, both included.
  void push(std::uintptr_t first, std::uintptr_t last) noexcept {
    std::uint32_t news = overflow;
    for (place& each : places_) {
      std::uint32_t seen = empty;
      // (K6) pairs with (K9): acquire, so that the range before was read before it is written over.
      if (!each.state.compare_exchange_strong(seen, filling, std::memory_order_acquire, std::memory_order_relaxed))
        continue;
      each.first_told.store(first, std::memory_order_relaxed);
      each.last_told.store(last, std::memory_order_relaxed);
      // (K7) pairs with (K8): release, so that the range is read whole.
      each.state.store(full, std::memory_order_release);
      news = some;
      break;
    }
    // (K10) pairs with (K11): release, so that a drain after this sees the range; acquire, so that a push after the
    // drain sees what came before the drain.
    news_.fetch_or(news, std::memory_order_acq_rel);
  }

  /// Calls `visit(first, last)` for every range that was pushed. One at a time.
  template <class Visit>
  void drain(Visit visit) noexcept {
    // (K11) pairs with (K10): acquire and release, see there; also if there is nothing.
    const std::uint32_t news = news_.exchange(0, std::memory_order_acq_rel);
    if ((news & overflow) != 0) visit(std::uintptr_t{0}, UINTPTR_MAX);
    if (news == 0) return;
    for (place& each : places_) {
      // (K8) pairs with (K7): acquire, so that the range is read as it was filled.
      if (each.state.load(std::memory_order_acquire) != full) continue;
      const std::uintptr_t first = each.first_told.load(std::memory_order_relaxed);
      const std::uintptr_t last = each.last_told.load(std::memory_order_relaxed);
      // (K9) pairs with (K6): release, so that the range is read before it is written over.
      each.state.store(empty, std::memory_order_release);
      visit(first, last);
    }
  }

 private:
  template <class T>
  using atomic = typename Sync::template atomic<T>;

  static constexpr std::uint32_t empty = 0, filling = 1, full = 2;  // of a place
  static constexpr std::uint32_t some = 1, overflow = 2;            // of the news

  struct place {
    atomic<std::uint32_t> state{empty};
    atomic<std::uintptr_t> first_told{0};
    atomic<std::uintptr_t> last_told{0};
  };

  atomic<std::uint32_t> news_{0};
  place places_[Room];
};

}  // namespace pinref::inline v0_1::detail
