// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor gup/: many pages of an address space. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/gup.hpp>
///     const auto done = pinref::pin_user_pages_fast(space, start, pinref::foll::write, pages);
///     if (!pinref::unpin_user_pages(pages, done.count).ok()) give_up("somebody has released our pins");

#include "pinref/gup/address_space.hpp"
#include "pinref/gup/check_call.hpp"
#include "pinref/gup/extent.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/gup/longterm.hpp"
#include "pinref/gup/object.hpp"
#include "pinref/gup/page_range.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/gup/walk.hpp"
#include "pinref/page.hpp"
