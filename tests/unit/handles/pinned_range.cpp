// SPDX-License-Identifier: MIT

#include "pinref/handles/pinned_range.hpp"

#include <doctest/doctest.h>

#include <span>
#include <type_traits>
#include <utility>

#include "foreign_host.hpp"
#include "mapped_pages.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::on_release;
using pinref::pinned_range;
using pinref::protection;
using pinref::take_result;

namespace {

using frame = pinref::frame_arena::frame;

using fixture = support::mapped_pages;

}  // namespace

static_assert(std::is_nothrow_move_constructible_v<pinned_range<frame>> &&
              std::is_nothrow_move_assignable_v<pinned_range<frame>>);
static_assert(!std::is_copy_constructible_v<pinned_range<frame>> && !std::is_copy_assignable_v<pinned_range<frame>>);
static_assert(sizeof(pinned_range<frame>) == 2 * sizeof(void*));

TEST_CASE_FIXTURE(fixture, "a pinned_range releases whole or in parts, from either end") {
  using range = pinned_range<frame, on_release::dirty>;
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 16, foll::write, pages).count == 16);
  {
    range pins = range::adopt({pages, 16});
    CHECK(pins.unpin_front(4) == gup_result{4, gup_error::none});
    CHECK(pins.unpin_back(2) == gup_result{2, gup_error::none});
    CHECK(pins.size() == 10);
    CHECK(pins[0] == pages[4]);
    CHECK(pins.end() - pins.begin() == 10);
    CHECK(pages[3]->dirty());
    CHECK(pages[15]->dirty());
    CHECK_FALSE(pages[4]->dirty());
    CHECK_FALSE(pinref::page_dma_pinned(*pages[3]));
    CHECK(pinref::page_dma_pinned(*pages[4]));
    CHECK(pins.unpin_front(1000) == gup_result{10, gup_error::none});
    CHECK(pins.empty());
  }
  for (std::size_t i = 0; i != 16; ++i) CHECK(pages[i]->ref().snapshot() == pinref::bias64::live(1));
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 4, foll::none, pages).count == 4);
  {
    auto one = pinned_range<frame>::adopt({pages, 4});
    auto other = std::move(one);
    CHECK(one.empty());
    one = std::move(other);
    CHECK(one.size() == 4);
    const std::span<frame*> all = one.detach();
    CHECK(all.data() == pages);
    CHECK(all.size() == 4);
    CHECK(one.empty());
  }
  CHECK(pinref::unpin_user_pages(pages, 4).count == 4);
}

TEST_CASE_FIXTURE(fixture, "a pinned_range that is assigned another releases its own, and to itself nothing") {
  using range = pinned_range<frame>;
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 8, foll::none, pages).count == 8);
  range first = range::adopt({pages, 4}), second = range::adopt({pages + 4, 4});
  first = std::move(second);
  CHECK(first.size() == 4);
  CHECK(first[0] == pages[4]);
  for (std::size_t i = 0; i != 8; ++i) CHECK(pinref::page_pins(*pages[i]) == (i < 4 ? 0 : 1));
  CHECK(second.empty());
  range& same = first;
  first = std::move(same);
  CHECK(first.size() == 4);
  CHECK(pinref::page_pins(*pages[4]) == 1);
  CHECK(first.detach().data() == pages + 4);
  CHECK(first.size() == 0);
  CHECK(first.begin() == first.end());
  CHECK(pinref::unpin_user_pages(pages + 4, 4).count == 4);
}

TEST_CASE_FIXTURE(fixture, "a range is pinned and held by one call, as far as it came") {
  using range = pinned_range<frame, on_release::dirty>;
  space.unmap(6 * 4096, 1);
  frame* const untouched = pages[7];
  for (const bool fast : {false, true}) {
    CAPTURE(fast);
    const auto pin = [&](std::uintptr_t start, foll flags, std::size_t n) {
      return fast ? range::pin_user_pages_fast(space, start, flags, {pages, n})
                  : range::pin_user_pages(space, start, flags, {pages, n});
    };
    {
      auto [pins, done] = pin(0, foll::write, 4);
      CHECK(done == gup_result{4, gup_error::none});
      CHECK(pins.size() == 4);
      for (std::size_t i = 0; i != 4; ++i) {
        CHECK(pins[i] == pages[i]);
        CHECK(pinref::page_pins(*pages[i]) == 1);
        CHECK_FALSE(pages[i]->dirty());
      }
    }
    for (std::size_t i = 0; i != 4; ++i) {
      CHECK(pages[i]->clear_dirty());
      CHECK_FALSE(pinref::page_dma_pinned(*pages[i]));
    }
    {
      // What was pinned before the hole is the handle's, and unpinned with it.
      const auto [pins, done] = pin(0, foll::write, 8);
      CHECK(done == gup_result{6, gup_error::not_mapped});
      CHECK(pins.size() == 6);
      CHECK(pinref::page_dma_pinned(*pages[5]));
    }
    for (std::size_t i = 0; i != 6; ++i) {
      CHECK_FALSE(pinref::page_dma_pinned(*pages[i]));
      CHECK(pages[i]->clear_dirty());
    }
    const auto [nothing, refused] = pin(0, foll::write | foll::all, 8);
    CHECK(refused == gup_result{0, gup_error::not_mapped});
    CHECK(nothing.empty());
    CHECK(pages[7] == untouched);
    const auto [none, misaligned] = pin(1, foll::write, 2);
    CHECK(misaligned == gup_result{0, gup_error::misaligned});
    CHECK(none.empty());
  }
}

TEST_CASE("a handle takes the way its name says: with the host's lock, or without") {
  using space_type = support::foreign_space<pinref::page_ref<>>;
  using range = pinned_range<space_type::page>;
  space_type space(2);
  space.map(0);
  space.map(1);
  space_type::page* pages[2] = {};
  CHECK(range::pin_user_pages_fast(space, space.address(0), foll::write, pages).done.ok());
  CHECK(space.faults == 0);
  CHECK(range::pin_user_pages(space, space.address(0), foll::write, pages).done.ok());
  CHECK(space.faults == 2);
  CHECK(space.pages[0].ref.snapshot() == pinref::bias64::live(1));
}

TEST_CASE_FIXTURE(fixture, "a count that is a negative errno is not taken over, and nothing is released") {
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 4, foll::none, pages).ok());
  for (const std::size_t n : {static_cast<std::size_t>(-14), pinref::max_pages + 1}) {
    auto nothing = pinned_range<frame>::adopt({pages, n});
    CHECK(nothing.empty());
    CHECK(nothing.unpin_front(1) == gup_result{});
    CHECK(nothing.reset() == gup_result{});
  }
  for (std::size_t i = 0; i != 4; ++i) CHECK(pinref::page_pins(*pages[i]) == 1);
  CHECK(pinref::unpin_user_pages(pages, 4).ok());
}

TEST_CASE_FIXTURE(fixture, "a range leaves out null entries, and tells how many pins it released") {
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 4, foll::none, pages).ok());
  (void)pinref::unpin_user_page(*std::exchange(pages[1], nullptr));
  auto range = pinned_range<frame>::adopt({pages, 4});
  CHECK(range.size() == 4);
  CHECK(range.reset() == gup_result{3, gup_error::none});
  CHECK(range.empty());
  CHECK(range.reset() == gup_result{0, gup_error::none});
}

TEST_CASE("of a range no more is released than there is, from either end") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  REQUIRE(pinref::try_pin_page(page, 8) == take_result::taken);
  frame* pages[] = {&page, &page, &page, &page, &page, &page, &page, &page};
  {
    auto range = pinned_range<frame>::adopt({pages + 3, 3});
    CHECK(range.unpin_back(1).count == 1);
    CHECK(range.unpin_back(5).count == 2);
    CHECK(range.empty());
    CHECK(range.unpin_back(1).count == 0);
    CHECK(range.unpin_front(1).count == 0);
  }
  CHECK(page.ref().snapshot() == pinref::bias64::live(1, 5));
}
