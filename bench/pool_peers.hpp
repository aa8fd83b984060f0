// SPDX-License-Identifier: MIT
#pragma once

// Other ways to the page of a key, by libraries: RocksDB's caches, and the reclamation schemes of xenium, by which a
// reader keeps an entry of the table and nobody counts. With the members of `pool`.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "pages.hpp"
#include "pool.hpp"

#if __has_include(<xenium/reclamation/generic_epoch_based.hpp>)
#define BENCH_XENIUM 1
#include <xenium/reclamation/generic_epoch_based.hpp>
#include <xenium/reclamation/hazard_pointer.hpp>
#endif

#ifdef BENCH_ROCKSDB
#include <rocksdb/cache.h>
#endif

namespace bench {

#ifdef BENCH_XENIUM
/// A table of pointers to entries, one for each key: no chain to go along, which is kinder than the pool's table. All
/// keys are here: who takes a page away has to wait for its readers in some way of its own.
template <class Scheme, std::size_t Frames>
class guarded_table {
 public:
  explicit guarded_table(const page_data& data) : data_(data), slots_(new pointer[Frames]) {
    for (std::uint32_t key = 0; key != Frames; ++key)
      slots_[slot_of(key)].store(guard(new entry(key, key)), std::memory_order_release);
  }

  [[nodiscard]] BENCH_INLINE bool read(std::uint32_t key) noexcept {
    guard held;
    held.acquire(slots_[slot_of(key)], std::memory_order_acquire);
    if (!held || held->key != key) [[unlikely]]
      return false;
    if (*data_.of(held->page) != key + 1) [[unlikely]]
      broken();
    return true;
  }

 private:
  struct entry : Scheme::template enable_concurrent_ptr<entry> {
    entry(std::uint32_t a, std::uint32_t b) : key(a), page(b) {}
    std::uint32_t key, page;
  };
  using pointer = typename Scheme::template concurrent_ptr<entry>;
  using guard = typename pointer::guard_ptr;

  [[nodiscard]] BENCH_INLINE static std::size_t slot_of(std::uint32_t key) noexcept {
    return key * std::size_t{0x9e3779b1} % Frames;
  }

  const page_data& data_;
  std::unique_ptr<pointer[]> slots_;
};

template <std::size_t N>
using hazard_pointer_table = guarded_table<xenium::reclamation::hazard_pointer<>, N>;
template <std::size_t N>
using epoch_table = guarded_table<xenium::reclamation::epoch_based<>, N>;
#endif

#ifdef BENCH_ROCKSDB
/// Look-up by a key of 16 bytes, and release. Evicts by itself.
template <class Make, std::size_t Frames, std::size_t Capacity>
class rocksdb_cache {
 public:
  static constexpr bool sleeps = Make::sleeps;

  explicit rocksdb_cache(const page_data& data) : data_(data) {
    for (std::uint32_t key = 0; key != Frames; ++key) insert(key);
  }

  [[nodiscard]] BENCH_INLINE bool read(std::uint32_t key) noexcept {
    const auto name = name_of(key);
    rocksdb::Cache::Handle* const held = cache_->Lookup({name.data(), name.size()});
    if (held == nullptr) [[unlikely]]
      return false;
    if (*static_cast<const std::uint64_t*>(cache_->Value(held)) != key % Frames + 1) [[unlikely]]
      broken();
    cache_->Release(held);
    return true;
  }
  [[nodiscard]] static bool read_marked(std::uint32_t) noexcept { return false; }
  void bring(std::uint32_t key, std::uint32_t&) noexcept { insert(key); }

 private:
  [[nodiscard]] BENCH_INLINE static std::array<char, 16> name_of(std::uint32_t key) noexcept {
    std::array<char, 16> name{};
    std::memcpy(name.data(), &key, sizeof key);
    return name;
  }
  // The pages stand still, so those of keys that are brought in are shared.
  void insert(std::uint32_t key) {
    const auto name = name_of(key);
    std::uint64_t* const page = data_.of(key % Frames);
    std::atomic_ref<std::uint64_t>(*page).store(key % Frames + 1, std::memory_order_relaxed);
    if (!cache_->Insert({name.data(), name.size()}, page, 1, [](const rocksdb::Slice&, void*) {}).ok()) broken();
  }

  const page_data& data_;
  std::shared_ptr<rocksdb::Cache> cache_ = Make{}(Capacity);
};

/// Caches of n entries, whose own memory is not counted.
struct make_hyper_clock {
  static constexpr bool sleeps = false;
  auto operator()(std::size_t n) const {
    rocksdb::HyperClockCacheOptions how(n, 1);
    how.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return how.MakeSharedCache();
  }
};
struct make_lru {
  static constexpr bool sleeps = true;  // behind a mutex
  auto operator()(std::size_t n) const {
    rocksdb::LRUCacheOptions how;
    how.capacity = n;
    how.metadata_charge_policy = rocksdb::kDontChargeCacheMetadata;
    return rocksdb::NewLRUCache(how);
  }
};
// Their parts fill up unevenly: with a quarter more nothing is evicted.
template <std::size_t N>
using hyper_clock_cache = rocksdb_cache<make_hyper_clock, N, N + N / 4>;
template <std::size_t N>
using lru_cache = rocksdb_cache<make_lru, N, N + N / 4>;
template <std::size_t N>
using full_hyper_clock_cache = rocksdb_cache<make_hyper_clock, N, N>;
template <std::size_t N>
using full_lru_cache = rocksdb_cache<make_lru, N, N>;
#endif

}  // namespace bench
