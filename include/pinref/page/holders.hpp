// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Taking and dropping holders of one page, in either mode: the two choke points that every call above goes through.
///
/// When not to use it: from a host. The named calls of page.hpp and gup/ are the interface; these are their common
/// body.
///
/// Example:
///
///     if (pinref::detail::take<pinref::hold::pin>(page, 1, {}) != pinref::take_result::taken)
///       return try_again_later();
///     pinref::detail::drop<pinref::hold::pin>(page, 1, {});
///
/// Errors: as the results of a take and a release say.
/// Memory order: that of page_ref.
/// Progress: that of page_ref; a take of a compound page begins again each time its head has changed.
/// Source: Linux try_get_folio() (the head is read again after the take), gup_put_folio().

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "pinref/page/page_traits.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"

namespace pinref::inline v0_1 {

namespace detail {

template <class Page>
using ref_of = std::remove_cvref_t<decltype(page_traits<Page>::ref(std::declval<Page&>()))>;

}  // namespace detail

/// The place of a call, if the word of these pages asks for it; else empty. The last parameter of every call that takes
/// or releases, to be left out or passed on.
template <class Page>
using caller = typename detail::ref_of<Page>::site;

namespace detail {

template <hold Mode, class Page>
inline constexpr std::size_t max_at_once =
    Mode == hold::pin ? ref_of<Page>::max_pins_at_once : ref_of<Page>::max_references_at_once;

template <class Page>
[[nodiscard]] PINREF_FAST_PATH owner_ref owner_of([[maybe_unused]] Page& head) noexcept {
  if constexpr (idle_page<Page>)
    return page_traits<Page>::resident(head) ? owner_ref::resident : owner_ref::counted;
  else
    return owner_ref::counted;
}

/// The holders that an idle page has.
template <class Page>
[[nodiscard]] std::size_t idle_level(Page& head) noexcept {
  return detail::owner_of(head) == owner_ref::resident ? 1 : 0;
}

/// What a handle keeps to be known by: an id where the word of these pages lists its holders, else nothing.
struct no_holder {};
template <class Page>
using holder_of = std::conditional_t<std::derived_from<caller<Page>, holder_site>, holder_id, no_holder>;

/// The place of a call of the handle with this id.
template <class Site>
[[nodiscard]] constexpr Site owned_by(Site where, no_holder&) noexcept {
  return where;
}
[[nodiscard]] constexpr holder_site owned_by(holder_site where, holder_id& id) noexcept {
  where.holder = &id;
  return where;
}

/// Says that a holder of the page passes from a handle to plain calls, or the other way round.
template <hold Mode, class Page>
void hand_on([[maybe_unused]] Page& page, [[maybe_unused]] caller<Page> from,
             [[maybe_unused]] caller<Page> to) noexcept {
  if constexpr (std::derived_from<caller<Page>, holder_site>) {
    Page& head = pinref::compound_head(page);
    if (!pinref::page_immortal(head)) page_traits<Page>::ref(head).template hand_on<Mode>(1, from, to);
  }
}

/// Tells the host what a release made of the page.
template <class Page>
PINREF_FAST_PATH release_result notify_host([[maybe_unused]] Page& head, release_result result) noexcept {
  if constexpr (freeable_page<Page>)
    if (result == release_result::last) page_traits<Page>::free_page(head);
  if constexpr (idle_page<Page>)
    if (result == release_result::idle) page_traits<Page>::on_idle(head);
  return result;
}

/// Takes n more holders of a head page that the caller holds in this mode already.
template <hold Mode, class Page>
[[nodiscard]] PINREF_FAST_PATH take_result take_held(Page& head, std::size_t n, caller<Page> where) noexcept {
  if (pinref::page_immortal(head)) return take_result::taken;
  auto& ref = page_traits<Page>::ref(head);
  return Mode == hold::pin ? ref.add_pin(n, where) : ref.get(n, where);
}

/// Drops n holders of a head page, n at most max_at_once.
template <hold Mode, class Page>
PINREF_FAST_PATH release_result drop_head(Page& head, std::size_t n, caller<Page> where) noexcept {
  if (pinref::page_immortal(head)) return release_result::released;
  auto& ref = page_traits<Page>::ref(head);
  // What a device wrote is announced before its pin goes.
  if constexpr (Mode == hold::pin && stamped_page<Page>) page_traits<Page>::stamp(head).changed();
  const owner_ref owner = detail::owner_of(head);
  return detail::notify_host(head, Mode == hold::pin ? ref.unpin(n, owner, where) : ref.put(n, owner, where));
}

/// Drops n holders of the page, n at most max_at_once. The caller holds them, so the head cannot change.
template <hold Mode, class Page>
PINREF_FAST_PATH release_result drop(Page& page, std::size_t n, caller<Page> where) noexcept {
  return detail::drop_head<Mode>(pinref::compound_head(page), n, where);
}

/// Takes n holders of a page that may be dying, or on its way into or out of a compound page.
template <hold Mode, class Page>
[[nodiscard]] PINREF_FAST_PATH take_result take(Page& page, std::size_t n, caller<Page> where) noexcept {
  // A holder that is given back because the head has changed may be the last.
  static_assert(freeable_page<Page> || !compound_page<Page>,
                "pinref: takes of compound pages need page_traits<Page>::free_page(page)");
  for (;;) {
    Page& head = pinref::compound_head(page);
    if (pinref::page_immortal(head)) return take_result::taken;
    auto& ref = page_traits<Page>::ref(head);
    const take_result result = Mode == hold::pin ? ref.try_pin(n, where) : ref.try_get(n, where);
    if (result != take_result::taken) return result;
    if constexpr (compound_page<Page>)
      // The page may have been split off, or its head reused, before the take: only a head read after it is certain.
      if (&pinref::compound_head(page) != &head) [[unlikely]] {
        detail::drop_head<Mode>(head, n, where);
        continue;
      }
    return take_result::taken;
  }
}

}  // namespace detail

}  // namespace pinref::inline v0_1
