// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Copy-on-write: may a write fault reuse the page, and may a fork share it?
///
/// A page that a device is using must stay where its owner's mapping is: copied away at a write fault, or shared with a
/// child that then takes it over, owner and device would look at different pages. Three rules have been in use for the
/// write fault; they are here to be chosen and compared:
///
///     rule            reuses the page if                     wrong when
///     sole_user       one mapping or swap entry uses it      a child has pinned it and unmapped it, and the parent
///                                                            writes: the child reads it there (CVE-2020-29374)
///     sole_reference  nobody else holds it                   a scanner's passing reference makes the owner lose a page
///                                                            that a device is writing to
///     exclusive_mark  it is marked as its space's own        never: sharing clears the mark, and a pinned page is not
///                                                            shared
///
/// The invariant of the mark: a page is pinned only while it is exclusive, and once pinned cannot become shared. gup
/// keeps the first half (pages without the mark go to the slow path, which makes a copy), fork_page the second.
///
/// When not to use it: for pages that are never shared.
///
/// Example:
///
///     if (pinref::can_reuse<pinref::reuse_rule::exclusive_mark>(page))
///       entry.make_writable();
///     else
///       copy_page(page);
///
/// Errors: none.
/// Memory order: that of the questions asked; see page_dma_pinned and share_count.
/// Progress: wait-free but for what the host is called for.
/// Source: Linux do_wp_page(), reuse_swap_page(), page_try_dup_anon_rmap(); the patch "fix do_wp_page reuse test", June
/// 2008.

#include <concepts>
#include <cstddef>

#include "pinref/page/page.hpp"

namespace pinref::inline v0_1 {

/// When a write fault may reuse the page; see the table above.
enum class reuse_rule : unsigned char {
  sole_user,       ///< one mapping or swap entry uses it; known to be wrong
  sole_reference,  ///< nobody else holds it; known to be wrong
  exclusive_mark,  ///< it is marked as its space's own
};

/// The name of a rule, as spelled above.
[[nodiscard]] constexpr const char* to_string(reuse_rule rule) noexcept {
  switch (rule) {
    case reuse_rule::sole_user:
      return "sole_user";
    case reuse_rule::sole_reference:
      return "sole_reference";
    case reuse_rule::exclusive_mark:
      return "exclusive_mark";
  }
  return "unknown";
}

/// May a write fault make the entry writable, instead of copying the page? Takes no lock and needs none: for
/// `sole_user` the host keeps its count so that it is never too low (`share_count`). For `sole_reference`, `holders` is
/// how many the page has when only the faulting space uses it: its mapping, and the caller if that holds the page.
template <reuse_rule Rule, host_page Page>
[[nodiscard]] bool can_reuse(Page& page, [[maybe_unused]] std::size_t holders = 1) noexcept {
  static_assert(detail::check_traits<Page>());
  using traits = page_traits<Page>;
  Page& head = pinref::compound_head(page);
  if (pinref::page_immortal(head)) return false;
  if constexpr (Rule == reuse_rule::sole_user) {
    static_assert(share_counted_page<Page>, "pinref: reuse_rule::sole_user needs page_traits<Page>::share_count(page)");
    return traits::share_count(head).sum() == 1;
  } else if constexpr (Rule == reuse_rule::sole_reference) {
    return traits::ref(head).idle(holders);
  } else {
    static_assert(
        exclusive_page<Page>,
        "pinref: reuse_rule::exclusive_mark needs page_traits<Page>::exclusive(page) and set_exclusive(page, mark)");
    return traits::exclusive(head);
  }
}

/// As can_reuse by sole_user, for a caller that has the page locked and so may free a swap entry that only keeps a copy
/// on disk: such an entry counts as a user. `free_swap(page)` drops it. A caller that cannot have the lock at once uses
/// can_reuse; failing to get it must not force a copy.
template <host_page Page, class FreeSwap>
[[nodiscard]] bool can_reuse_locked(Page& page, FreeSwap free_swap) noexcept {
  using traits = page_traits<Page>;
  static_assert(detail::check_traits<Page>());
  static_assert(share_counted_page<Page>, "pinref: can_reuse_locked needs page_traits<Page>::share_count(page)");
  Page& head = pinref::compound_head(page);
  auto& users = traits::share_count(head);
  if (users.mappings() == 1 && users.swap_entries() != 0) free_swap(head);
  return pinref::can_reuse<reuse_rule::sole_user>(page);
}

/// Must a fork copy this page at once because a device may be using it? Precondition: the space's write_protect_seq is
/// active, so no lockless pin is missed. Linux: folio_needs_cow_for_dma().
///
/// `space_pins` is how many pins the space may have. If it is 0 the page is not asked, and the order against later pins
/// must come from the host's counter: it is incremented, with acquire, before each pin, and read for this call, by a
/// read-modify-write with acquire and release, after write_begin(). A host that does not count passes 1.
template <host_page Page>
[[nodiscard]] bool page_needs_cow_for_dma(Page& page, std::size_t space_pins) noexcept {
  return space_pins != 0 && pinref::page_dma_pinned(page);
}

/// What a fork does with one page of the parent.
enum class fork_result : unsigned char {
  shared,  ///< the mark is cleared: both map it, read-only; the child's mapping is the caller's to count
  copied,  ///< the child gets a copy, the parent keeps page and mark
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(fork_result result) noexcept {
  switch (result) {
    case fork_result::shared:
      return "shared";
    case fork_result::copied:
      return "copied";
  }
  return "unknown";
}

/// A parent's entry, as fork_page uses it.
template <class Entry>
concept fork_entry = requires(Entry& entry) {
  { entry.writable() } -> std::same_as<bool>;
  entry.write_protect();
  entry.make_writable();
};

/// Decides and does it for one page, under the lock of the parent's entry, with the write_protect_seq active. The entry
/// has `writable()`, `write_protect()` and `make_writable()`. It is write-protected first. If the page is pinned,
/// `copy(page)` makes the child's copy, while no thread of the parent can write through the mapping: the copy shows one
/// instant of the parent's own writes. Then the entry becomes writable again if it was.
template <host_page Page, class Entry, class Copy>
[[nodiscard("the child's mapping is the caller's to make")]] fork_result fork_page(Page& page, Entry& entry,
                                                                                   std::size_t space_pins,
                                                                                   Copy copy) noexcept {
  static_assert(fork_entry<Entry>, "pinref: the entry of a fork_page must be as fork_entry asks");
  static_assert(detail::check_traits<Page>());
  static_assert(exclusive_page<Page>,
                "pinref: fork_page needs page_traits<Page>::exclusive(page) and set_exclusive(page, mark)");
  using traits = page_traits<Page>;
  Page& head = pinref::compound_head(page);
  const bool was_writable = entry.writable();
  (void)entry.write_protect();
  if (traits::exclusive(head)) {
    if (pinref::page_needs_cow_for_dma(head, space_pins)) {
      copy(page);
      if (was_writable) entry.make_writable();
      return fork_result::copied;
    }
    traits::set_exclusive(head, false);
  }
  return fork_result::shared;
}

}  // namespace pinref::inline v0_1
