// SPDX-License-Identifier: MIT

#include "random_kills.hpp"

TEST_CASE("whoever is killed at random, no word is wrong, no page is lost, and none is freed early") {
  share_test::kill_at_random(2000, 4711);
}
