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
///     if (pinref::try_pin_page(frame) == pinref::take_result::taken) {
///       read_into(frame);                                        // page_dma_pinned(frame) is true
///       (void)pinref::unpin_user_page(frame);
///     }
///
/// Memory order, progress and limits of n are those of `page_ref`. Nothing here blocks unless the host's hooks do.

#include <cstddef>

#include "pinref/page/hold.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/ref/deadline.hpp"
#include "pinref/ref/wait_canceller.hpp"
#include "pinref/word/paths.hpp"

namespace pinref {

/// Takes n more references of a page the caller holds. Linux: get_page().
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH take_result
get_page(Page& page, std::size_t n = 1, detail::site_of<Page> where = detail::site_of<Page>::current()) noexcept {
  return detail::take_held<hold::reference>(pinref::compound_head(page), n, where);
}

/// Takes n references of a page that may be free: for look-ups without a lock. Linux: folio_try_get(), not
/// try_get_page(), which only guards against overflow.
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH take_result try_get_page(Page& page, std::size_t n = 1) noexcept {
  return detail::take<hold::reference>(page, n);
}

/// Releases n references. Linux: put_page().
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH release_result
put_page(Page& page, std::size_t n = 1, detail::site_of<Page> where = detail::site_of<Page>::current()) noexcept {
  return detail::drop<hold::reference>(page, n, where);
}

/// Pins a page n times; it may be free. Linux: try_grab_folio() with FOLL_PIN.
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH take_result try_pin_page(Page& page, std::size_t n = 1) noexcept {
  return detail::take<hold::pin>(page, n);
}

/// Pins a page n times more that the caller has pinned. Linux: folio_add_pins().
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH take_result
add_pin(Page& page, std::size_t n = 1, detail::site_of<Page> where = detail::site_of<Page>::current()) noexcept {
  return detail::take_held<hold::pin>(pinref::compound_head(page), n, where);
}

/// Releases one pin. Linux: unpin_user_page().
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH release_result
unpin_user_page(Page& page, detail::site_of<Page> where = detail::site_of<Page>::current()) noexcept {
  return detail::drop<hold::pin>(page, 1, where);
}

/// Plain references at some instant, pins not among them: see page_ref::count. Order: none. Linux: page_count().
template <host_page Page>
[[nodiscard]] auto page_ref_count(Page& page) noexcept {
  return page_traits<Page>::ref(pinref::compound_head(page)).count();
}

/// Pins at some instant; of a compound page, those of all its pages. Order: none. Linux has none for small pages.
template <host_page Page>
[[nodiscard]] auto page_pin_count(Page& page) noexcept {
  return page_traits<Page>::ref(pinref::compound_head(page)).pins();
}

/// May a device be touching the page? Never false for a pinned page. A read-modify-write one may decide on: clear or
/// write-protect the mapping, ask, and either the pinner is seen or it sees the mapping gone. Linux:
/// folio_maybe_dma_pinned(), which needs a full barrier before it.
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH bool page_dma_pinned(Page& page) noexcept {
  Page& head = pinref::compound_head(page);
  return !pinref::page_immortal(head) && page_traits<Page>::ref(head).dma_pinned();
}

/// The same by a plain load, for scanners and statistics: nothing may be concluded from false.
template <host_page Page>
[[nodiscard]] PINREF_FAST_PATH bool page_dma_pinned_hint(Page& page) noexcept {
  Page& head = pinref::compound_head(page);
  return !pinref::page_immortal(head) && page_traits<Page>::ref(head).dma_pinned_hint();
}

/// Is nobody but the owner holding the page? Mappings hold it too: unmap first. The idle level is the host's, 0 if it
/// has none. A read-modify-write one may decide on, like page_dma_pinned. Linux: dax_page_is_idle().
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

/// Sleeps until nobody but the owner holds the page, at some instant. See page_ref::wait_until_idle. May block.
template <host_page Page, cancels_waits<typename detail::ref_of<Page>::sync> Canceller = never_cancelled>
[[nodiscard]] wait_result wait_until_idle(Page& page, const deadline& until = deadline::never(),
                                          const Canceller& stop = {}) noexcept {
  Page& head = pinref::compound_head(page);
  if (pinref::page_immortal(head)) return wait_result::reached;
  return page_traits<Page>::ref(head).wait_until_idle(detail::idle_level(head), until, stop);
}

}  // namespace pinref
