// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_traits: the host's contract, one small capability at a time.
///
/// A host tells pinref about its page descriptor by specializing `page_traits` with static functions, or by members of
/// the same names (page_members.hpp). Only `ref` is required. Each further capability is a concept of its own; an
/// algorithm asks for what it uses and names what is missing.
///
///     capability           functions of page_traits<Page>                         asked for by
///     host_page            ref(page) -> reference word                            everything
///     compound_page        head(page) -> Page&, nr_pages(head) -> count           optional: tails count on their head
///     composable_page      set_head(page, head), set_nr_pages(head, n)             optional: made and split by calls
///     numbered_page        frame_number(page) -> integer, nth_page(page, i)       ranges of contiguous pages
///     lockable_page        lock(page), unlock(page); may block                    dirty release, writeback
///     trylockable_page     try_lock(page) -> bool, unlock(page)                   deferred dirty release
///     dirty_page           dirty(page) -> bool, set_dirty(page), see below        dirty release, reclaim, writeback
///     cleanable_page       clear_dirty(page) -> bool, what it was                 writeback
///     idle_page            resident(page) -> bool, on_idle(page)                  optional: device pages
///     immortal_page        immortal(page) -> bool                                 optional: never counted, never freed
///     longterm_page        longterm_pinnable(page), or (page, flags) -> bool      optional: refuses FOLL_LONGTERM
///     exclusive_page       exclusive(page) -> bool, set_exclusive(page, bool)     optional: copy-on-write by a mark
///     freeable_page        free_page(head): called by the last release            gup, handles, compound pages
///     stamped_page         stamp(head) -> page_stamp&                             optional: readers that hold nothing
///     share_counted_page   share_count(head) -> share_count&                      reuse_rule::sole_user
///     mapcounted_page      mapcount(head) -> count                                pins_by_mapcount
///
/// A function of one of these names that is not as the table says, without its partner, without noexcept or with
/// another type, does not compile. A misspelt name is no name of the table and counts as absent; so say below the
/// specialization what it is meant to offer: a concept that is not met does not compile either.
///
/// `resident` says that the owner keeps a reference of its own as long as the page exists: the page is idle when only
/// that one is left. `on_idle` is called each time the count comes down to it, also when a look-up gives back what it
/// took of a page that was idle before. It may come late: by then others may hold the page again, or a later release
/// has called it already. So what it does must bear being done twice, and ask `page_idle` where it matters.
///
/// `set_dirty` returns nothing, or true. False refuses the mark, for example when the page's owner has gone; a dirty
/// release then unpins all the same and says dirty_refused.
///
/// `longterm_pinnable` is passed the flags of the call if it takes them: a page may be pinnable for long by readers
/// only.
///
/// `exclusive` is the mark of a whole compound page: of its head. Pages that copy-on-write never copies, those of a
/// file in a mapping that shares its writes, are exclusive always; the file's pages in a private mapping never are.
///
/// `nr_pages` may be asked of a page that is not held: what makes and splits compound pages changes it meanwhile, so it
/// is an atomic there.
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
///       static void free_page(frame& page) noexcept { give_back(page); }
///     };
///     static_assert(pinref::freeable_page<frame>);               // so it is not misspelt
///
/// Longer than other headers, because the table and its checks are read together.
///
/// Errors: none; traits that are not as the table says do not compile.
/// Memory order: none of its own.
/// Progress: that of the host's functions.
/// Source: Linux struct folio, its flags and its reference counts; one capability each is pinref's own.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pinref/fwd.hpp"
#include "pinref/page/page_members.hpp"
#include "pinref/ref/reference_word.hpp"

namespace pinref::inline v0_1 {

namespace detail {

template <class Result>
concept void_or_bool = std::same_as<Result, void> || std::same_as<Result, bool>;

}  // namespace detail

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// A page with a reference word: what every call asks for.
template <class Page>
concept host_page = requires(Page& page) {
  { page_traits<Page>::ref(page) } noexcept;
  requires reference_word<std::remove_cvref_t<decltype(page_traits<Page>::ref(page))>>;
};

/// A page that may be part of a compound page, whose head counts for all.
template <class Page>
concept compound_page = requires(Page& page) {
  { page_traits<Page>::head(page) } noexcept -> std::same_as<Page&>;
  { page_traits<Page>::nr_pages(page) } noexcept -> std::convertible_to<std::size_t>;
};

/// A page with a number, from which its neighbours are found.
template <class Page>
concept numbered_page = requires(Page& page, std::size_t i) {
  { page_traits<Page>::frame_number(page) } noexcept -> std::convertible_to<std::uint64_t>;
  { page_traits<Page>::nth_page(page, i) } noexcept -> std::same_as<Page&>;
};

/// It can become part of a compound page and leave it again: `set_head` makes `head`, which may be the page itself, what
/// `head(page)` returns.
template <class Page>
concept composable_page = compound_page<Page> && numbered_page<Page> && requires(Page& page, std::size_t n) {
  { page_traits<Page>::set_head(page, page) } noexcept;
  { page_traits<Page>::set_nr_pages(page, n) } noexcept;
};

/// A page with a lock to sleep for.
template <class Page>
concept lockable_page = requires(Page& page) {
  { page_traits<Page>::lock(page) } noexcept;
  { page_traits<Page>::unlock(page) } noexcept;
};

/// A page with a lock that can be tried.
template <class Page>
concept trylockable_page = requires(Page& page) {
  { page_traits<Page>::try_lock(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::unlock(page) } noexcept;
};

/// A page that can be marked as to be written out.
template <class Page>
concept dirty_page = requires(Page& page) {
  { page_traits<Page>::dirty(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::set_dirty(page) } noexcept -> detail::void_or_bool;
};

/// A page whose mark can be taken away again.
template <class Page>
concept cleanable_page = dirty_page<Page> && requires(Page& page) {
  { page_traits<Page>::clear_dirty(page) } noexcept -> std::same_as<bool>;
};

/// A page that its owner may keep for good, and that says when only the owner holds it.
template <class Page>
concept idle_page = requires(Page& page) {
  { page_traits<Page>::resident(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::on_idle(page) } noexcept;
};

/// A page that may be outside all counting.
template <class Page>
concept immortal_page = requires(Page& page) {
  { page_traits<Page>::immortal(page) } noexcept -> std::same_as<bool>;
};

/// A page that may refuse pins without an end.
template <class Page>
concept longterm_page = requires(Page& page) {
  { page_traits<Page>::longterm_pinnable(page) } noexcept -> std::same_as<bool>;
} || requires(Page& page, foll flags) {
  { page_traits<Page>::longterm_pinnable(page, flags) } noexcept -> std::same_as<bool>;
};

/// A page with a mark that says whether it is its space's own.
template <class Page>
concept exclusive_page = requires(Page& page, bool mark) {
  { page_traits<Page>::exclusive(page) } noexcept -> std::same_as<bool>;
  { page_traits<Page>::set_exclusive(page, mark) } noexcept;
};

/// A page that the last release frees.
template <class Page>
concept freeable_page = requires(Page& page) {
  { page_traits<Page>::free_page(page) } noexcept;
};

/// A page with a stamp for readers that hold nothing: each release of a pin changes it first.
template <class Page>
concept stamped_page = requires(Page& page) {
  { page_traits<Page>::stamp(page) } noexcept;
  { page_traits<Page>::stamp(page).changed() } noexcept;
};

/// A page that counts its users besides its holders.
template <class Page>
concept share_counted_page = requires(Page& page) {
  { page_traits<Page>::share_count(page) } noexcept;
  { page_traits<Page>::share_count(page).sum() } noexcept -> std::convertible_to<std::uint64_t>;
};

/// A page that counts its mappings.
template <class Page>
concept mapcounted_page = requires(Page& page) {
  { page_traits<Page>::mapcount(page) } noexcept -> std::convertible_to<std::uint64_t>;
};

// clang-format on

namespace detail {

/// An argument for a parameter of any type.
struct anything {
  template <class Parameter>
  operator Parameter&() const noexcept;
};

/// Has the host a function of some name, of whatever signature? `call(host, arguments...)` calls it by that name.
template <class Host, class First, class Call>
[[nodiscard]] constexpr bool is_there(Call) noexcept {
  return std::is_invocable_v<Call, Host&, First> || std::is_invocable_v<Call, Host&, First, anything> ||
         std::is_invocable_v<Call, Host&, First, anything, anything> || std::is_invocable_v<Call, Host&> ||
         std::is_invocable_v<Call, Host&, anything> || std::is_invocable_v<Call, Host&, anything, anything> ||
         std::is_invocable_v<Call, Host&, anything, anything, anything>;
}

// clang-format off
template <class Page>
struct named {
  template <class Call>
  static constexpr bool by(Call call) noexcept {
    if constexpr (requires { page_traits<Page>::of_members; })
      return detail::is_there<Page, anything>(call);
    else
      return detail::is_there<page_traits<Page>, Page&>(call);
  }

  static constexpr bool head() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.head(with...)) {}); }
  static constexpr bool nr_pages() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.nr_pages(with...)) {}); }
  static constexpr bool set_head() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.set_head(with...)) {}); }
  static constexpr bool set_nr_pages() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.set_nr_pages(with...)) {}); }
  static constexpr bool frame_number() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.frame_number(with...)) {}); }
  static constexpr bool nth_page() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.nth_page(with...)) {}); }
  static constexpr bool lock() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.lock(with...)) {}); }
  static constexpr bool try_lock() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.try_lock(with...)) {}); }
  static constexpr bool unlock() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.unlock(with...)) {}); }
  static constexpr bool dirty() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.dirty(with...)) {}); }
  static constexpr bool set_dirty() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.set_dirty(with...)) {}); }
  static constexpr bool clear_dirty() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.clear_dirty(with...)) {}); }
  static constexpr bool resident() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.resident(with...)) {}); }
  static constexpr bool on_idle() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.on_idle(with...)) {}); }
  static constexpr bool immortal() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.immortal(with...)) {}); }
  static constexpr bool longterm_pinnable() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.longterm_pinnable(with...)) {}); }
  static constexpr bool exclusive() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.exclusive(with...)) {}); }
  static constexpr bool set_exclusive() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.set_exclusive(with...)) {}); }
  static constexpr bool free_page() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.free_page(with...)) {}); }
  static constexpr bool stamp() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.stamp(with...)) {}); }
  static constexpr bool share_count() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.share_count(with...)) {}); }
  static constexpr bool mapcount() noexcept { return by([](auto& t, auto&&... with) -> decltype((void)t.mapcount(with...)) {}); }
};
// clang-format on

/// Is every optional function either absent or as its concept asks, whichever of a pair is there?
template <class Page>
constexpr bool check_traits() noexcept {
  using there = named<Page>;
  if constexpr (!compound_page<Page>)
    static_assert(!there::head() && !there::nr_pages(),
                  "pinref: page_traits<Page>::head and nr_pages must be as compound_page asks, noexcept included");
  if constexpr (!composable_page<Page>)
    static_assert(
        !there::set_head() && !there::set_nr_pages(),
        "pinref: page_traits<Page>::set_head and set_nr_pages must be as composable_page asks, noexcept included");
  if constexpr (!numbered_page<Page>)
    static_assert(
        !there::frame_number() && !there::nth_page(),
        "pinref: page_traits<Page>::frame_number and nth_page must be as numbered_page asks, noexcept included");
  if constexpr (!lockable_page<Page>)
    static_assert(!there::lock(),
                  "pinref: page_traits<Page>::lock and unlock must be as lockable_page asks, noexcept included");
  if constexpr (!trylockable_page<Page>)
    static_assert(!there::try_lock(),
                  "pinref: page_traits<Page>::try_lock and unlock must be as trylockable_page asks, noexcept included");
  if constexpr (!lockable_page<Page> && !trylockable_page<Page>)
    static_assert(!there::unlock(),
                  "pinref: page_traits<Page>::unlock needs a lock or try_lock beside it, noexcept included");
  if constexpr (!dirty_page<Page>)
    static_assert(!there::dirty() && !there::set_dirty(),
                  "pinref: page_traits<Page>::dirty and set_dirty must be as dirty_page asks, noexcept included");
  if constexpr (!cleanable_page<Page>)
    static_assert(!there::clear_dirty(),
                  "pinref: page_traits<Page>::clear_dirty must be as cleanable_page asks, noexcept included");
  if constexpr (!idle_page<Page>)
    static_assert(!there::resident() && !there::on_idle(),
                  "pinref: page_traits<Page>::resident and on_idle must be as idle_page asks, noexcept included");
  if constexpr (!immortal_page<Page>)
    static_assert(!there::immortal(),
                  "pinref: page_traits<Page>::immortal must be as immortal_page asks, noexcept included");
  if constexpr (!longterm_page<Page>)
    static_assert(!there::longterm_pinnable(),
                  "pinref: page_traits<Page>::longterm_pinnable must be as longterm_page asks, noexcept included");
  if constexpr (!exclusive_page<Page>)
    static_assert(
        !there::exclusive() && !there::set_exclusive(),
        "pinref: page_traits<Page>::exclusive and set_exclusive must be as exclusive_page asks, noexcept included");
  if constexpr (!freeable_page<Page>)
    static_assert(!there::free_page(),
                  "pinref: page_traits<Page>::free_page must be as freeable_page asks, noexcept included");
  if constexpr (!stamped_page<Page>)
    static_assert(!there::stamp(), "pinref: page_traits<Page>::stamp must be as stamped_page asks, noexcept included");
  if constexpr (!share_counted_page<Page>)
    static_assert(!there::share_count(),
                  "pinref: page_traits<Page>::share_count must be as share_counted_page asks, noexcept included");
  if constexpr (!mapcounted_page<Page>)
    static_assert(!there::mapcount(),
                  "pinref: page_traits<Page>::mapcount must be as mapcounted_page asks, noexcept included");
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

}  // namespace pinref::inline v0_1
