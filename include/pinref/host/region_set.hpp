// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// region_set: the regions of a registration cache: which are found by address, and which have left.
///
/// A region is free; pending, while it is registered; indexed, while it is found by address; leaving, when it is found
/// no more but may be held; ending, while it is deregistered. One that is closed is in no new transfer's way: it leaves
/// as soon as somebody has the lock.
///
/// When not to use it: from a host. `registration_cache` is the interface.
///
/// Example:
///
///     pinref::detail::registrar<domain, 64, pinref::std_sync> set{nic, {}};
///     if (auto* const found = set.find(first, last, access); found != nullptr) {
///       if (pinref::try_pin_page(*found) != pinref::take_result::taken) return try_again_later();
///       if (!set.serves(*found, first, last, access)) give_up("its memory went meanwhile");   // the second look
///       (void)pinref::unpin_user_page(*found);
///     }
///     set.tell(first, last);                                     // in a hook of munmap
///
/// Errors: none.
/// Memory order: a region that is taken is seen as it was published. After `tell`, a taker of a region in the range
/// finds that it does not serve.
/// Progress: `find`, `serves`, `use` and `tell` are lock-free; everything else is under the cache's lock, and waits for
/// nothing.
/// Source: UCX ucs_rcache_t and libfabric ofi_mr_cache, with their lists of regions that are in use but not found.

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "pinref/host/range_queue.hpp"
#include "pinref/host/region_index.hpp"
#include "pinref/host/registered_region.hpp"
#include "pinref/host/registration_backend.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1::detail {

template <class Handle, std::size_t Max, class Sync>
class region_set {
 public:
  using region = registered_region<Handle, Sync>;
  using stage = region_stage;
  static_assert(Max != 0 && Max < UINT32_MAX);

  region_set() noexcept {
    for (std::size_t i = Max; i-- != 0;) push(free_, regions_[i]);
  }
  region_set(const region_set&) = delete;
  region_set& operator=(const region_set&) = delete;

  // Without the lock.

  /// The region that these bytes lie in, if it allows the access. It may be stale.
  [[nodiscard]] PINREF_FAST_PATH region* find(std::uintptr_t first, std::uintptr_t last, unsigned access) noexcept {
    // The same address is likely to be asked for again.
    region& guess = regions_[hint(first).load(std::memory_order_relaxed)];
    return serves(guess, first, last, access) ? &guess : find_in_index(first, last, access);
  }
  /// As find, without a guess: what is not found so is not there, if the caller has the lock.
  [[nodiscard]] PINREF_SLOW_PATH region* find_in_index(std::uintptr_t first, std::uintptr_t last,
                                                       unsigned access) noexcept {
    const std::uint32_t i = index_.find(first);
    if (i == index_.none || !covers(regions_[i], first, last, access)) return nullptr;
    hint(first).store(i, std::memory_order_relaxed);
    return &regions_[i];
  }
  /// The second look, at a region that the caller has taken: may a transfer begin?
  [[nodiscard]] PINREF_FAST_PATH static bool serves(const region& held, std::uintptr_t first, std::uintptr_t last,
                                                    unsigned access) noexcept {
    return held.ref.host_bits() == 0 && covers(held, first, last, access);
  }
  /// Keeps the evictor off. Written only once between two of its visits: the line is that of all holders.
  PINREF_FAST_PATH static void use(region& held) noexcept {
    if (held.used_.load(std::memory_order_relaxed) == 0) held.used_.store(1, std::memory_order_relaxed);
  }
  /// Memory is about to go: no transfer begins in it from now on.
  void tell(std::uintptr_t first, std::uintptr_t last) noexcept {
    told_.push(first, last);
    // A thread that publishes a region too late to be seen here drains afterwards, and finds the range.
    index_.for_each_in(first, last, [this](std::uint32_t i) noexcept { close(regions_[i]); });
  }

  // Under the lock.

  /// Does what was told.
  void drain() noexcept {
    told_.drain([this](std::uintptr_t first, std::uintptr_t last) noexcept { invalidate(first, last); });
  }
  /// Regions in the range leave; pending ones will, once they are registered.
  void invalidate(std::uintptr_t first, std::uintptr_t last) noexcept {
    for (region* each = pending_; each != nullptr; each = each->next_)
      if (overlaps(*each, first, last)) each->stale_ = true;
    counts_.invalidated += retire(first, last);
  }
  /// The same if nobody holds any of them, or is about to; else nothing changes.
  [[nodiscard]] bool invalidate_idle(std::uintptr_t first, std::uintptr_t last) noexcept {
    if (pending_in(first, last) != nullptr) return false;
    for (region* each = leaving_; each != nullptr; each = each->next_)
      if (overlaps(*each, first, last) && (each->stage_ == stage::ending || !freeze(*each))) return false;
    bool idle = true;
    index_.for_each_in(first, last, [&](std::uint32_t i) noexcept { idle = idle && freeze(regions_[i]); });
    if (idle)
      counts_.invalidated += retire(first, last);
    else
      index_.for_each_in(first, last, [&](std::uint32_t i) noexcept { thaw(regions_[i]); });
    return idle;
  }

  /// A region with a byte in the range that is being registered; or one that is found no more but has not ended.
  [[nodiscard]] region* pending_in(std::uintptr_t first, std::uintptr_t last) noexcept {
    return first_in(pending_, first, last);
  }
  [[nodiscard]] region* leaving_in(std::uintptr_t first, std::uintptr_t last) noexcept {
    return first_in(leaving_, first, last);
  }

  /// Does nobody hold it any more, though the backend has not deregistered it?
  [[nodiscard]] static bool is_idle(const region& each) noexcept { return each.frozen_; }

  /// A range and rights, widened to those of every region that the range overlaps.
  [[nodiscard]] region_bounds widened(const region_bounds& asked) const noexcept {
    region_bounds wide = asked;
    index_.for_each_in(asked.first, asked.last, [&](std::uint32_t i) noexcept {
      const region& each = regions_[i];
      if (each.ref.host_bits() != 0) return;
      if (each.first() < wide.first) wide.first = each.first();
      if (each.last() > wide.last) wide.last = each.last();
      wide.access |= each.access();
    });
    return wide;
  }

  [[nodiscard]] const registration_counts& counts() const noexcept { return counts_; }

 protected:
  /// Claims a region for good that only the cache holds.
  [[nodiscard]] static bool freeze(region& each) noexcept {
    each.frozen_ = each.frozen_ || each.ref.freeze(1);
    return each.frozen_;
  }

  /// A pending region. Precondition: one is free.
  [[nodiscard]] region& begin() noexcept {
    region& fresh = *free_;
    free_ = fresh.next_;
    fresh.stage_ = stage::pending;
    fresh.stale_ = fresh.frozen_ = false;
    fresh.ref.clear_host_bits(region::closed);
    push(pending_, fresh);
    ++counts_.regions;
    return fresh;
  }
  static void set_bounds(region& fresh, const region_bounds& to) noexcept {
    fresh.first_.store(to.first, std::memory_order_relaxed);
    fresh.last_.store(to.last, std::memory_order_relaxed);
    fresh.access_.store(to.access, std::memory_order_relaxed);
  }
  /// A pending region is found from now on, instead of all that it overlaps; or leaves at once, if it is stale.
  void publish(region& fresh) noexcept {
    unlink(pending_, fresh);
    if (fresh.stale_) {
      leave(fresh);
    } else {
      fresh.stage_ = stage::indexed;
      use(fresh);
      counts_.merged += retire(fresh.first(), fresh.last(), &fresh);
      // What was told before this drain is heard here; a later tell finds the region.
      drain();
    }
    // Last: nobody takes it before it is closed, or known to be good.
    fresh.ref.init(1);
  }
  /// A pending region that is not registered, or one that has ended.
  void drop_pending(region& fresh) noexcept {
    unlink(pending_, fresh);
    recycle(fresh);
  }
  void drop_ended(region& each) noexcept {
    unlink(leaving_, each);
    each.ref.bury();
    each.stage_ = stage::awaited;
    if (each.waiters_ == 0) recycle(each);
  }
  void recycle(region& each) noexcept {
    each.stage_ = stage::free;
    push(free_, each);
    --counts_.regions;
  }

  /// One that has left and is now frozen, and that this pass has not tried to end yet; or null.
  [[nodiscard]] region* idle_leaving(std::uint64_t pass) noexcept {
    for (region* each = leaving_; each != nullptr; each = each->next_)
      if (each->stage_ == stage::leaving && each->tried_ < pass && freeze(*each)) return each;
    return nullptr;
  }
  /// One that nobody holds, and that was not used since the last time round, leaves, frozen; or null.
  [[nodiscard]] region* evict_idle() noexcept {
    for (std::size_t i = 0; i != 2 * Max; ++i) {
      region& each = regions_[hand_];
      hand_ = (hand_ + 1) % Max;
      if (each.stage_ != stage::indexed) continue;
      if (each.used_.load(std::memory_order_relaxed) != 0) {
        each.used_.store(0, std::memory_order_relaxed);
      } else if (freeze(each)) {
        leave(each);
        index_.change(has_left());
        ++counts_.evicted;
        return &each;
      }
    }
    return nullptr;
  }

  region* free_ = nullptr;
  registration_counts counts_;

 private:
  template <class T>
  using atomic = typename Sync::template atomic<T>;

  /// Where the number of the region is kept in which an address was found the last time, or any other number.
  [[nodiscard]] PINREF_FAST_PATH atomic<std::uint32_t>& hint(std::uintptr_t address) noexcept {
    const std::uint64_t mixed = std::uint64_t{address >> 12} * 0x9e3779b97f4a7c15u;
    return hints_[static_cast<std::size_t>(mixed >> (64 - hint_bits))];
  }
  [[nodiscard]] PINREF_FAST_PATH static bool covers(const region& each, std::uintptr_t first, std::uintptr_t last,
                                                    unsigned access) noexcept {
    return each.first() <= first && last <= each.last() && (each.access() & access) == access;
  }
  [[nodiscard]] static bool overlaps(const region& each, std::uintptr_t first, std::uintptr_t last) noexcept {
    return each.first() <= last && first <= each.last();
  }

  static void close(region& each) noexcept { each.ref.set_host_bits(region::closed); }
  static void thaw(region& each) noexcept {
    if (each.frozen_) each.ref.unfreeze(1);
    each.frozen_ = false;
  }

  // The caller takes it out of the index.
  void leave(region& each) noexcept {
    close(each);
    each.stage_ = stage::leaving;
    push(leaving_, each);
  }
  // Whatever overlaps the range leaves, for another region if there is one.
  std::size_t retire(std::uintptr_t first, std::uintptr_t last, const region* instead = nullptr) noexcept {
    std::size_t n = 0;
    index_.for_each_in(first, last, [&](std::uint32_t i) noexcept {
      leave(regions_[i]);
      ++n;
    });
    if (instead != nullptr)
      index_.change(has_left(), {instead->first(), instead->last(), static_cast<std::uint32_t>(instead - regions_)});
    else if (n != 0)
      index_.change(has_left());
    return n;
  }
  [[nodiscard]] auto has_left() const noexcept {
    return [this](std::uint32_t i) noexcept { return regions_[i].stage_ != stage::indexed; };
  }

  static void push(region*& list, region& each) noexcept {
    each.next_ = list;
    list = &each;
  }
  static void unlink(region*& list, const region& each) noexcept {
    region** at = &list;
    while (*at != &each) at = &(*at)->next_;
    *at = each.next_;
  }
  [[nodiscard]] static region* first_in(region* list, std::uintptr_t first, std::uintptr_t last) noexcept {
    while (list != nullptr && !overlaps(*list, first, last)) list = list->next_;
    return list;
  }

  static constexpr unsigned hint_bits = std::bit_width(4 * Max - 1);

  atomic<std::uint32_t> hints_[std::size_t{1} << hint_bits] = {};
  region_index<Max, Sync> index_;
  range_queue<(Max < 64 ? Max : 64), Sync> told_;
  region regions_[Max];
  region* pending_ = nullptr;
  region* leaving_ = nullptr;
  std::size_t hand_ = 0;
};

}  // namespace pinref::inline v0_1::detail
