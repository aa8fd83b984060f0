// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// layout_gate: keeps new accesses out of an object while its layout changes.
///
/// When not to use it: as a lock. Any number of callers may close it, and any number may pass it when it is open.
///
/// Example:
///
///     pinref::layout_gate<> gate;                                // of the object
///     if (!gate.is_open()) return give_up("busy");               // in its fault_in, under its lock
///     // ... which does not wait under the lock, but may outside:
///     const auto soon = pinref::deadline::in(std::chrono::milliseconds(5));
///     if (gate.wait_until_open(soon) != pinref::wait_result::reached) return try_again_later();
///
/// Errors: the wait may end before the gate is open.
/// Memory order: a caller that finds it open sees what was done while it was closed.
/// Progress: wait-free but for the wait, which sleeps.
/// Source: pinref's own; Linux has the invalidate_lock of an address_space in its place.

#include <atomic>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"

namespace pinref::inline v0_1 {

/// Keeps new accesses out of an object while its layout changes. Several may close it at a time.
template <class Sync>
class layout_gate {
 public:
  /// Where its atomics come from.
  using sync = Sync;

  layout_gate() noexcept = default;
  layout_gate(const layout_gate&) = delete;
  layout_gate& operator=(const layout_gate&) = delete;

  /// May a fault enter? Ask in fault_in, under the lock that `unmap` takes, before looking at the object. A fault that
  /// entered before the gate closed has finished by the time of the unmap; one that enters after it has opened again
  /// sees the layout as it was changed. Order: acquire.
  [[nodiscard]] bool is_open() const noexcept {
    // (G5) pairs with (G4): acquire as (G2), without the sleep.
    return closers_.load(std::memory_order_acquire) == 0;
  }

  /// Sleeps until it is open, not under that lock. May block.
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_open(const deadline& until = deadline::never(),
                                            const Canceller& stop = {}) noexcept {
    detail::waiter<Sync, Canceller> self(until, stop);
    for (wait_result over = self.over();;) {
      // (G2) pairs with (G4): acquire, so that what follows sees the layout as it was changed.
      const std::uint32_t closed = closers_.load(std::memory_order_acquire);
      if (closed == 0) return wait_result::reached;
      if (over != wait_result::reached) return over;
      wait_ticket<Sync> ticket;
      ticket.add(Sync::futex_of(closers_, 0, closed));
      over = self.sleep(ticket);
    }
  }

  /// Keeps new accesses out until every closer has opened again. Wait-free.
  void close() noexcept { closers_.fetch_add(1, std::memory_order_relaxed); }
  /// Ends one close. Wait-free.
  void open() noexcept {
    // (G4) pairs with (G2), (G5): release, so that a caller that enters sees the layout as it was changed.
    if (closers_.fetch_sub(1, std::memory_order_release) == 1) Sync::wake_all(closers_);
  }

 private:
  typename Sync::template atomic<std::uint32_t> closers_{0};
};

}  // namespace pinref::inline v0_1
