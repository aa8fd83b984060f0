// SPDX-License-Identifier: MIT
#pragma once

// What keeps a page of a buffer pool while it is read: pinref's word, PostgreSQL's, and versions. All have the same
// members:
//
//   visit(read)   lets `read()` look at the page, or does not. True if it was let, has returned true, and what it saw
//                 can be believed
//   load(at)      how `read` loads a word of the page
//   used()        the clock passes: was the page used lately? One step less so. Without it the clock marks the page's
//                 key, and who reads the page takes the mark away
//   claim()       takes the page away from everybody, if nobody has it; `publish()` gives it back as another one
//
// PostgreSQL's are written from what its documentation and source say about them: src/backend/storage/buffer/README,
// PinBuffer() and UnpinBuffer().

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "crew.hpp"
#include "pages.hpp"
#include "pinref/parts/page_stamp.hpp"
#include "pinref/ref/page_ref.hpp"

namespace bench {

/// How often a page was used, up to 5 as in PostgreSQL: a byte beside the word, which is written as long as it grows.
class usage_byte {
 public:
  BENCH_INLINE void up() noexcept {
    const std::uint8_t seen = value_.load(std::memory_order_relaxed);
    if (seen != most) value_.store(static_cast<std::uint8_t>(seen + 1), std::memory_order_relaxed);
  }
  BENCH_INLINE bool down() noexcept {
    const std::uint8_t seen = value_.load(std::memory_order_relaxed);
    if (seen != 0) value_.store(static_cast<std::uint8_t>(seen - 1), std::memory_order_relaxed);
    return seen != 0;
  }

 private:
  static constexpr std::uint8_t most = 5;
  std::atomic<std::uint8_t> value_{0};
};

/// A page that is held while it is read. `take` and `drop` do that, `Word` has them.
template <class Word>
struct held_while_read {
  template <class Read>
  BENCH_INLINE bool visit(Read read) noexcept {
    Word& self = static_cast<Word&>(*this);
    if (!self.take()) return false;
    const bool good = read();
    self.drop();
    return good;
  }
  BENCH_INLINE static std::uint64_t load(const std::uint64_t* at) noexcept { return *at; }
};

/// The unit: counts, and looks at nothing. Nothing can be evicted.
struct bare_use : held_while_read<bare_use> {
  BENCH_INLINE bool take() noexcept {
    word.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  BENCH_INLINE void drop() noexcept { word.fetch_sub(1, std::memory_order_relaxed); }
  void revive() noexcept {}

  std::atomic<std::uint32_t> word{1};
};

/// pinref: a pin. The pool's own reference is the one that it is evicted with.
template <class Layout>
struct pinned_use : held_while_read<pinned_use<Layout>> {
  BENCH_INLINE bool take() noexcept {
    if (ref.try_pin() != pinref::take_result::taken) [[unlikely]]
      return false;
    usage.up();
    return true;
  }
  BENCH_INLINE void drop() noexcept {
    if (ref.unpin() == pinref::release_result::last) [[unlikely]]
      broken();
  }
  BENCH_INLINE bool used() noexcept { return usage.down(); }
  BENCH_INLINE bool claim() noexcept { return ref.freeze(1); }
  BENCH_INLINE void publish() noexcept { ref.unfreeze(1); }
  void revive() noexcept { ref.init(); }

  pinref::page_ref<Layout> ref;
  usage_byte usage;
};

/// pinref: a stamp beside the word, and nothing is written. The clock's mark is a bit of the page's key, which is
/// compared anyhow.
struct stamped_use {
  static constexpr bool marked_in_key = true;

  template <class Read>
  BENCH_INLINE bool visit(Read read) noexcept {
    const pinref::stamp_seen seen = stamp.read_begin();
    return read() && stamp.read_validate(ref, seen);
  }
  BENCH_INLINE static std::uint64_t load(const std::uint64_t* at) noexcept {
    std::uint64_t copy;
    pinref::copy_out(&copy, at, 1);
    return copy;
  }
  BENCH_INLINE bool claim() noexcept { return ref.freeze(1); }
  BENCH_INLINE void publish() noexcept {
    stamp.changed();
    ref.unfreeze(1);
  }
  void revive() noexcept { ref.init(); }

  pinref::page_ref<> ref;
  pinref::page_stamp<> stamp;
};

/// vmcache's optimistic read: a version and a state in one word, of which `marked` is the clock's.
struct vmcache_use {
  template <class Read>
  BENCH_INLINE bool visit(Read read) noexcept {
    std::uint64_t seen = word.load(std::memory_order_acquire);
    if (state_of(seen) != unlocked) [[unlikely]] {
      if (state_of(seen) != marked) return false;
      const std::uint64_t clean = seen - (marked << shift);
      if (!word.compare_exchange_strong(seen, clean, std::memory_order_acq_rel, std::memory_order_acquire))
        return false;
      seen = clean;
    }
    if (!read()) return false;
    std::atomic_thread_fence(std::memory_order_acquire);
    return word.load(std::memory_order_relaxed) == seen;
  }
  BENCH_INLINE static std::uint64_t load(const std::uint64_t* at) noexcept {
    return std::atomic_ref<std::uint64_t>(const_cast<std::uint64_t&>(*at)).load(std::memory_order_relaxed);
  }
  BENCH_INLINE bool used() noexcept {
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    if (state_of(seen) != unlocked) return false;
    return word.compare_exchange_strong(seen, seen + (marked << shift), std::memory_order_relaxed);
  }
  BENCH_INLINE bool claim() noexcept {
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    if (state_of(seen) != marked) return false;
    return word.compare_exchange_strong(seen, seen + ((locked - marked) << shift), std::memory_order_acq_rel,
                                        std::memory_order_relaxed);
  }
  BENCH_INLINE void publish() noexcept {
    word.store(word.load(std::memory_order_relaxed) - (locked << shift) + 1, std::memory_order_release);
  }
  void revive() noexcept {}

  static constexpr unsigned shift = 56;
  static constexpr std::uint64_t unlocked = 0, locked = 253, marked = 254;
  static std::uint64_t state_of(std::uint64_t value) noexcept { return value >> shift; }

  std::atomic<std::uint64_t> word{0};
};

/// PostgreSQL: count, usage and flags in one word, taken by compare-and-swap, and not while its lock bit is set. Until
/// 17 the word has 32 bits and is given back by compare-and-swap too, in 19 it has 64 and a subtract does.
template <class Word, bool Subtracts>
struct postgres_use : held_while_read<postgres_use<Word, Subtracts>> {
  BENCH_INLINE bool take() noexcept {
    Word seen = word.load(std::memory_order_relaxed);
    for (;;) {
      if ((seen & locked) != 0) [[unlikely]]
        seen = wait();
      Word next = seen + 1;
      if ((next & usages) < most_used) next += one_use;
      if (word.compare_exchange_weak(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed)) return true;
    }
  }
  BENCH_INLINE void drop() noexcept {
    if ((count_down() & waited_for) != 0) [[unlikely]]
      broken();
  }
  BENCH_INLINE bool used() noexcept {
    Word seen = word.load(std::memory_order_relaxed);
    while ((seen & usages) != 0 && (seen & locked) == 0)
      if (word.compare_exchange_weak(seen, seen - one_use, std::memory_order_relaxed)) return true;
    return false;
  }
  BENCH_INLINE bool claim() noexcept {
    const Word seen = word.fetch_or(locked, std::memory_order_acquire);
    if ((seen & (locked | counts)) == 0) return true;
    if ((seen & locked) == 0) word.fetch_and(~locked, std::memory_order_release);
    return false;
  }
  BENCH_INLINE void publish() noexcept { word.store(one_use, std::memory_order_release); }
  void revive() noexcept {}

  static constexpr Word counts = (1u << 18) - 1, one_use = 1u << 18, usages = 15u << 18, most_used = 5u << 18,
                        locked = 1u << 22, waited_for = 1u << 29;

  BENCH_INLINE Word count_down() noexcept {
    if constexpr (Subtracts) {
      return word.fetch_sub(1, std::memory_order_acq_rel);
    } else {
      Word seen = word.load(std::memory_order_relaxed);
      for (;;) {
        if ((seen & locked) != 0) [[unlikely]]
          seen = wait();
        if (word.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel, std::memory_order_relaxed))
          return seen;
      }
    }
  }
  [[gnu::cold]] Word wait() const noexcept {
    Word seen = 0;
    do {
      pause();
      seen = word.load(std::memory_order_relaxed);
    } while ((seen & locked) != 0);
    return seen;
  }

  std::atomic<Word> word{0};
};

using pg17_use = postgres_use<std::uint32_t, false>;
using pg19_use = postgres_use<std::uint64_t, true>;

/// As PostgreSQL does it around its word: found and taken under the shared lock of a partition of its table, and
/// counted once for each process, which counts for itself how often.
template <class Word>
struct postgres_whole : Word {
  static constexpr bool finds_under_lock = true;

  BENCH_INLINE bool take() noexcept {
    own* free = nullptr;
    for (own& each : mine) {
      if (each.page == this) {
        ++each.count;
        return true;
      }
      if (each.page == nullptr) free = &each;
    }
    if (free == nullptr) [[unlikely]]
      broken();
    *free = {this, 1};
    return Word::take();
  }
  BENCH_INLINE void drop() noexcept {
    for (own& each : mine) {
      if (each.page != this) continue;
      if (--each.count == 0) {
        Word::drop();
        each.page = nullptr;
      }
      return;
    }
    broken();
  }

  struct own {
    const void* page;
    std::size_t count;
  };
  static inline thread_local constinit std::array<own, 8> mine{};
};

}  // namespace bench
