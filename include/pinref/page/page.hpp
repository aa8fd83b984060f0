// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// One page: get, put, pin, unpin and the questions about it.
///
/// Every call takes any page of a compound page and counts on its head. Immortal pages are taken and released freely
/// and never counted. Where the host has `free_page` or `on_idle`, the release that ends a page calls it.
///
/// When not to use it: for pages that are reached through an address that may change under you. `pin_user_pages` looks
/// the address up and checks it again after the pin.
///
/// Example:
///
///     if (pinref::try_pin_page(page) != pinref::take_result::taken) return try_again_later();
///     read_into(page);                                           // page_dma_pinned(page) is true
///     pinref::unpin_user_page(page);                             // the last release calls free_page
///
/// Errors: as the results say; limits of n are those of `page_ref`.
/// Memory order: as the member of `page_ref` of the same kind.
/// Progress: that of `page_ref`; the waits sleep, and the host's hooks may block.
/// Source: Linux get_page(), put_page(), try_grab_folio(), unpin_user_page(), folio_maybe_dma_pinned().

#include <cstddef>

#include "pinref/page/holders.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/wait_canceller.hpp"

namespace pinref::inline v0_1 {

/// Takes n more references of a page the caller holds. Linux: get_page().
template <host_page Page>
[[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
get_page(Page& page, std::size_t n = 1, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::take_held<hold::reference>(pinref::compound_head(page), n, where);
}

/// Takes n references of a page that may be free: for look-ups without a lock. Linux: get_page_unless_zero().
template <host_page Page>
[[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
get_page_unless_zero(Page& page, std::size_t n = 1, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::take<hold::reference>(page, n, where);
}

/// Releases n references. Where the host has no `free_page`, the caller frees the page if told `last`, and the answer
/// must not be dropped. Linux: put_page().
template <freeable_page Page>
PINREF_FAST_PATH release_result put_page(Page& page, std::size_t n = 1,
                                         caller<Page> where = caller<Page>::current()) noexcept {
  return detail::drop<hold::reference>(page, n, where);
}
template <host_page Page>
[[nodiscard("whoever is told `last` frees the page")]] PINREF_FAST_PATH release_result
put_page(Page& page, std::size_t n = 1, caller<Page> where = caller<Page>::current()) noexcept
    requires(!freeable_page<Page>) {
  return detail::drop<hold::reference>(page, n, where);
}

/// Pins a page n times; it may be free. Linux: try_grab_folio() with FOLL_PIN.
template <host_page Page>
[[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
try_pin_page(Page& page, std::size_t n = 1, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::take<hold::pin>(page, n, where);
}

/// Pins a page n times more that the caller has pinned. Linux: folio_add_pins().
template <host_page Page>
[[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
add_pin(Page& page, std::size_t n = 1, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::take_held<hold::pin>(pinref::compound_head(page), n, where);
}

/// Releases one pin. As put_page. Linux: unpin_user_page().
template <freeable_page Page>
PINREF_FAST_PATH release_result unpin_user_page(Page& page, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::drop<hold::pin>(page, 1, where);
}
template <host_page Page>
[[nodiscard("whoever is told `last` frees the page")]] PINREF_FAST_PATH release_result
unpin_user_page(Page& page, caller<Page> where = caller<Page>::current()) noexcept requires(!freeable_page<Page>) {
  return detail::drop<hold::pin>(page, 1, where);
}

namespace detail {

/// The head of a page that is only looked at: nothing is written to it.
template <class Page>
[[nodiscard]] PINREF_FAST_PATH Page& head_of(const Page& page) noexcept {
  return pinref::compound_head(const_cast<Page&>(page));
}

}  // namespace detail

/// Plain references at some instant, pins not among them, unlike Linux's page_ref_count(): see page_ref::references.
/// Order: none.
template <host_page Page>
[[nodiscard]] auto page_references(const Page& page) noexcept {
  return page_traits<Page>::ref(detail::head_of(page)).references();
}

/// Pins at some instant; of a compound page, those of all its pages. Order: none. Linux has none for small pages.
template <host_page Page>
[[nodiscard]] auto page_pins(const Page& page) noexcept {
  return page_traits<Page>::ref(detail::head_of(page)).pins();
}

/// May a device be touching the page? Never false for a pinned page. To decide on: clear or write-protect the mapping,
/// then ask; a pin is either seen here, or sees the mapping changed. Order: acquire and release, a read-modify-write.
/// Linux: folio_maybe_dma_pinned(), which needs a full barrier before it.
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH bool page_dma_pinned(Page& page) noexcept {
  Page& head = pinref::compound_head(page);
  return !pinref::page_immortal(head) && page_traits<Page>::ref(head).dma_pinned();
}

/// The same by a plain load, for scanners and statistics: nothing may be concluded from false.
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH bool page_dma_pinned_hint(const Page& page) noexcept {
  Page& head = detail::head_of(page);
  return !pinref::page_immortal(head) && page_traits<Page>::ref(head).dma_pinned_hint();
}

/// Does only the owner hold the page? Mappings hold it too: unmap first. A resident owner's own reference does not
/// count, see `idle_page`. To decide on, as page_dma_pinned. Linux: dax_page_is_idle().
template <host_page Page>
[[nodiscard]] bool page_idle(Page& page) noexcept {
  Page& head = pinref::compound_head(page);
  return pinref::page_immortal(head) || page_traits<Page>::ref(head).idle(detail::idle_level(head));
}

/// Sleeps until the page is not pinned, at some instant. See page_ref::wait_until_unpinned. May block.
template <host_page Page, cancels_waits<typename detail::ref_of<Page>::sync> Canceller = never_cancelled>
[[nodiscard]] wait_result wait_until_unpinned(Page& page, const deadline& until = deadline::never(),
                                              const Canceller& stop = {}) noexcept {
  Page& head = pinref::compound_head(page);
  if (pinref::page_immortal(head)) return wait_result::reached;
  return page_traits<Page>::ref(head).wait_until_unpinned(until, stop);
}

/// Sleeps until only the owner holds the page, at some instant. See page_ref::wait_until_idle. May block.
template <host_page Page, cancels_waits<typename detail::ref_of<Page>::sync> Canceller = never_cancelled>
[[nodiscard]] wait_result wait_until_idle(Page& page, const deadline& until = deadline::never(),
                                          const Canceller& stop = {}) noexcept {
  Page& head = pinref::compound_head(page);
  if (pinref::page_immortal(head)) return wait_result::reached;
  return page_traits<Page>::ref(head).wait_until_idle(detail::idle_level(head), until, stop);
}

}  // namespace pinref::inline v0_1
