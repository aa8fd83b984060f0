// SPDX-License-Identifier: MIT
#pragma once

// One pin_accounts for every word of a test program.

#include "pinref/observe/accounted_ref.hpp"

namespace support {

inline constinit pinref::pin_accounts<> all_pins;

struct find_all_pins {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
};

template <class Ref>
using accounted = pinref::accounted_ref<Ref, find_all_pins>;

}  // namespace support
