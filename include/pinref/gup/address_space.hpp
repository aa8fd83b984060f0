// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// address_space: the second half of the host's contract, from an address to a page.
///
/// A space names its `page` and `page_size` and answers four questions:
///
/// - `lookup(address, flags)`: without a lock, the page mapped there and a token of the entry that says so, or no page
///   if there is none or the entry does not allow what `flags` ask. It may be stale the moment it returns.
/// - `recheck(address, mapping)`: is the entry still the one the token was read from? Called after the take, which
///   orders it: if a thread changes or clears an entry and then asks `page_dma_pinned`, it sees the pin, or the change
///   is seen here. It is an acquire load like the look-up if pages are filled after their life begins, because the same
///   entry may map the same page again.
/// - `fault_in(address, flags, use)`: the slow path, which may block. It makes the page present with the access asked
///   for (unless `flags` contain nofault) and calls `use(mapping)` once while nothing can unmap or replace it, then
///   returns what `use` returned; or it returns a reason without calling `use`.
/// - `contains(first, last)`: does the space reach over these bytes, both included?
///
/// `flags` are the caller's with foll::get or foll::pin of the call, with neither if it only faults pages in. A host
/// with copy-on-write must give a pin, of a reader too, a page of its own (`exclusive_page`), since it could not be
/// copied away later.
///
/// An entry that maps several contiguous pages, as a huge page does, may answer for all of them: `run` is how many
/// pages from the address on it covers, at least 1. They must belong to one compound page. More than one are taken at
/// a time if the pages are numbered (`numbered_page`).
///
/// Functions must be noexcept. An optional one that is there but not as its concept asks does not compile; a misspelt
/// one counts as absent, so say below the space which concepts it is meant to meet.
///
/// When not to use it: when there are no addresses. One page at hand is pinned with `try_pin_page`.
///
/// Example:
///
///     struct table {
///       using page = frame;
///       static constexpr std::size_t page_size = 4096;
///       bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept;
///       pinref::mapping<frame> lookup(std::uintptr_t address, pinref::foll flags) const noexcept;
///       bool recheck(std::uintptr_t address, const pinref::mapping<frame>& seen) const noexcept;
///       template <class Use>
///       pinref::gup_error fault_in(std::uintptr_t address, pinref::foll flags, Use use) noexcept;
///       void prefetch(std::uintptr_t address) const noexcept;
///     };
///     static_assert(pinref::address_space<table> && pinref::prefetching_space<table>);
///
/// Errors: a space that is not as its concepts ask does not compile; fault_in says why it cannot.
/// Memory order: the take orders the recheck, see above.
/// Progress: look-ups take no lock; fault_in and relocate may block.
/// Source: Linux gup_fast_pte_range(), follow_page_mask(), faultin_page().

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "pinref/gup/flags.hpp"
#include "pinref/page/page_traits.hpp"

namespace pinref::inline v0_1 {

/// What a look-up found.
template <class Page>
struct mapping {
  Page* page = nullptr;     ///< the page at the address, or null
  std::uint64_t token = 0;  ///< the entry it was read from, in the host's own terms
  std::size_t run = 1;      ///< pages from this address on that the same entry maps contiguously
};

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// A space as said above: what every call on a range of addresses asks for.
template <class Space>
concept address_space = host_page<typename Space::page> &&
    std::convertible_to<decltype(Space::page_size), std::size_t> &&
    requires(Space& space, std::uintptr_t address, foll flags, const mapping<typename Space::page>& seen,
             gup_error (*use)(const mapping<typename Space::page>&)) {
  { space.contains(address, address) } noexcept -> std::same_as<bool>;
  { space.lookup(address, flags) } noexcept -> std::same_as<mapping<typename Space::page>>;
  { space.recheck(address, seen) } noexcept -> std::same_as<bool>;
  { space.fault_in(address, flags, use) } noexcept -> std::same_as<gup_error>;
};

/// Optional: `prefetch(address)` asks the processor for the entry's page, which will be written to soon; nothing else
/// may come of it. For hosts whose descriptors are many and not in the order of addresses: there it nearly halves the
/// time of a range, elsewhere it costs a few percent. Only addresses of the range being taken are asked for.
template <class Space>
concept prefetching_space = requires(Space& space, std::uintptr_t address) {
  { space.prefetch(address) } noexcept;
};

/// Optional: told once for every mapping that `fault_in` held stable but that had no page, a dead one, or for a pin a
/// shared one: a bug of the host.
template <class Space>
concept diagnosing_space = requires(Space& space, std::uintptr_t address) {
  { space.broken_mapping(address) } noexcept;
};

/// Optional: can move pages that may not be held for long. `relocate(start, n)` replaces every such page in the range
/// and returns none, or why it could not. Nothing in the range is pinned by the call that asks. Linux:
/// migrate_longterm_unpinnable_folios().
template <class Space>
concept relocating_space = requires(Space& space, std::uintptr_t start, std::size_t n) {
  { space.relocate(start, n) } noexcept -> std::same_as<gup_error>;
};

/// Optional: forks, and has a `write_protect_seq` that keeps lockless pins out meanwhile.
template <class Space>
concept forking_space = requires(Space& space, std::uint32_t seen) {
  { space.fork_seq() } noexcept;
  { space.fork_seq().try_read_begin(seen) } noexcept -> std::same_as<bool>;
  { space.fork_seq().read_retry(seen) } noexcept -> std::same_as<bool>;
};

/// Optional: can tell a caller to give up, as a signal does. Asked before each slow step under foll::interruptible.
template <class Space>
concept interrupting_space = requires(Space& space) {
  { space.interrupted() } noexcept -> std::same_as<bool>;
};

// clang-format on

namespace detail {

// clang-format off
template <class Space>
struct named_in_space {
  template <class Call>
  static constexpr bool by(Call call) noexcept { return detail::is_there<Space, std::uintptr_t>(call); }

  static constexpr bool prefetch() noexcept { return by([](auto& s, auto&&... with) -> decltype((void)s.prefetch(with...)) {}); }
  static constexpr bool broken_mapping() noexcept { return by([](auto& s, auto&&... with) -> decltype((void)s.broken_mapping(with...)) {}); }
  static constexpr bool relocate() noexcept { return by([](auto& s, auto&&... with) -> decltype((void)s.relocate(with...)) {}); }
  static constexpr bool fork_seq() noexcept { return by([](auto& s, auto&&... with) -> decltype((void)s.fork_seq(with...)) {}); }
  static constexpr bool interrupted() noexcept { return by([](auto& s, auto&&... with) -> decltype((void)s.interrupted(with...)) {}); }
};
// clang-format on

/// Is every optional function either absent or as its concept asks?
template <class Space>
constexpr bool check_space() noexcept {
  using there = named_in_space<Space>;
  if constexpr (!prefetching_space<Space>)
    static_assert(!there::prefetch(),
                  "pinref: prefetch(address) of a space must be as prefetching_space asks, noexcept included");
  if constexpr (!diagnosing_space<Space>)
    static_assert(!there::broken_mapping(),
                  "pinref: broken_mapping(address) of a space must be as diagnosing_space asks, noexcept included");
  if constexpr (!relocating_space<Space>)
    static_assert(!there::relocate(),
                  "pinref: relocate(start, n) of a space must be as relocating_space asks, noexcept included");
  if constexpr (!forking_space<Space>)
    static_assert(!there::fork_seq(), "pinref: fork_seq() of a space must be as forking_space asks, noexcept included");
  if constexpr (!interrupting_space<Space>)
    static_assert(!there::interrupted(),
                  "pinref: interrupted() of a space must be as interrupting_space asks, noexcept included");
  return true;
}

}  // namespace detail

}  // namespace pinref::inline v0_1
