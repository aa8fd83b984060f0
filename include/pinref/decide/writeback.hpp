#pragma once

/// \file
/// page_mkclean and writeback_page: writing a page out while devices may be writing into it.
///
/// A pinned page cannot be made clean: the device writes past every mapping, before, during and after the write-out. So
/// whoever writes back first write-protects all mappings and then asks whether the page is pinned; the caller's policy
/// says what to do if so. The page keeps its dirty bit unless it was written as it is and nobody can have changed it
/// meanwhile.
///
/// When not to use it: for pages no device touches; clear the dirty bit and write.
///
/// Example:
///
///     pinref::writeback_result done = pinref::writeback_page(
///         page, mappings, pinref::if_pinned::bounce,
///         [&](frame& p, bool from_copy) { return from_copy ? write_copy(p) : write_block(p); });
///
/// The host's reverse map gives the mappings of a page. `for_each_mapping(page, visit)` calls `visit(entry)` for each;
/// an entry has `lock()`, `unlock()`, `maps(page)` (still, under its lock), and `write_protect()`, which returns
/// whether the page was written through it since the last time. `truncated(page)` says that the page no longer belongs
/// to what would be written. A write fault takes the page lock before it makes an entry writable again, as Linux's
/// page_mkwrite() does; otherwise a device pinned through it may write while the page is being written, and what goes
/// out may be torn, though the page is then dirty again.
///
/// Source: the discussion of pins and page_mkclean() on linux-mm, December 2018; Linux clear_page_dirty_for_io().

#include <concepts>
#include <cstddef>

#include "pinref/page/page.hpp"

namespace pinref {

/// The host's contract for walking the mappings of a page.
template <class Map, class Page>
concept reverse_map = host_page<Page> && requires(Map& map, Page& page) {
  typename Map::entry;
  { map.truncated(page) } -> std::same_as<bool>;
  map.for_each_mapping(page, [](typename Map::entry&) {});
  requires requires(typename Map::entry & entry) {
    entry.lock();
    entry.unlock();
    { entry.maps(page) } -> std::same_as<bool>;
    { entry.write_protect() } -> std::same_as<bool>;
  };
};

/// What page_mkclean found.
enum class mkclean_result : unsigned char {
  clean,      ///< every mapping is write-protected and nobody has pinned the page
  truncated,  ///< the page no longer belongs to the object; its pins, if any, are untouched
  pinned,     ///< every mapping is write-protected, but a device may write to the page
};

/// Asks the reference word: exact where the layout is.
struct pins_by_bias {
  template <class Page>
  [[nodiscard]] bool pinned(Page& page, std::size_t) const noexcept {
    return pinref::page_dma_pinned(page);
  }
};

/// Derives pins as the page's mapcount minus the mappings counted on the walk, for hosts that let a pin raise
/// `page_traits<Page>::mapcount(page)`. Precondition: nothing maps or unmaps the page during the walk. Otherwise an
/// entry cleared before its mapcount is dropped looks like a pin (phantom), and one that is dropped after it was
/// counted hides a pin (masked), which loses data. Without such a lock use pins_by_bias.
struct pins_by_mapcount {
  template <class Page>
  [[nodiscard]] bool pinned(Page& page, std::size_t counted) const noexcept {
    static_assert(mapcounted_page<Page>, "pinref: pins_by_mapcount needs page_traits<Page>::mapcount(page)");
    return page_traits<Page>::mapcount(pinref::compound_head(page)) > counted;
  }
};

/// Write-protects every mapping under its entry's lock and says what that makes of the page. `written` tells whether
/// one of them was written through. A pinner that takes the page under the same entry's lock, or without a lock and
/// then looks at the entry again, is either reported here or finds the entry write-protected. Blocks where the entries'
/// locks do.
template <class Page, reverse_map<Page> Map, class Pins = pins_by_bias>
[[nodiscard]] mkclean_result page_mkclean(Page& page, Map& mappings, bool& written, Pins pins = {}) noexcept {
  written = false;
  if (mappings.truncated(page)) return mkclean_result::truncated;
  std::size_t counted = 0;
  mappings.for_each_mapping(page, [&](typename Map::entry& entry) {
    entry.lock();
    if (entry.maps(page)) {
      ++counted;
      if (entry.write_protect()) written = true;
    }
    entry.unlock();
  });
  return pins.pinned(page, counted) ? mkclean_result::pinned : mkclean_result::clean;
}

/// What to do about a pinned page.
enum class if_pinned : unsigned char {
  skip,          ///< leave it dirty, come again later
  bounce,        ///< write a copy, so that what goes out is at least one instant for the disk; the page stays dirty
  wait,          ///< wait for the pins to go, until the deadline or until given up; then as skip
  write_anyway,  ///< write it as it is, torn perhaps; the page stays dirty
};

enum class writeback_result : unsigned char {
  clean,        ///< nothing to write
  written,      ///< written, and clean
  kept_dirty,   ///< written while pinned: dirty still, to be written again
  skipped,      ///< pinned: not written, dirty still
  truncated,    ///< not written: the page belongs to nothing any more
  write_failed  ///< `write` returned false: dirty still
};

/// Writes a page, the whole of a compound one, back under its lock. `write(head, from_copy)` stores it and returns
/// whether that worked; it is told to copy first by `from_copy`. The dirty bit is cleared before the question and the
/// data is read after it, so a device's owner that finishes meanwhile is seen pinned, or finds the bit clear and sets
/// it again. A page that is pinned anew after each wait ends as skipped once the deadline has passed. May block.
template <class Page, reverse_map<Page> Map, class Write, class Canceller = never_cancelled>
[[nodiscard]] writeback_result writeback_page(Page& page, Map& mappings, if_pinned policy, Write write,
                                              const deadline& until = deadline::never(),
                                              const Canceller& stop = {}) noexcept {
  static_assert(lockable_page<Page>, "pinref: writeback needs page_traits<Page>::lock(page) and unlock(page)");
  static_assert(cleanable_page<Page>,
                "pinref: writeback needs page_traits<Page>::dirty(page), set_dirty(page) and clear_dirty(page)");
  using traits = page_traits<Page>;
  Page& head = pinref::compound_head(page);
  for (;;) {
    traits::lock(head);
    bool written = false;
    if (pinref::page_mkclean(head, mappings, written) == mkclean_result::truncated) {
      traits::unlock(head);
      return writeback_result::truncated;
    }
    const bool was_dirty = traits::clear_dirty(head);
    if (!was_dirty && !written) {
      traits::unlock(head);
      return writeback_result::clean;
    }
    // Asked again: what page_mkclean was told is older than the clearing of the bit.
    const bool pinned = pinref::page_dma_pinned(head);
    if (pinned && (policy == if_pinned::skip || policy == if_pinned::wait)) {
      traits::set_dirty(head);
      traits::unlock(head);
      // Without the lock, so that a device's owner can mark the page and leave.
      if (policy == if_pinned::wait && until.left() > 0 &&
          pinref::wait_until_unpinned(head, until, stop) == wait_result::reached)
        continue;
      return writeback_result::skipped;
    }
    const bool stored = write(head, pinned && policy == if_pinned::bounce);
    if (pinned || !stored) traits::set_dirty(head);
    traits::unlock(head);
    if (!stored) return writeback_result::write_failed;
    return pinned ? writeback_result::kept_dirty : writeback_result::written;
  }
}

}  // namespace pinref
