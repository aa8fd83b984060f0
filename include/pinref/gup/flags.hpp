#pragma once

/// \file
/// foll: the caller's flags, and the one function that judges them.
///
/// When not to use it: to say get or pin. The name of the call says it, for the whole call and never for single pages.
///
/// Example:
///
///     pin_user_pages_fast(space, start, n, pinref::foll::write | pinref::foll::longterm, pages);
///
/// Source: Linux FOLL_* and is_valid_gup_args().

#include "pinref/gup/result.hpp"
#include "pinref/page/hold.hpp"

namespace pinref {

/// What the caller asks for besides the hold itself.
///
///     flag        meaning                                                          with get   with pin
///     write       the pages will be written; the mapping must allow it             yes        yes
///     longterm    held for long: pages that may not be are refused                 no         yes
///     nofault     take what is present, do not fault pages in                      yes        yes
///     fast_only   never enter the slow path: nothing blocks                        yes        yes
///     all         all pages or none: what was taken before a failure is undone     yes        yes
enum class foll : unsigned {
  none = 0,
  write = 1u << 0,
  longterm = 1u << 1,
  nofault = 1u << 2,
  fast_only = 1u << 3,
  all = 1u << 4,
};

[[nodiscard]] constexpr foll operator|(foll a, foll b) noexcept {
  return static_cast<foll>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

/// Does `flags` contain every bit of `wanted`?
[[nodiscard]] constexpr bool has(foll flags, foll wanted) noexcept {
  return (static_cast<unsigned>(flags) & static_cast<unsigned>(wanted)) == static_cast<unsigned>(wanted);
}

/// The verdict of the table above; every entry point gives this one.
[[nodiscard]] constexpr gup_error check_flags(foll flags, hold mode) noexcept {
  constexpr foll known = foll::write | foll::longterm | foll::nofault | foll::fast_only | foll::all;
  if (!has(known, flags)) return gup_error::bad_flags;
  if (has(flags, foll::longterm) && mode != hold::pin) return gup_error::bad_flags;
  return gup_error::none;
}

}  // namespace pinref
