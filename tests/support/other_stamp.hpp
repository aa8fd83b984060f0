// SPDX-License-Identifier: MIT
#pragma once

// Objects as another version of the library would have stamped them.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "pinref/sync/layout_stamp.hpp"

namespace support {

template <class Object>
void stamp_otherwise(Object& object) {
  const std::uint64_t mine = pinref::layout_stamp<Object>{}.raw(), other = mine + 1;
  auto* const bytes = reinterpret_cast<unsigned char*>(&object);
  for (std::size_t i = 0; i + sizeof mine <= sizeof object; i += alignof(std::uint64_t))
    if (std::memcmp(bytes + i, &mine, sizeof mine) == 0) std::memcpy(bytes + i, &other, sizeof other);
}

}  // namespace support
