// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_traits of a page that has members named as the traits are: a host without a specialization.
///
/// The descriptor has a data member `ref`, or a function of that name, and of the table in page_traits.hpp whatever it
/// wants to offer, as member functions without the first argument. They are judged as the traits are: one that is there
/// but not as the table says does not compile.
///
/// When not to use it: for descriptors that you cannot change, or that have members of these names with another
/// meaning. Specialize page_traits.
///
/// Example:
///
///     struct frame {
///       pinref::page_ref<> ref;
///       void free_page() noexcept { give_back(*this); }
///     };
///     static_assert(pinref::freeable_page<frame>);               // so it is not misspelt
///
/// Errors: none; a member that is not as the table says does not compile.
/// Memory order: that of the members.
/// Progress: that of the members.
/// Source: pinref's own.

#include <cstddef>

#include "pinref/fwd.hpp"

namespace pinref::inline v0_1 {

// clang-format off
/// The traits of a page without a specialization: its own members.
template <class Page>
struct page_traits {
  /// The functions are those of the page.
  static constexpr bool of_members = true;

  static auto& ref(Page& p) noexcept requires requires { p.ref.init(); } { return p.ref; }
  static auto& ref(Page& p) noexcept requires requires { { p.ref() } noexcept; p.ref().init(); } { return p.ref(); }
  static decltype(auto) head(Page& p) noexcept(noexcept(p.head())) requires requires { p.head(); } { return p.head(); }
  static decltype(auto) nr_pages(Page& p) noexcept(noexcept(p.nr_pages())) requires requires { p.nr_pages(); } { return p.nr_pages(); }
  static decltype(auto) set_head(Page& p, Page& head) noexcept(noexcept(p.set_head(head))) requires requires { p.set_head(head); } { return p.set_head(head); }
  static decltype(auto) set_nr_pages(Page& p, std::size_t n) noexcept(noexcept(p.set_nr_pages(n))) requires requires { p.set_nr_pages(n); } { return p.set_nr_pages(n); }
  static decltype(auto) frame_number(Page& p) noexcept(noexcept(p.frame_number())) requires requires { p.frame_number(); } { return p.frame_number(); }
  static decltype(auto) nth_page(Page& p, std::size_t i) noexcept(noexcept(p.nth_page(i))) requires requires { p.nth_page(i); } { return p.nth_page(i); }
  static decltype(auto) lock(Page& p) noexcept(noexcept(p.lock())) requires requires { p.lock(); } { return p.lock(); }
  static decltype(auto) try_lock(Page& p) noexcept(noexcept(p.try_lock())) requires requires { p.try_lock(); } { return p.try_lock(); }
  static decltype(auto) unlock(Page& p) noexcept(noexcept(p.unlock())) requires requires { p.unlock(); } { return p.unlock(); }
  static decltype(auto) dirty(Page& p) noexcept(noexcept(p.dirty())) requires requires { p.dirty(); } { return p.dirty(); }
  static decltype(auto) set_dirty(Page& p) noexcept(noexcept(p.set_dirty())) requires requires { p.set_dirty(); } { return p.set_dirty(); }
  static decltype(auto) clear_dirty(Page& p) noexcept(noexcept(p.clear_dirty())) requires requires { p.clear_dirty(); } { return p.clear_dirty(); }
  static decltype(auto) resident(Page& p) noexcept(noexcept(p.resident())) requires requires { p.resident(); } { return p.resident(); }
  static decltype(auto) on_idle(Page& p) noexcept(noexcept(p.on_idle())) requires requires { p.on_idle(); } { return p.on_idle(); }
  static decltype(auto) immortal(Page& p) noexcept(noexcept(p.immortal())) requires requires { p.immortal(); } { return p.immortal(); }
  static decltype(auto) longterm_pinnable(Page& p) noexcept(noexcept(p.longterm_pinnable())) requires requires { p.longterm_pinnable(); } { return p.longterm_pinnable(); }
  static decltype(auto) longterm_pinnable(Page& p, foll flags) noexcept(noexcept(p.longterm_pinnable(flags))) requires requires { p.longterm_pinnable(flags); } { return p.longterm_pinnable(flags); }
  static decltype(auto) exclusive(Page& p) noexcept(noexcept(p.exclusive())) requires requires { p.exclusive(); } { return p.exclusive(); }
  static decltype(auto) set_exclusive(Page& p, bool mark) noexcept(noexcept(p.set_exclusive(mark))) requires requires { p.set_exclusive(mark); } { return p.set_exclusive(mark); }
  static decltype(auto) free_page(Page& p) noexcept(noexcept(p.free_page())) requires requires { p.free_page(); } { return p.free_page(); }
  static decltype(auto) stamp(Page& p) noexcept(noexcept(p.stamp())) requires requires { p.stamp(); } { return p.stamp(); }
  static decltype(auto) share_count(Page& p) noexcept(noexcept(p.share_count())) requires requires { p.share_count(); } { return p.share_count(); }
  static decltype(auto) mapcount(Page& p) noexcept(noexcept(p.mapcount())) requires requires { p.mapcount(); } { return p.mapcount(); }
};
// clang-format on

}  // namespace pinref::inline v0_1
