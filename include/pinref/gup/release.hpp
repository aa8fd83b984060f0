// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Releasing many pages: unpin, dirty and unpin, put. Runs of one head cost one atomic.
///
/// Null entries are skipped. Neighbours of one head are released together.
///
/// When not to use it: to undo a failed `pin_user_pages`; it has undone what its result does not count.
///
/// Example:
///
///     const auto pinned = pinref::pin_user_pages(space, start, n, pinref::foll::write, pages);
///     const auto done = pinref::unpin_user_pages_dirty_lock(pages, pinned.count, true);   // a device wrote to them
///     if (done.reason == pinref::gup_error::dirty_refused) give_up("what it wrote may be lost");
///
/// Needs `free_page` of the host.
///
/// Errors: a run of more than is held is refused whole; all other runs are released. The result then says `underflow`,
/// and how many pages were released. A page that cannot be marked dirty is released all the same, and the result says
/// dirty_refused, unless there was an underflow too. A count above `max_pages` is refused with too_many_pages: it is an
/// error code, such as -14, that was taken for a count.
/// Memory order: release for each page; the dirty bit is set before the pin goes, so a caller that freezes the page and
/// then looks sees it.
/// Progress: lock-free, except for the page lock of the dirty forms.
/// Source: Linux unpin_user_pages(), unpin_user_pages_dirty_lock(), unpin_user_page_range_dirty_lock(),
/// unpin_user_folio(), release_pages().

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "pinref/gup/gup_result.hpp"
#include "pinref/page/holders.hpp"

namespace pinref::inline v0_1 {

/// The most pages one call takes or releases: an array has room for no more. A count above it is an error code that was
/// taken for one, and is refused with too_many_pages.
inline constexpr std::size_t max_pages = PTRDIFF_MAX / sizeof(void*);

namespace detail {

[[nodiscard]] constexpr std::size_t smaller(std::size_t a, std::size_t b) noexcept {
  return a < b ? a : b;
}

template <class Pages>
using page_of_span = std::remove_cv_t<
    std::remove_pointer_t<std::remove_cv_t<std::remove_pointer_t<decltype(std::data(std::declval<Pages&>()))>>>>;

/// Does the page have n pins, or n holders? May be asked before their release: the caller's own cannot leave meanwhile.
template <hold Mode, class Page>
[[nodiscard]] bool holds(Page& head, std::size_t n) noexcept {
  auto& ref = page_traits<Page>::ref(head);
  // The sum over a hot page's threads may miss some, and its owner's own reference keeps it from being freed.
  bool hot = false;
  if constexpr (requires { ref.is_hot(); }) hot = ref.is_hot();
  const auto seen = ref.snapshot();
  if constexpr (requires { ref.is_hot(); }) hot = hot || ref.is_hot();
  if (hot) return true;
  if constexpr (Mode == hold::pin)
    return seen.pins() >= n;
  else
    // Plain references would look too few where the layout is not exact, and in the two words of `split`.
    return decltype(seen)::zones::holders(seen.raw()) >= n;
}

/// Are these holders more than one step releases, and more than there are? A step releases all or none, but the steps
/// before the one that is refused could have released holders of another thread.
template <hold Mode, class Page>
[[nodiscard]] bool too_many(Page& head, std::size_t n) noexcept {
  return n > max_at_once<Mode, Page> && !pinref::page_immortal(head) && !detail::holds<Mode>(head, n);
}

/// Drops n holders of a head and adds them to the result, or none if there are fewer.
template <hold Mode, class Page>
void drop_run(Page& head, std::size_t n, gup_result& done, caller<Page> where) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(freeable_page<Page>, "pinref: releasing many pages needs page_traits<Page>::free_page(page)");
  if (detail::too_many<Mode>(head, n)) {
    done.reason = gup_error::underflow;
    return;
  }
  while (n != 0) {
    const std::size_t step = detail::smaller(n, max_at_once<Mode, Page>);
    if (detail::drop_head<Mode>(head, step, where) == release_result::underflow) {
      done.reason = gup_error::underflow;
      return;
    }
    done.count += step;
    n -= step;
  }
}

/// Marks a page dirty; false if the host refuses.
template <class Page>
bool set_dirty(Page& head) noexcept {
  if constexpr (std::is_void_v<decltype(page_traits<Page>::set_dirty(head))>) {
    page_traits<Page>::set_dirty(head);
    return true;
  } else {
    return page_traits<Page>::set_dirty(head);
  }
}

/// Marks a clean page dirty; only then is its lock taken. Seeing it dirty without the lock is no race: a writeback that
/// cleans it write-protects first and finds the pin. False if the host refuses.
template <class Page>
bool dirty_locked(Page& head) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(lockable_page<Page>, "pinref: dirty release needs page_traits<Page>::lock(page) and unlock(page)");
  static_assert(dirty_page<Page>, "pinref: dirty release needs page_traits<Page>::dirty(page) and set_dirty(page)");
  using traits = page_traits<Page>;
  if (pinref::page_immortal(head) || traits::dirty(head)) return true;
  traits::lock(head);
  const bool marked = traits::dirty(head) || detail::set_dirty(head);
  traits::unlock(head);
  return marked;
}

/// Calls `run(head, n)` for each run of entries with one head; null entries neither count nor end a run.
template <class Page, class Run>
void for_each_run(Page* const* pages, std::size_t n, Run& run) noexcept {
  Page* head = nullptr;
  std::size_t length = 0;
  for (std::size_t i = 0; i != n; ++i) {
    if (pages[i] == nullptr) continue;
    Page& next = pinref::compound_head(*pages[i]);
    if (&next != head) {
      if (length != 0) run(*head, length);
      head = &next;
      length = 0;
    }
    ++length;
  }
  if (length != 0) run(*head, length);
}

/// Calls `run(head, n)` for each run of one head among n pages that follow each other by frame number.
template <class Page, class Run>
void for_each_frame_run(Page* page, std::size_t n, Run& run) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(numbered_page<Page>,
                "pinref: a range of pages needs page_traits<Page>::frame_number(page) and nth_page(page, i)");
  using traits = page_traits<Page>;
  while (n != 0) {
    Page& head = pinref::compound_head(*page);
    std::size_t length = 1;
    if constexpr (compound_page<Page>) {
      const std::uint64_t end = traits::frame_number(head) + traits::nr_pages(head);
      length = detail::smaller(n, static_cast<std::size_t>(end - traits::frame_number(*page)));
    }
    n -= length;
    // Found before the release, after which the descriptors may change hands.
    Page* const next = n != 0 ? &traits::nth_page(*page, length) : nullptr;
    run(head, length);
    page = next;
  }
}

/// The body of every release of an array or a range: one run of one head after the other.
template <hold Mode, bool MakeDirty, class Page>
struct drop_runs {
  caller<Page> where;
  gup_result done = {};

  void operator()(Page& head, std::size_t length) noexcept {
    if constexpr (MakeDirty)
      if (!detail::too_many<Mode>(head, length) && !detail::dirty_locked(head) && done.ok())
        done.reason = gup_error::dirty_refused;
    detail::drop_run<Mode>(head, length, done, where);
  }
};

template <hold Mode, bool MakeDirty, class Page>
gup_result drop_pages(Page* const* pages, std::size_t n, caller<Page> where) noexcept {
  if (pages == nullptr && n != 0) return {0, gup_error::null_pages};
  if (n > max_pages) return {0, gup_error::too_many_pages};
  drop_runs<Mode, MakeDirty, Page> drop{where};
  detail::for_each_run(pages, n, drop);
  return drop.done;
}

template <bool MakeDirty, class Page>
gup_result unpin_range(Page* first, std::size_t n, caller<Page> where) noexcept {
  if (first == nullptr && n != 0) return {0, gup_error::null_pages};
  if (n > max_pages) return {0, gup_error::too_many_pages};
  drop_runs<hold::pin, MakeDirty, Page> drop{where};
  detail::for_each_frame_run(first, n, drop);
  return drop.done;
}

}  // namespace detail

// clang-format off
/// Pages by their addresses, next to each other: a span, an array, a vector. Not a handle: that releases them itself.
template <class Pages>
concept page_span = requires(const Pages& pages) {
  { std::size(pages) } -> std::convertible_to<std::size_t>;
  { std::data(pages) } -> std::convertible_to<detail::page_of_span<Pages>* const*>;
  requires host_page<detail::page_of_span<Pages>>;
};
// clang-format on

/// Releases one pin of each of n pages.
template <host_page Page>
gup_result unpin_user_pages(Page* const* pages, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::drop_pages<hold::pin, false>(pages, n, where);
}
template <page_span Pages, class Page = detail::page_of_span<Pages>>
gup_result unpin_user_pages(const Pages& pages, caller<Page> where = caller<Page>::current()) noexcept {
  return pinref::unpin_user_pages<Page>(std::data(pages), std::size(pages), where);
}

/// As unpin_user_pages; with `make_dirty` each page is marked dirty first, under its lock if it is clean. May block
/// then.
template <host_page Page>
gup_result unpin_user_pages_dirty_lock(Page* const* pages, std::size_t n, bool make_dirty,
                                       caller<Page> where = caller<Page>::current()) noexcept {
  return make_dirty ? detail::drop_pages<hold::pin, true>(pages, n, where)
                    : detail::drop_pages<hold::pin, false>(pages, n, where);
}
template <page_span Pages, class Page = detail::page_of_span<Pages>>
gup_result unpin_user_pages_dirty_lock(const Pages& pages, bool make_dirty,
                                       caller<Page> where = caller<Page>::current()) noexcept {
  return pinref::unpin_user_pages_dirty_lock<Page>(std::data(pages), std::size(pages), make_dirty, where);
}

/// Releases one pin of each of n pages that follow each other by frame number, from `first` on. They may belong to
/// several heads; neighbours of one head go together. Linux: unpin_user_page_range_dirty_lock() without make_dirty.
template <host_page Page>
gup_result unpin_user_page_range(Page* first, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::unpin_range<false>(first, n, where);
}

/// As unpin_user_page_range; with `make_dirty` each head is marked dirty first, under its lock if it is clean. May
/// block then.
template <host_page Page>
gup_result unpin_user_page_range_dirty_lock(Page* first, std::size_t n, bool make_dirty,
                                            caller<Page> where = caller<Page>::current()) noexcept {
  return make_dirty ? detail::unpin_range<true>(first, n, where) : detail::unpin_range<false>(first, n, where);
}

/// Releases n pins of one folio at once.
template <host_page Page>
gup_result unpin_user_folio(Page& folio, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  detail::drop_runs<hold::pin, false, Page> run{where};
  run(pinref::compound_head(folio), n);
  return run.done;
}

/// As unpin_user_folio, marked dirty first, under its lock if it is clean. May block.
template <host_page Page>
gup_result unpin_user_folio_dirty_lock(Page& folio, std::size_t n,
                                       caller<Page> where = caller<Page>::current()) noexcept {
  detail::drop_runs<hold::pin, true, Page> run{where};
  if (n != 0) run(pinref::compound_head(folio), n);
  return run.done;
}

/// Releases one reference of each of n pages: the other half of get_user_pages. Linux: release_pages().
template <host_page Page>
gup_result release_pages(Page* const* pages, std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
  return detail::drop_pages<hold::reference, false>(pages, n, where);
}
template <page_span Pages, class Page = detail::page_of_span<Pages>>
gup_result release_pages(const Pages& pages, caller<Page> where = caller<Page>::current()) noexcept {
  return pinref::release_pages<Page>(std::data(pages), std::size(pages), where);
}

}  // namespace pinref::inline v0_1
