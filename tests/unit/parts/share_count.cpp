// SPDX-License-Identifier: MIT

#include "pinref/parts/share_count.hpp"

#include <doctest/doctest.h>

#include <cstdint>

TEST_CASE("share_count counts users by both ways, tells the last of either, and keeps the sum in a transfer") {
  pinref::share_count<> users;
  CHECK(users.sum() == 0);
  users.map();
  users.map();
  users.swap_dup();
  CHECK(users.sum() == 3);
  CHECK(users.mappings() == 2);
  CHECK(users.swap_entries() == 1);
  users.map_to_swap();
  CHECK(users.sum() == 3);
  CHECK(users.mappings() == 1);
  CHECK(users.swap_entries() == 2);
  users.swap_to_map();
  CHECK(users.mappings() == 2);
  CHECK_FALSE(users.unmap());
  CHECK_FALSE(users.swap_free());
  CHECK(users.unmap());
  users.swap_dup();
  CHECK(users.swap_free());
  CHECK(users.sum() == 0);
}

TEST_CASE("swap_slot gives its value only while one is set") {
  pinref::swap_slot<> slot;
  std::uint64_t value = 7;
  CHECK_FALSE(slot.get(value));
  CHECK(value == 7);
  slot.set(42);
  CHECK(slot.get(value));
  CHECK(value == 42);
  slot.clear();
  CHECK_FALSE(slot.get(value));
  slot.set(43);
  CHECK(slot.get(value));
  CHECK(value == 43);
}
