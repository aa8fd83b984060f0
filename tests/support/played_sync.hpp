// SPDX-License-Identifier: MIT
#pragma once

// A Sync whose sleeps are played: what happens meanwhile, and how they end, is a function's affair.

#include <cstdint>
#include <functional>

#include "pinref/sync/std_sync.hpp"

namespace support {

struct played_sync : pinref::std_sync {
  // Called with the number of futexes and the most nanoseconds of each sleep.
  static inline std::function<pinref::sleep_result(unsigned, std::int64_t)> sleep;

  static pinref::sleep_result wait(const futex*, unsigned n, const pinref::deadline&,
                                   std::int64_t at_most = INT64_MAX) noexcept {
    return sleep(n, at_most);
  }
};

}  // namespace support
