#pragma once

/// \file
/// page_traits: the host's contract, one small capability at a time.
///
/// A host tells pinref about its page descriptor by specializing `page_traits` with static functions. Only `ref` is
/// required. Each further capability is a concept of its own; an algorithm asks for what it uses and names what is
/// missing.
///
///     capability        functions of page_traits<Page>                           asked for by
///     host_page         ref(page) -> reference word                              everything
///     compound_page     head(page) -> Page&, nr_pages(head) -> count             optional: tails count on their head
///     numbered_page     frame_number(page) -> integer, nth_page(page, i)         ranges of contiguous pages
///     lockable_page     lock(page), unlock(page); may block                      dirty release
///     trylockable_page  try_lock(page) -> bool, unlock(page)                     deferred dirty release
///     dirty_page        dirty(page) -> bool, set_dirty(page)                     dirty release
///     cleanable_page    clear_dirty(page) -> bool, what it was                   writeback
///     idle_page         idle_level(page) -> 0 or 1, on_idle(page)                optional: device pages
///     immortal_page     immortal(page) -> bool                                   optional: never counted, never freed
///     longterm_page     longterm_pinnable(page) -> bool                          optional: refuses FOLL_LONGTERM
///     exclusive_page    exclusive(page) -> bool, set_exclusive(page, bool)       optional: copy-on-write by a mark
///     freeable_page     free_page(head): called by the last release              gup, handles, compound pages
///                       share_count(head) -> share_count&                        reuse_rule::sole_user
///                       mapcount(head) -> count                                  pins_by_mapcount
///
/// A function that is there but not as the table says, without noexcept or with another type, does not compile.
///
/// `on_idle` is called each time the count comes down to the idle level, also when a look-up gives back what it took of
/// a page that was idle before.
///
/// Everything but `ref` takes the head of a compound page where that matters. Functions must be noexcept, and safe on a
/// descriptor that may be dying: `head` and `ref` run before anything is held.
///
/// When not to use it: to wrap a host's page in a class of pinref's. The descriptor stays the host's own.
///
/// Example:
///
///     struct frame { pinref::page_ref<> ref; };
///     template <> struct pinref::page_traits<frame> {
///       static auto& ref(frame& page) noexcept { return page.ref; }
///     };

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pinref/ref/reference_word.hpp"

namespace pinref {

/// Specialize it for the host's page descriptor.
template <class Page>
struct page_traits;

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
template <class Page>
concept host_page = requires(Page& page) {
  { page_traits<Page>::ref(page) } noexcept;
  requires reference_word<std::remove_cvref_t<decltype(page_traits<Page>::ref(page))>>;
};

template <class Page>
concept compound_page = requires(Page& page) {
  { page_traits<Page>::head(page) } noexcept -> std::same_as<Page&>;
  { page_traits<Page>::nr_pages(page) } noexcept -> std::convertible_to<std::size_t>;
};

template <class Page>
concept numbered_page = requires(Page& page, std::size_t i) {
  { page_traits<Page>::frame_number(page) } noexcept -> std::convertible_to<std::uint64_t>;
  { page_traits<Page>::nth_page(page, i) } noexcept -> std::same_as<Page&>;
};

template <class Page>
concept lockable_page = requires(Page& page) {
  { page_traits<Page>::lock(page) } noexcept;
  { page_traits<Page>::unlock(page) } noexcept;
};

template <class Page>
concept trylockable_page = requires(Page& page) {
  { page_traits<Page>::try_lock(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::unlock(page) } noexcept;
};

template <class Page>
concept dirty_page = requires(Page& page) {
  { page_traits<Page>::dirty(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::set_dirty(page) } noexcept;
};

template <class Page>
concept cleanable_page = dirty_page<Page> && requires(Page& page) {
  { page_traits<Page>::clear_dirty(page) } noexcept -> std::same_as<bool>;
};

template <class Page>
concept idle_page = requires(Page& page) {
  { page_traits<Page>::idle_level(page) } noexcept -> std::convertible_to<std::size_t>;
  { page_traits<Page>::on_idle(page) } noexcept;
};

template <class Page>
concept immortal_page = requires(Page& page) {
  { page_traits<Page>::immortal(page) } noexcept -> std::same_as<bool>;
};

template <class Page>
concept longterm_page = requires(Page& page) {
  { page_traits<Page>::longterm_pinnable(page) } noexcept -> std::same_as<bool>;
};

template <class Page>
concept exclusive_page = requires(Page& page, bool mark) {
  { page_traits<Page>::exclusive(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::set_exclusive(page, mark) } noexcept;
};

template <class Page>
concept freeable_page = requires(Page& page) {
  { page_traits<Page>::free_page(page) } noexcept;
};

// clang-format on

namespace detail {

/// Is every optional function either absent or as its concept asks? A misspelt one would otherwise count as absent.
template <class Page>
constexpr bool check_traits() noexcept {
  using traits = page_traits<Page>;
  static_assert(
      compound_page<Page> || !requires(Page & page) { traits::head(page); },
      "pinref: page_traits<Page>::head and nr_pages must be as compound_page asks, noexcept included");
  static_assert(
      idle_page<Page> || !requires(Page & page) { traits::idle_level(page); },
      "pinref: page_traits<Page>::idle_level and on_idle must be as idle_page asks, noexcept included");
  static_assert(
      immortal_page<Page> || !requires(Page & page) { traits::immortal(page); },
      "pinref: page_traits<Page>::immortal must be as immortal_page asks, noexcept included");
  static_assert(
      longterm_page<Page> || !requires(Page & page) { traits::longterm_pinnable(page); },
      "pinref: page_traits<Page>::longterm_pinnable must be as longterm_page asks, noexcept included");
  static_assert(
      exclusive_page<Page> || !requires(Page & page) { traits::exclusive(page); },
      "pinref: page_traits<Page>::exclusive and set_exclusive must be as exclusive_page asks, noexcept "
      "included");
  static_assert(
      freeable_page<Page> || !requires(Page & page) { traits::free_page(page); },
      "pinref: page_traits<Page>::free_page must be as freeable_page asks, noexcept included");
  return true;
}

}  // namespace detail

/// The page that counts for this one: its head if it is part of a compound page, else itself. Linux: compound_head().
template <host_page Page>
[[nodiscard]] Page& compound_head(Page& page) noexcept {
  static_assert(detail::check_traits<Page>());
  if constexpr (compound_page<Page>)
    return page_traits<Page>::head(page);
  else
    return page;
}

/// Is this page outside all counting, as Linux's zero page is?
template <host_page Page>
[[nodiscard]] bool page_immortal([[maybe_unused]] Page& page) noexcept {
  if constexpr (immortal_page<Page>)
    return page_traits<Page>::immortal(page);
  else
    return false;
}

}  // namespace pinref
