// SPDX-License-Identifier: MIT
#pragma once

// What is compared: one page's word each, with the same members. A failed `get` or `pin` returns false, `put` and
// `unpin` return true to the last holder, `revive` starts a life with one reference as an allocator must, while others
// may look, `place` puts a word nobody else knows into that state by a plain store, `kill` leaves a dead page. `freeze`
// takes a page that nobody but its owner holds away from all others, `unfreeze` gives it back. `pinned` may be decided
// on by who has changed the mapping before.

#include <atomic>
#include <cstdint>
#include <memory>

#include "pages.hpp"
#include "pinref/ref/hot_ref.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/word/bias_layout.hpp"
#include "pinref/word/split_word.hpp"

namespace bench {

/// The unit: one locked add and one locked subtract that look at nothing. No scheme that counts in one word can do
/// less.
struct bare {
  BENCH_INLINE bool get() noexcept {
    word.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  BENCH_INLINE bool put() noexcept {
    word.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  BENCH_INLINE bool pin() noexcept { return get(); }
  BENCH_INLINE bool unpin() noexcept { return put(); }
  BENCH_INLINE void revive() noexcept { word.store(1, std::memory_order_relaxed); }
  BENCH_INLINE void place() noexcept { revive(); }

  std::atomic<std::uint32_t> word{0};
};

/// How Linux takes a small page: load, then compare-and-swap unless zero. A pin in its lockless walk takes a reference
/// that way and adds the rest of the bias after it: folio_try_get(), try_grab_folio_fast(), gup_put_folio().
struct linux_small {
  static constexpr std::int32_t bias = 1024;

  BENCH_INLINE bool get() noexcept {
    std::int32_t seen = word.load(std::memory_order_relaxed);
    do
      if (seen == 0) [[unlikely]]
        return false;
    while (!word.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire, std::memory_order_relaxed));
    return true;
  }
  BENCH_INLINE bool put() noexcept { return word.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  BENCH_INLINE bool pin() noexcept {
    if (!get()) return false;
    word.fetch_add(bias - 1, std::memory_order_relaxed);
    return true;
  }
  BENCH_INLINE bool unpin() noexcept { return word.fetch_sub(bias, std::memory_order_acq_rel) == bias; }
  BENCH_INLINE void revive() noexcept { word.store(1, std::memory_order_release); }
  BENCH_INLINE void place() noexcept { revive(); }
  BENCH_INLINE bool freeze() noexcept {
    std::int32_t sole = 1;
    return word.compare_exchange_strong(sole, 0, std::memory_order_acq_rel, std::memory_order_relaxed);
  }
  BENCH_INLINE void unfreeze() noexcept { revive(); }
  BENCH_INLINE bool pinned() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return word.load(std::memory_order_relaxed) >= bias;
  }
  void kill() noexcept { word.store(0, std::memory_order_relaxed); }

  std::atomic<std::int32_t> word{0};
};

/// How Linux takes a large folio: the same reference, and a pin count of its own. The kernel has the two on
/// neighbouring lines; here they share one, which is kinder to it.
struct linux_large : linux_small {
  BENCH_INLINE bool pin() noexcept {
    if (!get()) return false;
    pins.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  BENCH_INLINE bool unpin() noexcept {
    pins.fetch_sub(1, std::memory_order_relaxed);
    return put();
  }
  BENCH_INLINE bool pinned() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return pins.load(std::memory_order_relaxed) != 0;
  }

  std::atomic<std::int32_t> pins{0};
};

/// pinref's own word.
template <class Layout>
struct word_of {
  BENCH_INLINE bool get() noexcept { return ref.try_get() == pinref::take_result::taken; }
  BENCH_INLINE bool put() noexcept { return ref.put() == pinref::release_result::last; }
  BENCH_INLINE bool pin() noexcept { return ref.try_pin() == pinref::take_result::taken; }
  BENCH_INLINE bool unpin() noexcept { return ref.unpin() == pinref::release_result::last; }
  BENCH_INLINE void revive() noexcept { ref.init(); }
  BENCH_INLINE void place() noexcept {
    std::destroy_at(&ref);
    std::construct_at(&ref, Layout::live(1));
  }
  BENCH_INLINE bool freeze() noexcept { return ref.freeze(1); }
  BENCH_INLINE void unfreeze() noexcept { ref.unfreeze(1); }
  BENCH_INLINE bool pinned() noexcept { return ref.dma_pinned(); }
  void kill() noexcept {
    while (!put()) {
    }
  }

  pinref::page_ref<Layout> ref;
};

using split = word_of<pinref::split32>;
using bias32 = word_of<pinref::bias32>;
using bias64 = word_of<pinref::bias64>;

/// With 16 bits of the host's below the counts.
using bias64_host_bits = word_of<pinref::bias_layout<std::uint64_t, 24, 511, 16>>;

/// The entries for scanners, which look first, or look only.
struct bias64_scan : bias64 {
  BENCH_INLINE bool get() noexcept { return ref.try_get_if_alive() == pinref::take_result::taken; }
  BENCH_INLINE bool pinned() noexcept { return ref.dma_pinned_hint(); }
};

/// The release for a holder that expects to be the last.
struct bias64_sole : bias64 {
  BENCH_INLINE bool put() noexcept { return ref.put_sole() == pinref::release_result::last; }
};

/// A page made hot: every thread counts for itself.
struct hot {
  BENCH_INLINE bool get() noexcept { return ref.try_get() == pinref::take_result::taken; }
  BENCH_INLINE bool put() noexcept { return ref.put() == pinref::release_result::last; }
  BENCH_INLINE bool pin() noexcept { return ref.try_pin() == pinref::take_result::taken; }
  BENCH_INLINE bool unpin() noexcept { return ref.unpin() == pinref::release_result::last; }
  void revive() noexcept {
    ref.init();
    if (!ref.make_hot(counts)) broken();
  }

  static inline constinit pinref::hot_threads threads;
  pinref::hot_ref<> ref;
  pinref::hot_ref<>::slots counts{threads};
};

}  // namespace bench
