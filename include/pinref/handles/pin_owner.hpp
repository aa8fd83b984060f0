// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// pin_owner: counts and limits the pins of one owner, and can release all of them.
///
/// An owner is a file, a queue pair, a connection, a tenant. It has a limit in pages, as RLIMIT_MEMLOCK limits a
/// process; a count of the pages it has pinned; and all its requests, so that what it still holds can be released when
/// it goes away. A request is a `pin_request`, of the header of that name: one pinned range and the place it is queued
/// in. Nothing is allocated.
///
/// A completion handler that may not block releases with `unpin_dirty_deferred`: pages whose lock is taken stay pinned
/// until a thread that may block calls `drain`.
///
/// When not to use it: for pins that live and die in one function. `pinned_range` needs no owner, and plain calls pay
/// nothing for owners.
///
/// Example:
///
///     pinref::pin_owner<frame, std::mutex> connection{1024};     // at most 1024 pages at a time
///     frame* pages[16];                                          // outlives the request
///     pinref::pin_request request{connection};
///     const auto done = request.pin_user_pages_fast(space, start, pinref::foll::write, pages);
///     if (!done.ok()) give_up(to_string(done.reason));           // limit_exceeded, say; done.count pages are pinned
///     // ... on completion, in a context that may not block:
///     if (!request.unpin_dirty_deferred().ok()) give_up("what the device wrote may be lost");
///     // ... later, where it may:
///     if (!connection.drain().ok()) give_up("what the device wrote may be lost");
///
/// Threads: any may call an owner. A request is used by one thread at a time, except that the owner may release it at
/// any moment: of a release by the request and one by the owner exactly one does the work.
///
/// `Lock` is any basic_lockable of the host; it guards the list of requests. Nothing of the host's runs under it, and
/// no thread sleeps under it: pages are locked, marked and freed outside, one request at a time. So a thread that has a
/// page locked, even a page that a drain sleeps on, may make requests and end them, except those that hold this page.
///
/// Errors: limit_exceeded of a request; a release says underflow or dirty_refused.
/// Memory order: as the calls without an owner; besides, a call that pins with a request comes after the owner's
/// release of it. Counts give no order.
/// Progress: takes `Lock` for a few instructions; the dirty releases wait for page locks.
/// Source: the vaddr_pin proposal for Linux (pins tied to a file), RLIMIT_MEMLOCK, bio_check_pages_dirty().

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/gup/release.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/lockable.hpp"

namespace pinref::inline v0_1 {

template <host_page Page, class Lock>
class pin_request;

/// The owner that pins are counted against. Must outlive its requests.
template <host_page Page, class Lock>
class pin_owner {
  static_assert(basic_lockable<Lock>,
                "pinref: the Lock of a pin_owner must be as basic_lockable asks: lock and unlock");

 public:
  /// The limit of an owner that has none.
  static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

  /// An owner without requests, that may have `limit` pages pinned at a time. Each request counts all its pages, also
  /// pages that are pinned by another request already.
  explicit pin_owner(std::size_t limit = no_limit) noexcept : limit_(limit) {}
  pin_owner(const pin_owner&) = delete;
  pin_owner& operator=(const pin_owner&) = delete;

  /// Pages it may have pinned at a time.
  [[nodiscard]] std::size_t limit() const noexcept { return limit_; }
  /// Pages it has pinned, or is about to, at some instant: never more than the limit.
  [[nodiscard]] std::size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

  /// Releases every pin the owner still holds, but for what was put off. The count is in pages; `underflow` if a
  /// request held fewer pins than it took. A request that its own thread, or another caller of the owner, is pinning or
  /// releasing at this moment is left to that thread. So before an owner goes away stop new requests, and see by live()
  /// when the last of them is gone. May block where the host's free_page does. Time: one step for each request.
  gup_result unpin_all() noexcept {
    gup_result all;
    release_each(held, &request::drop, all);
    return all;
  }

  /// As unpin_all, marked dirty first, and then what was put off. May block, on page locks. Precondition: the caller
  /// has none of these pages locked.
  gup_result unpin_all_dirty_lock() noexcept {
    gup_result all;
    release_each(held, &request::drop_dirty, all);
    release_deferred(all);
    return all;
  }

  /// Releases, marked dirty, what unpin_dirty_deferred has put off; what another caller is releasing at this moment is
  /// left to them. The result is as that of unpin_user_pages_dirty_lock; if nothing was put off, it is one load.
  /// Blocking, precondition and time as above. Linux: bio_dirty_fn().
  gup_result drain() noexcept {
    gup_result all;
    release_deferred(all);
    return all;
  }

 private:
  friend class pin_request<Page, Lock>;
  using sync = typename detail::ref_of<Page>::sync;
  template <class T>
  using atomic = typename sync::template atomic<T>;

  using guard = detail::lock_guard<Lock>;

  // States of a request. One that is claimed belongs to the claimant, with its pages and their count.
  static constexpr std::uint32_t empty = 0;     // no pins
  static constexpr std::uint32_t held = 1;      // pins, and no release is under way
  static constexpr std::uint32_t deferred = 2;  // pins that wait for a drain
  static constexpr std::uint32_t claimed = 3;   // a thread is pinning or releasing
  static constexpr std::uint32_t awaited = 4;   // claimed by the owner, and the destructor sleeps until it is not

  // What a pin_request and its owner share: its place in the owner's list, its pins, and who may touch them.
  struct request {
    explicit request(pin_owner& of) noexcept : owner(of) {
      const guard locked{owner.lock_};
      next = owner.requests_;
      if (next != nullptr) next->previous = this;
      owner.requests_ = this;
    }
    request(const request&) = delete;
    ~request() {
      await_owner();
      const guard locked{owner.lock_};
      (previous != nullptr ? previous->next : owner.requests_) = next;
      if (next != nullptr) next->previous = previous;
    }

    [[nodiscard]] bool claim(std::uint32_t from) noexcept {
      std::uint32_t seen = from;
      // (O1) pairs with (O2), (O3): acquire, so that the claimant sees the request as the one before left it.
      if (!state.compare_exchange_strong(seen, claimed, std::memory_order_acquire, std::memory_order_relaxed))
        return false;
      if (from == deferred) owner.nr_deferred_.fetch_sub(1, std::memory_order_relaxed);
      return true;
    }
    // By its own thread.
    void publish(std::uint32_t to) noexcept {
      // (O2) pairs with (O1): release, so that the next claimant sees the request as it is left here.
      state.store(to, std::memory_order_release);
    }
    // By the owner, under its lock, without which the request cannot go away before its sleeper is woken.
    void give_back() noexcept {
      // (O3) pairs with (O1): release, so that the next pin by this request sees its pages no longer counted.
      if (state.exchange(empty, std::memory_order_release) == awaited) sync::wake_all(state);
    }
    // Gives no order: the owner's lock, taken next, does.
    void await_owner() noexcept {
      for (;;) {
        std::uint32_t seen = claimed;
        const bool marked =
            state.compare_exchange_strong(seen, awaited, std::memory_order_relaxed, std::memory_order_relaxed);
        if (!marked && seen != awaited) return;
        const auto until_given_back = sync::futex_of(state, 0, awaited);
        (void)sync::wait(&until_given_back, 1, deadline::never());
      }
    }

    // The site of this request, also where its owner releases.
    [[nodiscard]] caller<Page> site() noexcept { return detail::owned_by(caller<Page>::current(), id); }
    gup_result drop() noexcept { return dropped(pinref::unpin_user_pages(pages, count, site())); }
    gup_result drop_dirty() noexcept {
      return dropped(pinref::unpin_user_pages_dirty_lock(pages, count, true, site()));
    }
    gup_result dropped(const gup_result& done) noexcept {
      owner.uncharge(count);
      count = 0;
      return done;
    }

    pin_owner& owner;
    request* next = nullptr;      // of the owner's requests, under its lock
    request* previous = nullptr;  // likewise
    Page** pages = nullptr;
    std::size_t count = 0;
    [[no_unique_address]] detail::holder_of<Page> id;  // for the words' list of holders, if they keep one
    atomic<std::uint32_t> state{empty};
  };

  void release_deferred(gup_result& all) noexcept {
    if (nr_deferred_.load(std::memory_order_relaxed) != 0) release_each(deferred, &request::drop_dirty, all);
  }

  // Releases what stands in state `from`. One request is in hand at a time: a thread that waits for the end of another
  // request may have locked the page that this one sleeps on.
  void release_each(std::uint32_t from, gup_result (request::*how)() noexcept, gup_result& all) noexcept {
    for (request* each = next_in_hand(nullptr, from); each != nullptr; each = next_in_hand(each, from)) {
      const gup_result done = (each->*how)();
      all.count += done.count;
      if (!done.ok()) all.reason = done.reason;
    }
  }

  // Takes the next request in state `from` in hand, and gives the one before it back: not earlier, because only the one
  // in hand is sure to stay where it is in the list.
  [[nodiscard]] request* next_in_hand(request* before, std::uint32_t from) noexcept {
    const guard locked{lock_};
    request* next = before != nullptr ? before->next : requests_;
    while (next != nullptr && !next->claim(from)) next = next->next;
    if (before != nullptr) before->give_back();
    return next;
  }

  // Looks before it adds: a request that does not fit keeps no other out.
  [[nodiscard]] bool charge(std::size_t n) noexcept {
    std::size_t live = live_.load(std::memory_order_relaxed);
    do {
      if (n > limit_ - live) return false;
    } while (!live_.compare_exchange_weak(live, live + n, std::memory_order_relaxed, std::memory_order_relaxed));
    return true;
  }
  void uncharge(std::size_t n) noexcept { live_.fetch_sub(n, std::memory_order_relaxed); }

  const std::size_t limit_;
  atomic<std::size_t> live_{0};
  atomic<std::size_t> nr_deferred_{0};
  request* requests_ = nullptr;  // under the lock
  Lock lock_;
};

}  // namespace pinref::inline v0_1
