// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// recorded_word: the reference word of a page whose holders all stand in a ledger.
///
/// It is a zoned_word with one thing added: none of its changes is seen before what its thread wrote earlier. So a
/// reader that sees the word changed sees in the ledger that a call is under way.
///
/// When not to use it: in a host. Nothing that is not recorded may change a word of a ledger; the words of a segment
/// are out of reach for that reason.
///
/// Example:
///
///     using layout = pinref::shared64;
///     pinref::recorded_word<layout, pinref::segment_sync> word{layout{}.raw()};
///     word.start(1, pinref::zone::dead);
///     if (word.release(1, pinref::owner_ref::counted) == pinref::release_result::last) free_page();
///
/// Errors: those of zoned_word.
/// Memory order: every change is acquire and release.
/// Progress: that of zoned_word.
/// Source: zoned_word.

#include <atomic>

#include "pinref/sync/paths.hpp"
#include "pinref/word/bias_layout.hpp"
#include "pinref/word/zoned_word.hpp"

namespace pinref::inline v0_1 {

/// The word of a shared page: pins exact, with room for 64 members, each of which may claim a page in its own name.
using shared64 = bias_layout<std::uint64_t, 32, 64, 0, 64>;

namespace detail {

/// A Sync with the operations of flags_only.
template <class Sync, class T>
concept by_flags = requires(typename Sync::template atomic<T>& word, T delta, std::memory_order order) {
  Sync::add_negative(word, delta, order);
  Sync::sub_negative(word, delta, order);
  Sync::load_by_rmw(word, order);
};

template <class Sync>
struct recording_sync : Sync {
  template <class T>
  class atomic : public Sync::template atomic<T> {
    using base = typename Sync::template atomic<T>;

   public:
    using base::base;

    // A weak exchange goes on with what an add, a subtract or a claim has begun, or is a release itself: it is left as
    // it is.
    PINREF_FAST_PATH T fetch_add(T n, std::memory_order) noexcept {
      // (L1) pairs with (L1), (L2), (L4): release, so that a look that sees the change sees the intent before it;
      // acquire, for that look and for takes.
      return base::fetch_add(n, std::memory_order_acq_rel);
    }
    PINREF_FAST_PATH T fetch_sub(T n, std::memory_order) noexcept {
      // (L2) pairs with (L1), (L4): release as (L1).
      return base::fetch_sub(n, std::memory_order_release);
    }
    bool compare_exchange_strong(T& seen, T next, std::memory_order, std::memory_order failure) noexcept {
      // (L4) pairs with (L1), (L2), (L4): acquire and release as (L1).
      return base::compare_exchange_strong(seen, next, std::memory_order_acq_rel, failure);
    }
  };

  // Assembly, a full barrier by itself.
  template <class T>
  requires by_flags<Sync, T>
  [[nodiscard]] PINREF_FAST_PATH static bool add_negative(atomic<T>& word, T delta, std::memory_order order) noexcept {
    return Sync::add_negative(static_cast<typename Sync::template atomic<T>&>(word), delta, order);
  }
  template <class T>
  requires by_flags<Sync, T>
  [[nodiscard]] PINREF_FAST_PATH static bool sub_negative(atomic<T>& word, T delta, std::memory_order order) noexcept {
    return Sync::sub_negative(static_cast<typename Sync::template atomic<T>&>(word), delta, order);
  }
  template <class T>
  requires by_flags<Sync, T>
  [[nodiscard]] PINREF_FAST_PATH static T load_by_rmw(atomic<T>& word, std::memory_order order) noexcept {
    return Sync::load_by_rmw(static_cast<typename Sync::template atomic<T>&>(word), order);
  }
};

}  // namespace detail

/// A word of `Layout`, which counts holders: a pin is `Layout::pin_bias` of them.
template <class Layout, class Sync>
using recorded_word = zoned_word<typename Layout::zones, Layout::pin_bias, detail::recording_sync<Sync>>;

}  // namespace pinref::inline v0_1
