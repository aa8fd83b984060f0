// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// ledger_memory: the parts of a ledger, and where they are in this process.
///
/// The parts stand in memory that processes map at different addresses, so none has a pointer. A ledger_memory has
/// them, one for each part; every process makes its own.
///
/// When not to use it: with the memory of a segment, which makes one itself. It is for a host that lays its shared
/// memory out in its own way: it makes the parts by placement new, zeroed, and keeps one of these.
///
/// Example:
///
///     const pinref::ledger_memory<pinref::shared_traits> parts = pool.memory();
///     std::printf("%u members at most\n", parts.nr_places);
///
/// Errors: none.
/// Memory order: none; what it points to has its own.
/// Progress: wait-free.
/// Source: pinref's own.

#include <atomic>
#include <cstdint>

#include "pinref/share/record.hpp"
#include "pinref/share/shared_page.hpp"

namespace pinref::inline v0_1 {

/// Whose a place in the table of members is.
enum class place_state : std::uint32_t {
  free,  ///< nobody's
  live,  ///< a member's; it may have died, and nobody has noticed
  dead,  ///< a member's that has died; it is freed when all of its holds are
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(place_state state) noexcept {
  switch (state) {
    case place_state::free:
      return "free";
    case place_state::live:
      return "live";
    case place_state::dead:
      return "dead";
  }
  return "unknown";
}

/// One record of a ledger.
template <class Sync>
struct ledger_slot {
  typename Sync::template atomic<std::uint64_t> entry{0};  ///< a ledger_record
  typename Sync::template atomic<std::uint64_t> since{0};  ///< when it was taken, by the segment's clock
  /// A pin on behalf of a peer that may never answer: from this time on it may be fenced. 0: it is no lease.
  typename Sync::template atomic<std::uint64_t> lease{0};
  std::uint32_t next = 0;    ///< of the member alone: the next free slot
  std::uint32_t unused = 0;  ///< for the layout alone
};

/// The most page locks of one member at a time.
inline constexpr unsigned max_page_locks = 4;

/// One place in the table of members. It keeps its counters from one member to the next.
template <class Traits>
struct ledger_place {
  /// Its atomics.
  template <class T>
  using atomic = typename Traits::sync::template atomic<T>;

  typename Traits::sync::life_lock life;              ///< of the member, as long as its thread lives
  atomic<place_state> state{place_state::free};       ///< whose the place is
  atomic<std::uint32_t> generation{0};                ///< counts the members that had it
  atomic<std::uint32_t> used{0};                      ///< no slot from here on has ever been used
  atomic<std::uint32_t> thread{0};                    ///< of the member, as gettid(2) has it
  atomic<std::uint32_t> process{0};                   ///< of the member, as getpid(2) has it
  atomic<std::uint64_t> started{0};                   ///< when its process began, in ticks since boot; 0: unknown
  atomic<std::uint64_t> pids{0};                      ///< the name space of these numbers; 0: unknown
  atomic<std::uint32_t> locking[max_page_locks]{};    ///< pages that it locks, plus one
  atomic<std::uint32_t> calls[Traits::page_kinds]{};  ///< that it has begun, for each kind of page
};

/// What a ledger has but once.
template <class Traits>
struct ledger_head {
  /// Of the survivor that recovers.
  typename Traits::sync::life_lock recovering;
  /// Milliseconds on the monotonic clock, as of late: see segment::tick.
  typename Traits::sync::template atomic<std::uint64_t> now{0};
};

/// Where the parts are.
template <class Traits>
struct ledger_memory {
  /// Where the atomics come from.
  using sync = typename Traits::sync;
  static_assert(mortal_sync<sync>, "pinref: the Sync of a segment must be as mortal_sync asks");
  static_assert((Traits::page_kinds & (Traits::page_kinds - 1)) == 0, "pinref: page_kinds must be a power of two");
  static_assert(Traits::layout::max_pins_at_once >= 1 && Traits::layout::zones::claimants > 0,
                "pinref: the layout of a segment needs claimants");

  /// The most members.
  static constexpr unsigned max_places = Traits::layout::zones::claimants < Traits::layout::zones::takers
                                             ? Traits::layout::zones::claimants
                                             : Traits::layout::zones::takers;

  ledger_head<Traits>* head = nullptr;     ///< what there is but once
  ledger_place<Traits>* places = nullptr;  ///< the table of members
  ledger_slot<sync>* slots = nullptr;      ///< slots_per_place of each place, one place after the other
  shared_page<Traits>* pages = nullptr;    ///< the descriptors
  /// A bit for each page: set, it is free.
  typename sync::template atomic<std::uint64_t>* free = nullptr;
  unsigned nr_places = 0;
  std::uint32_t slots_per_place = 0;
  std::uint32_t nr_pages = 0;
  bool writable = false;  ///< or only to look at

  /// The i-th record of a place.
  [[nodiscard]] auto& slot(unsigned place, std::uint32_t i) const noexcept {
    return slots[std::uint64_t{place} * slots_per_place + i];
  }
  /// How many records of a place have ever been used.
  [[nodiscard]] std::uint32_t nr_used(unsigned place) const noexcept {
    const std::uint32_t used = places[place].used.load(std::memory_order_relaxed);
    return used < slots_per_place ? used : slots_per_place;
  }
  /// Which of the counters of a member counts calls for this page.
  [[nodiscard]] static constexpr unsigned kind(std::uint32_t page) noexcept { return page & (Traits::page_kinds - 1); }
};

}  // namespace pinref::inline v0_1
