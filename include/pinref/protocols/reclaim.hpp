// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// reclaim_page and migrate_page: taking away a page that only known references hold.
///
/// Both freeze the page from exactly the references that are expected; a pin, or an unknown holder, makes that fail.
/// Freeze first, then look at the dirty bit: a device's owner marks the page before it unpins, so a caller that has
/// frozen the page sees the mark. A look before the freeze could miss it.
///
/// When not to use it: to free a page whose holders are all gone; the last release does that.
///
/// Example:
///
///     switch (pinref::reclaim_page(page, 2)) {                   // the cache's reference and the caller's
///       case pinref::reclaim_result::reclaimed: give_back(page); break;   // frozen: the caller's alone
///       case pinref::reclaim_result::dirty: queue_for_writeback(page); break;
///       case pinref::reclaim_result::busy: try_again_later();    // pinned, or in use
///     }
///
/// Errors: the results say why the page stays as it is.
/// Memory order: acquire on success: what all former holders did is seen.
/// Progress: reclaim_page is lock-free; migrate_page waits, until its deadline.
/// Source: Linux __remove_mapping(), folio_migrate_mapping(), folio_expected_ref_count().

#include <cstddef>

#include "pinref/page/page.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/wait_canceller.hpp"

namespace pinref::inline v0_1 {

/// The references a page has when only these hold it: each mapping, the cache for each of its pages, what hangs on
/// it privately, and the caller's own. True only while the page is locked and its mappings cannot change.
[[nodiscard]] constexpr std::size_t expected_ref_count(std::size_t mappings, std::size_t cached_pages, bool has_private,
                                                       std::size_t callers) noexcept {
  return mappings + cached_pages + (has_private ? 1 : 0) + callers;
}

/// How reclaim_page ended.
enum class reclaim_result : unsigned char {
  reclaimed,  ///< frozen: the caller owns the page alone and may free or reuse it
  busy,       ///< another holder has it, a pin perhaps; nothing changed
  dirty,      ///< it must be written first; nothing changed
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(reclaim_result result) noexcept {
  switch (result) {
    case reclaim_result::reclaimed:
      return "reclaimed";
    case reclaim_result::busy:
      return "busy";
    case reclaim_result::dirty:
      return "dirty";
  }
  return "unknown";
}

/// Claims a page that has exactly `expected` references, all of them the caller's to give up, and no pin, if it is
/// clean. Precondition: the caller has the page locked, so that it is not marked dirty meanwhile. Lock-free.
template <host_page Page>
[[nodiscard]] reclaim_result reclaim_page(Page& page, std::size_t expected) noexcept {
  static_assert(detail::check_traits<Page>());
  static_assert(dirty_page<Page>, "pinref: reclaim needs page_traits<Page>::dirty(page) and set_dirty(page)");
  using traits = page_traits<Page>;
  Page& head = pinref::compound_head(page);
  if (pinref::page_immortal(head) || !traits::ref(head).freeze(expected)) return reclaim_result::busy;
  if (!traits::dirty(head)) return reclaim_result::reclaimed;
  traits::ref(head).unfreeze(expected);
  return reclaim_result::dirty;
}

/// How migrate_page ended.
enum class migrate_result : unsigned char {
  migrated,   ///< the target holds the data and the references
  busy,       ///< a device may know the page by its address, or it has fewer references than expected, or none are
              ///< expected; nothing changed
  timed_out,  ///< a reference beyond the expected ones did not go before the deadline; nothing changed
  given_up    ///< cancelled; nothing changed
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(migrate_result result) noexcept {
  switch (result) {
    case migrate_result::migrated:
      return "migrated";
    case migrate_result::busy:
      return "busy";
    case migrate_result::timed_out:
      return "timed_out";
    case migrate_result::given_up:
      return "given_up";
  }
  return "unknown";
}

/// Moves a page's data and `expected` references to `target`, a dead page of the caller's, by `move(from, to)`, which
/// also swings what points to it. References beyond those are waited for until the deadline, with deadline::passed()
/// not at all; a pin that is seen before or after the wait ends it. The source stays frozen, and is the caller's to
/// free. May block.
template <host_page Page, class Move, cancels_waits<typename detail::ref_of<Page>::sync> Canceller = never_cancelled>
[[nodiscard]] migrate_result migrate_page(Page& page, Page& target, std::size_t expected, Move move,
                                          const deadline& until = deadline::never(),
                                          const Canceller& stop = {}) noexcept {
  using traits = page_traits<Page>;
  Page& from = pinref::compound_head(page);
  Page& to = pinref::compound_head(target);
  if (expected == 0 || pinref::page_immortal(from)) return migrate_result::busy;
  auto& ref = traits::ref(from);
  for (;;) {
    if (ref.freeze(expected)) {
      move(from, to);
      traits::ref(to).init(expected);
      return migrate_result::migrated;
    }
    if (pinref::page_dma_pinned(from)) return migrate_result::busy;
    if (ref.snapshot().references() < static_cast<long long>(expected)) return migrate_result::busy;
    if (until.left() <= 0) return migrate_result::timed_out;
    // Asked here too: a page that is idle at every look, and never when it is to be frozen, is not waited for.
    if (stop.cancelled()) return migrate_result::given_up;
    const wait_result waited = ref.wait_until_idle(expected, until, stop);
    if (waited == wait_result::timed_out) return migrate_result::timed_out;
    if (waited == wait_result::given_up) return migrate_result::given_up;
  }
}

}  // namespace pinref::inline v0_1
