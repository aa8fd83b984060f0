// SPDX-License-Identifier: MIT
#pragma once

// Members that may die before any of their accesses, for the explorer. What dies is the thread: it does nothing more,
// its locks are orphaned, and all it has done is seen by whoever finds it dead.

#include <setjmp.h>

#include <array>

#include "explored_sync.hpp"
#include "pinref/share.hpp"

namespace support {

// The deaths of one execution. Each is an access: whoever finds a thread dead acquires from its last.
struct deaths {
  static constexpr unsigned max_threads = 8;

  explorer::atomic<std::uint32_t> dead[max_threads];
  bool mortal[max_threads] = {};  // threads that are in a part where they may die
  jmp_buf ends[max_threads];

  static deaths*& current() {
    static deaths* it = nullptr;
    return it;
  }

  // Here the running thread may die.
  static void here() {
    deaths& all = *current();
    const unsigned self = explorer::self();
    if (!all.mortal[self]) return;
    explorer::engine& e = explorer::engine::current();
    if (e.choose(2) == 0) return;
    // So that pruning tells it from who goes on.
    e.state().remember(0xdead);
    all.mortal[self] = false;
    all.dead[self].store(1, std::memory_order_release);
    longjmp(all.ends[self], 1);
  }

  // Runs what a thread may die in. Nothing on its stack may need an end.
  template <class Body>
  void live(Body body) {
    const unsigned self = explorer::self();
    if (setjmp(ends[self]) != 0) return;
    mortal[self] = true;
    body();
    mortal[self] = false;
  }
  [[nodiscard]] bool died(unsigned thread) { return dead[thread].load(std::memory_order_acquire) != 0; }
};

struct mortal_sync : explorer::explored_sync {
  template <class T>
  struct atomic : explorer::atomic<T> {
    using base = explorer::atomic<T>;
    using base::base;
    using place = explorer::place;

    T load(std::memory_order o, place at = {}) const noexcept {
      deaths::here();
      return base::load(o, at);
    }
    void store(T value, std::memory_order o, place at = {}) noexcept {
      deaths::here();
      base::store(value, o, at);
    }
    T exchange(T value, std::memory_order o, place at = {}) noexcept {
      deaths::here();
      return base::exchange(value, o, at);
    }
    T fetch_add(T n, std::memory_order o, place at = {}) noexcept {
      deaths::here();
      return base::fetch_add(n, o, at);
    }
    T fetch_sub(T n, std::memory_order o, place at = {}) noexcept {
      deaths::here();
      return base::fetch_sub(n, o, at);
    }
    T fetch_and(T n, std::memory_order o, place at = {}) noexcept {
      deaths::here();
      return base::fetch_and(n, o, at);
    }
    T fetch_or(T n, std::memory_order o, place at = {}) noexcept {
      deaths::here();
      return base::fetch_or(n, o, at);
    }
    bool compare_exchange_weak(T& seen, T next, std::memory_order success, std::memory_order failure,
                               place at = {}) noexcept {
      deaths::here();
      return base::compare_exchange_weak(seen, next, success, failure, at);
    }
    bool compare_exchange_strong(T& seen, T next, std::memory_order success, std::memory_order failure,
                                 place at = {}) noexcept {
      deaths::here();
      return base::compare_exchange_strong(seen, next, success, failure, at);
    }
  };

  struct life_lock {
    explorer::atomic<std::uint32_t> owner{0};

    void init() noexcept {}
    [[nodiscard]] pinref::life_result try_lock() noexcept {
      const std::uint32_t mine = explorer::self() + 1;
      deaths::here();
      std::uint32_t seen = owner.load(std::memory_order_acquire);
      if (seen == mine) return pinref::life_result::busy;
      const bool orphan = seen != 0 && deaths::current()->died(seen - 1);
      if (seen != 0 && !orphan) return pinref::life_result::busy;
      deaths::here();
      if (!owner.compare_exchange_strong(seen, mine, std::memory_order_acquire, std::memory_order_relaxed))
        return pinref::life_result::busy;
      return orphan ? pinref::life_result::orphaned : pinref::life_result::acquired;
    }
    void unlock() noexcept {
      deaths::here();
      owner.store(0, std::memory_order_release);
    }
  };
};

template <class Sync>
struct mortal_traits {
  using layout = pinref::shared64;
  using sync = Sync;
  static constexpr unsigned page_kinds = 1;
};

// A ledger for `Places` members with `Slots` records each, and one page, which the pool keeps or which is free.
template <class Sync = mortal_sync, unsigned Slots = 1, unsigned Places = 2>
struct ledger_world {
  using Traits = mortal_traits<Sync>;
  using memory = pinref::ledger_memory<Traits>;
  using steps = pinref::detail::ledger_steps<Traits>;
  using record = pinref::ledger_record;

  static constexpr unsigned nr_places = Places;

  deaths all;
  pinref::ledger_head<Traits> head;
  pinref::ledger_place<Traits> places[nr_places];
  pinref::ledger_slot<typename Traits::sync> slots[nr_places * Slots];
  pinref::shared_page<Traits> page;
  typename Traits::sync::template atomic<std::uint64_t> free{1};
  memory parts;
  explorer::plain<int> data{0};    // of the page: read by its holders, written by who has it alone
  explorer::plain<int> letter{0};  // goes with an offer

  ledger_world() {
    deaths::current() = &all;
    parts.head = &head;
    parts.places = places;
    parts.slots = slots;
    parts.pages = &page;
    parts.free = &free;
    parts.nr_places = nr_places;
    parts.slots_per_place = Slots;
    parts.nr_pages = 1;
    parts.writable = true;
    // Thread T1 is the member of place 0, T2 that of place 1, and so on.
    for (unsigned i = 0; i != nr_places; ++i) {
      places[i].state.store(pinref::place_state::live, std::memory_order_relaxed);
      places[i].used.store(Slots, std::memory_order_relaxed);
      places[i].life.owner.store(i + 2, std::memory_order_relaxed);
    }
  }
  // The pool has a reference of the page. By place 0, before the threads.
  void kept() {
    steps s{parts, 0};
    explorer::check(s.allocate(parts.slot(0, 0), 0), "there is a free page");
    explorer::check(s.keep(parts.slot(0, 0), what(0)), "the pool has none yet");
  }
  // For programs whose threads join by themselves.
  void nobody_has_joined() {
    for (auto& place : places) {
      place.state.store(pinref::place_state::free, std::memory_order_relaxed);
      place.life.owner.store(0, std::memory_order_relaxed);
    }
  }
  [[nodiscard]] record what(unsigned place, std::uint32_t i = 0) {
    return record{parts.slot(place, i).entry.load(std::memory_order_relaxed)};
  }
  [[nodiscard]] auto& slot(unsigned place, std::uint32_t i = 0) { return parts.slot(place, i); }

  struct at_rest : pinref::no_hooks {
    static bool process_gone(const pinref::dead_member&) noexcept { return true; }
    static bool quiet(const pinref::dead_pins&) noexcept { return true; }
  };

  // The survivors' last look: nothing is left of the dead, and the word is as the records are.
  void ends_well() {
    for (bool& mortal : all.mortal) mortal = false;
    const auto report = pinref::recover(parts, at_rest{}, 1);
    explorer::check(!report.busy, "nobody else recovers");
    explorer::check(report.in_doubt == 0, "nothing is in doubt when the traffic has paused");
    explorer::check(report.unaccounted == 0, "the word agrees with the ledger");
    explorer::check(report.left_dead == 0, "nothing is left of the dead");
    std::uint64_t holders = page.kept();
    bool claimed = false;
    for (unsigned place = 0; place != nr_places; ++place)
      for (std::uint32_t i = 0; i != Slots; ++i) {
        holders += steps::weight(what(place, i).mode(), what(place, i).n());
        claimed = claimed || what(place, i).state() == pinref::record_state::frozen;
        explorer::check(!what(place, i).in_doubt(), "nobody is in doubt");
      }
    const bool is_free = steps{parts, 0}.is_free(0);
    const auto word = page.snapshot();
    if (claimed) {
      explorer::check(word.zone() == pinref::zone::frozen && holders == 0 && !is_free, "a claimed page is claimed");
    } else if (holders != 0) {
      explorer::check(word == pinref::shared64::live(holders), "the word counts what is recorded");
      explorer::check(!is_free, "a page that is held is not free");
    } else {
      explorer::check(word == pinref::shared64{}, "a page that nobody holds is dead, and nothing is left in its word");
      explorer::check(is_free, "a page that nobody holds is free");
    }
  }
};

}  // namespace support
