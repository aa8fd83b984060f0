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
template <host_page Page, class Lock>
class pin_request {
 public:
  /// What it is counted against.
  using owner_type = pin_owner<Page, Lock>;

  /// A request without pins. Takes the owner's lock for a few instructions.
  explicit pin_request(owner_type& owner) noexcept : request_(owner) {}
  pin_request(const pin_request&) = delete;
  pin_request& operator=(const pin_request&) = delete;

  /// Releases what is left without marking it, and what was put off marked, which may block. If the owner is releasing
  /// this request right now, sleeps until it has. Precondition: the caller has none of its pages locked.
  ~pin_request() {
    (void)unpin();
    if constexpr (can_defer) (void)release(owner_type::deferred, &request::drop_dirty);
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
  gup_result unpin() noexcept { return release(owner_type::held, &request::drop); }
  /// As unpin, marked dirty first. May block, on page locks.
  gup_result unpin_dirty_lock() noexcept { return release(owner_type::held, &request::drop_dirty); }

  /// Releases the pins marked dirty and never blocks: a clean page whose lock is taken stays pinned until the owner's
  /// drain. The count is of those released now; reasons as for unpin_user_pages_dirty_lock. Request and array must stay
  /// until then; the array is reordered. Linux: bio_check_pages_dirty().
  gup_result unpin_dirty_deferred() noexcept {
    static_assert(detail::check_traits<Page>());
    static_assert(trylockable_page<Page>, "pinref: deferred release needs page_traits<Page>::try_lock(page)");
    static_assert(lockable_page<Page> && dirty_page<Page>,
                  "pinref: deferred release needs lock(page), dirty(page) and set_dirty(page) of page_traits<Page>");
    if (!request_.claim(owner_type::held)) return {};
    const std::size_t all = request_.count;
    const gup_result released = release_unlocked();
    request_.owner.uncharge(all - request_.count);
    // Counted before it can be claimed.
    if (request_.count != 0) request_.owner.nr_deferred_.fetch_add(1, std::memory_order_relaxed);
    request_.publish(request_.count != 0 ? owner_type::deferred : owner_type::empty);
    return released;
  }

 private:
  using traits = page_traits<Page>;
  using request = typename owner_type::request;

  static constexpr bool can_defer = trylockable_page<Page> && lockable_page<Page> && dirty_page<Page>;

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
    if (!request_.claim(owner_type::empty)) return {0, gup_error::busy};
    gup_result done{0, gup_error::limit_exceeded};
    if (request_.owner.charge(pages.size())) {
      request_.id = {};
      done = pin_some(detail::owned_by(where, request_.id));
      request_.owner.uncharge(pages.size() - done.count);
    }
    request_.pages = pages.data();
    request_.count = done.count;
    request_.publish(request_.count != 0 ? owner_type::held : owner_type::empty);
    return done;
  }

  gup_result release(std::uint32_t from, gup_result (request::*how)() noexcept) noexcept {
    if (!request_.claim(from)) return {};
    const gup_result done = (request_.*how)();
    request_.publish(owner_type::empty);
    return done;
  }

  // Releases every run that needs no lock or gets it; the rest moves to the front of the array.
  gup_result release_unlocked() noexcept {
    gup_result done;
    Page** const pages = request_.pages;
    const std::size_t count = request_.count;
    std::size_t kept = 0;
    for (std::size_t i = 0, end = 0; i != count; i = end) {
      end = i + 1;
      if (pages[i] == nullptr) continue;
      Page& head = pinref::compound_head(*pages[i]);
      while (end != count && pages[end] != nullptr && &pinref::compound_head(*pages[end]) == &head) ++end;
      bool marked = true;
      if (mark_dirty_unlocked(head, marked)) {
        if (!marked && done.ok()) done.reason = gup_error::dirty_refused;
        detail::drop_run<hold::pin>(head, end - i, done, request_.site());
      } else {
        for (std::size_t k = i; k != end; ++k) pages[kept++] = pages[k];
      }
    }
    request_.count = kept;
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

  // Its end waits for a release by the owner that is under way.
  request request_;
};

}  // namespace pinref::inline v0_1
