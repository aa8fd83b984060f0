// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Extents: the second shape of an address space, where one object of any length covers the bytes from a to b.
///
/// A registration of a network card, a file in memory, an arena: they begin and end at any byte, and one word counts
/// for the whole. A call takes a range of bytes, unaligned, by one add for each object, and says of each part which
/// object it lies in, where in it, and what the host has stored with the mapping that was looked at twice: a key, a
/// handle. Objects are held as pages are, and released by the same calls.
///
/// When not to use it: for memory in pages that come and go one by one. `address_space` is the shape of those.
///
/// Example:
///
///     frame* objects[4];
///     pinref::extent_part<arena_space::extent> parts[4];
///     const auto [count, reason] = pinref::pin_extents(arenas, start, 7000, pinref::foll::write, objects, parts);
///     if (reason != pinref::gup_error::none) give_up(to_string(reason));   // the first `count` parts are pinned
///     for (std::size_t i = 0; i != count; ++i) post(parts[i].extent.key, parts[i].offset, parts[i].length);
///     // ... when all of it has arrived:
///     if (!pinref::unpin_user_pages(objects, count).ok()) give_up("somebody has released our pins");
///
/// A space of extents names its `page`, the descriptor of an object, and its `extent`, a mapping: a struct with the
/// members `page`, `first` and `last`, the bytes covered, both included, and whatever else it wants handed out. It
/// answers the four questions of an address_space:
///
/// - `contains(first, last)`: does the space reach over these bytes?
/// - `lookup(want)`: without a lock, the extent at `want.at` if it allows what is asked, else one without a page. It
///   may be stale the moment it returns.
/// - `recheck(want, extent)`: is it still so? Asked after the take. A question of the caller's own belongs here too:
///   what has been looked at before the take has to be looked at again.
/// - `fault_in(want, use)`: the slow path, which may block: makes the extent at `want.at` present, calls `use(extent)`
///   once while nothing can take it away, and returns what that returned; or returns a reason without calling it.
///
/// All are told the whole request, so that a host can make one object for it. Objects are not relocated, and spaces of
/// extents do not fork.
///
/// Errors: as of pin_user_pages; no alignment is asked for, a length of 0 is no_pages, too_many_pages says that the
/// range has more parts than there is room for. The parts counted are held, with foll::all none.
/// Memory order: acquire on every object.
/// Progress: the fast path is lock-free, the slow one blocks where the host's `fault_in` does.
/// Source: Linux struct iomap and bio_vec; libfabric fi_mr_reg() and ibv_reg_mr(3), where an object is registered.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "pinref/gup/address_space.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/gup/longterm.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/gup/walk.hpp"
#include "pinref/page/holders.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1 {

/// What a call asks for, and how far it has come.
struct extent_request {
  std::uintptr_t first;  ///< of the whole request
  std::uintptr_t last;   ///< of the whole request, included
  std::uintptr_t at;     ///< from here on nothing is held yet
  foll flags;            ///< the caller's, with foll::get or foll::pin
};

/// One part of a range, in one object.
template <class Extent>
struct extent_part {
  Extent extent{};         ///< as it was when the object was held
  std::size_t offset = 0;  ///< where the part begins in the object
  std::size_t length = 0;  ///< its bytes
};

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// The contract above.
template <class Space>
concept extent_space = host_page<typename Space::page> &&
    requires(Space& space, std::uintptr_t address, const extent_request& want, const typename Space::extent& seen,
             gup_error (*use)(const typename Space::extent&)) {
  { seen.page } -> std::convertible_to<typename Space::page*>;
  { seen.first } -> std::convertible_to<std::uintptr_t>;
  { seen.last } -> std::convertible_to<std::uintptr_t>;
  { space.contains(address, address) } noexcept -> std::same_as<bool>;
  { space.lookup(want) } noexcept -> std::same_as<typename Space::extent>;
  { space.recheck(want, seen) } noexcept -> std::same_as<bool>;
  { space.fault_in(want, use) } noexcept -> std::same_as<gup_error>;
};
// clang-format on

namespace detail {

template <class Extent>
[[nodiscard]] PINREF_FAST_PATH bool extent_covers(const Extent& seen, const extent_request& want) noexcept {
  return seen.page != nullptr && seen.first <= want.at && want.at <= seen.last;
}

/// The part of a request that an extent covers.
template <class Extent>
[[nodiscard]] PINREF_FAST_PATH extent_part<Extent> extent_part_of(const Extent& seen,
                                                                  const extent_request& want) noexcept {
  const std::uintptr_t last = seen.last < want.last ? seen.last : want.last;
  return {seen, static_cast<std::size_t>(want.at - seen.first), static_cast<std::size_t>(last - want.at) + 1};
}

/// Why an object that has been taken may not be held after all. As in a walk of pages.
template <hold Mode, class Page>
[[nodiscard]] PINREF_FAST_PATH gup_error extent_refusal(Page& taken, foll flags) noexcept {
  if (pinref::has(flags, foll::longterm) && !detail::longterm_pinnable(taken, flags)) return gup_error::not_longterm;
  if constexpr (Mode == hold::pin && exclusive_page<Page>) {
    Page& head = pinref::compound_head(taken);
    if (!pinref::page_immortal(head) && !page_traits<Page>::exclusive(head)) return gup_error::broken_mapping;
  }
  return gup_error::none;
}

/// Holds the object at `want.at` without a lock. False leaves it to the slow path, which also finds the reason.
template <hold Mode, class Space>
[[nodiscard]] PINREF_FAST_PATH bool try_extent(Space& space, const extent_request& want, typename Space::page*& object,
                                               extent_part<typename Space::extent>& part,
                                               caller<typename Space::page> where) noexcept {
  const typename Space::extent seen = space.lookup(want);
  if (!detail::extent_covers(seen, want)) return false;
  typename Space::page& page = *seen.page;
  if (detail::take<Mode>(page, 1, where) != take_result::taken) return false;
  if (!space.recheck(want, seen) || detail::extent_refusal<Mode>(page, want.flags) != gup_error::none) [[unlikely]] {
    detail::drop<Mode>(page, 1, where);
    return false;
  }
  object = &page;
  part = detail::extent_part_of(seen, want);
  return true;
}

/// The same by the host's slow path.
template <hold Mode, class Space>
[[nodiscard]] gup_error fault_in_extent(Space& space, const extent_request& want, typename Space::page*& object,
                                        extent_part<typename Space::extent>& part,
                                        caller<typename Space::page> where) noexcept {
  const gup_error no = detail::may_block(space, want.flags);
  if (no != gup_error::none) return no;
  typename Space::extent held{};
  gup_error reason = space.fault_in(want, [&](const typename Space::extent& seen) noexcept {
    // Presented without an object, elsewhere, or twice.
    if (!detail::extent_covers(seen, want) || held.page != nullptr) return detail::broken_mapping(space, want.at);
    const take_result taken = detail::take<Mode>(*seen.page, 1, where);
    if (taken == take_result::overflow) return gup_error::overflow;
    // What is presented as stable cannot die unless the host has lost count.
    if (taken == take_result::dead) return detail::broken_mapping(space, want.at);
    held = seen;
    const gup_error refused = detail::extent_refusal<Mode>(*seen.page, want.flags);
    return refused == gup_error::broken_mapping ? detail::broken_mapping(space, want.at) : refused;
  });
  // Answered without calling back.
  if (reason == gup_error::none && held.page == nullptr) reason = detail::broken_mapping(space, want.at);
  if (reason == gup_error::none) {
    object = held.page;
    part = detail::extent_part_of(held, want);
  } else if (held.page != nullptr) {
    detail::drop<Mode>(*held.page, 1, where);
  }
  return reason;
}

/// One object after the other, from the one on that is held already, if any.
template <hold Mode, class Space>
PINREF_SLOW_PATH gup_result walk_extents(Space& space, extent_request want, std::span<typename Space::page*> objects,
                                         extent_part<typename Space::extent>* parts, caller<typename Space::page> where,
                                         std::size_t held) noexcept {
  gup_result done{held, gup_error::none};
  for (;;) {
    if (done.count != 0) {
      const std::size_t length = parts[done.count - 1].length;
      if (length > want.last - want.at) return done;
      want.at += length;
    }
    if (done.count == objects.size()) {
      done.reason = gup_error::too_many_pages;
      break;
    }
    typename Space::page*& object = objects[done.count];
    auto& part = parts[done.count];
    if (!detail::try_extent<Mode>(space, want, object, part, where))
      done.reason = detail::fault_in_extent<Mode>(space, want, object, part, where);
    if (!done.ok()) break;
    ++done.count;
  }
  if (pinref::has(want.flags, foll::all)) {
    (void)detail::drop_pages<Mode, false>(objects.data(), done.count, where);
    for (std::size_t i = 0; i != done.count; ++i) objects[i] = nullptr;
    done.count = 0;
  }
  return done;
}

/// The body of both calls.
template <hold Mode, class Space>
PINREF_FAST_PATH gup_result hold_extents(Space& space, std::uintptr_t start, std::size_t length, foll flags,
                                         std::span<typename Space::page*> objects,
                                         std::span<extent_part<typename Space::extent>> parts,
                                         caller<typename Space::page> where) noexcept {
  static_assert(detail::check_traits<typename Space::page>());
  static_assert(freeable_page<typename Space::page>,
                "pinref: get and pin of extents need page_traits<Page>::free_page(page)");
  static_assert(!forking_space<Space> && !relocating_space<Space>,
                "pinref: a space of extents neither forks nor relocates");
  constexpr foll mode = Mode == hold::pin ? foll::pin : foll::get;
  const std::size_t room = detail::smaller(objects.size(), parts.size());
  const gup_error bad = pinref::check_flags(flags, mode, room != 0);
  if (bad != gup_error::none) return {0, bad};
  if (length == 0) return {0, gup_error::no_pages};
  if (length - 1 > std::numeric_limits<std::uintptr_t>::max() - start) return {0, gup_error::address_overflow};
  const extent_request want{start, start + (length - 1), start, flags | mode};
  if (!space.contains(want.first, want.last)) return {0, gup_error::out_of_range};
  // One object that is there is what is asked for most.
  const bool held = detail::try_extent<Mode>(space, want, objects[0], parts[0], where);
  if (held && parts[0].length == length) [[likely]]
    return {1, gup_error::none};
  return detail::walk_extents<Mode>(space, want, objects.first(room), parts.data(), where, held ? 1 : 0);
}

}  // namespace detail

/// References to the objects that the bytes [start, start + length) lie in, in order; each is filled in at the same
/// place of both arrays. May block.
template <extent_space Space>
PINREF_FAST_PATH gup_result
get_extents(Space& space, std::uintptr_t start, std::size_t length, foll flags,
            std::span<typename Space::page*> objects, std::span<extent_part<typename Space::extent>> parts,
            caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::hold_extents<hold::reference>(space, start, length, flags, objects, parts, where);
}

/// Pins on them, likewise.
template <extent_space Space>
PINREF_FAST_PATH gup_result
pin_extents(Space& space, std::uintptr_t start, std::size_t length, foll flags,
            std::span<typename Space::page*> objects, std::span<extent_part<typename Space::extent>> parts,
            caller<typename Space::page> where = caller<typename Space::page>::current()) noexcept {
  return detail::hold_extents<hold::pin>(space, start, length, flags, objects, parts, where);
}

}  // namespace pinref::inline v0_1
