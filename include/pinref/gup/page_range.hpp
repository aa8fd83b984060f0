// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Ranges of descriptors, for hosts whose memory is a base and an index: n pages from the first on, without an address.
///
/// An allocator, a buffer pool or a registered arena has no page table to look an address up in: it has descriptors
/// that follow each other. Here they are taken, released, asked and claimed by the range. Neighbours of one head go
/// together, by one atomic. Descriptors ahead are prefetched.
///
/// When not to use it: where an address may come to mean another page. `pin_user_pages` looks again after the pin.
///
/// Example:
///
///     if (!pinref::pin_page_range(frames[8], 32).ok()) return try_again_later();   // none is pinned
///     start_dma();
///     if (!pinref::unpin_user_page_range(&frames[8], 32).ok()) give_up("somebody has released our pins");
///     // ... before the memory goes back to the system:
///     if (!pinref::freeze_page_range(frames[8], 32)) return give_up("somebody holds one of them");
///     pinref::thaw_page_range(frames[8], 32);                    // or unmap them, and bury each
///
/// A range that is claimed, or made a compound page of, must hold whole compound pages: from a head to the end of the
/// last one.
///
/// Errors: no_pages, too_many_pages, `dead` and `overflow` as of a single take; a range that was refused is as it was
/// before.
/// Memory order: as the same call on one page, for each.
/// Progress: lock-free; the releases call `free_page`.
/// Source: Linux unpin_user_page_range_dirty_lock(), folio_split(), prep_compound_page().

#include <cstddef>
#include <cstdint>

#include "pinref/gup/gup_result.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/page/holders.hpp"
#include "pinref/page/page.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// How many descriptors ahead are prefetched.
inline constexpr std::size_t descriptors_ahead = 8;

/// From this page on, how many of n belong to its head. A guess, if the page is not held.
template <class Page>
[[nodiscard]] std::size_t run_length(Page& head, Page& page, std::size_t n) noexcept {
  if constexpr (compound_page<Page>) {
    using traits = page_traits<Page>;
    const std::uint64_t end = traits::frame_number(head) + traits::nr_pages(head);
    const std::uint64_t at = traits::frame_number(page);
    return end > at ? detail::smaller(n, static_cast<std::size_t>(end - at)) : 1;
  } else {
    return 1;
  }
}

/// The page at index i of n; prefetches one further on.
template <class Page>
[[nodiscard]] Page& next_of_range(Page& first, std::size_t i, std::size_t n) noexcept {
  using traits = page_traits<Page>;
  if (n - i > descriptors_ahead) PINREF_PREFETCH(&traits::nth_page(first, i + descriptors_ahead));
  return traits::nth_page(first, i);
}

/// Calls `run(head, page, n)` for each run of one head, until it returns false; says how many pages came before.
template <class Page, class Run>
std::size_t while_each_run(Page& first, std::size_t n, Run run) noexcept {
  std::size_t done = 0;
  while (done != n) {
    Page& page = detail::next_of_range(first, done, n);
    Page& head = pinref::compound_head(page);
    const std::size_t length = detail::run_length(head, page, n - done);
    if (!run(head, page, length)) break;
    done += length;
  }
  return done;
}

template <hold Mode, class Page>
gup_result take_range(Page& first, std::size_t n, caller<Page> where) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(freeable_page<Page>, "pinref: a range of pages needs page_traits<Page>::free_page(page)");
  static_assert(numbered_page<Page>,
                "pinref: a range of pages needs page_traits<Page>::frame_number(page) and nth_page(page, i)");
  if (n == 0) return {0, gup_error::no_pages};
  if (n > max_pages) return {0, gup_error::too_many_pages};
  gup_result done;
  while (done.count != n && done.ok()) {
    Page& page = detail::next_of_range(first, done.count, n);
    std::size_t length = detail::run_length(pinref::compound_head(page), page, n - done.count);
    length = detail::smaller(length, max_at_once<Mode, Page>);
    const take_result taken = detail::take<Mode>(page, length, where);
    if (taken == take_result::taken && length != 1) {
      // Certain now, because the page is held.
      const std::size_t rest = detail::run_length(pinref::compound_head(page), page, length);
      if (rest != length) detail::drop<Mode>(page, length - rest, where);
      length = rest;
    }
    if (taken == take_result::taken)
      done.count += length;
    else
      done.reason = taken == take_result::overflow ? gup_error::overflow : gup_error::dead;
  }
  if (!done.ok()) {
    drop_runs<Mode, false, Page> undo{where};
    detail::for_each_frame_run(&first, done.count, undo);
    done.count = 0;
  }
  return done;
}

}  // namespace detail

/// Takes one reference to each of n pages from `first` on, which may be free, or none at all.
template <host_page Page>
gup_result get_page_range(Page& first, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::take_range<hold::reference>(first, n, where);
}

/// Pins each of n pages from `first` on, which may be free, or none at all.
template <host_page Page>
gup_result pin_page_range(Page& first, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::take_range<hold::pin>(first, n, where);
}

/// Releases one reference of each of n pages from `first` on. What pin_page_range took is released by
/// unpin_user_page_range.
template <host_page Page>
gup_result put_page_range(Page& first, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  if (n > max_pages) return {0, gup_error::too_many_pages};
  detail::drop_runs<hold::reference, false, Page> drop{where};
  detail::for_each_frame_run(&first, n, drop);
  return drop.done;
}

/// May a device be touching any of n pages from `first` on? False may be decided on, for each page as with
/// page_dma_pinned. Looks at all of them first, which is cheap, and asks the first that looks pinned. Precondition: no
/// compound page is made of them or split meanwhile.
template <host_page Page>
[[nodiscard]] bool any_dma_pinned(Page& first, std::size_t n) noexcept {
  const auto unpinned = [](Page& head, Page&, std::size_t) noexcept { return !pinref::page_dma_pinned(head); };
  const auto surely_unpinned = [&unpinned](Page& head, Page& page, std::size_t length) noexcept {
    return !pinref::page_dma_pinned_hint(head) || unpinned(head, page, length);
  };
  return detail::while_each_run(first, n, surely_unpinned) != n || detail::while_each_run(first, n, unpinned) != n;
}

/// Gives n frozen pages from `first` on back, each head with `references` references. Precondition: the caller froze
/// them.
template <host_page Page>
void thaw_page_range(Page& first, std::size_t n, std::size_t references = 1,
                     caller<Page> where = caller<Page>::current()) noexcept {
  (void)detail::while_each_run(first, n, [&](Page& head, Page&, std::size_t) noexcept {
    page_traits<Page>::ref(head).unfreeze(references, where);
    return true;
  });
}

/// Claims n pages from `first` on, if each head among them is held by exactly `references` references, all of them the
/// caller's to give up, and no pin; else none. The pages then look dead to all takes until they are thawed.
/// Precondition as page_ref::freeze. False too if a compound page lies in the range in part.
template <host_page Page>
[[nodiscard("a range that is not frozen belongs to others")]] bool freeze_page_range(
    Page& first, std::size_t n, std::size_t references = 1, caller<Page> where = caller<Page>::current()) noexcept {
  const std::size_t frozen = detail::while_each_run(first, n, [&](Page& head, Page& page, std::size_t length) noexcept {
    if constexpr (compound_page<Page>)
      if (&head != &page || page_traits<Page>::nr_pages(head) != length) return false;
    return !pinref::page_immortal(head) && page_traits<Page>::ref(head).freeze(references, where);
  });
  if (frozen == n) return true;
  pinref::thaw_page_range(first, frozen, references, where);
  return false;
}

/// Makes n frozen pages from `first` on one compound page, alive with `references` references: the first is its head.
/// Precondition: the caller froze them, or they are dead and the caller owns them alone; none is part of another
/// compound page. A look-up that meets them meanwhile is refused, or looks again.
template <host_page Page>
void make_compound_page(Page& first, std::size_t n, std::size_t references = 1,
                        caller<Page> where = caller<Page>::current()) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(composable_page<Page>, "pinref: a compound page is made of pages that are as composable_page asks");
  using traits = page_traits<Page>;
  for (std::size_t i = 1; i < n; ++i) {
    Page& tail = traits::nth_page(first, i);
    // Dead before its head changes: a take that has read the old head meets a dead word.
    traits::ref(tail).bury();
    traits::set_head(tail, first);
  }
  traits::set_nr_pages(first, n);
  auto& ref = traits::ref(first);
  ref.bury();
  ref.init(references, where);
}

/// Makes a frozen compound page ordinary pages again, each alive with `references` references. Precondition: the caller
/// froze the head. A look-up that has read the old head gives back what it took there.
template <host_page Page>
void split_compound_page(Page& head, std::size_t references = 1,
                         caller<Page> where = caller<Page>::current()) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(composable_page<Page>, "pinref: a compound page is made of pages that are as composable_page asks");
  using traits = page_traits<Page>;
  const std::size_t n = traits::nr_pages(head);
  traits::set_nr_pages(head, 1);
  for (std::size_t i = 1; i < n; ++i) {
    Page& tail = traits::nth_page(head, i);
    traits::set_nr_pages(tail, 1);
    traits::set_head(tail, tail);
  }
  // The tails first: a thread that takes the head and goes on to the others finds them alive.
  for (std::size_t i = n; i-- != 1;) traits::ref(traits::nth_page(head, i)).init(references, where);
  traits::ref(head).unfreeze(references, where);
}

}  // namespace pinref::inline v0_1
