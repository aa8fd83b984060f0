// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// deferred_list: pages whose last holder has gone where nothing may block, kept until a thread that may block frees
/// them.
///
/// The last release of a page can happen in a completion handler, in a signal-safe region or inside the allocator
/// itself, where `free_page` may not take the host's lock, allocate or block. It pushes the page here instead; a thread
/// that may block drains. The link stands in the page, which is dead, so no other thread uses it. Nothing is allocated.
///
/// Links are addresses, or offsets from the list for memory that processes map at different addresses.
///
/// When not to use it: as a free list. Items come out all at once, last in first out, and cannot be taken one by one:
/// that is what keeps it free of the ABA problem.
///
/// Example:
///
///     struct frame {
///       pinref::page_ref<> ref;
///       pinref::list_link link;
///     };
///     static frame page;                                         // outlives its time on the list
///     pinref::deferred_list<frame, &frame::link> dead;
///     dead.push(page);                                           // in free_page
///     dead.drain([](frame& each) { give_back(each); });          // where it may block
///
/// Errors: none; an item is on one list at a time.
/// Memory order: a drain that takes an item sees what came before its push.
/// Progress: push is lock-free, drain wait-free but for `free`.
/// Source: Treiber, "Systems Programming: Coping with Parallelism"; Linux llist.h.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// What an item holds for the list it is on. Only the list uses it, from push to drain.
struct list_link {
  std::intptr_t next = 0;  ///< where the next item is; 0 if there is none
};

/// How a list refers to its items: by their addresses, or by their distance from the list.
enum class list_links : unsigned char {
  addresses,  ///< for memory of one process
  offsets,    ///< for memory that processes map at different addresses
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(list_links kind) noexcept {
  return kind == list_links::offsets ? "offsets" : "addresses";
}

/// `Link` is the member of the item that holds its list_link. A list of offsets stays at its place in the memory that
/// its items are in.
template <class Item, auto Link, list_links Links, class Sync>
class deferred_list {
 public:
  constexpr deferred_list() noexcept = default;
  deferred_list(const deferred_list&) = delete;
  deferred_list& operator=(const deferred_list&) = delete;

  /// Adds an item that is on no list. Lock-free.
  void push(Item& item) noexcept {
    const std::intptr_t self = refer(item);
    std::intptr_t top = top_.load(std::memory_order_relaxed);
    do {
      (item.*Link).next = top;
      // (D1) pairs with (D2): release, so that the drain sees what the pusher did with the item, and its link.
    } while (!top_.compare_exchange_weak(top, self, std::memory_order_release, std::memory_order_relaxed));
  }

  /// Is nothing on it, at some instant? Order: none.
  [[nodiscard]] bool empty() const noexcept { return top_.load(std::memory_order_relaxed) == 0; }

  /// Takes all items off and calls `free(item)` for each, the last pushed first; returns how many. What is pushed
  /// meanwhile stays on. `free` may push again, and may give the item away.
  template <class Free>
  std::size_t drain(Free free) noexcept {
    // (D2) pairs with (D1): acquire, so that the items are seen as they were pushed.
    std::intptr_t at = empty() ? 0 : top_.exchange(0, std::memory_order_acquire);
    std::size_t n = 0;
    for (; at != 0; ++n) {
      Item& item = item_at(at);
      // Read before `free` gives the item away.
      at = (item.*Link).next;
      free(item);
    }
    return n;
  }

 private:
  [[nodiscard]] std::intptr_t base() const noexcept {
    return Links == list_links::offsets ? reinterpret_cast<std::intptr_t>(this) : 0;
  }
  [[nodiscard]] std::intptr_t refer(Item& item) const noexcept {
    return reinterpret_cast<std::intptr_t>(&item) - base();
  }
  [[nodiscard]] Item& item_at(std::intptr_t at) const noexcept { return *reinterpret_cast<Item*>(base() + at); }

  typename Sync::template atomic<std::intptr_t> top_{0};
};

}  // namespace pinref::inline v0_1
