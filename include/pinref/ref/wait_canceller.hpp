#pragma once

/// \file
/// wait_canceller: ends waits before their time.
///
/// One canceller serves any number of waits, on any pages.
///
/// When not to use it: for a wait that only has a deadline.
///
/// Example:
///
///     pinref::wait_canceller<> stop;
///     // one thread:                                              // another:
///     (void)ref.wait_until_unpinned(pinref::deadline::never(), std::ref(stop));   stop.cancel();
///
/// Memory order: who is told `given_up` sees what the thread that cancelled wrote before.

#include <atomic>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/ref/sync.hpp"

namespace pinref {

/// A wait that nobody cancels.
struct never_gives_up {
  constexpr bool operator()() const noexcept { return false; }
};

template <class Sync>
class wait_canceller {
 public:
  wait_canceller() noexcept = default;
  wait_canceller(const wait_canceller&) = delete;
  wait_canceller& operator=(const wait_canceller&) = delete;

  /// Ends all waits that were given this canceller, now and later. Wakes every sleeper of the library to look.
  void cancel() noexcept {
    // (C1) pairs with (C2): who is told `given_up` sees what came before this.
    cancelled_.store(true, std::memory_order_release);
    for (auto& event : Sync::events()) {
      // (C3) pairs with (W1): a waiter that sees this wake-up sees that it is cancelled.
      event.ticks.fetch_add(1, std::memory_order_release);
      Sync::wake(event);
    }
  }

  [[nodiscard]] bool operator()() const noexcept {
    // (C2) pairs with (C1): what follows a `given_up` sees what the canceller wrote before.
    return cancelled_.load(std::memory_order_acquire);
  }

 private:
  typename Sync::template atomic<bool> cancelled_{false};
};

}  // namespace pinref
