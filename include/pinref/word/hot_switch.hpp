// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// hot_switch: the lock that turns a page hot and exact again, with a count of the calls that met it halfway.
///
/// One 32-bit word. `busy`: a thread is at the switch. `collecting`: it moves what the threads have counted into the
/// page's word. A call that finds its page no longer hot adds `late` meanwhile, and the thread at the switch collects
/// once more.
///
/// When not to use it: as a lock. It is asked again and again, with a pause, and does not sleep.
///
/// Example:
///
///     using switches = pinref::detail::hot_switch<pinref::hot_sync>;
///     switches::state state{0};
///     {
///       const switches::turn only_one{state};                    // waits for its turn
///     }
///     if (const switches::turn now{state, pinref::detail::if_free{}})
///       std::puts("nobody else is at the switch");
///     else
///       try_again_later();
///
/// Errors: a turn with `if_free` may be none.
/// Memory order: acquire when the turn begins, release when it ends.
/// Progress: blocks while another thread has its turn; with `if_free` wait-free.
/// Source: pinref's own.

#include <atomic>
#include <cstdint>

namespace pinref::inline v0_1::detail {

struct if_free {};

template <class Sync>
struct hot_switch {
  using state = typename Sync::template atomic<std::uint32_t>;
  static constexpr std::uint32_t busy = 1, collecting = 2, late = 4;

  class turn {
   public:
    explicit turn(state& of) noexcept : of_(&of) {
      std::uint32_t open = 0;
      // (T2) pairs with (T3): acquire, so that this turn sees what the one before it did.
      while (!of.compare_exchange_weak(open, open | busy, std::memory_order_acquire, std::memory_order_relaxed)) {
        if ((open & busy) != 0) Sync::pause();
        open &= ~(busy | collecting);
      }
    }
    /// Does not wait; false if it would have to.
    turn(state& of, if_free) noexcept : of_(nullptr) {
      std::uint32_t open = of.load(std::memory_order_relaxed);
      if ((open & busy) != 0) return;
      // (T15) pairs with (T3): acquire, so that the thread sees what the turn before it did to its slot.
      if (of.compare_exchange_strong(open, open | busy, std::memory_order_acquire, std::memory_order_relaxed))
        of_ = &of;
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() {
      // (T3) pairs with (T2), (T9), (T15): release, so that the next turn, and a latecomer, see what this one did.
      if (of_ != nullptr) of_->fetch_sub(busy, std::memory_order_release);
    }
    explicit operator bool() const noexcept { return of_ != nullptr; }

   private:
    state* of_;
  };
};

}  // namespace pinref::inline v0_1::detail
