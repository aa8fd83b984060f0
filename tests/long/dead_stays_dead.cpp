// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <cstdio>

#include "layouts.hpp"

using pinref::page_ref;
using pinref::take_result;

namespace {

// Calls `attempt` 2^32 times and counts those that did not say dead.
template <class Attempt>
std::uint64_t survivors(const char* what, Attempt attempt) {
  std::uint64_t wrong = 0;
  for (unsigned part = 0; part != 16; ++part) {
    for (std::uint64_t i = 0; i != std::uint64_t{1} << 28; ++i) wrong += attempt() != take_result::dead;
    std::fprintf(stderr, "%s: %u of 16\n", what, part + 1);
  }
  return wrong;
}

}  // namespace

TEST_CASE_TEMPLATE("a dead word stays dead through 2^32 failed gets and 2^32 failed pins", Layout, pinref::bias64,
                   pinref::bias32, pinref::split32) {
  page_ref<Layout> ref;
  CHECK(survivors("failed gets", [&] { return ref.try_get(); }) == 0);
  CHECK(survivors("failed pins", [&] { return ref.try_pin(); }) == 0);
  CHECK(ref.snapshot().zone() == pinref::zone::dead);
  ref.init();
  CHECK(ref.references() == 1);
}
