// SPDX-License-Identifier: MIT
#pragma once

// A page table with 64 pages that may be written to, and room for pointers to them.

#include <doctest/doctest.h>

#include "pinref/host/frame_arena.hpp"
#include "pinref/host/page_table.hpp"

namespace support {

struct mapped_pages {
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, 64};
  pinref::frame_arena::frame* pages[64] = {};

  mapped_pages() { REQUIRE(space.map(0, 64, pinref::protection::read_write)); }
};

}  // namespace support
