// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// longterm_pinnable: may a pin on this page last without an end?
///
/// When not to use it: from a host. It is asked of every page that a call with foll::longterm has taken.
///
/// Example:
///
///     if (!pinref::detail::longterm_pinnable(page, pinref::foll::pin | pinref::foll::longterm))
///       return give_up("must be moved first");
///
/// Errors: none but the answer.
/// Memory order: none; asked of a page that is held.
/// Progress: that of the host's functions.
/// Source: Linux folio_is_longterm_pinnable(), gup_must_unshare().

#include "pinref/gup/flags.hpp"
#include "pinref/page/page_traits.hpp"

namespace pinref::inline v0_1::detail {

/// May a pin with these flags last? A host whose function takes the flags decides alone. Otherwise a reader is refused
/// a page outside all counting, unless it is marked as its space's own: the reader would go on to read the zero page
/// after the owner's next write has replaced it. Linux: gup_must_unshare(), since 6.2.
template <class Page>
[[nodiscard]] bool longterm_pinnable(Page& page, foll flags) noexcept {
  using traits = page_traits<Page>;
  Page& head = pinref::compound_head(page);
  if constexpr (requires { traits::longterm_pinnable(head, flags); }) {
    return traits::longterm_pinnable(head, flags);
  } else {
    if (pinref::page_immortal(head) && !pinref::has(flags, foll::write)) {
      if constexpr (exclusive_page<Page>) {
        if (!traits::exclusive(head)) return false;
      } else {
        return false;
      }
    }
    if constexpr (longterm_page<Page>)
      return traits::longterm_pinnable(head);
    else
      return true;
  }
}

}  // namespace pinref::inline v0_1::detail
