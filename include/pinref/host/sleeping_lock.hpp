// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// sleeping_lock: a mutex of 4 bytes on the atomics and the sleep of a Sync, so that the default host runs wherever its
/// reference words run.
///
/// When not to use it: outside of host/. std::mutex is as good, and known.
///
/// Example:
///
///     pinref::detail::sleeping_lock<pinref::std_sync> lock;
///     const std::lock_guard guard{lock};
///
/// Errors: none.
/// Memory order: acquire when it is locked, release when it is unlocked.
/// Progress: lock() sleeps while another thread has the lock; the others are wait-free.
/// Source: Drepper, "Futexes Are Tricky", the mutex of three states.

#include <atomic>
#include <cstdint>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1::detail {

/// One owner; others sleep.
template <class Sync>
class sleeping_lock {
 public:
  void lock() noexcept {
    if (try_lock()) return;
    // (H1) pairs with (H2): acquire, so that the owner sees what earlier owners did.
    while (word_.exchange(contended, std::memory_order_acquire) != unlocked) {
      const auto sleep = Sync::futex_of(word_, 0, contended);
      (void)Sync::wait(&sleep, 1, deadline::never());
    }
  }
  [[nodiscard]] bool try_lock() noexcept {
    std::uint32_t seen = unlocked;
    // (H7) pairs with (H2): acquire as (H1).
    return word_.compare_exchange_strong(seen, locked, std::memory_order_acquire, std::memory_order_relaxed);
  }
  void unlock() noexcept {
    // (H2) pairs with (H1), (H7): release, so that the next owner sees what this one did.
    if (word_.exchange(unlocked, std::memory_order_release) == contended) Sync::wake_one(word_);
  }

 private:
  // Contended: locked, and a thread may sleep.
  static constexpr std::uint32_t unlocked = 0, locked = 1, contended = 2;

  typename Sync::template atomic<std::uint32_t> word_{unlocked};
};

}  // namespace pinref::inline v0_1::detail
