// SPDX-License-Identifier: MIT
#pragma once

// A Report for checked_ref that a test can look at.

#include "pinref/observe/checked_ref.hpp"

namespace support {

inline pinref::misuse last_misuse{};
inline int misuses = 0;

struct remember {
  void operator()(const pinref::misuse& found) const noexcept {
    last_misuse = found;
    ++misuses;
  }
};

}  // namespace support
