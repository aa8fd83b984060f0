// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// member: a thread that takes part in a segment. All it takes, holds and releases is in the ledger, under its name.
///
/// A member belongs to the thread that joined: when that thread ends, by kill -9 too, its holds are for its survivors
/// to release, see `recover`. It has one place of the segment's table and a bounded number of records. A hold is what a
/// take gives: the number of its record, and a copy of it. A take that nothing records is not to be had.
///
/// When not to use it: from two threads. Each joins for itself; a hold goes from one to another by offer and accept.
///
/// Example:
///
///     pinref::member me;
///     if (me.join(pool.memory()) != pinref::join_result::joined) return give_up("no place is free");
///     pinref::ledger_take page = me.try_pin(7);
///     if (!page) return give_up(to_string(page.why));
///     start_dma();                                               // on pool.data(7)
///     if (me.release(page.held) == pinref::ledger_result::freed) std::puts("it was the last holder");
///     if (me.leave() != pinref::leave_result::left) give_up("holds are left");
///
/// Errors: `ledger_result`, `join_result`, `leave_result`; a call that fails has changed nothing.
/// Memory order: as page_ref; a hand-over shows its taker what the giver did.
/// Progress: takes and releases as page_ref; allocate is as long as the free list; lock_page waits.
/// Source: pinref's own; Ray's Plasma, and PostgreSQL's resource owners.

#include <bit>
#include <cstdint>

#include "pinref/share/member_base.hpp"
#include "pinref/sync/deadline.hpp"

namespace pinref::inline v0_1 {

/// The calling thread's membership of a segment of `Traits`. One that is destroyed with holds has abandoned them to its
/// survivors. It ends before the mapping of the segment does.
template <class Traits>
class basic_member : public detail::member_base<Traits> {
 public:
  /// Takes a page off the free list, with one reference.
  [[nodiscard]] ledger_take allocate() noexcept {
    if (!refill()) return {ledger_result::full, {}};
    const std::uint32_t i = free_;
    const std::uint32_t words = (m_.nr_pages - 1) / 64 + 1;
    for (std::uint32_t n = 0; n <= words;) {
      const std::uint32_t from = next_page_ < m_.nr_pages ? next_page_ : 0;
      const std::uint64_t seen = steps().bits(from).load(std::memory_order_relaxed) >> from % 64;
      if (seen == 0) {
        next_page_ = (from / 64 + 1) * 64;
        ++n;
        continue;
      }
      const std::uint32_t page = from + static_cast<std::uint32_t>(std::countr_zero(seen));
      next_page_ = page + 1;
      taken_now(slot(i));
      if (!steps().allocate(slot(i), page)) continue;
      free_ = slot(i).next;
      return {ledger_result::done, {i, record(i)}};
    }
    return {ledger_result::none_free, {}};
  }

  /// Gives one reference of a hold to the pool, which keeps it when members die. A page has one such reference at most.
  [[nodiscard]] ledger_result keep(ledger_hold& held) noexcept {
    if (!agrees(held, record_state::held) || held.what.mode() != hold::reference) return ledger_result::not_held;
    if (!steps().keep(slot(held.slot), held.what)) return ledger_result::kept_already;
    follow(held);
    return ledger_result::done;
  }

  /// Takes the pool's reference of a page over, to evict it say. Should the member die with it, or with the page
  /// claimed by it, the pool has it back.
  [[nodiscard]] ledger_take claim(std::uint32_t page) noexcept {
    if (page >= m_.nr_pages) return {ledger_result::no_such_page, {}};
    if (!refill()) return {ledger_result::full, {}};
    const std::uint32_t i = free_;
    taken_now(slot(i));
    if (!steps().claim(slot(i), page)) return {ledger_result::not_kept, {}};
    free_ = slot(i).next;
    return {ledger_result::done, {i, record(i)}};
  }

  /// Claims a page that has no holder but these references: see page_ref::freeze. The word names the member.
  [[nodiscard]] ledger_result freeze(ledger_hold& held) noexcept {
    if (!agrees(held, record_state::held) || held.what.mode() != hold::reference) return ledger_result::not_held;
    if (!steps().freeze(slot(held.slot), held.what)) return ledger_result::others_hold;
    follow(held);
    return ledger_result::done;
  }
  /// Gives a claimed page back with the references it had.
  [[nodiscard]] ledger_result thaw(ledger_hold& claimed) noexcept {
    if (!agrees(claimed, record_state::frozen)) return ledger_result::not_held;
    steps().thaw(slot(claimed.slot), claimed.what);
    follow(claimed);
    return ledger_result::done;
  }
  /// Frees a claimed page.
  [[nodiscard]] ledger_result free(ledger_hold& claimed) noexcept {
    if (!agrees(claimed, record_state::frozen)) return ledger_result::not_held;
    steps().free_claimed(slot(claimed.slot), claimed.what);
    follow(claimed);
    return ledger_result::freed;
  }

  /// Lets any other member take a hold over, with all that its devices may be doing. Until one does, it is held here.
  [[nodiscard]] ledger_result offer(ledger_hold& held, ledger_offer& offered) noexcept {
    if (!agrees(held, record_state::held)) return ledger_result::not_held;
    const ledger_record what = held.what.in(record_state::offered, held.what.n());
    ++offered_;
    steps().offer(slot(held.slot), held.what);
    offered = {place_, held.slot, what};
    held = {};
    return ledger_result::done;
  }
  /// Takes the offer back.
  [[nodiscard]] ledger_result withdraw(const ledger_offer& offered, ledger_hold& held) noexcept {
    if (offered.place != place_ || offered.slot >= fresh_ || offered.what.state() != record_state::offered ||
        !steps().withdraw(slot(offered.slot), offered.what))
      return ledger_result::gone;
    held = {offered.slot, record(offered.slot)};
    return ledger_result::done;
  }
  /// Takes over what another member, which may have died since, has offered.
  [[nodiscard]] ledger_take accept(const ledger_offer& offered) noexcept {
    if (offered.place >= m_.nr_places || offered.slot >= m_.slots_per_place || offered.place == place_ ||
        offered.what.state() != record_state::offered || offered.what.page() >= m_.nr_pages)
      return {ledger_result::gone, {}};
    if (!refill()) return {ledger_result::full, {}};
    const std::uint32_t i = free_;
    if (!steps().accept(slot(i), m_.slot(offered.place, offered.slot), offered.what)) return {ledger_result::gone, {}};
    free_ = slot(i).next;
    return {ledger_result::done, {i, record(i)}};
  }

  /// Says that a pin is on behalf of a peer that may never answer: from `until` on, by the segment's clock in
  /// milliseconds, it may be fenced.
  [[nodiscard]] ledger_result lease(const ledger_hold& held, std::uint64_t until) noexcept {
    if (!agrees(held, record_state::held) || held.what.mode() != hold::pin) return ledger_result::not_held;
    leases_ = true;
    slot(held.slot).lease.store(until, std::memory_order_relaxed);
    return ledger_result::done;
  }
  /// Fences the leases of this member that are over at `now`, and releases them: `fence(page, n)` keeps the other side
  /// from the page for good, and says whether it could; without that nothing is released. Says how many pins were.
  template <class Fence>
  [[nodiscard]] unsigned expire_leases(std::uint64_t now, Fence fence) noexcept {
    unsigned pins = 0;
    for (std::uint32_t i = 0; i != fresh_; ++i) {
      ledger_hold held{i, record(i)};
      const std::uint64_t until = slot(i).lease.load(std::memory_order_relaxed);
      if (held.what.state() != record_state::held || held.what.mode() != hold::pin) continue;
      if (until == 0 || until > now || !fence(held.page(), held.what.n())) continue;
      const unsigned n = held.what.n();
      const ledger_result result = this->release(held);
      if (result == ledger_result::done || result == ledger_result::freed) pins += n;
    }
    return pins;
  }

  /// A hold of a page of this kind, or none. As long as there are records.
  [[nodiscard]] ledger_hold find(std::uint32_t page, hold mode) const noexcept {
    for (std::uint32_t i = 0; i != fresh_; ++i)
      if (const ledger_record what = record(i);
          what.is_of(page) && what.mode() == mode && what.state() == record_state::held)
        return {i, what};
    return {};
  }

  /// A free record, set apart for a recorded_hold; ~0u if there is none.
  [[nodiscard]] std::uint32_t reserve() noexcept {
    if (!refill()) return none;
    const std::uint32_t i = free_;
    free_ = slot(i).next;
    slot(i).lease.store(0, std::memory_order_relaxed);
    return i;
  }
  /// Gives a record back that was set apart.
  void unreserve(std::uint32_t i) noexcept {
    if (i < fresh_ && record(i).empty()) this->give_back(i);
  }

  /// Locks a page; if its last owner has died with the lock, the answer says so.
  [[nodiscard]] page_lock_result lock_page(std::uint32_t page, const deadline& until = deadline::never()) noexcept {
    if (page >= m_.nr_pages || !this->joined()) return page_lock_result::no_such_page;
    for (auto& locking : m_.places[place_].locking) {
      if (locking.load(std::memory_order_relaxed) != 0) continue;
      // Should the member die from here on, this is where its lock is looked for.
      locking.store(page + 1, std::memory_order_relaxed);
      const auto result = detail::shared_access::lock(m_.pages[page]).lock(place_, until);
      if (result == page_lock_result::timed_out) locking.store(0, std::memory_order_relaxed);
      return result;
    }
    return page_lock_result::too_many;
  }
  /// Gives the lock up.
  [[nodiscard]] ledger_result unlock_page(std::uint32_t page) noexcept {
    if (page >= m_.nr_pages) return ledger_result::no_such_page;
    if (!this->joined() || m_.pages[page].lock_owner() != place_) return ledger_result::not_held;
    for (auto& locking : m_.places[place_].locking)
      if (locking.load(std::memory_order_relaxed) == page + 1) {
        detail::shared_access::lock(m_.pages[page]).unlock();
        // Unlocked, and the waiters woken: only now is it not looked for any more.
        // (L19) pairs with (L17): release, so that this is seen only after the wake-up.
        locking.store(0, std::memory_order_release);
        break;
      }
    return ledger_result::done;
  }

 private:
  using base = detail::member_base<Traits>;
  using base::agrees;
  using base::follow;
  using base::free_;
  using base::fresh_;
  using base::leases_;
  using base::m_;
  using base::none;
  using base::offered_;
  using base::place_;
  using base::record;
  using base::refill;
  using base::slot;
  using base::steps;
  using base::taken_now;

  std::uint32_t next_page_ = 0;  // where to look for a free page
};

/// A member of a segment as the library ships it.
using member = basic_member<shared_traits>;

}  // namespace pinref::inline v0_1
