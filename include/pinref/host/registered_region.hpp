// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// registered_region: one registration of memory, and who holds it.
///
/// A reference keeps the registration; a pin is a transfer under way. The cache that made the region holds one
/// reference and gives it up only by claiming the region, so no release by anybody else is the last.
///
/// When not to use it: on its own. A `registration_cache` hands it out, pinned.
///
/// Example:
///
///     const auto [region, reason] = cache.pin(address, length, access);
///     if (region == nullptr) return give_up(to_string(reason));
///     post(region->handle(), address - region->first(), length);
///     // ... when the transfer is over:
///     (void)pinref::unpin_user_page(*region);
///
/// Bounds, access and handle do not change as long as the region is held. Regions are type-stable: a caller
/// with a stale address of one may look, and try.
///
/// Errors: none.
/// Memory order: a holder of the region sees what the backend wrote.
/// Progress: wait-free.
/// Source: UCX ucs_rcache_region_t.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/page/page_members.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// Where a region stands in its cache.
enum class region_stage : unsigned char {
  free,     ///< nothing is registered
  pending,  ///< being registered; nobody finds it yet
  indexed,  ///< found by address
  leaving,  ///< not found any more; ends as soon as nobody holds it
  ending,   ///< being deregistered
  awaited,  ///< deregistered; a thread that slept on it has not looked yet
};

/// What a region is, or is to be. Both ends are included.
struct region_bounds {
  std::uintptr_t first, last;
  unsigned access;

  [[nodiscard]] std::size_t length() const noexcept { return static_cast<std::size_t>(last - first) + 1; }
  friend bool operator==(const region_bounds&, const region_bounds&) noexcept = default;
};

template <class Handle, std::size_t Max, class Sync>
class region_set;
template <class Backend, std::size_t Max, class Sync>
class registrar;

}  // namespace detail

/// A registration with a handle of the backend's.
template <class Handle, class Sync>
class alignas(64) registered_region {
 public:
  /// Where its atomics come from.
  using sync = Sync;
  /// Of its word: one bit is the cache's.
  using layout = bias_layout<std::uint64_t, 32, 511, 1>;

  /// Holders, and one bit for the cache: `closed`.
  page_ref<layout, Sync> ref;
  /// Set: no transfer may begin, though some may still go on.
  static constexpr std::uint64_t closed = 1;

  /// The first byte.
  [[nodiscard]] std::uintptr_t first() const noexcept { return first_.load(std::memory_order_relaxed); }
  /// The last byte, included.
  [[nodiscard]] std::uintptr_t last() const noexcept { return last_.load(std::memory_order_relaxed); }
  /// Its bytes.
  [[nodiscard]] std::size_t length() const noexcept { return static_cast<std::size_t>(last() - first()) + 1; }
  /// What it was registered for, in the backend's own bits.
  [[nodiscard]] unsigned access() const noexcept { return access_.load(std::memory_order_relaxed); }
  /// What the backend made of it.
  [[nodiscard]] Handle& handle() noexcept { return handle_; }

  /// No release is the last: see above.
  void free_page() noexcept {}

 private:
  template <class OfHandle, std::size_t Max, class OfSync>
  friend class detail::region_set;
  template <class Backend, std::size_t Max, class OfSync>
  friend class detail::registrar;
  template <class T>
  using atomic = typename Sync::template atomic<T>;

  // Also read by callers that have not taken it yet, and look again afterwards.
  atomic<std::uintptr_t> first_{0};
  atomic<std::uintptr_t> last_{0};
  atomic<unsigned> access_{0};
  atomic<unsigned> used_{0};  // since the evictor came by
  Handle handle_{};

  // Under the cache's lock.
  registered_region* next_ = nullptr;
  std::uint64_t tried_ = 0;    // the last pass that tried to end it
  std::uint32_t waiters_ = 0;  // that sleep until nobody else holds it
  detail::region_stage stage_ = detail::region_stage::free;
  bool frozen_ = false;  // leaving, and nobody holds it
  bool stale_ = false;   // pending, and the memory has gone meanwhile
};

}  // namespace pinref::inline v0_1
