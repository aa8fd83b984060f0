// SPDX-License-Identifier: MIT
#pragma once

// Pins without a count: whoever pins a page writes its number into a slot of its own, in memory that processes share,
// and that slot is the pin. Hazard pointers, with members that may be killed. It is measured beside the ledger, and
// tests/explore/place_pins.cpp runs it on the explorer with members that die before any access.
//
// Store first, look afterwards: a pinner stores the page, and after a light barrier looks whether it is open. Who takes
// a page away closes it, and after a heavy barrier reads all slots. So either the scan sees the pin, or the pinner sees
// that the page is closed. A member that dies leaves in its slots what it held: a slot is written by one store, and
// nothing is ever in doubt. Recovery empties the slots of a dead member when its devices are quiet, and opens what it
// had closed.
//
// A pin cannot pass to another member: a scan may read the one slot before and the other afterwards.

#include <atomic>
#include <cstdint>

#include "pinref/share/life_lock.hpp"
#include "pinref/sync/paths.hpp"

namespace bench {

enum class place_use : std::uint32_t { free, live, dead };

/// What one member writes to, on cache lines of its own. It has its life_lock as long as it lives.
template <class Sync, unsigned Slots>
struct alignas(64) pin_place {
  typename Sync::template atomic<std::uint32_t> pinned[Slots]{};  // a page and 1, or 0
  typename Sync::template atomic<place_use> use{place_use::free};
  typename Sync::life_lock life;
};

/// A page: 0 if it is open, or who has closed it, and 1.
template <class Sync>
struct pin_page {
  typename Sync::template atomic<std::uint32_t> closed_by{0};
};

/// One process's view of such memory. `Sync` has life_lock, light_barrier and heavy_barrier, as segment_sync and
/// hot_sync have them.
template <class Sync, unsigned Slots>
struct place_pins {
  pin_place<Sync, Slots>* places;
  pin_page<Sync>* pages;
  unsigned nr_places;
  std::uint32_t nr_pages;

  /// Of a page that may be closed. The slot is the caller's and empty.
  [[nodiscard]] PINREF_FAST_PATH bool pin(unsigned place, unsigned slot, std::uint32_t page) const noexcept {
    auto& own = places[place].pinned[slot];
    // (P1) pairs with (P5): release, so that a scan that sees this pin sees the pins before it released.
    own.store(page + 1, std::memory_order_release);
    Sync::light_barrier();
    // (P2) pairs with (P6): acquire, so that the page is seen as who opened it left it.
    if (pages[page].closed_by.load(std::memory_order_acquire) == 0) [[likely]]
      return true;
    unpin(place, slot);
    return false;
  }
  PINREF_FAST_PATH void unpin(unsigned place, unsigned slot) const noexcept {
    // (P3) pairs with (P5): release, so that whoever finds the slot empty sees what was done with the page.
    places[place].pinned[slot].store(0, std::memory_order_release);
  }

  /// Keeps new pins from an open page. True to one caller, who opens it again.
  [[nodiscard]] bool close(unsigned place, std::uint32_t page) const noexcept {
    std::uint32_t open = 0;
    // (P4) pairs with (P6): acquire, so that the page is seen as the last one who had it closed left it.
    return pages[page].closed_by.compare_exchange_strong(open, place + 1, std::memory_order_acquire,
                                                         std::memory_order_relaxed);
  }
  void open(std::uint32_t page) const noexcept {
    // (P6) pairs with (P2), (P4): release, so that the page is seen as its owner leaves it.
    pages[page].closed_by.store(0, std::memory_order_release);
  }
  /// Is the page pinned? To be decided on by who has closed it, or has changed what pinners look at after their pin.
  [[nodiscard]] bool pinned(std::uint32_t page) const noexcept {
    Sync::heavy_barrier();
    for (unsigned i = 0; i != nr_places; ++i)
      for (const auto& slot : places[i].pinned)
        // (P5) pairs with (P1), (P3), (P7): acquire, so that what holders did is seen by who finds that they have gone.
        if (slot.load(std::memory_order_acquire) == page + 1) return true;
    return false;
  }

  /// False if the place is taken, or its last member has died and not everything of it has been given back.
  [[nodiscard]] bool join(unsigned place) const noexcept {
    pin_place<Sync, Slots>& own = places[place];
    const auto life = own.life.try_lock();
    if (life == pinref::life_result::busy) return false;
    if (find_use(own, life) == place_use::free) {
      own.use.store(place_use::live, std::memory_order_relaxed);
      return true;
    }
    own.life.unlock();
    return false;
  }
  /// Precondition: its slots are empty.
  void leave(unsigned place) const noexcept {
    places[place].use.store(place_use::free, std::memory_order_relaxed);
    places[place].life.unlock();
  }

  /// Gives back what dead members have, of what is `quiet(place, page)`: their devices do not touch the page any more.
  /// True if nothing is left. By any number of survivors at a time: the life_lock of a dead member is with one.
  template <class Quiet>
  [[nodiscard]] bool recover(Quiet quiet) const noexcept {
    bool all = true;
    for (unsigned i = 0; i != nr_places; ++i) {
      const auto life = places[i].life.try_lock();
      if (life == pinref::life_result::busy) continue;
      if (find_use(places[i], life) == place_use::dead) {
        if (clear(i, quiet))
          places[i].use.store(place_use::free, std::memory_order_relaxed);
        else
          all = false;
      }
      places[i].life.unlock();
    }
    return all;
  }

 private:
  // By who has the lock. One who dies with it orphans it again.
  [[nodiscard]] static place_use find_use(pin_place<Sync, Slots>& it, pinref::life_result life) noexcept {
    if (life == pinref::life_result::orphaned) it.use.store(place_use::dead, std::memory_order_relaxed);
    return it.use.load(std::memory_order_relaxed);
  }
  template <class Quiet>
  [[nodiscard]] bool clear(unsigned place, Quiet& quiet) const noexcept {
    bool all = true;
    for (auto& slot : places[place].pinned) {
      const std::uint32_t page = slot.load(std::memory_order_relaxed);
      if (page == 0) continue;
      if (quiet(place, page - 1))
        // (P7) pairs with (P5): release, so that whoever finds the slot empty sees what the dead one and its devices
        // did.
        slot.store(0, std::memory_order_release);
      else
        all = false;
    }
    for (std::uint32_t page = 0; page != nr_pages; ++page) {
      if (pages[page].closed_by.load(std::memory_order_relaxed) != place + 1) continue;
      if (quiet(place, page))
        open(page);
      else
        all = false;
    }
    return all;
  }
};

}  // namespace bench
