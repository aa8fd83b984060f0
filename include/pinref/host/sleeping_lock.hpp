#pragma once

/// \file
/// sleeping_lock: a mutex on the atomics of a Sync, so that the default host runs wherever its reference words run.
///
/// When not to use it: outside of host/. std::mutex is as good, and known.
///
/// Example:
///
///     pinref::detail::sleeping_lock<pinref::std_sync> lock;
///     const std::lock_guard guard{lock};

#include <atomic>
#include <cstdint>

namespace pinref::detail {

/// One owner; others sleep.
template <class Sync>
class sleeping_lock {
 public:
  void lock() noexcept {
    while (!try_lock()) word_.wait(locked, std::memory_order_relaxed);
  }
  [[nodiscard]] bool try_lock() noexcept {
    // (H1) pairs with (H2): the owner sees what earlier owners did.
    return word_.exchange(locked, std::memory_order_acquire) != locked;
  }
  void unlock() noexcept {
    // (H2) pairs with (H1): the next owner sees what this one did.
    word_.store(0, std::memory_order_release);
    word_.notify_one();
  }

 private:
  static constexpr std::uint32_t locked = 1;

  typename Sync::template atomic<std::uint32_t> word_{0};
};

}  // namespace pinref::detail
