// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// to_errc: a gup_error as the standard library's std::errc.
///
/// When not to use it: where nothing else needs `<system_error>`; `to_errno` says the same in an int.
///
/// Example:
///
///     const auto done = pinref::pin_user_pages(space, start, n, pinref::foll::write, pages);
///     if (!done.ok()) throw std::system_error(std::make_error_code(pinref::to_errc(done.reason)));
///     (void)pinref::unpin_user_pages(pages, done.count);
///
/// Errors: none.
/// Memory order: none.
/// Progress: wait-free.
/// Source: std::errc.

#include <system_error>

#include "pinref/gup/gup_result.hpp"

namespace pinref::inline v0_1 {

/// What `to_errno` says, as an std::errc; of `none` the one that is no error.
[[nodiscard]] constexpr std::errc to_errc(gup_error error) noexcept {
  return static_cast<std::errc>(pinref::to_errno(error));
}

}  // namespace pinref::inline v0_1
