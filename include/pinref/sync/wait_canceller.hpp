// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// wait_canceller: ends waits before their time.
///
/// One canceller serves any number of waits, on any pages and gates whose words have the same `Sync`. A wait sleeps on
/// the canceller's own word beside the page's, so `cancel` wakes exactly the waits that were given it.
///
/// When not to use it: for a wait that only has a deadline. For a std::stop_token there is `stop_canceller`, in
/// sync/stop_token.hpp.
///
/// Example:
///
///     pinref::wait_canceller<> stop;                             // another thread may call stop.cancel()
///     if (ref.wait_until_unpinned(pinref::deadline::never(), stop) == pinref::wait_result::given_up)
///       give_up("cancelled");
///     else
///       reuse();
///
/// Errors: none.
/// Memory order: a wait that ends with `given_up` sees what the cancelling thread wrote before.
/// Progress: wait-free; `cancel` is a system call besides.
/// Source: pinref's own; std::stop_source is its like.

#include <atomic>
#include <concepts>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// The canceller of a wait that nothing cancels.
struct never_cancelled {
  /// False.
  [[nodiscard]] static constexpr bool cancelled() noexcept { return false; }
};

/// Cancels waits. Must outlive the waits that were given it, and the call of `cancel`.
template <class Sync>
class wait_canceller {
 public:
  wait_canceller() noexcept = default;
  wait_canceller(const wait_canceller&) = delete;
  wait_canceller& operator=(const wait_canceller&) = delete;

  /// Ends all waits that were given this canceller, now and later. Lock-free.
  void cancel() noexcept {
    // (C1) pairs with (C2): release, so that a wait that ends with `given_up` sees what came before this store.
    cancelled_.store(1, std::memory_order_release);
    Sync::wake_all(cancelled_);
  }

  /// Has `cancel` been called? Order: acquire.
  [[nodiscard]] bool cancelled() const noexcept {
    // (C2) pairs with (C1): acquire, so that what follows a `given_up` sees what the canceller wrote before.
    return cancelled_.load(std::memory_order_acquire) != 0;
  }

  /// A futex whose value changes when the waits are cancelled, with the value it has before.
  [[nodiscard]] typename Sync::futex futex() const noexcept { return Sync::futex_of(cancelled_, 0, std::uint32_t{0}); }

 private:
  typename Sync::template atomic<std::uint32_t> cancelled_{0};
};

/// What may cancel a wait on words of this `Sync`: a wait_canceller, or nothing. No predicate: it could not wake the
/// wait when it becomes true.
template <class T, class Sync>
concept cancels_waits = std::same_as<T, never_cancelled> || std::derived_from<T, wait_canceller<Sync>>;

}  // namespace pinref::inline v0_1
