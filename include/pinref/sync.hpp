// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor sync/: the platform: atomics, a sleep, deadlines, cancellers. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/sync.hpp>
///     if (pinref::deadline::in_nanoseconds(1000).left() > 0) try_again_later();

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/flags_only.hpp"
#include "pinref/sync/hot_sync.hpp"
#include "pinref/sync/hot_threads.hpp"
#include "pinref/sync/layout_stamp.hpp"
#include "pinref/sync/lockable.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/sync/word_sync.hpp"
