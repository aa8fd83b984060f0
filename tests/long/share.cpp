// SPDX-License-Identifier: MIT

// Shared pages: as many kills as there is time for, and the largest program that the explorer sees whole.

#include "explore/share_programs.hpp"
#include "share/random_kills.hpp"

using namespace support::share_programs;

TEST_CASE("two members and a recoverer, all of whom may die") {
  const auto r = explorer::explore({}, both_and_a_recoverer<pin_and_unpin, pin_and_unpin, true>);
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK(r.exhausted);
}

TEST_CASE("a hundred thousand kills") {
  share_test::kill_at_random(100'000, 815);
}
