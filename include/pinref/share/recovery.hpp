// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// recover: gives back what dead members held.
///
/// Any survivor calls it at any time, member or not; one at a time. What a dead member held for sure is released, what
/// it was killed in is settled first, and what cannot be settled now stays in doubt until the next call. Every step is
/// one that the dead member could have made itself, in its own records, so a survivor that dies here leaves to the next
/// what a member leaves that dies anywhere else.
///
/// When not to use it: to take pages from members that are merely slow. One that lives keeps what it holds.
///
/// Example:
///
///     struct hooks : pinref::survivor_hooks {
///       bool quiet(const pinref::dead_pins& pins) noexcept { return queue_pair_is_in_error(pins.process); }
///     };
///     const auto report = pinref::recover(pool.memory(), hooks{});
///     if (report.in_doubt != 0) try_again_later();
///
/// Errors: `recovery_report`.
/// Memory order: the next holder of what a dead member held sees what it did.
/// Progress: no call waits for a member; hooks take as long as they take.
/// Source: pinref's own; iceoryx2 and PostgreSQL do parts of it.

#include <cstdint>
#include <type_traits>

#include "pinref/share/holders.hpp"
#include "pinref/share/recovery_report.hpp"
#include "pinref/share/settle.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// One recovery.
template <class Traits, recovery_hooks Hooks>
class recovery {
 public:
  using memory = ledger_memory<Traits>;
  using steps = ledger_steps<Traits>;
  using slot_type = ledger_slot<typename Traits::sync>;

  recovery(const memory& parts, Hooks& hooks, unsigned looks) noexcept : m_(parts), hooks_(hooks), looks_(looks) {}

  [[nodiscard]] recovery_report run() noexcept {
    if (m_.head->recovering.try_lock() == life_result::busy) {
      report_.busy = true;
      return report_;
    }
    // Two rounds: what one dead member left may wait for what the next one did.
    for (int round = 0; round != 2; ++round) {
      report_.left_dead = report_.in_doubt = report_.unaccounted = report_.quarantined = 0;
      for (unsigned place = 0; place != m_.nr_places; ++place)
        if (pinref::find_death(m_, place)) clear(place);
      if (report_.left_dead == 0) break;
    }
    m_.head->recovering.unlock();
    return report_;
  }

 private:
  void clear(unsigned place) noexcept {
    auto& it = m_.places[place];
    const dead_member who = detail::member_at(m_, place);
    for (auto& locking : it.locking)
      if (const std::uint32_t page = locking.load(std::memory_order_relaxed); page != 0) {
        if (page <= m_.nr_pages && shared_access::lock(m_.pages[page - 1]).take_from(place)) ++report_.page_locks;
        // (L34) pairs with (L17): release, so that the next one looks for the lock again if this one dies before here.
        locking.store(0, std::memory_order_release);
      }
    bool gone = false, asked = false, empty = true;
    for (std::uint32_t i = 0, n = m_.nr_used(place); i != n; ++i) {
      auto& slot = m_.slot(place, i);
      const ledger_record found = record_of(slot);
      if (found.empty()) continue;
      if (found.page() >= m_.nr_pages) {
        ++report_.unaccounted;
        empty = false;
        continue;
      }
      if (!settle_first(slot, found.page())) {
        empty = false;
        continue;
      }
      if (record_of(slot).mode() == hold::pin && !asked && !record_of(slot).empty()) {
        gone = hooks_.process_gone(who);
        asked = true;
      }
      release(place, slot,
              {who, gone, found.page(), 0, slot.since.load(std::memory_order_relaxed),
               slot.lease.load(std::memory_order_relaxed)});
      // The member that should have woken them may have died before.
      shared_access::word(m_.pages[found.page()]).wake_waiters();
      empty = empty && record_of(slot).empty();
    }
    if (!empty) {
      ++report_.left_dead;
      return;
    }
    ++report_.members;
    // (L27) pairs with (L32): release, so that the next member finds the place empty.
    it.state.store(place_state::free, std::memory_order_release);
  }

  [[nodiscard]] static ledger_record record_of(slot_type& slot) noexcept {
    return ledger_record{slot.entry.load(std::memory_order_relaxed)};
  }

  // True if the record is sure.
  [[nodiscard]] bool settle_first(slot_type& slot, std::uint32_t page) noexcept {
    if (!record_of(slot).in_doubt()) return true;
    const bool was_free = steps{m_, 0}.is_free(page);
    switch (pinref::settle(m_, page, looks_)) {
      case settle_result::settled:
        ++report_.settled;
        if (!was_free && steps{m_, 0}.is_free(page)) ++report_.freed;
        return true;
      case settle_result::busy:
        ++report_.in_doubt;
        break;
      case settle_result::unaccounted:
        ++report_.unaccounted;
        break;
    }
    return false;
  }

  // What a sure record says is held.
  void release(unsigned place, slot_type& slot, dead_pins pins) noexcept {
    steps acting{m_, place};
    ledger_record what = record_of(slot);
    if (what.state() == record_state::offered) {
      // Refused, another member has accepted it meanwhile.
      if (!acting.withdraw(slot, what)) return;
      what = record_of(slot);
    }
    if (what.state() == record_state::frozen) {
      ++report_.claims;
      if (!what.pools() || what.k() == 0) return acting.free_claimed(slot, what);
      acting.thaw(slot, what);
      what = record_of(slot);
    }
    if (what.state() == record_state::held && what.mode() == hold::reference && what.pools() &&
        acting.keep(slot, what)) {
      ++report_.kept;
      return;
    }
    if (what.state() == record_state::held && what.mode() == hold::pin) {
      what = what.in(record_state::quarantined, what.n());
      acting.conclude(slot, what);
    }
    pins.n = what.n();
    switch (what.state()) {
      case record_state::held:
      case record_state::owed:
        return released(acting, slot, what);
      case record_state::quarantined:
        if (pins.gone && hooks_.quiet(pins)) return released(acting, slot, what);
        if (!replace(acting, slot, what, pins)) report_.quarantined += what.n();
        return;
      case record_state::replacing:
        pins.n = what.k();
        if (!go_on_replacing(acting, slot, what, pins)) report_.quarantined += what.k();
        return;
      default:
        return;
    }
  }

  void released(steps& acting, slot_type& slot, ledger_record what) noexcept {
    switch (acting.release(slot, what, what.n())) {
      case release_result::last:
        ++report_.freed;
        [[fallthrough]];
      case release_result::released:
      case release_result::idle:
        (what.mode() == hold::pin ? report_.pins : report_.references) += what.n();
        return;
      case release_result::underflow:
        ++report_.unaccounted;
        return;
    }
  }

  // Nobody but the dead may hold the page, for its contents go. Their pins become a claim.
  [[nodiscard]] bool replace(steps& acting, slot_type& slot, ledger_record what, const dead_pins& pins) noexcept {
    if constexpr (replacing_hooks<Hooks>) {
      std::uint64_t all = 0;
      bool gone = pins.gone;
      detail::for_each_quarantined(m_, pins.page, [&](unsigned place, slot_type&, ledger_record other) noexcept {
        all += steps::weight(hold::pin, other.n());
        gone = gone && (place == pins.place || hooks_.process_gone(detail::member_at(m_, place)));
      });
      if (!gone) return false;
      acting.intend(slot, what.in(record_state::replacing, 0, what.n()));
      if (acting.word(pins.page).freeze(static_cast<typename Traits::layout::word_type>(all), pins.place + 1))
        return go_on_replacing(acting, slot, record_of(slot), pins);
      acting.conclude(slot, what);
    }
    return false;
  }
  [[nodiscard]] bool go_on_replacing(steps& acting, slot_type& slot, ledger_record what,
                                     const dead_pins& pins) noexcept {
    if constexpr (replacing_hooks<Hooks>)
      if (hooks_.replace(pins)) {
        (void)detail::void_pins(m_, pins.page);
        acting.word(pins.page).bury();
        acting.set_free(pins.page);
        acting.conclude(slot, {});
        report_.pins += what.k();
        ++report_.replaced;
        ++report_.freed;
        return true;
      }
    return false;
  }

  const memory m_;
  Hooks& hooks_;
  const unsigned looks_;
  recovery_report report_;
};

}  // namespace detail

/// Gives back what dead members held. Each page with something in doubt is looked at `looks` times at most. What is
/// left for a later call says the report: pins whose devices may be at work, and what is in doubt.
template <class Traits, recovery_hooks Hooks>
[[nodiscard("what is left in doubt or quarantined asks for another call")]] recovery_report recover(
    const ledger_memory<Traits>& parts, Hooks&& hooks, unsigned looks = 100) noexcept {
  return detail::recovery<Traits, std::remove_reference_t<Hooks>>{parts, hooks, looks}.run();
}

}  // namespace pinref::inline v0_1
