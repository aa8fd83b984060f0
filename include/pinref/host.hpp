// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor host/: a ready host on mmap. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/host.hpp>
///     pinref::frame_arena arena{64};                             // blocks of 2 MiB
///     if (!arena.valid()) give_up("the system refused the memory");

#include "pinref/gup.hpp"
#include "pinref/host/closed_ranges.hpp"
#include "pinref/host/frame.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/host/range_queue.hpp"
#include "pinref/host/region_index.hpp"
#include "pinref/host/region_set.hpp"
#include "pinref/host/registered_region.hpp"
#include "pinref/host/registrar.hpp"
#include "pinref/host/registration_backend.hpp"
#include "pinref/host/registration_cache.hpp"
#include "pinref/host/shadow.hpp"
#include "pinref/host/sleeping_lock.hpp"
