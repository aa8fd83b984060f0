// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// member_base: a thread's place in the table of members, and what it does most: take and release.
///
/// When not to use it: by itself. `member` has the rest.
///
/// Example:
///
///     pinref::member me;
///     if (me.join(pool.memory()) != pinref::join_result::joined) return give_up("no place is free");
///     pinref::ledger_take page = me.try_pin(7);
///     if (!page) return give_up(to_string(page.why));
///     if (me.release(page.held) == pinref::ledger_result::freed) std::puts("it was the last holder");
///
/// Errors: see member.hpp.
/// Memory order: as page_ref.
/// Progress: takes and releases as page_ref; join and leave are as long as the table, and ask the system.
/// Source: PostgreSQL's PrivateRefCount.

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "pinref/share/identity.hpp"
#include "pinref/share/ledger.hpp"
#include "pinref/share/ledger_result.hpp"
#include "pinref/share/place_life.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// The calling thread's place.
template <class Traits>
class member_base {
 public:
  using memory = ledger_memory<Traits>;

  member_base() noexcept = default;
  member_base(const member_base&) = delete;
  member_base& operator=(const member_base&) = delete;
  ~member_base() {
    if (leave() == leave_result::holds) abandon();
  }

  /// Makes the calling thread a member. `who` is its process, for hosts that know it better.
  [[nodiscard]] join_result join(const memory& parts, const process_identity& who = process_identity::self()) noexcept {
    if (joined()) return join_result::joined_already;
    if (!parts.writable) return join_result::read_only;
    for (unsigned place = 0; place != parts.nr_places; ++place)
      if (enter(parts, place, who)) return join_result::joined;
    return join_result::full;
  }

  /// Ends the membership. With holds it goes on.
  [[nodiscard]] leave_result leave() noexcept {
    if (!joined()) return leave_result::no_member;
    // In a forked child there is no mapping any more, and the member is its parent.
    if (process_ != static_cast<std::uint32_t>(::getpid())) return leave_result::other_thread;
    auto& it = m_.places[place_];
    if (it.thread.load(std::memory_order_relaxed) != thread_number()) return leave_result::other_thread;
    for (std::uint32_t i = 0; i != fresh_; ++i)
      if (!record(i).empty()) return leave_result::holds;
    for (const auto& locking : it.locking)
      if (locking.load(std::memory_order_relaxed) != 0) return leave_result::holds;
    // (L28) pairs with (L32): release, so that the next member finds the place empty.
    it.state.store(place_state::free, std::memory_order_release);
    it.life.unlock();
    m_ = {};
    return leave_result::left;
  }
  /// Ends the membership as a death would: what it holds is for survivors to recover. Precondition: it is joined, by
  /// the calling thread.
  void abandon() noexcept {
    auto& it = m_.places[place_];
    // (L33) pairs with (L17): release, so that survivors see what the member did.
    it.state.store(place_state::dead, std::memory_order_release);
    it.life.unlock();
    m_ = {};
  }

  [[nodiscard]] bool joined() const noexcept { return m_.head != nullptr; }
  /// Where the parts of its segment are.
  [[nodiscard]] const memory& parts() const noexcept { return m_; }
  /// Its number in the table of members.
  [[nodiscard]] unsigned place() const noexcept { return place_; }

  /// Takes n references, or pins, of a page that may be dead. The order is that of page_ref's calls of these names.
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH ledger_take try_get(std::uint32_t page,
                                                                                     unsigned n = 1) noexcept {
    return this->template take<hold::reference>(page, n);
  }
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH ledger_take try_pin(std::uint32_t page,
                                                                                     unsigned n = 1) noexcept {
    return this->template take<hold::pin>(page, n);
  }
  /// The same by name.
  template <hold Mode>
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH ledger_take take(std::uint32_t page,
                                                                                  unsigned n = 1) noexcept {
    const std::uint32_t i = free_;
    if (page >= m_.nr_pages || n - 1 >= ledger_record::max_n || i == none) [[unlikely]]
      return take_slowly<Mode>(page, n);
    return take_at<Mode>(i, page, n);
  }
  /// Takes n more of the same kind into the same record. Precondition: none; what is not held is refused.
  [[nodiscard("a refused take holds nothing")]] ledger_result add(ledger_hold& held, unsigned n = 1) noexcept {
    if (!agrees(held, record_state::held)) return ledger_result::not_held;
    if (n - 1 >= ledger_record::max_n - held.what.n()) return ledger_result::too_many;
    const take_result result = steps().add(slot(held.slot), held.what, n);
    held.what = record(held.slot);
    return result == take_result::taken ? ledger_result::done : refusal(result);
  }

  /// Releases all of a hold. `freed`: it was the last holder of the page, which is on the free list now.
  [[nodiscard]] PINREF_FAST_PATH ledger_result release(ledger_hold& held) noexcept {
    return release(held, held.what.n());
  }
  /// Releases n of it.
  [[nodiscard]] PINREF_FAST_PATH ledger_result release(ledger_hold& held, unsigned n) noexcept {
    if (!agrees(held, record_state::held) || n - 1 >= held.what.n()) [[unlikely]]
      return ledger_result::not_held;
    const bool all = n == held.what.n();
    const release_result result =
        all ? steps().release(slot(held.slot), held.what) : steps().release(slot(held.slot), held.what, n);
    if (result != release_result::released) [[unlikely]]
      return this->ended(held, result);
    if (all) {
      give_back(held.slot);
      held = {};
    } else {
      held.what = held.what.in(record_state::held, held.what.n() - n);
    }
    return ledger_result::done;
  }

 protected:
  static constexpr std::uint32_t none = ~0u;
  using slot_type = ledger_slot<typename Traits::sync>;

  [[nodiscard]] PINREF_FAST_PATH ledger_steps<Traits>& steps() noexcept { return steps_; }
  [[nodiscard]] PINREF_FAST_PATH slot_type& slot(std::uint32_t i) const noexcept { return slots_[i]; }
  [[nodiscard]] PINREF_FAST_PATH ledger_record record(std::uint32_t i) const noexcept {
    return ledger_record{slot(i).entry.load(std::memory_order_relaxed)};
  }
  // Is it the record that it was, in this state?
  [[nodiscard]] PINREF_FAST_PATH bool agrees(const ledger_hold& held, record_state state) const noexcept {
    return held.what.state() == state && held.slot < fresh_ && record(held.slot) == held.what;
  }
  [[nodiscard]] static std::uint32_t thread_number() noexcept {
    return static_cast<std::uint32_t>(::syscall(SYS_gettid));
  }

  [[nodiscard]] bool enter(const memory& parts, unsigned place, const process_identity& who) noexcept {
    auto& it = parts.places[place];
    if (it.state.load(std::memory_order_relaxed) != place_state::free) return false;
    const life_result life = it.life.try_lock();
    if (life == life_result::busy) return false;
    // It may have been somebody else's since, who has died.
    if (detail::state_under_lock<Traits>(it, life) != place_state::free) {
      it.life.unlock();
      return false;
    }
    it.generation.store(it.generation.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    it.process.store(who.process, std::memory_order_relaxed);
    it.started.store(who.started, std::memory_order_relaxed);
    it.pids.store(who.pids, std::memory_order_relaxed);
    it.thread.store(thread_number(), std::memory_order_relaxed);
    // Relaxed: a survivor that finds the member dead has got its lock.
    it.state.store(place_state::live, std::memory_order_relaxed);
    m_ = parts;
    place_ = place;
    steps_ = {m_, place};
    slots_ = &parts.slot(place, 0);
    process_ = static_cast<std::uint32_t>(::getpid());
    free_ = none;
    fresh_ = 0;
    offered_ = 0;
    leases_ = false;
    return true;
  }

  PINREF_FAST_PATH void give_back(std::uint32_t i) noexcept {
    slot(i).next = free_;
    free_ = i;
  }
  // A record more for the list of free ones: one that has not been used yet, or those that others have emptied.
  [[nodiscard]] bool refill() noexcept {
    if (free_ != none) return true;
    if (!joined()) return false;
    if (fresh_ != m_.slots_per_place) {
      auto& used = m_.places[place_].used;
      const std::uint32_t i = fresh_++;
      // Relaxed: a look that counts the first call that uses it sees it too.
      if (used.load(std::memory_order_relaxed) < fresh_) used.store(fresh_, std::memory_order_relaxed);
      slot(i).lease.store(0, std::memory_order_relaxed);
      give_back(i);
      return true;
    }
    if (offered_ == 0) return false;
    offered_ = 0;
    for (std::uint32_t i = 0; i != fresh_; ++i) {
      if (record(i).empty()) give_back(i);
      if (record(i).state() == record_state::offered) ++offered_;
    }
    return free_ != none;
  }
  [[nodiscard]] static ledger_result refusal(take_result result) noexcept {
    return result == take_result::overflow ? ledger_result::overflow : ledger_result::dead;
  }
  PINREF_FAST_PATH void taken_now(slot_type& at) noexcept {
    at.since.store(m_.head->now.load(std::memory_order_relaxed), std::memory_order_relaxed);
    if (leases_) [[unlikely]]
      at.lease.store(0, std::memory_order_relaxed);
  }
  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH ledger_take take_at(std::uint32_t i, std::uint32_t page, unsigned n) noexcept {
    slot_type& at = slot(i);
    free_ = at.next;
    taken_now(at);
    const ledger_record held = ledger_record::held(Mode, page, n);
    const take_result result = steps().template take<Mode>(at, held);
    if (result == take_result::taken) [[likely]]
      return {ledger_result::done, {i, held}};
    give_back(i);
    return {refusal(result), {}};
  }
  template <hold Mode>
  PINREF_SLOW_PATH ledger_take take_slowly(std::uint32_t page, unsigned n) noexcept {
    if (page >= m_.nr_pages) return {ledger_result::no_such_page, {}};
    if (n - 1 >= ledger_record::max_n) return {ledger_result::too_many, {}};
    if (!refill()) return {ledger_result::full, {}};
    return take_at<Mode>(free_, page, n);
  }
  PINREF_SLOW_PATH ledger_result ended(ledger_hold& held, release_result result) noexcept {
    if (result == release_result::underflow) return ledger_result::underflow;
    follow(held);
    return result == release_result::last ? ledger_result::freed : ledger_result::done;
  }
  // What the record of a hold says now.
  void follow(ledger_hold& held) noexcept {
    held.what = record(held.slot);
    if (!held.what.empty()) return;
    give_back(held.slot);
    held = {};
  }

  memory m_{};
  ledger_steps<Traits> steps_{m_, 0};
  slot_type* slots_ = nullptr;
  std::uint32_t free_ = none;  // a list of free records
  std::uint32_t fresh_ = 0;    // from here on records have never been used by this member
  std::uint32_t offered_ = 0;  // there may be so many more that others have emptied
  unsigned place_ = 0;
  std::uint32_t process_ = 0;
  bool leases_ = false;  // records may say that they are leases
};

}  // namespace detail

}  // namespace pinref::inline v0_1
