// SPDX-License-Identifier: MIT
#pragma once

// A buffer pool without a disk: a hash table of pages, their data, a clock. Every read is checked.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "crew.hpp"
#include "pages.hpp"

namespace bench {

/// Pages of 4 KiB, of which one word is used. In each it stands somewhere else, as what is read in a page does.
class page_data {
 public:
  explicit page_data(std::size_t n) : memory_(n * page), words_(static_cast<std::uint64_t*>(memory_.data())) {}

  [[nodiscard]] BENCH_INLINE std::uint64_t* of(std::size_t i) const noexcept {
    return words_ + i * (page / 8) + i * 0x9e3779b1u % (page / 64) * 8;
  }

 private:
  static constexpr std::size_t page = 4096;

  huge_memory memory_;
  std::uint64_t* words_;
};

/// A lock of readers and writers that spins: one word, taken by compare-and-swap and given back by a subtract, as
/// PostgreSQL's light-weight locks are while nobody has to sleep.
class alignas(128) partition_lock {
 public:
  BENCH_INLINE void lock_shared() noexcept {
    std::uint32_t seen = state_.load(std::memory_order_relaxed);
    for (;;)
      if ((seen & writer) != 0) {
        pause();
        seen = state_.load(std::memory_order_relaxed);
      } else if (state_.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire, std::memory_order_relaxed)) {
        return;
      }
  }
  BENCH_INLINE void unlock_shared() noexcept { state_.fetch_sub(1, std::memory_order_release); }
  void lock() noexcept {
    for (std::uint32_t none = 0;
         !state_.compare_exchange_weak(none, writer, std::memory_order_acquire, std::memory_order_relaxed); none = 0)
      pause();
  }
  void unlock() noexcept { state_.fetch_sub(writer, std::memory_order_release); }

 private:
  static constexpr std::uint32_t writer = 1u << 24;
  std::atomic<std::uint32_t> state_{0};
};

/// `Frames` pages, which are held as `Use` says. Found without a lock, or under one if `Use` wants that; put into the
/// table and out of it under the lock of a partition.
template <class Use, std::size_t Frames>
class pool {
 public:
  explicit pool(const page_data& data)
      : data_(data), heads_(static_cast<index*>(head_memory_.data())), locks_(new partition_lock[nr_locks]) {
    for (std::size_t i = 0; i != nr_heads; ++i) new (&heads_[i]) index{none};
    for (std::uint32_t i = 0; i != Frames; ++i) {
      load(i, i);
      push(i);
    }
  }

  /// Reads the page of a key. False if it is not here, or was just taken away.
  [[nodiscard]] BENCH_INLINE bool read(std::uint32_t key) noexcept {
    std::uint64_t value = 0;
    const auto look = [&](frame & page, std::uint32_t i) __attribute__((always_inline)) {
      if (page.key.load(std::memory_order_acquire) != key) return false;
      value = Use::load(data_.of(i));
      return true;
    };
    if constexpr (requires { Use::finds_under_lock; }) {
      partition_lock& lock = lock_of(key);
      lock.lock_shared();
      const std::uint32_t i = find(key);
      const bool taken = i != none && at(i).use.take();
      lock.unlock_shared();
      if (!taken) [[unlikely]]
        return false;
      const bool good = look(at(i), i);
      at(i).use.drop();
      if (!good) [[unlikely]]
        return false;
    } else {
      const std::uint32_t i = find(key);
      if (i == none) [[unlikely]]
        return false;
      frame& page = at(i);
      if (!page.use.visit([&]() __attribute__((always_inline)) { return look(page, i); })) [[unlikely]]
        return false;
    }
    if (value != word_of(key)) [[unlikely]]
      broken();
    return true;
  }

  /// As read, of a page that read did not find: it may be marked by the clock.
  [[nodiscard]] bool read_marked(std::uint32_t key) noexcept {
    if constexpr (marked_in_key) {
      const std::uint32_t i = find(key | mark);
      if (i == none) return false;
      std::uint32_t seen = key | mark;
      at(i).key.compare_exchange_strong(seen, key, std::memory_order_relaxed);
      return read(key);
    } else {
      return false;
    }
  }

  /// Brings the page of a key in, in place of another. `spare` is a page that the calling thread has for itself, or
  /// `none`.
  void bring(std::uint32_t key, std::uint32_t& spare) noexcept {
    const std::uint32_t i = spare != none ? spare : evict();
    spare = none;
    load(i, key);
    partition_lock& lock = lock_of(key);
    lock.lock();
    if (find(key) == none && (!marked_in_key || find(key | mark) == none)) {
      push(i);
      at(i).use.publish();
    } else {
      spare = i;  // another thread was faster
    }
    lock.unlock();
  }

  static constexpr std::uint32_t none = ~std::uint32_t{0};

 private:
  using index = std::atomic<std::uint32_t>;
  // A descriptor has more in it than is compared here. None lies across two cache lines, and all pools have as many.
  struct alignas(32) frame {
    void revive() noexcept { use.revive(); }

    Use use;
    index key{none};
    index next{none};
  };
  static constexpr bool marked_in_key = requires { Use::marked_in_key; };
  static constexpr std::uint32_t mark = 1u << 31;
  static constexpr std::size_t nr_heads = 2 * Frames, nr_locks = 128;
  static constexpr unsigned longest_chain = 64;  // beyond it somebody has changed it below us

  // Of the same value with and without the mark.
  [[nodiscard]] BENCH_INLINE static std::uint32_t hash(std::uint32_t key) noexcept { return key * 0x3c6ef362u >> 12; }
  [[nodiscard]] BENCH_INLINE index& head_of(std::uint32_t key) noexcept { return heads_[hash(key) % nr_heads]; }
  [[nodiscard]] BENCH_INLINE partition_lock& lock_of(std::uint32_t key) noexcept {
    return locks_[hash(key) % nr_heads % nr_locks];
  }
  [[nodiscard]] BENCH_INLINE frame& at(std::uint32_t i) noexcept { return frames_.data()[i].page; }
  [[nodiscard]] BENCH_INLINE static std::uint64_t word_of(std::uint32_t key) noexcept { return key + 1; }

  [[nodiscard]] BENCH_INLINE std::uint32_t find(std::uint32_t key) noexcept {
    std::uint32_t i = head_of(key).load(std::memory_order_acquire);
    for (unsigned step = 0; i != none && step != longest_chain; ++step) {
      if (at(i).key.load(std::memory_order_relaxed) == key) return i;
      i = at(i).next.load(std::memory_order_acquire);
    }
    return none;
  }

  // The content of a page that nobody else has.
  void load(std::uint32_t i, std::uint32_t key) noexcept {
    at(i).key.store(key, std::memory_order_release);
    std::atomic_ref<std::uint64_t>(*data_.of(i)).store(word_of(key), std::memory_order_release);
  }
  // Under the lock of its key, or before anybody else is here.
  void push(std::uint32_t i) noexcept {
    auto& head = head_of(at(i).key.load(std::memory_order_relaxed));
    at(i).next.store(head.load(std::memory_order_relaxed), std::memory_order_release);
    head.store(i, std::memory_order_release);
  }
  // Takes a page away from everybody, as long as it has this key and nobody has it.
  [[nodiscard]] bool take_out(std::uint32_t i, std::uint32_t key) noexcept {
    partition_lock& lock = lock_of(key);
    lock.lock();
    const bool claimed = at(i).key.load(std::memory_order_relaxed) == key && at(i).use.claim();
    if (claimed) {
      auto* link = &head_of(key);
      while (link->load(std::memory_order_relaxed) != i) link = &at(link->load(std::memory_order_relaxed)).next;
      link->store(at(i).next.load(std::memory_order_relaxed), std::memory_order_release);
    }
    lock.unlock();
    return claimed;
  }

  [[nodiscard]] bool used(std::uint32_t i) noexcept {
    if constexpr (marked_in_key) {
      std::uint32_t key = at(i).key.load(std::memory_order_relaxed);
      if ((key & mark) != 0) return false;
      return at(i).key.compare_exchange_strong(key, key | mark, std::memory_order_relaxed);
    } else {
      return at(i).use.used();
    }
  }

  [[nodiscard]] std::uint32_t evict() noexcept {
    for (;;) {
      const std::uint32_t i = hand_.fetch_add(1, std::memory_order_relaxed) % Frames;
      if (!used(i) && take_out(i, at(i).key.load(std::memory_order_relaxed))) return i;
    }
  }

  const page_data& data_;
  pages<frame> frames_{Frames};
  huge_memory head_memory_{nr_heads * sizeof(index)};
  index* heads_;
  std::unique_ptr<partition_lock[]> locks_;
  alignas(128) index hand_{0};
};

}  // namespace bench
