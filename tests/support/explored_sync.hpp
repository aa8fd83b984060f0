#pragma once

// The explorer as the library's Sync: the same atomics, and sleepers that only a wake-up or their deadline wakes.

#include <cstdint>

#include "explorer/explorer.hpp"
#include "pinref/ref/sync.hpp"

namespace support {

struct explored_sync {
  template <class T>
  using atomic = explorer::atomic<T>;

  static constexpr bool process_shared = false;

  using futex = explorer::engine::sleeping_place;

  // As on Linux, a futex has 32 bits. Words of 8 bits are slept on whole, so that small ones show what large ones do.
  template <class T>
  static constexpr unsigned nr_futexes = sizeof(T) > 4 ? sizeof(T) / 4 : 1;

  template <class Atomic>
  static futex futex_of(const Atomic& word, unsigned i, typename Atomic::value_type value) noexcept {
    const std::uint64_t low_half = 0xffffffff;
    if (nr_futexes<typename Atomic::value_type> == 1) return word.place_to_sleep(value);
    return word.place_to_sleep(value, i == 0 ? ~low_half : low_half);
  }

  // A sleep with an end may time out at any moment. One that is to end soon is a poll: it goes on when something has
  // changed, or when nobody else can go on; with an end it is the last.
  static pinref::sleep_result wait(const futex* futexes, unsigned n, const pinref::deadline& until,
                                   std::int64_t at_most = INT64_MAX, explorer::place at = {}) noexcept {
    using pinref::sleep_result;
    explorer::engine& e = explorer::engine::current();
    if (at_most != INT64_MAX) {
      e.pause();
      return until.is_never() ? sleep_result::woken : sleep_result::timed_out;
    }
    const explorer::site here{explorer::op::wait, std::memory_order_relaxed, at};
    switch (e.wait_on(futexes, n, here, !until.is_never())) {
      case explorer::engine::slept::woken:
        return sleep_result::woken;
      case explorer::engine::slept::changed:
        return sleep_result::changed;
      case explorer::engine::slept::timed_out:
        break;
    }
    return sleep_result::timed_out;
  }
  template <class Atomic>
  static void wake_all(const Atomic& word) noexcept {
    word.notify_all();
  }
  template <class Atomic>
  static void wake_one(const Atomic& word) noexcept {
    word.notify_one();
  }
};

// An end of a wait that is ahead on any clock, so that a sleep may time out, or be woken before.
inline pinref::deadline some_day() noexcept {
  return pinref::deadline::in(INT64_MAX / 2);
}

}  // namespace support
