#pragma once

// The explorer as the library's Sync: the same atomics, and sleepers that only a wake-up or their deadline wakes.

#include <cstdint>

#include "explorer/explorer.hpp"
#include "pinref/ref/deadline.hpp"

namespace support {

struct explored_sync {
  template <class T>
  using atomic = explorer::atomic<T>;

  struct event {
    explorer::atomic<std::uint32_t> ticks{0};
  };

  // A program with waiters makes one: x.make<explored_sync::event_table>().
  class event_table {
   public:
    event_table() noexcept { current_ = this; }
    ~event_table() { current_ = nullptr; }
    event* begin() noexcept { return &only_; }
    event* end() noexcept { return &only_ + 1; }

   private:
    friend explored_sync;
    inline static event_table* current_ = nullptr;
    event only_;
  };

  // All words share one event: the most a waiter can be woken for nothing.
  static event& event_of(const void*) noexcept { return *events().begin(); }
  static event_table& events() noexcept { return *event_table::current_; }

  // A sleep with an end may time out at any moment, which `timed_out` then tells. One with a near end is a poll: it
  // goes on when something has changed, or when nobody else can go on.
  static void wait(event& on, std::uint32_t seen, const pinref::deadline& until) noexcept {
    constexpr auto order = std::memory_order_relaxed;
    constexpr std::int64_t near = 1'000'000'000;
    if (until.is_never()) return on.ticks.wait(seen, order);
    if (until.left() >= near && on.ticks.timed_wait(seen, order)) return;
    if (until.left() < near) explorer::engine::current().pause();
    timed_out() = true;
  }
  static void wake(event& on) noexcept { on.ticks.notify_all(); }

  // Of the running thread.
  static bool& timed_out() noexcept {
    static bool flags[explorer::max_threads];
    return flags[explorer::self()];
  }
};

// As `given_up` of a wait with an end: gives up when a sleep has timed out.
struct when_timed_out {
  bool operator()() const noexcept { return explored_sync::timed_out(); }
};

}  // namespace support
