// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// foll: the flags of a call on many pages, and the one function that judges them.
///
/// When not to use it: to say get or pin. The name of the call says it, for the whole call and never for single pages.
///
/// Example:
///
///     const pinref::foll flags = pinref::foll::write | pinref::foll::longterm;
///     const auto done = pinref::pin_user_pages_fast(space, start, n, flags, pages);
///     if (!done.ok()) give_up(to_string(done.reason));           // the first done.count pages are pinned all the same
///     if (!pinref::unpin_user_pages(pages, done.count).ok()) give_up("somebody has released our pins");
///
/// Errors: bad_flags and null_pages, as the table of check_flags says.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux FOLL_* and is_valid_gup_args().

#include "pinref/gup/gup_result.hpp"

namespace pinref::inline v0_1 {

/// What a call is asked for. The caller may give any of the first group; the second belongs to the call's name.
///
///     flag           meaning
///     none           none of these
///     write          the pages will be written; the mapping must allow it
///     longterm       held for long: pages that may not be are relocated or refused; with pin only
///     force          access the mapping's protection refuses, as a debugger needs it
///     nofault        take what is present, do not fault pages in
///     fast_only      never enter the slow path: nothing blocks
///     interruptible  ask the space before each slow step whether to give up
///     all            all pages or none: what was taken before a failure is undone
///
///     get            take a reference to each page
///     pin            pin each page
///
/// The table, which `check_flags` computes, for the flags of the caller, those of the call, and whether there is a page
/// array:
///
///     get or pin among the caller's flags, or an unknown bit    bad_flags
///     get and pin together                                      bad_flags
///     longterm without pin                                      bad_flags
///     neither get nor pin, with a page array                    bad_flags: nothing would hold the pages
///     get or pin, without a page array                          null_pages
///     anything else                                             allowed
enum class foll : unsigned {
  none = 0,
  write = 1u << 0,
  longterm = 1u << 1,
  force = 1u << 2,
  nofault = 1u << 3,
  fast_only = 1u << 4,
  interruptible = 1u << 5,
  all = 1u << 6,
  get = 1u << 7,
  pin = 1u << 8,
};

/// The name of one flag, as spelled above; of several, or of an unknown bit, "flags".
[[nodiscard]] constexpr const char* to_string(foll flag) noexcept {
  switch (flag) {
    case foll::none:
      return "none";
    case foll::write:
      return "write";
    case foll::longterm:
      return "longterm";
    case foll::force:
      return "force";
    case foll::nofault:
      return "nofault";
    case foll::fast_only:
      return "fast_only";
    case foll::interruptible:
      return "interruptible";
    case foll::all:
      return "all";
    case foll::get:
      return "get";
    case foll::pin:
      return "pin";
  }
  return "flags";
}

/// The flags of both.
[[nodiscard]] constexpr foll operator|(foll a, foll b) noexcept {
  return static_cast<foll>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

/// The flags that both have.
[[nodiscard]] constexpr foll operator&(foll a, foll b) noexcept {
  return static_cast<foll>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}

/// Does `flags` contain every bit of `wanted`?
[[nodiscard]] constexpr bool has(foll flags, foll wanted) noexcept {
  return (flags & wanted) == wanted;
}

/// The verdict of the table above; every entry point gives this one.
[[nodiscard]] constexpr gup_error check_flags(foll callers, foll calls, bool has_pages) noexcept {
  constexpr foll allowed =
      foll::write | foll::longterm | foll::force | foll::nofault | foll::fast_only | foll::interruptible | foll::all;
  const bool holds = calls == foll::get || calls == foll::pin;
  if (!pinref::has(allowed, callers)) return gup_error::bad_flags;
  if (!holds && calls != foll::none) return gup_error::bad_flags;
  if (pinref::has(callers, foll::longterm) && calls != foll::pin) return gup_error::bad_flags;
  if (!holds && has_pages) return gup_error::bad_flags;
  if (holds && !has_pages) return gup_error::null_pages;
  return gup_error::none;
}

}  // namespace pinref::inline v0_1
