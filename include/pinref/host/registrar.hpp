// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// registrar: registers and deregisters the regions of a cache by its backend, within its budget.
///
/// It has the cache's lock, and lets go of it whenever it calls the backend or sleeps. What may have changed meanwhile
/// the caller looks at again; a region that is pending or ending says so to all others.
///
/// When not to use it: from a host. `registration_cache` is the interface.
///
/// Example:
///
///     pinref::detail::registrar<domain, 64, pinref::std_sync> regions{nic, {}};
///     const decltype(regions)::guard locked{regions};
///     if (regions.enter({first, last, access}, regions.new_pass()) != pinref::gup_error::none)
///       return give_up("cannot be registered");
///     while (regions.evict(regions.new_pass())) std::puts("deregistered");
///
/// Errors: of `enter` those of the backend, or limit_exceeded if the budget has no room and nothing can be evicted. A
/// region that the backend does not deregister is tried again by the next call that may block.
/// Memory order: the lock's.
/// Progress: blocks where the backend does.
/// Source: UCX ucs_rcache_get(), libfabric ofi_mr_cache_search().

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/gup/gup_result.hpp"
#include "pinref/host/region_set.hpp"
#include "pinref/host/registration_backend.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/lockable.hpp"
#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/waiting.hpp"

namespace pinref::inline v0_1::detail {

template <class Backend, std::size_t Max, class Sync>
class registrar : public region_set<typename Backend::handle, Max, Sync> {
 public:
  static_assert(registration_backend<Backend>, "pinref: a Backend must be as registration_backend asks");
  using base = region_set<typename Backend::handle, Max, Sync>;
  using typename base::region;
  using typename base::stage;

  registrar(Backend& backend, const registration_budget& budget) noexcept : backend_(backend), budget_(budget) {}

  struct guard : lock_guard<sleeping_lock<Sync>> {
    explicit guard(registrar& of) noexcept : lock_guard<sleeping_lock<Sync>>(of.lock_) {}
  };

  // Under the lock, which all of these let go of and take again.

  /// Is there room for one region more?
  [[nodiscard]] bool has_room() const noexcept {
    return this->free_ != nullptr && this->counts_.regions < budget_.regions;
  }

  /// Registers a range, widened by what it overlaps if that can be had, and publishes the region, which need not be
  /// there any more when the caller looks. Precondition: has_room(), and nothing overlaps the range that is pending.
  [[nodiscard]] gup_error enter(const region_bounds& asked, std::uint64_t pass) noexcept {
    region& fresh = this->begin();
    region_bounds tried = this->widened(asked);
    if (tried.length() - 1 >= budget_.bytes) tried = asked;
    for (;;) {
      this->set_bounds(fresh, tried);
      gup_error reason = gup_error::limit_exceeded;
      if (make_room(tried.length(), pass)) {
        reason = ask_backend(fresh);
        if (reason == gup_error::none) {
          this->publish(fresh);
          changed();
          return reason;
        }
        if ((reason == gup_error::no_memory || reason == gup_error::limit_exceeded) && evict(pass)) continue;
      }
      if (tried == asked) {
        this->drop_pending(fresh);
        changed();
        return reason;
      }
      tried = asked;
    }
  }

  /// Deregisters every region that has left and that nobody holds.
  void end_idle() noexcept {
    const std::uint64_t pass = new_pass();
    while (region* const each = this->idle_leaving(pass)) end(*each, pass);
  }
  /// Deregisters one that nobody holds, if need be one that is found. False if there is none that this pass has not
  /// tried.
  [[nodiscard]] bool evict(std::uint64_t pass) noexcept {
    region* victim = this->idle_leaving(pass);
    if (victim == nullptr) victim = this->evict_idle();
    if (victim != nullptr) end(*victim, pass);
    return victim != nullptr;
  }
  /// A number for the tries of one call.
  [[nodiscard]] std::uint64_t new_pass() noexcept { return ++pass_; }

  /// Sleeps until a region is registered or has ended, or for a moment: what the backend has refused is tried again.
  template <class Canceller>
  [[nodiscard]] wait_result sleep(const deadline& until, const Canceller& stop) noexcept {
    detail::waiter<Sync, Canceller> self(until, stop);
    wait_ticket<Sync> ticket;
    ticket.add(Sync::futex_of(changes_, 0, changes_.load(std::memory_order_relaxed)));
    ticket.look_again = poll_interval;
    ++sleepers_;
    lock_.unlock();
    const wait_result over = self.sleep(ticket);
    lock_.lock();
    --sleepers_;
    return over;
  }
  /// Sleeps until a region that is leaving, or ending, is held by nobody.
  template <class Canceller>
  [[nodiscard]] wait_result sleep_on(region& held, const deadline& until, const Canceller& stop) noexcept {
    ++held.waiters_;
    lock_.unlock();
    const wait_result over = held.ref.wait_until_idle(1, until, stop);
    lock_.lock();
    if (--held.waiters_ == 0 && held.stage_ == stage::awaited) this->recycle(held);
    return over;
  }

 private:
  [[nodiscard]] bool make_room(std::size_t bytes, std::uint64_t pass) noexcept {
    if (bytes > budget_.bytes) return false;
    while (this->counts_.bytes > budget_.bytes - bytes)
      if (!evict(pass)) return false;
    return true;
  }
  [[nodiscard]] gup_error ask_backend(region& fresh) noexcept {
    const std::size_t bytes = fresh.length();
    this->counts_.bytes += bytes;
    lock_.unlock();
    const gup_error reason = backend_.register_memory(fresh.first(), bytes, fresh.access(), fresh.handle());
    lock_.lock();
    if (reason != gup_error::none) this->counts_.bytes -= bytes;
    ++(reason == gup_error::none ? this->counts_.registered : this->counts_.failed);
    return reason;
  }
  // Precondition: it is leaving, and frozen.
  void end(region& each, std::uint64_t pass) noexcept {
    each.stage_ = stage::ending;
    each.tried_ = pass;
    const std::size_t bytes = each.length();
    lock_.unlock();
    const bool ended = backend_.deregister(each.handle());
    lock_.lock();
    each.stage_ = stage::leaving;
    if (ended) {
      this->counts_.bytes -= bytes;
      this->drop_ended(each);
    }
    changed();
  }

  void changed() noexcept {
    if (sleepers_ == 0) return;
    // Relaxed: the lock orders it.
    changes_.fetch_add(1, std::memory_order_relaxed);
    Sync::wake_all(changes_);
  }

  Backend& backend_;
  const registration_budget budget_;
  sleeping_lock<Sync> lock_;
  typename Sync::template atomic<std::uint32_t> changes_{0};
  std::uint32_t sleepers_ = 0;
  std::uint64_t pass_ = 0;
};

}  // namespace pinref::inline v0_1::detail
