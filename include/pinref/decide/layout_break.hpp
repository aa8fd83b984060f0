#pragma once

/// \file
/// break_layout: taking blocks away from an object whose pages are the blocks, while devices may be writing to them.
///
/// Where a page *is* the storage, as with persistent memory or a pool of registered blocks, giving the block to
/// somebody else has to wait until no device touches it. The way: close the gate, so that no new access begins; unmap;
/// look for a busy page; wait until it is idle; look again, until there is none. A page that is pinned but no longer
/// mapped is still busy. The gate stays closed for all of it, so a stream of short pins cannot keep a truncate waiting:
/// what was pinned before it is all there is to wait for.
///
/// When not to use it: for pages that are copies of the storage. Drop them from the object and let the pins run out.
///
/// Example:
///
///     pinref::layout_gate<> gate;                                // the object's; its fault_in enters by it
///     auto done = pinref::break_layout(object, gate, first, last, [&] { free_blocks(first, last); },
///                                      pinref::deadline::in(1'000'000'000));
///     if (done == pinref::break_result::timed_out) try_again_later();
///
/// The object: `unmap(first, last)` removes every mapping of the range, under the lock that its fault_in takes;
/// `busy_in(first, last)` returns the first page in [first, last] that is not `page_idle`, or null. It takes no
/// reference to it, which would keep it busy: pages of the object stay its pages until `then` takes them away. Its
/// pages have an idle level of 1 (`idle_page`), the object's own reference; with level 0 they would have to die to be
/// idle.
///
/// Whoever blocks at the gate must hold no pin of the object, or the two wait for each other: take more pins with
/// foll::nofault first, and let go of all before sleeping (`examples/truncate/stream.hpp`).
///
/// Source: Linux dax_layout_busy_page(), dax_break_layout(); xfs_break_dax_layouts().

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/page/page.hpp"
#include "pinref/ref/deadline.hpp"
#include "pinref/ref/wait_canceller.hpp"
#include "pinref/ref/waiting.hpp"

namespace pinref {

/// Keeps new accesses out of an object while its layout changes. Several may close it at a time.
template <class Sync = std_sync>
class layout_gate {
 public:
  layout_gate() noexcept = default;
  layout_gate(const layout_gate&) = delete;
  layout_gate& operator=(const layout_gate&) = delete;

  /// Is it open? Asked in fault_in, under the lock that `unmap` takes and before the object is looked at: a fault that
  /// was let in before the gate closed has finished by the time of the unmap, and one that is let in after it has
  /// opened again sees the layout as it was changed.
  [[nodiscard]] bool open() const noexcept {
    // (G5) pairs with (G4): as (G2), without the sleep.
    return closers_.load(std::memory_order_acquire) == 0;
  }

  /// Sleeps until it is open, not under that lock. May block.
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_open(const deadline& until = deadline::never(),
                                            const Canceller& stop = {}) noexcept {
    detail::waiter<Sync, Canceller> self(until, stop);
    for (wait_result over = self.over();;) {
      // (G2) pairs with (G4): what follows sees the layout as it was changed.
      const std::uint32_t closed = closers_.load(std::memory_order_acquire);
      if (closed == 0) return wait_result::reached;
      if (over != wait_result::reached) return over;
      wait_ticket<Sync> ticket;
      ticket.add(Sync::futex_of(closers_, 0, closed));
      over = self.sleep(ticket);
    }
  }

  void close() noexcept { closers_.fetch_add(1, std::memory_order_relaxed); }
  void reopen() noexcept {
    // (G4) pairs with (G2), (G5): whoever enters sees the layout as it was changed.
    if (closers_.fetch_sub(1, std::memory_order_release) == 1) Sync::wake_all(closers_);
  }

 private:
  typename Sync::template atomic<std::uint32_t> closers_{0};
};

enum class break_result : unsigned char {
  broken,     ///< no page of the range is busy, and none is mapped
  busy,       ///< with deadline::passed(): somebody holds a page; try again
  timed_out,  ///< the deadline passed
  given_up,   ///< cancelled
};

/// Unmaps [first, last] and waits until no page of it is busy, with the gate closed throughout. On success the caller
/// owns the range until it lets the gate open again: the gate stays closed for `then()`, which takes the blocks away,
/// and opens afterwards. On failure it opens at once, and the range stays unmapped. Without a deadline and a canceller
/// it cannot fail: so an object is ended, when there is nothing to go back to. A range with first > last is empty. May
/// block. Asks `busy_in` for at most `batch` indices at a time; `batch` is above zero.
template <class Object, class Gate, class Then, class Canceller = never_cancelled>
[[nodiscard]] break_result break_layout(Object& object, Gate& gate, std::size_t first, std::size_t last, Then then,
                                        const deadline& until = deadline::never(), const Canceller& stop = {},
                                        std::size_t batch = 16) noexcept {
  struct closed {
    explicit closed(Gate& which) noexcept : gate(which) { gate.close(); }
    closed(const closed&) = delete;
    ~closed() { gate.reopen(); }
    Gate& gate;
  } guard{gate};

  object.unmap(first, last);
  for (std::size_t at = first; at <= last;) {
    const std::size_t end = last - at < batch ? last : at + batch - 1;
    auto* const busy = object.busy_in(at, end);
    if (busy == nullptr) {
      if (end == last) break;
      at = end + 1;
      continue;
    }
    const wait_result waited = pinref::wait_until_idle(*busy, until, stop);
    if (waited == wait_result::timed_out) return until.is_passed() ? break_result::busy : break_result::timed_out;
    if (waited == wait_result::given_up) return break_result::given_up;
  }
  then();
  return break_result::broken;
}

}  // namespace pinref
