// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// pin_request: the pins of one call, counted against a pin_owner.
///
/// The pins are released by the request, when it goes at the latest; by a completion handler that may not block, as far
/// as that is possible without blocking; or by the owner.
///
/// When not to use it: without an owner. `pinned_range` is the handle for that.
///
/// Example:
///
///     pinref::pin_request request{connection};                   // connection: see pin_owner.hpp
///     const auto done = request.pin_user_pages_fast(space, start, pinref::foll::write, pages);
///     if (done.reason == pinref::gup_error::limit_exceeded) return try_again_later();
///     // ... on completion, in a context that may not block:
///     if (!request.unpin_dirty_deferred().ok()) give_up("what the device wrote may be lost");
///
/// Threads: see pin_owner.hpp.
///
/// Errors: as the calls without an owner; limit_exceeded, and busy while the request has pins.
/// Memory order: see pin_owner.hpp.
/// Progress: that of the calls without an owner; the destructor waits for a release by the owner that is under way.
/// Source: see pin_owner.hpp; Linux bio_check_pages_dirty() for the release that is put off.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pinref/gup/extent.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/sync/deadline.hpp"

namespace pinref::inline v0_1 {

/// One request of an owner: the pins of one call. Neither copied nor moved: its owner knows it by address.
template <host_page Page, basic_lockable Lock>
class pin_request {
 public:
  /// What it is counted against.
  using owner_type = pin_owner<Page, Lock>;

  /// A request without pins. Takes the owner's lock for a few instructions.
  explicit pin_request(owner_type& owner) noexcept : owner_(owner) {
    const typename owner_type::guard locked{owner_.lock_};
    next_ = owner_.requests_;
    if (next_ != nullptr) next_->previous_ = this;
    owner_.requests_ = this;
  }
  pin_request(const pin_request&) = delete;
  pin_request& operator=(const pin_request&) = delete;

  /// Releases what is left without marking it, and what was put off marked, which may block. If the owner is releasing
  /// this request right now, sleeps until it has. Precondition: the caller has none of its pages locked.
  ~pin_request() {
    (void)unpin();
    if constexpr (can_defer) (void)release(deferred, &pin_request::drop_dirty);
    await_owner();
    const typename owner_type::guard locked{owner_.lock_};
    (previous_ != nullptr ? previous_->next_ : owner_.requests_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
  }

  /// As pinref::pin_user_pages, counted against the owner: limit_exceeded, before anything is pinned, if so many pages
  /// more do not fit, though fewer might; busy if the request has pins already, or the owner is still releasing them.
  /// `pages` is read by the release, also by the owner's: it must stay until a release by this request says that it was
  /// done here, the request can pin again, or it is gone. Memory order, progress and the other errors are those of that
  /// call.
  template <address_space Space>
  gup_result pin_user_pages(Space& space, std::uintptr_t start, foll flags, std::span<Page*> pages,
                            caller<Page> where = caller<Page>::current()) noexcept {
    return pin(space, start, flags, pages, where, false);
  }
  /// As pinref::pin_user_pages_fast, counted against the owner; see above.
  template <address_space Space>
  gup_result pin_user_pages_fast(Space& space, std::uintptr_t start, foll flags, std::span<Page*> pages,
                                 caller<Page> where = caller<Page>::current()) noexcept {
    return pin(space, start, flags, pages, where, true);
  }

  /// As pinref::pin_extents, counted against the owner by objects; see above.
  template <extent_space Space>
  gup_result pin_extents(Space& space, std::uintptr_t start, std::size_t length, foll flags, std::span<Page*> objects,
                         std::span<extent_part<typename Space::extent>> parts,
                         caller<Page> where = caller<Page>::current()) noexcept {
    return pin(objects, where, [&](caller<Page> own) noexcept {
      return pinref::pin_extents(space, start, length, flags, objects, parts, own);
    });
  }

  /// Releases the pins. The count, in pages, is 0 if there are none, if they were put off, or if the owner was faster,
  /// which may still be at it. `underflow` as for unpin_user_pages. Takes no lock.
  gup_result unpin() noexcept { return release(held, &pin_request::drop); }
  /// As unpin, marked dirty first. May block, on page locks.
  gup_result unpin_dirty_lock() noexcept { return release(held, &pin_request::drop_dirty); }

  /// Releases the pins marked dirty and never blocks: a clean page whose lock is taken stays pinned until the owner's
  /// drain. The count is of those released now; reasons as for unpin_user_pages_dirty_lock. Request and array must stay
  /// until then; the array is reordered. Linux: bio_check_pages_dirty().
  gup_result unpin_dirty_deferred() noexcept {
    static_assert(trylockable_page<Page>, "pinref: deferred release needs page_traits<Page>::try_lock(page)");
    static_assert(lockable_page<Page> && dirty_page<Page>,
                  "pinref: deferred release needs lock(page), dirty(page) and set_dirty(page) of page_traits<Page>");
    if (!claim(held)) return {};
    const std::size_t all = count_;
    const gup_result released = release_unlocked();
    owner_.uncharge(all - count_);
    // Counted before it can be claimed.
    if (count_ != 0) owner_.nr_deferred_.fetch_add(1, std::memory_order_relaxed);
    publish(count_ != 0 ? deferred : empty);
    return released;
  }

 private:
  friend class pin_owner<Page, Lock>;
  using traits = page_traits<Page>;
  using sync = typename owner_type::sync;

  static constexpr bool can_defer = trylockable_page<Page> && lockable_page<Page> && dirty_page<Page>;

  // States. A request that is claimed belongs to the claimant, with pages_ and count_.
  static constexpr std::uint32_t empty = 0;     // no pins
  static constexpr std::uint32_t held = 1;      // pins, and no release is under way
  static constexpr std::uint32_t deferred = 2;  // pins that wait for a drain
  static constexpr std::uint32_t claimed = 3;   // a thread is pinning or releasing
  static constexpr std::uint32_t awaited = 4;   // claimed by the owner, and the destructor sleeps until it is not

  [[nodiscard]] bool claim(std::uint32_t from) noexcept {
    std::uint32_t seen = from;
    // (O1) pairs with (O2), (O3): acquire, so that the claimant sees the request as the one before left it.
    if (!state_.compare_exchange_strong(seen, claimed, std::memory_order_acquire, std::memory_order_relaxed))
      return false;
    if (from == deferred) owner_.nr_deferred_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  // By its own thread.
  void publish(std::uint32_t to) noexcept {
    // (O2) pairs with (O1): release, so that the next claimant sees the request as it is left here.
    state_.store(to, std::memory_order_release);
  }
  // By the owner, under its lock, without which the request cannot go away before its sleeper is woken.
  void give_back() noexcept {
    // (O3) pairs with (O1): release, so that the next pin by this request sees its pages no longer counted.
    if (state_.exchange(empty, std::memory_order_release) == awaited) sync::wake_all(state_);
  }
  // Gives no order: the owner's lock, taken next, does.
  void await_owner() noexcept {
    for (;;) {
      std::uint32_t seen = claimed;
      const bool marked =
          state_.compare_exchange_strong(seen, awaited, std::memory_order_relaxed, std::memory_order_relaxed);
      if (!marked && seen != awaited) return;
      const auto until_given_back = sync::futex_of(state_, 0, awaited);
      (void)sync::wait(&until_given_back, 1, deadline::never());
    }
  }

  template <class Space>
  gup_result pin(Space& space, std::uintptr_t start, foll flags, std::span<Page*> pages, caller<Page> where,
                 bool fast) noexcept {
    const gup_error bad = detail::check_call<hold::pin>(space, start, pages.size(), flags, pages.data());
    if (bad != gup_error::none) return {0, bad};
    return pin(pages, where, [&](caller<Page> own) noexcept {
      return detail::walk<hold::pin, Space>(space, flags, pages.data(), own).run(start, pages.size(), fast);
    });
  }
  // `pin_some` pins as many of the pages as it counts.
  template <class Take>
  gup_result pin(std::span<Page*> pages, caller<Page> where, Take pin_some) noexcept {
    if (!claim(empty)) return {0, gup_error::busy};
    gup_result done{0, gup_error::limit_exceeded};
    if (owner_.charge(pages.size())) {
      id_ = {};
      done = pin_some(detail::owned_by(where, id_));
      owner_.uncharge(pages.size() - done.count);
    }
    pages_ = pages.data();
    count_ = done.count;
    publish(count_ != 0 ? held : empty);
    return done;
  }

  gup_result release(std::uint32_t from, gup_result (pin_request::*how)() noexcept) noexcept {
    if (!claim(from)) return {};
    const gup_result done = (this->*how)();
    publish(empty);
    return done;
  }

  // The site of this request, also where its owner releases.
  [[nodiscard]] caller<Page> own() noexcept { return detail::owned_by(caller<Page>::current(), id_); }
  gup_result drop() noexcept { return dropped(pinref::unpin_user_pages(pages_, count_, own())); }
  gup_result drop_dirty() noexcept { return dropped(pinref::unpin_user_pages_dirty_lock(pages_, count_, true, own())); }
  gup_result dropped(const gup_result& done) noexcept {
    owner_.uncharge(count_);
    count_ = 0;
    return done;
  }

  // Releases every run that needs no lock or gets it; the rest moves to the front of the array.
  gup_result release_unlocked() noexcept {
    gup_result done;
    std::size_t kept = 0;
    for (std::size_t i = 0, end = 0; i != count_; i = end) {
      end = i + 1;
      if (pages_[i] == nullptr) continue;
      Page& head = pinref::compound_head(*pages_[i]);
      while (end != count_ && pages_[end] != nullptr && &pinref::compound_head(*pages_[end]) == &head) ++end;
      bool marked = true;
      if (mark_dirty_unlocked(head, marked)) {
        if (!marked && done.ok()) done.reason = gup_error::dirty_refused;
        detail::drop_run<hold::pin>(head, end - i, done, own());
      } else {
        for (std::size_t k = i; k != end; ++k) pages_[kept++] = pages_[k];
      }
    }
    count_ = kept;
    return done;
  }

  // False if the lock that a clean page needs is taken.
  [[nodiscard]] static bool mark_dirty_unlocked(Page& head, bool& marked) noexcept {
    if (pinref::page_immortal(head) || traits::dirty(head)) return true;
    if (!traits::try_lock(head)) return false;
    marked = traits::dirty(head) || detail::set_dirty(head);
    traits::unlock(head);
    return true;
  }

  owner_type& owner_;
  pin_request* next_ = nullptr;      // of the owner's requests, under its lock
  pin_request* previous_ = nullptr;  // likewise
  Page** pages_ = nullptr;
  std::size_t count_ = 0;
  [[no_unique_address]] detail::holder_of<Page> id_;  // for the words' list of holders, if they keep one
  typename owner_type::template atomic<std::uint32_t> state_{empty};
};

}  // namespace pinref::inline v0_1
