// SPDX-License-Identifier: MIT

#include "pinref/word/split_layout.hpp"

#include <doctest/doctest.h>

#include <cstdint>

using pinref::split32;
using pinref::zone;

static_assert(split32::exact_pins && sizeof(split32) == 8);

TEST_CASE("split keeps pins beside the holders they belong to") {
  const split32 word = split32::live(2, 3);
  CHECK(word.raw() == 4);
  CHECK(word.references() == 2);
  CHECK(word.pins() == 3);
  CHECK(split32{}.zone() == zone::dead);
  CHECK(split32{}.pins() == 0);
}
