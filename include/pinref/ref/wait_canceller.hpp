#pragma once

/// \file
/// wait_canceller: ends waits before their time.
///
/// One canceller serves any number of waits, on any pages and gates whose words have the same `Sync`. A waiter sleeps
/// on the canceller's own word beside the page's, so cancelling wakes exactly those that were given it.
///
/// When not to use it: for a wait that only has a deadline. For a std::stop_token there is `stop_canceller`, in
/// ref/stop_token.hpp.
///
/// Example:
///
///     pinref::wait_canceller<> stop;
///     // One thread waits, until another calls stop.cancel():
///     pinref::wait_result done = ref.wait_until_unpinned(pinref::deadline::never(), stop);
///
/// Memory order: who is told `given_up` sees what the thread that cancelled wrote before.

#include <atomic>
#include <concepts>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/ref/sync.hpp"

namespace pinref {

/// Of a wait that nobody cancels.
struct never_cancelled {
  [[nodiscard]] static constexpr bool cancelled() noexcept { return false; }
};

/// Must outlive the waits that were given it, and the call of `cancel`.
template <class Sync>
class wait_canceller {
 public:
  wait_canceller() noexcept = default;
  wait_canceller(const wait_canceller&) = delete;
  wait_canceller& operator=(const wait_canceller&) = delete;

  /// Ends all waits that were given this canceller, now and later. Lock-free.
  void cancel() noexcept {
    // (C1) pairs with (C2): a waiter that is told `given_up` sees what came before this store.
    cancelled_.store(1, std::memory_order_release);
    Sync::wake_all(cancelled_);
  }

  [[nodiscard]] bool cancelled() const noexcept {
    // (C2) pairs with (C1): what follows a `given_up` sees what the canceller wrote before.
    return cancelled_.load(std::memory_order_acquire) != 0;
  }

  /// What a waiter sleeps on besides: it changes when the waits are cancelled.
  [[nodiscard]] typename Sync::futex futex() const noexcept { return Sync::futex_of(cancelled_, 0, std::uint32_t{0}); }

 private:
  typename Sync::template atomic<std::uint32_t> cancelled_{0};
};

/// What may cancel a wait on words of this `Sync` is what can wake it: a wait_canceller, nothing at all, but no
/// predicate.
template <class T, class Sync>
concept cancels_waits = std::same_as<T, never_cancelled> || std::derived_from<T, wait_canceller<Sync>>;

}  // namespace pinref
