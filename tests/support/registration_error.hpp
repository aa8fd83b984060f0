// SPDX-License-Identifier: MIT
#pragma once

// What a kernel answers to a registration that it refuses, as a reason of pinref's.

#include <errno.h>

#include "pinref/gup/gup_result.hpp"

namespace support {

inline pinref::gup_error registration_error(int error) noexcept {
  switch (error) {
    case ENOMEM:
      return pinref::gup_error::no_memory;
    case EOPNOTSUPP:
      return pinref::gup_error::not_longterm;
    default:
      return pinref::gup_error::not_mapped;
  }
}

}  // namespace support
