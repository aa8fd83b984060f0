// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The checks before a call on a range of addresses: flags, array, alignment, and whether the space reaches so far.
///
/// When not to use it: from a host. Every call of gup.hpp begins with it.
///
/// Example:
///
///     const auto bad = pinref::detail::check_call<pinref::hold::pin>(space, start, n, pinref::foll::write, pages);
///     if (bad != pinref::gup_error::none) return give_up(to_string(bad));
///
/// Errors: of flags as check_flags says; no_pages, misaligned, address_overflow, out_of_range.
/// Memory order: none.
/// Progress: that of the space's `contains`.
/// Source: Linux is_valid_gup_args().

#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/page/holders.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1::detail {

template <class Space>
[[nodiscard]] PINREF_FAST_PATH gup_error check_range(Space& space, std::uintptr_t start,
                                                     std::size_t nr_pages) noexcept {
  constexpr std::uintptr_t most = std::numeric_limits<std::uintptr_t>::max();
  if (nr_pages == 0) return gup_error::no_pages;
  if (start % Space::page_size != 0) return gup_error::misaligned;
  if (nr_pages > most / Space::page_size) return gup_error::address_overflow;
  const std::uintptr_t last = nr_pages * Space::page_size - 1;
  if (start > most - last) return gup_error::address_overflow;
  return space.contains(start, start + last) ? gup_error::none : gup_error::out_of_range;
}

template <hold Mode, class Space>
[[nodiscard]] PINREF_FAST_PATH gup_error check_call(Space& space, std::uintptr_t start, std::size_t nr_pages,
                                                    foll flags, typename Space::page** pages) noexcept {
  const gup_error bad = pinref::check_flags(flags, Mode == hold::pin ? foll::pin : foll::get, pages != nullptr);
  return bad != gup_error::none ? bad : detail::check_range(space, start, nr_pages);
}

}  // namespace pinref::inline v0_1::detail
