// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_mkclean and writeback_page: writing a page out while devices may be writing into it.
///
/// A pinned page cannot be made clean: the device writes past every mapping, before, during and after the write-out. So
/// a writeback first write-protects all mappings and then asks whether the page is pinned; the policy of the caller
/// says what to do if so. The page keeps its dirty bit unless it was written as it is and cannot have changed
/// meanwhile.
///
/// When not to use it: for pages no device touches; clear the dirty bit and write.
///
/// Example:
///
///     const auto done = pinref::writeback_page(
///         page, mappings, pinref::if_pinned::bounce,
///         [](frame& p, bool from_copy) { return from_copy ? write_copy(p) : write_block(p); });
///     if (done == pinref::writeback_result::write_failed) give_up("the page is dirty still");
///
/// The host's reverse map gives the mappings of a page. `for_each_mapping(page, visit)` calls `visit(entry)` for each;
/// an entry has `lock()`, `unlock()`, `maps(page)` (still, under its lock), and `write_protect()`, which returns
/// whether the page was written through it since the last time. `truncated(page)` says that the page no longer belongs
/// to what would be written. A write fault takes the page lock before it makes an entry writable again, as Linux's
/// page_mkwrite() does; otherwise a device pinned through it may write while the page is being written, and what goes
/// out may be torn, though the page is then dirty again.
///
/// Errors: the result says what became of the page; a failed write leaves it dirty.
/// Memory order: a device's writes that came before its unpin are in what is written, or the page is dirty again.
/// Progress: blocks, on the page lock, the entries' locks and, with if_pinned::wait, for the pins.
/// Source: the discussion of pins and page_mkclean() on linux-mm, December 2018; Linux clear_page_dirty_for_io().

#include <concepts>
#include <cstddef>

#include "pinref/page/page.hpp"

namespace pinref::inline v0_1 {

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
  clean,      ///< every mapping is write-protected and the page is not pinned
  truncated,  ///< the page no longer belongs to the object; its pins, if any, are untouched
  pinned,     ///< every mapping is write-protected, but a device may write to the page
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(mkclean_result result) noexcept {
  switch (result) {
    case mkclean_result::clean:
      return "clean";
    case mkclean_result::truncated:
      return "truncated";
    case mkclean_result::pinned:
      return "pinned";
  }
  return "unknown";
}

/// Asks the reference word: exact where the layout is.
struct pins_by_bias {
  /// Is the page pinned?
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
  /// Is the page pinned, if `counted` mappings were found?
  template <class Page>
  [[nodiscard]] bool pinned(Page& page, std::size_t counted) const noexcept {
    static_assert(mapcounted_page<Page>, "pinref: pins_by_mapcount needs page_traits<Page>::mapcount(page)");
    return page_traits<Page>::mapcount(pinref::compound_head(page)) > counted;
  }
};

/// Write-protects every mapping under its entry's lock and says what that makes of the page. `written` tells whether
/// one of them was written through. A pin that is taken under the same entry's lock, or without a lock and with a look
/// at the entry afterwards, is either reported here or finds the entry write-protected. Blocks where the entries' locks
/// do.
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

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(if_pinned policy) noexcept {
  switch (policy) {
    case if_pinned::skip:
      return "skip";
    case if_pinned::bounce:
      return "bounce";
    case if_pinned::wait:
      return "wait";
    case if_pinned::write_anyway:
      return "write_anyway";
  }
  return "unknown";
}

/// How writeback_page ended.
enum class writeback_result : unsigned char {
  clean,        ///< nothing to write
  written,      ///< written, and clean
  kept_dirty,   ///< written while pinned: dirty still, to be written again
  skipped,      ///< pinned: not written, dirty still
  truncated,    ///< not written: the page belongs to nothing any more
  write_failed  ///< `write` returned false: dirty still
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(writeback_result result) noexcept {
  switch (result) {
    case writeback_result::clean:
      return "clean";
    case writeback_result::written:
      return "written";
    case writeback_result::kept_dirty:
      return "kept_dirty";
    case writeback_result::skipped:
      return "skipped";
    case writeback_result::truncated:
      return "truncated";
    case writeback_result::write_failed:
      return "write_failed";
  }
  return "unknown";
}

/// Writes a page, the whole of a compound one, back under its lock. `write(head, from_copy)` stores it and returns
/// whether that worked; `from_copy` tells it to copy first. The dirty bit is cleared before the question and the data
/// is read after it: if a device's owner finishes meanwhile, its pin is seen, or it finds the bit clear and sets it
/// again. A page that is pinned anew after each wait ends as skipped once the deadline has passed. May block.
template <class Page, reverse_map<Page> Map, class Write,
          cancels_waits<typename detail::ref_of<Page>::sync> Canceller = never_cancelled>
[[nodiscard]] writeback_result writeback_page(Page& page, Map& mappings, if_pinned policy, Write write,
                                              const deadline& until = deadline::never(),
                                              const Canceller& stop = {}) noexcept {
  static_assert(detail::check_traits<Page>());
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

}  // namespace pinref::inline v0_1
