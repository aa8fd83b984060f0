// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// find_death: has a member died? It is asked by trying to get its life_lock, and what is found out is noted at its
/// place, because a lock says it but once.
///
/// When not to use it: to learn whether a process has gone, with its files. That is `look_at`.
///
/// Example:
///
///     if (pinref::find_death(pool.memory(), place)) (void)pinref::recover(pool.memory(), pinref::no_hooks{});
///
/// Errors: none; a member whose lock somebody else is just asking for passes for one that lives.
/// Memory order: acquire if it has: what the member did is seen.
/// Progress: as life_lock.
/// Source: pinref's own.

#include <atomic>

#include "pinref/share/ledger_memory.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// What the place says that the caller has got the lock of. A member that has died with it is noted. A caller that dies
/// before that orphans the lock in its turn.
template <class Traits>
[[nodiscard]] place_state state_under_lock(ledger_place<Traits>& it, life_result life) noexcept {
  // (L32) pairs with (L27), (L28): acquire, so that the place is as its last member, or the recovery, left it.
  const place_state state = it.state.load(std::memory_order_acquire);
  if (life != life_result::orphaned || state != place_state::live) return state;
  // (L18) pairs with (L17): release, so that others see what the dead one did, as the lock has shown it here.
  it.state.store(place_state::dead, std::memory_order_release);
  return place_state::dead;
}

}  // namespace detail

/// Has the member at this place, which is in range, died? Then the place says so from now on.
template <class Traits>
[[nodiscard]] bool find_death(const ledger_memory<Traits>& parts, unsigned place) noexcept {
  auto& it = parts.places[place];
  // (L17) pairs with (L18), (L19), (L33), (L34): acquire, so that the records of a dead member are seen as it left
  // them.
  place_state state = it.state.load(std::memory_order_acquire);
  if (state == place_state::live) {
    const life_result life = it.life.try_lock();
    if (life == life_result::busy) return false;
    state = detail::state_under_lock<Traits>(it, life);
    it.life.unlock();
  }
  return state == place_state::dead;
}

}  // namespace pinref::inline v0_1
