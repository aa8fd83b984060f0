// SPDX-License-Identifier: MIT

#include <cstddef>
#include <cstdint>

#include "bodies.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t n) {
  fuzz::run_gup({bytes, n});
  return 0;
}
