// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor protocols/: what to do about a pinned page. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/protocols.hpp>
///     if (pinref::reclaim_page(page, 2) == pinref::reclaim_result::reclaimed) give_back(page);

#include "pinref/page.hpp"
#include "pinref/parts.hpp"
#include "pinref/protocols/copy_on_write.hpp"
#include "pinref/protocols/layout_break.hpp"
#include "pinref/protocols/reclaim.hpp"
#include "pinref/protocols/writeback.hpp"
