// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_lock: the lock of a shared page. It knows which member has it, so that it can be taken from a dead one, and the
/// next owner is told so.
///
/// When not to use it: between threads of one process. It is a word of its own and a compare and swap dearer than
/// std::mutex.
///
/// Example:
///
///     static pinref::page_lock<pinref::segment_sync> lock;       // in shared memory
///     switch (lock.lock(place, pinref::deadline::in_nanoseconds(1'000'000))) {
///       case pinref::page_lock_result::owner_died: clean_up_after_its_owner(); break;
///       case pinref::page_lock_result::locked: break;
///       default: return give_up("another member has it");
///     }
///     lock.unlock();
///
/// Errors: `page_lock_result`.
/// Memory order: the owner sees what earlier owners did, dead ones included.
/// Progress: `lock` waits; everything else is wait-free, but `take_from` is a lock-free loop.
/// Source: pthread_mutex_consistent(3); Drepper, "Futexes Are Tricky".

#include <atomic>
#include <cstdint>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// How an attempt to lock a page ended.
enum class page_lock_result : unsigned char {
  locked,        ///< by the caller
  owner_died,    ///< by the caller, and its last owner died with it: what it protects may be half changed
  timed_out,     ///< another member had it until the deadline
  too_many,      ///< the member has as many page locks as it may have
  no_such_page,  ///< the segment has no page of this number
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(page_lock_result result) noexcept {
  switch (result) {
    case page_lock_result::locked:
      return "locked";
    case page_lock_result::owner_died:
      return "owner_died";
    case page_lock_result::timed_out:
      return "timed_out";
    case page_lock_result::too_many:
      return "too_many";
    case page_lock_result::no_such_page:
      return "no_such_page";
  }
  return "unknown";
}

/// One owner, a member of the segment by its number; others sleep.
template <class Sync>
class page_lock {
 public:
  page_lock() noexcept = default;
  page_lock(const page_lock&) = delete;
  page_lock& operator=(const page_lock&) = delete;

  /// Waits for the lock until `until`.
  [[nodiscard]] page_lock_result lock(unsigned place, const deadline& until) noexcept {
    const std::uint32_t mine = place + 1;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    // A caller that has slept leaves the mark, because others may sleep still.
    std::uint32_t mark = 0;
    for (;;) {
      if ((seen & owner) == 0) {
        // (L20) pairs with (L21), (L22): acquire, so that the owner sees what earlier owners did; release, so that
        // where a dead owner has noted the lock, it stands before this.
        if (word_.compare_exchange_weak(seen, mine | mark, std::memory_order_acq_rel, std::memory_order_relaxed))
          return (seen & orphan) != 0 ? page_lock_result::owner_died : page_lock_result::locked;
        continue;
      }
      if ((seen & contended) == 0 &&
          !word_.compare_exchange_weak(seen, seen | contended, std::memory_order_relaxed, std::memory_order_relaxed))
        continue;
      mark = contended;
      const auto sleep = Sync::futex_of(word_, 0, seen | contended);
      if (Sync::wait(&sleep, 1, until) == sleep_result::timed_out) return page_lock_result::timed_out;
      seen = word_.load(std::memory_order_relaxed);
    }
  }

  /// Gives it up. Precondition: the caller has it.
  void unlock() noexcept {
    // All are woken: the one that a single wake-up reaches could be dead before it gets the lock.
    // (L21) pairs with (L20): release, so that the next owner sees what this one did.
    if ((word_.exchange(0, std::memory_order_release) & contended) != 0) Sync::wake_all(word_);
  }

  /// Takes the lock from a dead member, if it has it, and wakes all waiters in any case. Says whether it had it.
  [[nodiscard]] bool take_from(unsigned place) noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    bool had = (seen & owner) == place + 1;
    while (had) {
      // (L22) pairs with (L20): release, so that the next owner sees what the dead one did.
      if (word_.compare_exchange_weak(seen, orphan, std::memory_order_release, std::memory_order_relaxed)) break;
      had = (seen & owner) == place + 1;
    }
    Sync::wake_all(word_);
    return had;
  }

  /// The number of the member that has it, or ~0u. For statistics.
  [[nodiscard]] unsigned owner_place() const noexcept { return (word_.load(std::memory_order_relaxed) & owner) - 1; }

 private:
  static constexpr std::uint32_t orphan = 1u << 31, contended = 1u << 30, owner = contended - 1;

  typename Sync::template atomic<std::uint32_t> word_{0};
};

}  // namespace pinref::inline v0_1
