// SPDX-License-Identifier: MIT

#include "pinref/gup/page_range.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pinref/host/frame_arena.hpp"

namespace {

using pinref::gup_error;
using pinref::gup_result;
using arena = pinref::frame_arena;
using frame = arena::frame;
constexpr std::size_t huge = arena::frames_per_block;

// Descriptors of a host that has a base and an index, and no address space.
template <class Layout>
struct block {
  void free_page() noexcept { ++times_freed; }
  std::uint64_t frame_number() noexcept { return number; }
  block& nth_page(std::size_t i) noexcept { return this[i]; }
  bool immortal() noexcept { return counts_for_nobody; }

  pinref::page_ref<Layout> ref;
  std::uint64_t number = 0;
  int times_freed = 0;
  bool counts_for_nobody = false;
};

template <class Layout>
struct pool {
  explicit pool(std::size_t n) : blocks(n) {
    for (std::size_t i = 0; i != n; ++i) {
      blocks[i].number = i;
      blocks[i].ref.init();
    }
  }
  block<Layout>& first() { return blocks[0]; }
  bool untouched() {
    for (auto& each : blocks)
      if (each.ref.snapshot() != Layout::live(1) && each.ref.snapshot() != Layout{}) return false;
    return true;
  }
  std::vector<block<Layout>> blocks;
};

}  // namespace

#define LAYOUTS pinref::bias64, pinref::bias32, pinref::split32

TEST_CASE_TEMPLATE("a range of descriptors is pinned and unpinned by its pages", Layout, LAYOUTS) {
  pool<Layout> p(20);
  CHECK(pinref::pin_page_range(p.blocks[3], 10) == gup_result{10, gup_error::none});
  for (std::size_t i = 0; i != 20; ++i) CHECK(pinref::page_dma_pinned(p.blocks[i]) == (i >= 3 && i < 13));
  CHECK(pinref::any_dma_pinned(p.first(), 20));
  CHECK(!pinref::any_dma_pinned(p.first(), 3));
  CHECK(pinref::any_dma_pinned(p.blocks[12], 1));
  CHECK(!pinref::any_dma_pinned(p.blocks[13], 7));
  CHECK(pinref::unpin_user_page_range(&p.blocks[3], 10) == gup_result{10, gup_error::none});
  CHECK(!pinref::any_dma_pinned(p.first(), 20));
  CHECK(p.untouched());
}

TEST_CASE_TEMPLATE("a range of descriptors is referenced and put", Layout, LAYOUTS) {
  pool<Layout> p(12);
  CHECK(pinref::get_page_range(p.first(), 12) == gup_result{12, gup_error::none});
  for (auto& each : p.blocks) CHECK(pinref::page_references(each) == 2);
  CHECK(!pinref::any_dma_pinned(p.first(), 12));
  CHECK(pinref::put_page_range(p.first(), 12) == gup_result{12, gup_error::none});
  CHECK(pinref::put_page_range(p.first(), 12) == gup_result{12, gup_error::none});
  for (auto& each : p.blocks) CHECK(each.times_freed == 1);
}

TEST_CASE_TEMPLATE("a range is taken as a whole or not at all", Layout, LAYOUTS) {
  pool<Layout> p(12);
  REQUIRE(p.blocks[9].ref.put() == pinref::release_result::last);
  CHECK(pinref::pin_page_range(p.first(), 12) == gup_result{0, gup_error::dead});
  CHECK(pinref::get_page_range(p.first(), 12) == gup_result{0, gup_error::dead});
  CHECK(p.untouched());
  CHECK(pinref::pin_page_range(p.first(), 9) == gup_result{9, gup_error::none});
  CHECK(pinref::unpin_user_page_range(&p.first(), 9).ok());
}

TEST_CASE("a page of a range that cannot count more holders is named overflow, and nothing is held") {
  using tiny = pinref::bias_layout<std::uint8_t, 2, 3>;
  pool<tiny> p(3);
  std::size_t n = 0;
  while (p.blocks[2].ref.try_pin() == pinref::take_result::taken) ++n;
  CHECK(pinref::pin_page_range(p.first(), 3) == gup_result{0, gup_error::overflow});
  CHECK(p.blocks[2].ref.unpin() == pinref::release_result::released);
  for (--n; n != 0; --n) (void)p.blocks[2].ref.unpin();
  CHECK(p.untouched());
}

TEST_CASE("a range without pages, or with an error code for their number, is refused") {
  pool<pinref::bias64> p(2);
  CHECK(pinref::pin_page_range(p.first(), 0) == gup_result{0, gup_error::no_pages});
  CHECK(pinref::get_page_range(p.first(), 0) == gup_result{0, gup_error::no_pages});
  CHECK(pinref::pin_page_range(p.first(), static_cast<std::size_t>(-14)) == gup_result{0, gup_error::too_many_pages});
  CHECK(pinref::put_page_range(p.first(), static_cast<std::size_t>(-14)) == gup_result{0, gup_error::too_many_pages});
  CHECK(!pinref::any_dma_pinned(p.first(), 0));
  CHECK(p.untouched());
}

TEST_CASE_TEMPLATE("a range is frozen if nobody else holds any of its pages, or not at all", Layout, LAYOUTS) {
  pool<Layout> p(12);
  REQUIRE(pinref::freeze_page_range(p.first(), 12));
  for (auto& each : p.blocks) CHECK(each.ref.snapshot().zone() == pinref::zone::frozen);
  CHECK(pinref::pin_page_range(p.first(), 1) == gup_result{0, gup_error::dead});
  CHECK(!pinref::freeze_page_range(p.first(), 12));
  pinref::thaw_page_range(p.first(), 12);
  CHECK(p.untouched());

  REQUIRE(p.blocks[11].ref.try_pin() == pinref::take_result::taken);
  CHECK(!pinref::freeze_page_range(p.first(), 12));
  REQUIRE(p.blocks[11].ref.unpin() == pinref::release_result::released);
  CHECK(p.untouched());
  REQUIRE(p.blocks[5].ref.get() == pinref::take_result::taken);
  CHECK(!pinref::freeze_page_range(p.first(), 12));
  CHECK(!pinref::freeze_page_range(p.first(), 12, 2));
  CHECK(pinref::freeze_page_range(p.blocks[5], 1, 2));
  pinref::thaw_page_range(p.blocks[5], 1);
  p.blocks[3].counts_for_nobody = true;
  CHECK(!pinref::freeze_page_range(p.first(), 12));
  CHECK(p.untouched());
}

TEST_CASE("a compound page is a run of one atomic, for every call on a range") {
  arena frames(1024);
  REQUIRE(frames.valid());
  frame& head = *frames.allocate_compound();
  CHECK(pinref::pin_page_range(head, huge) == gup_result{huge, gup_error::none});
  CHECK(pinref::page_pins(head) == huge);
  CHECK(pinref::unpin_user_page_range(&head, huge) == gup_result{huge, gup_error::none});
  // From a tail on, and less than to the end.
  frame& tail = (&head)[100];
  CHECK(pinref::pin_page_range(tail, 50) == gup_result{50, gup_error::none});
  CHECK(pinref::page_pins(head) == 50);
  CHECK(pinref::any_dma_pinned((&head)[500], 12));
  CHECK(pinref::unpin_user_page_range(&tail, 50).ok());
  CHECK(!pinref::freeze_page_range(head, 100));
  CHECK(!pinref::freeze_page_range(tail, 50));
  CHECK(pinref::page_references(head) == 1);
  pinref::put_page(head);
}

TEST_CASE("a compound page is split into ordinary pages, and made of them again") {
  arena frames(1024);
  REQUIRE(frames.valid());
  frame& head = *frames.allocate_compound();
  const std::size_t free_before = frames.nr_free();
  REQUIRE(pinref::freeze_page_range(head, huge));
  pinref::split_compound_page(head, 2);
  for (std::size_t i = 0; i != huge; ++i) {
    frame& each = (&head)[i];
    REQUIRE(&pinref::compound_head(each) == &each);
    REQUIRE(pinref::page_references(each) == 2);
    REQUIRE(each.nr_pages() == 1);
  }
  CHECK(pinref::put_page_range(head, huge).ok());
  REQUIRE(pinref::pin_page_range(head, huge).ok());
  CHECK(pinref::page_pins(head) == 1);
  CHECK(pinref::unpin_user_page_range(&head, huge).ok());

  REQUIRE(pinref::freeze_page_range(head, huge));
  pinref::make_compound_page(head, huge, 3);
  for (std::size_t i = 0; i != huge; ++i) REQUIRE(&pinref::compound_head((&head)[i]) == &head);
  CHECK(head.nr_pages() == huge);
  CHECK(pinref::page_references(head) == 3);
  pinref::put_page(head, 3);
  CHECK(frames.nr_free() == free_before + huge);
}

TEST_CASE("a run longer than one bulk take is taken in several") {
  // 32 bits, 511 takers, a pin of 2^14 holders: 32 pins at a time.
  using narrow = pinref::bias_layout<std::uint32_t, 14>;
  static_assert(narrow::max_pins_at_once == 32);
  pinref::basic_frame_arena<pinref::page_ref<narrow>> frames(1024);
  REQUIRE(frames.valid());
  auto& head = *frames.allocate_compound();
  CHECK(pinref::pin_page_range(head, 40) == gup_result{40, gup_error::none});
  CHECK(pinref::page_pins(head) == 40);
  CHECK(pinref::unpin_user_page_range(&head, 40) == gup_result{40, gup_error::none});
  CHECK(!pinref::any_dma_pinned(head, 40));
  pinref::put_page(head);
}
