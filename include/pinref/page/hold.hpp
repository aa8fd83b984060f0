#pragma once

/// \file
/// Taking and dropping holders of one page, in either mode: the two choke points that every call above goes through.
///
/// When not to use it: from a host. The named calls of page.hpp and gup/ are the interface; these are their common
/// body.
///
/// Example:
///
///     if (pinref::detail::take<pinref::hold::pin>(page, 1) == pinref::take_result::taken)
///       pinref::detail::drop<pinref::hold::pin>(page, 1);
///
/// Source: Linux try_get_folio() (the head is read again after the take), gup_put_folio().

#include <cstddef>
#include <type_traits>
#include <utility>

#include "pinref/page/page_traits.hpp"
#include "pinref/ref/call_site.hpp"
#include "pinref/word/paths.hpp"

namespace pinref {

/// The two ways to hold a page. Linux: FOLL_GET and FOLL_PIN.
enum class hold : unsigned char { reference, pin };

namespace detail {

template <class Page>
using ref_of = std::remove_cvref_t<decltype(page_traits<Page>::ref(std::declval<Page&>()))>;

/// call_site for pages whose word wants to know it, else empty.
template <class Page>
using site_of = typename site_of_ref<ref_of<Page>>::type;

template <hold Mode, class Page>
inline constexpr std::size_t max_at_once =
    Mode == hold::pin ? ref_of<Page>::max_pins_at_once : ref_of<Page>::max_references_at_once;

template <class Page>
[[nodiscard]] PINREF_FAST_PATH std::size_t idle_level([[maybe_unused]] Page& head) noexcept {
  if constexpr (idle_page<Page>)
    return static_cast<std::size_t>(page_traits<Page>::idle_level(head));
  else
    return 0;
}

/// Calls the host for what a release made of the page.
template <class Page>
PINREF_FAST_PATH release_result settle_release([[maybe_unused]] Page& head, release_result result) noexcept {
  if constexpr (freeable_page<Page>)
    if (result == release_result::last) page_traits<Page>::free_page(head);
  if constexpr (idle_page<Page>)
    if (result == release_result::idle) page_traits<Page>::on_idle(head);
  return result;
}

/// Takes n more holders of a head page that the caller holds in this mode already.
template <hold Mode, class Page>
[[nodiscard]] PINREF_FAST_PATH take_result take_held(Page& head, std::size_t n,
                                                     [[maybe_unused]] site_of<Page> where) noexcept {
  if (pinref::page_immortal(head)) return take_result::taken;
  auto& ref = page_traits<Page>::ref(head);
  if constexpr (std::is_empty_v<site_of<Page>>)
    return Mode == hold::pin ? ref.add_pin(n) : ref.get(n);
  else
    return Mode == hold::pin ? ref.add_pin(n, where) : ref.get(n, where);
}

/// Drops n holders of a head page, n at most max_at_once.
template <hold Mode, class Page>
PINREF_FAST_PATH release_result drop_head(Page& head, std::size_t n, [[maybe_unused]] site_of<Page> where) noexcept {
  if (pinref::page_immortal(head)) return release_result::released;
  auto& ref = page_traits<Page>::ref(head);
  const std::size_t level = detail::idle_level(head);
  if constexpr (std::is_empty_v<site_of<Page>>)
    return detail::settle_release(head, Mode == hold::pin ? ref.unpin(n, level) : ref.put(n, level));
  else
    return detail::settle_release(head, Mode == hold::pin ? ref.unpin(n, level, where) : ref.put(n, level, where));
}

/// Drops n holders of the page, n at most max_at_once. The caller holds them, so the head cannot change.
template <hold Mode, class Page>
PINREF_FAST_PATH release_result drop(Page& page, std::size_t n,
                                     site_of<Page> where = site_of<Page>::current()) noexcept {
  return detail::drop_head<Mode>(pinref::compound_head(page), n, where);
}

/// Takes n holders of a page that may be dying, or on its way into or out of a compound page.
template <hold Mode, class Page>
[[nodiscard]] PINREF_FAST_PATH take_result take(Page& page, std::size_t n) noexcept {
  // A holder that is given back because the head has changed may be the last.
  static_assert(freeable_page<Page> || !compound_page<Page>,
                "pinref: takes of compound pages need page_traits<Page>::free_page(page)");
  for (;;) {
    Page& head = pinref::compound_head(page);
    if (pinref::page_immortal(head)) return take_result::taken;
    auto& ref = page_traits<Page>::ref(head);
    const take_result result = Mode == hold::pin ? ref.try_pin(n) : ref.try_get(n);
    if (result != take_result::taken) return result;
    if constexpr (compound_page<Page>)
      // The page may have been split off, or its head reused, before the take: only a head read after it is certain.
      if (&pinref::compound_head(page) != &head) [[unlikely]] {
        detail::drop_head<Mode>(head, n, site_of<Page>::current());
        continue;
      }
    return take_result::taken;
  }
}

}  // namespace detail

}  // namespace pinref
