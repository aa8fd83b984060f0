// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor parts/: atomics that a host embeds besides its words. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/parts.hpp>
///     pinref::layout_gate<> gate;
///     if (!gate.is_open()) try_again_later();

#include "pinref/parts/deferred_list.hpp"
#include "pinref/parts/layout_gate.hpp"
#include "pinref/parts/page_stamp.hpp"
#include "pinref/parts/share_count.hpp"
#include "pinref/parts/write_protect_seq.hpp"
#include "pinref/sync.hpp"
