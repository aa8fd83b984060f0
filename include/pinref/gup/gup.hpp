// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// get_user_pages, pin_user_pages and their fast forms: from a range of addresses to pages that stay.
///
/// The fast path takes no lock: look the address up, take the head, look again at head and entry, give back on a
/// mismatch and leave the page to the slow path, the host's `fault_in`. The look after the take is what makes it safe
/// against "clear or write-protect the entry, then ask page_dma_pinned": one of the two sees the other.
///
/// All pages of a call are held in one mode. A call stops at the first page it cannot hold; the result counts the pages
/// before it, which are held, with the reason. With `foll::all` it holds all or nothing. A longterm pin that has pages
/// relocated gives back all it holds meanwhile, holds none if that fails, and stops like any other call afterwards.
/// What a call undoes is exactly its own. Every call names its space, so the pages of another process or tenant are
/// pinned like one's own.
///
/// When not to use it: to look at a page's contents for an instant under the host's own lock; nothing needs holding
/// there.
///
/// Example:
///
///     frame* pages[16];
///     const auto [count, reason] = pinref::pin_user_pages_fast(space, start, pinref::foll::write, pages);
///     if (reason != pinref::gup_error::none) give_up(to_string(reason));   // pages[0] .. pages[count - 1] are pinned
///     start_dma();                                                         // the device writes to them
///     const auto done = pinref::unpin_user_pages_dirty_lock(std::span(pages).first(count), true);
///     if (!done.ok()) give_up(to_string(done.reason));
///
/// Preconditions: `start` on a page boundary, `nr_pages` above zero, `pages` has room for them. Otherwise the call
/// reports the error and touches neither counts nor `pages`; a count that is an error code, -14 say, ends as
/// address_overflow or out_of_range. Needs `free_page` of the host, for holders that are given back last.
///
/// Errors: the result says how many pages are held, and why not more: see gup_error.
/// Memory order: acquire on every page.
/// Progress: the fast path is lock-free, the slow path blocks where the host's `fault_in` does.
/// Source: Linux get_user_pages(), pin_user_pages(), pin_user_pages_fast(); mm/gup.c documents the protocol.

#include <cstddef>
#include <cstdint>
#include <span>

#include "pinref/gup/address_space.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/gup/walk.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1 {

/// References to the pages of a range, each taken in the slow path, while its mapping is stable. A span is as long as
/// the range. May block.
template <address_space Space>
gup_result get_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                          typename Space::page** pages,
                          caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup<hold::reference>(space, start, nr_pages, flags, pages, where, false);
}
template <address_space Space>
gup_result get_user_pages(Space& space, std::uintptr_t start, foll flags, std::span<typename Space::page*> pages,
                          caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup<hold::reference>(space, start, pages.size(), flags, pages.data(), where, false);
}

/// As get_user_pages, without a lock where the page is present. Linux: get_user_pages_fast().
template <address_space Space>
PINREF_FAST_PATH gup_result
get_user_pages_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags, typename Space::page** pages,
                    caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup_fast<hold::reference>(space, start, nr_pages, flags, pages, where);
}
template <address_space Space>
PINREF_FAST_PATH gup_result
get_user_pages_fast(Space& space, std::uintptr_t start, foll flags, std::span<typename Space::page*> pages,
                    caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup_fast<hold::reference>(space, start, pages.size(), flags, pages.data(), where);
}

/// Pins on the pages of a range, each taken in the slow path, while its mapping is stable. A span is as long as the
/// range. May block. With `foll::longterm`, pages that may not be held for long are relocated if the space can, at most
/// `max_relocations` times, all pins of the call being given back meanwhile; else they are refused.
template <address_space Space>
gup_result pin_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                          typename Space::page** pages,
                          caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup<hold::pin>(space, start, nr_pages, flags, pages, where, false);
}
template <address_space Space>
gup_result pin_user_pages(Space& space, std::uintptr_t start, foll flags, std::span<typename Space::page*> pages,
                          caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup<hold::pin>(space, start, pages.size(), flags, pages.data(), where, false);
}

/// As pin_user_pages, without a lock where the page is present.
template <address_space Space>
PINREF_FAST_PATH gup_result
pin_user_pages_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags, typename Space::page** pages,
                    caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup_fast<hold::pin>(space, start, nr_pages, flags, pages, where);
}
template <address_space Space>
PINREF_FAST_PATH gup_result
pin_user_pages_fast(Space& space, std::uintptr_t start, foll flags, std::span<typename Space::page*> pages,
                    caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::gup_fast<hold::pin>(space, start, pages.size(), flags, pages.data(), where);
}

/// Makes the pages of a range present with the access asked for, and holds none of them: the count is how many were,
/// with foll::all too. May block. Linux: faultin_page_range().
template <address_space Space>
gup_result fault_in_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags) noexcept {
  static_assert(detail::check_space<Space>());
  gup_result done{0, pinref::check_flags(flags, foll::none, false)};
  if (done.reason == gup_error::none) done.reason = detail::check_range(space, start, nr_pages);
  while (done.reason == gup_error::none && done.count != nr_pages) {
    const std::uintptr_t address = start + done.count * Space::page_size;
    mapping<typename Space::page> entry = space.lookup(address, flags);
    if (entry.page == nullptr)
      done.reason = detail::slow_step(space, address, flags, [&entry](const auto& present) noexcept {
        entry = present;
        return gup_error::none;
      });
    if (done.ok() && (entry.page == nullptr || entry.run == 0)) done.reason = detail::broken_mapping(space, address);
    if (done.ok()) done.count += detail::smaller(entry.run, nr_pages - done.count);
  }
  return done;
}

}  // namespace pinref::inline v0_1
