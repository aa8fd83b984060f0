// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// registration_cache: memory stays registered from one transfer to the next, and a hit takes no lock.
///
/// A registration of memory with a network card costs more than most transfers. The cache keeps it, in a
/// `registered_region`, and `pin` finds and holds it for one transfer: look the address up, pin the region, look again.
/// The cache's own reference keeps the registration, a pin is a transfer under way: neither eviction nor the end of the
/// memory takes a region from under a pin.
///
/// When not to use it: for buffers that are registered once at the start. Hold those by a `page_ref` of their own.
///
/// Example:
///
///     static pinref::registration_cache<domain> cache{nic, {.bytes = 1 << 30}};
///     const auto [region, reason] = cache.pin(address, length, access);
///     if (region == nullptr) return give_up(to_string(reason));
///     post(region->handle(), address, length);
///     (void)pinref::unpin_user_page(*region);                    // when the transfer is over, not before
///     // ... in the allocator, before it gives memory back:
///     if (cache.close(address, length) != pinref::gup_error::none) return keep_it(address, length);
///     unmap(address, length);
///     if (!cache.open(address, length)) give_up("was not closed");
///
/// Misses of one range register once. A range that overlaps others is registered with them, bounds and rights; the
/// regions it replaces live until their last pin. Beyond the budget, regions go that have no holder and were not
/// used lately; a registration that fails for want of memory is tried again after that. What can be ended only where it
/// may block ends in the next call that may. docs/rdma.md says when a transfer is over, and what has to say that memory
/// goes away.
///
/// Memory is the object's own: nothing is allocated. It must outlive the pins. Threads: any.
///
/// Errors: those of `pin_extents` and of the backend; `busy` of a range that is closed, or that `admit` refuses;
/// limit_exceeded if the budget or the room for regions is used up by regions in use; `dead` in a forked child.
/// Memory order: acquire on the region; the caller that closes a range sees what the holders of its regions did.
/// Progress: a hit is lock-free; a miss, `close` and `reap` block where the backend does; `tell` is lock-free.
/// Source: UCX ucs_rcache, libfabric ofi_mr_cache, Open MPI rcache; the closing is pinref's own.

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "pinref/fwd.hpp"
#include "pinref/gup/extent.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/host/closed_ranges.hpp"
#include "pinref/host/registered_region.hpp"
#include "pinref/host/registrar.hpp"
#include "pinref/host/registration_backend.hpp"
#include "pinref/page/page.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"

namespace pinref::inline v0_1 {

/// The `admit` of a pin that has none.
struct always_admitted {
  /// True.
  [[nodiscard]] constexpr bool operator()() const noexcept { return true; }
};

/// `MaxRegions` is the room for regions, leaving ones included, `MaxClosed` that for ranges closed at a time.
template <class Backend, std::size_t MaxRegions, class Sync, std::size_t MaxClosed>
class registration_cache {
  using registrar = detail::registrar<Backend, MaxRegions, Sync>;
  using guard = typename registrar::guard;

 public:
  /// What it hands out.
  using region = typename registrar::region;

  /// A region pinned for one transfer, or why there is none.
  struct [[nodiscard("the region stays pinned until it is unpinned")]] pinned {
    registered_region<typename Backend::handle, Sync>* region = nullptr;  ///< or null
    gup_error reason = gup_error::none;                                   ///< none if there is one
  };

  /// An empty cache. The backend must outlive it.
  explicit registration_cache(Backend& backend, const registration_budget& budget = {}) noexcept
      : backend_(backend), regions_(backend, budget) {}
  registration_cache(const registration_cache&) = delete;
  registration_cache& operator=(const registration_cache&) = delete;
  /// Deregisters everything. Precondition: nobody holds a region, and nobody uses the cache. May block.
  ~registration_cache() {
    const guard locked{regions_};
    regions_.invalidate(0, UINTPTR_MAX);
    regions_.end_idle();
  }

  /// The cache as a space of extents to one kind of request, for `pin_extents` and `get_extents`: each request lies in
  /// one region. It looks at `access`, not at foll::write.
  template <class Admit = always_admitted>
  class view {
   public:
    /// An object is a region.
    using page = typename registration_cache::region;
    /// Where a region was seen.
    struct extent {
      registered_region<typename Backend::handle, Sync>* page = nullptr;  ///< the region, or null
      std::uintptr_t first = 0;                                           ///< its first byte
      std::uintptr_t last = 0;                                            ///< its last byte, included
    };

    /// Requests for these rights.
    view(registration_cache& cache, unsigned access, Admit admit = {}) noexcept
        : cache_(cache), access_(access), admit_(admit) {}

    /// A whole number of bytes, rounded out.
    [[nodiscard]] static bool contains(std::uintptr_t first, std::uintptr_t last) noexcept {
      return (last | low_bits) - (first & ~low_bits) != UINTPTR_MAX;
    }
    /// See extent_space.
    [[nodiscard]] PINREF_FAST_PATH extent lookup(const extent_request& want) noexcept {
      page* const found = cache_.regions_.find(want.first, want.last, access_);
      return found == nullptr ? extent{} : extent{found, found->first(), found->last()};
    }
    /// The second look, at the region and at the caller's own question.
    [[nodiscard]] PINREF_FAST_PATH bool recheck(const extent_request& want, const extent& seen) noexcept {
      if (seen.page->first() != seen.first || !registrar::serves(*seen.page, want.first, want.last, access_) ||
          !admit_())
        return false;
      registrar::use(*seen.page);
      return true;
    }
    /// Registers the range. May block.
    template <class Use>
    [[nodiscard]] gup_error fault_in(const extent_request& want, Use use) noexcept {
      return cache_.find_or_register(want.first, want.last, access_, [&](page& found) noexcept {
        const extent seen{&found, found.first(), found.last()};
        const gup_error reason = use(seen);
        return reason == gup_error::none && !recheck(want, seen) ? gup_error::busy : reason;
      });
    }

   private:
    registration_cache& cache_;
    unsigned access_;
    [[no_unique_address]] Admit admit_;
  };

  /// Pins the region of these bytes, registering them if need be, for a transfer with these rights. The region stays as
  /// it is until it is unpinned. Flags: foll::fast_only takes a hit or nothing, and blocks nowhere. `admit()`,
  /// noexcept, is asked after the take, perhaps more than once: a flag that says "no new transfers" belongs there, not
  /// before.
  template <class Admit = always_admitted>
  PINREF_FAST_PATH pinned pin(std::uintptr_t start, std::size_t length, unsigned access, foll flags = foll::none,
                              Admit admit = {}) noexcept {
    static_assert(noexcept(admit()), "pinref: the admit() of a pin must be noexcept");
    view<Admit> space{*this, access, admit};
    region* held = nullptr;
    extent_part<typename view<Admit>::extent> part;
    const gup_result done = pinref::pin_extents(space, start, length, flags, std::span{&held, 1}, std::span{&part, 1});
    return {done.ok() ? held : nullptr, done.reason};
  }

  /// Takes a range of memory from the cache: afterwards nothing in it is registered, and nothing will be until `open`.
  /// Without a deadline: `busy`, and nothing has changed, if a region in the range is held or being registered. With
  /// one, waits until nobody holds any, while no new transfer begins; `busy` if it passes, `interrupted` if `stop` is
  /// cancelled: the range is open again. Of two that close bytes in common the second is told `busy` at once.
  /// limit_exceeded if too many ranges are closed. May block. Precondition: not under a lock that a transfer needs to
  /// end.
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard("memory that is not closed may be in use")]] gup_error close(std::uintptr_t start, std::size_t length,
                                                                           const deadline& until = deadline::passed(),
                                                                           const Canceller& stop = {}) noexcept {
    if (length == 0) return gup_error::no_pages;
    if (length - 1 > UINTPTR_MAX - start) return gup_error::address_overflow;
    const std::uintptr_t last = start + (length - 1);
    const guard locked{regions_};
    if (closed_.overlap(start, last)) return gup_error::busy;
    if (!closed_.add(start, last)) return gup_error::limit_exceeded;
    regions_.drain();
    const gup_error reason = empty_range(start, last, until, stop);
    if (reason != gup_error::none) (void)closed_.remove(start, last);
    return reason;
  }
  /// Gives a closed range back, when its new owner is done with it or the memory is another. False if this very range
  /// is not closed.
  [[nodiscard("a range that was not closed is somebody else's")]] bool open(std::uintptr_t start,
                                                                            std::size_t length) noexcept {
    const guard locked{regions_};
    return closed_.remove(start, start + (length - 1));
  }

  /// Says that memory is about to go, used or not: no transfer begins in it any more, those under way go on, and
  /// regions end when they have no holder, in a call that may block. For a hook inside free or munmap, on any thread,
  /// also on one that is inside the backend: nothing is allocated, and nothing waits. Lock-free.
  void tell(std::uintptr_t start, std::size_t length) noexcept {
    if (length == 0) return;
    regions_.tell(start, length - 1 > UINTPTR_MAX - start ? UINTPTR_MAX : start + (length - 1));
  }

  /// Deregisters what has left and is held no more. May block.
  void reap() noexcept {
    const guard locked{regions_};
    regions_.drain();
    regions_.end_idle();
  }

  /// In a forked child, before anything else: the handles belong to the parent. The cache is empty, deregisters
  /// nothing, and says `dead`; pins that were inherited are gone, and their release says underflow.
  void forget_in_child() noexcept {
    // Not destroyed: a handle might end its registration.
    ::new (static_cast<void*>(&regions_)) registrar(backend_, registration_budget{});
    closed_ = {};
    forgotten_ = true;
  }

  /// What it has, and has done. May block.
  [[nodiscard]] registration_counts counts() noexcept {
    const guard locked{regions_};
    return regions_.counts();
  }

 private:
  static constexpr std::uintptr_t low_bits = Backend::granule - 1;
  /// How often memory may go while it is registered before a call gives up.
  static constexpr unsigned max_tries = 64;

  // Calls `use` on the region under the lock, where it cannot be evicted.
  template <class Use>
  [[nodiscard]] PINREF_SLOW_PATH gup_error find_or_register(std::uintptr_t first, std::uintptr_t last, unsigned access,
                                                            Use use) noexcept {
    const std::uintptr_t from = first & ~low_bits, to = last | low_bits;
    const guard locked{regions_};
    const std::uint64_t pass = regions_.new_pass();
    for (unsigned tries = 0; tries != max_tries;) {
      // Whenever the lock was let go of, all of this may have changed.
      regions_.drain();
      if (forgotten_) return gup_error::dead;
      if (closed_.overlap(from, to)) return gup_error::busy;
      if (region* const found = regions_.find_in_index(first, last, access)) {
        if (registrar::serves(*found, first, last, access)) {
          const gup_error reason = use(*found);
          regions_.end_idle();
          return reason;
        }
        // Closed by a hook that meant an earlier region in its place, or that will be heard next time.
        regions_.invalidate(found->first(), found->last());
      }
      if (regions_.pending_in(from, to) != nullptr) {
        (void)regions_.sleep(deadline::never(), never_cancelled{});
      } else if (!regions_.has_room()) {
        if (!regions_.evict(pass)) return gup_error::limit_exceeded;
      } else if (const gup_error reason = regions_.enter({from, to, access}, pass); reason != gup_error::none) {
        return reason;
      } else {
        ++tries;
      }
    }
    return gup_error::busy;
  }

  template <class Canceller>
  [[nodiscard]] gup_error empty_range(std::uintptr_t first, std::uintptr_t last, const deadline& until,
                                      const Canceller& stop) noexcept {
    wait_result over = wait_result::timed_out;
    if (!until.is_passed()) {
      over = wait_result::reached;
      regions_.invalidate(first, last);
    } else if (!regions_.invalidate_idle(first, last)) {
      return gup_error::busy;
    }
    for (;;) {
      regions_.end_idle();
      region* const leaving = regions_.leaving_in(first, last);
      if (leaving == nullptr && regions_.pending_in(first, last) == nullptr) return gup_error::none;
      if (over == wait_result::timed_out) return gup_error::busy;
      if (over == wait_result::given_up) return gup_error::interrupted;
      over = leaving != nullptr && !regions_.is_idle(*leaving) ? regions_.sleep_on(*leaving, until, stop)
                                                               : regions_.sleep(until, stop);
    }
  }

  Backend& backend_;
  registrar regions_;
  detail::closed_ranges<MaxClosed> closed_;
  bool forgotten_ = false;
};

}  // namespace pinref::inline v0_1
