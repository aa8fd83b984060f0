// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Who takes part in a segment, and who holds which of its pages: to be shown, without a lock and without joining.
///
/// Works on a segment that is mapped to be looked at only. What it shows was true of each record at some instant, not
/// of all at the same.
///
/// When not to use it: to decide whether a page may be freed. Its word knows.
///
/// Example:
///
///     pinref::for_each_record(pool.memory(), [&](const pinref::ledger_holder& h) {
///       std::printf("page %u: %u by %u, %s\n", h.what.page(), h.what.n(), h.who.process, to_string(h.what.state()));
///     });
///
/// Errors: what does not make sense, such as a page that there is not, is left out.
/// Memory order: none.
/// Progress: wait-free; as long as there are records.
/// Source: PostgreSQL's pg_buffercache and pg_locks.

#include <cstdint>

#include "pinref/share/identity.hpp"
#include "pinref/share/ledger_memory.hpp"

namespace pinref::inline v0_1 {

/// A place that is not free, and what stands in its records.
struct ledger_member {
  dead_member who;           ///< it may live
  place_state state;         ///< dead, if somebody has found out
  unsigned references = 0;   ///< for sure
  unsigned pins = 0;         ///< for sure, quarantined ones among them
  unsigned claims = 0;       ///< pages
  unsigned in_doubt = 0;     ///< records; of a member that lives, calls that are under way
  unsigned quarantined = 0;  ///< pins

  /// Does its process run? A member has died, too, when only its thread has: then recovery says so in `state`.
  [[nodiscard]] process_state process() const noexcept { return pinref::look_at({who.process, who.started, who.pids}); }
};

/// A record that is not empty.
struct ledger_holder {
  dead_member who;      ///< it may live
  place_state state;    ///< dead, if somebody has found out
  ledger_record what;   ///< of which page, how many, and how sure
  std::uint64_t since;  ///< milliseconds on the clock of the segment, see segment::tick
  std::uint64_t lease;  ///< until when, on the same clock; 0 if it is none
};

namespace detail {

template <class Traits>
[[nodiscard]] dead_member member_at(const ledger_memory<Traits>& parts, unsigned place) noexcept {
  const auto& it = parts.places[place];
  return {place,
          it.generation.load(std::memory_order_relaxed),
          it.process.load(std::memory_order_relaxed),
          it.thread.load(std::memory_order_relaxed),
          it.started.load(std::memory_order_relaxed),
          it.pids.load(std::memory_order_relaxed)};
}

/// The records of a member that are not empty.
template <class Traits, class Each>
void for_each_record_at(const ledger_memory<Traits>& parts, const dead_member& who, place_state state,
                        Each& each) noexcept {
  for (std::uint32_t i = 0, n = parts.nr_used(who.place); i != n; ++i) {
    const auto& slot = parts.slot(who.place, i);
    const ledger_record what{slot.entry.load(std::memory_order_relaxed)};
    if (what.empty() || what.page() >= parts.nr_pages) continue;
    each(ledger_holder{who, state, what, slot.since.load(std::memory_order_relaxed),
                       slot.lease.load(std::memory_order_relaxed)});
  }
}

/// Calls `each(who, state)` for every place that is not free.
template <class Traits, class Each>
void for_each_place(const ledger_memory<Traits>& parts, Each each) noexcept {
  for (unsigned place = 0; place != parts.nr_places; ++place) {
    const place_state state = parts.places[place].state.load(std::memory_order_relaxed);
    if (state != place_state::free) each(detail::member_at(parts, place), state);
  }
}

}  // namespace detail

/// Calls `each(const ledger_holder&)` for every record that is not empty.
template <class Traits, class Each>
void for_each_record(const ledger_memory<Traits>& parts, Each each) noexcept {
  detail::for_each_place(parts, [&](const dead_member& who, place_state state) noexcept {
    detail::for_each_record_at(parts, who, state, each);
  });
}

/// The same for the records of one page.
template <class Traits, class Each>
void for_each_record_of(const ledger_memory<Traits>& parts, std::uint32_t page, Each each) noexcept {
  pinref::for_each_record(parts, [&](const ledger_holder& holder) noexcept {
    if (holder.what.page() == page) each(holder);
  });
}

/// Calls `each(const ledger_member&)` for every member, dead ones included.
template <class Traits, class Each>
void for_each_member(const ledger_memory<Traits>& parts, Each each) noexcept {
  detail::for_each_place(parts, [&](const dead_member& who, place_state state) noexcept {
    ledger_member it{who, state};
    const auto count = [&it](const ledger_holder& holder) noexcept {
      (holder.what.mode() == hold::pin ? it.pins : it.references) += holder.what.n();
      it.claims += holder.what.state() == record_state::frozen;
      it.in_doubt += holder.what.in_doubt();
      if (holder.what.state() == record_state::quarantined) it.quarantined += holder.what.n();
    };
    detail::for_each_record_at(parts, who, state, count);
    each(it);
  });
}

}  // namespace pinref::inline v0_1
