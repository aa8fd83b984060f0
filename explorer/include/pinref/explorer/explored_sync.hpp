// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// explored_sync: the explorer as the Sync of pinref's types: the same atomics, and sleepers that only a wake-up or
/// their deadline wakes. explored_hot_sync: the same for a `hot_ref`.
///
/// When not to use it: for words of one's own. `explorer::atomic` is enough for those.
///
/// Example:
///
///     struct frame {
///       pinref::page_ref<pinref::bias64, explorer::explored_sync> ref;
///       explorer::plain<int> data{0};                            // what the references protect
///     };

#include <cstdint>

#include "pinref/explorer/explorer.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/std_sync.hpp"

namespace explorer {

struct explored_sync {
  template <class T>
  using atomic = explorer::atomic<T>;

  static constexpr bool process_shared = false;

  using futex = engine::sleeping_place;

  /// As on Linux, a futex has 32 bits. Words of 8 bits are slept on whole, so that small ones show what large ones do.
  template <class T>
  static constexpr unsigned nr_futexes = sizeof(T) > 4 ? sizeof(T) / 4 : 1;

  template <class Atomic>
  static futex futex_of(const Atomic& word, unsigned i, typename Atomic::value_type value) noexcept {
    const std::uint64_t low_half = 0xffffffff;
    if (nr_futexes<typename Atomic::value_type> == 1) return word.place_to_sleep(value);
    return word.place_to_sleep(value, i == 0 ? ~low_half : low_half);
  }

  /// A sleep with an end may time out at any moment. One that is to end soon is a poll: it goes on when something has
  /// changed, or when nobody else can go on; with an end it is the last.
  static pinref::sleep_result wait(const futex* futexes, unsigned n, const pinref::deadline& until,
                                   std::int64_t at_most = INT64_MAX, place at = {}) noexcept {
    using pinref::sleep_result;
    engine& e = engine::current();
    if (at_most != INT64_MAX) {
      e.pause();
      return until.is_never() ? sleep_result::woken : sleep_result::timed_out;
    }
    const site here{op::wait, std::memory_order_relaxed, at};
    switch (e.wait_on(futexes, n, here, !until.is_never())) {
      case engine::slept::woken:
        return sleep_result::woken;
      case engine::slept::changed:
        return sleep_result::changed;
      case engine::slept::timed_out:
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

/// Threads T1, T2, ... of the program have the numbers 0, 1, ...; the body has none, nor has whoever is beyond the
/// `Threads` of the hot_ref: they use the shared word.
struct explored_hot_sync : explored_sync {
  struct threads {
    [[nodiscard]] unsigned number() const noexcept { return self() - 1; }
    [[nodiscard]] unsigned enroll() const noexcept { return number(); }
  };
  [[nodiscard]] static bool has_heavy_barrier() noexcept { return true; }
  static void light_barrier(place at = {}) noexcept { explorer::light_barrier(at); }
  static void heavy_barrier(place at = {}) noexcept { explorer::heavy_barrier(at); }
  static void pause() noexcept { explorer::pause(); }
};

}  // namespace explorer
