// SPDX-License-Identifier: MIT
#pragma once

// A Sync whose atomics call a hook: one thread can play what others do in between.

#include "pinref/explorer/hooked_sync.hpp"

namespace support {

using explorer::hooked_sync;

}  // namespace support
