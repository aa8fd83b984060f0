// SPDX-License-Identifier: MIT

#include "pinref/gup/gup.hpp"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <span>
#include <vector>

#include "entry_points.hpp"
#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using support::entry_points;
using support::foreign_space;
using support::held_on;
using support::kind;
using support::release;

namespace {

// Notes what it is told of the call.
struct told_space : foreign_space<pinref::page_ref<>> {
  using foreign_space::foreign_space;
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t at, foll flags) noexcept {
    told = flags;
    return foreign_space::lookup(at, flags);
  }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t at, foll flags, Use use) noexcept {
    told = flags;
    return foreign_space::fault_in(at, flags, use);
  }
  foll told = foll::none;
};

}  // namespace

TEST_CASE_TEMPLATE("every entry point holds a mixed range of small and compound pages and releases it", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(16);
  space.map(0);
  space.map(1, 6);
  space.map(7);
  space.map(8, 8);
  for (const auto& entry : entry_points<space_type>()) {
    CAPTURE(entry.name);
    page* pages[14] = {};
    // From the middle of the first compound page into the middle of the second.
    CHECK(entry.call(space, space.address(2), 9, foll::write, pages) == gup_result{9, gup_error::none});
    for (std::size_t i = 0; i != 9; ++i) CHECK(pages[i] == &space.pages[2 + i]);
    CHECK(pages[9] == nullptr);
    CHECK(held_on(space.pages[0], entry.pins) == 0);
    CHECK(held_on(space.pages[1], entry.pins) == 5);
    CHECK(held_on(space.pages[7], entry.pins) == 1);
    CHECK(held_on(space.pages[8], entry.pins) == 3);
    CHECK(pinref::page_dma_pinned(space.pages[1]) == entry.pins);
    release(pages, 9, entry.pins);
    for (std::size_t head : {1u, 7u, 8u}) CHECK(space.pages[head].ref.snapshot() == Layout::live(1));
  }
}

TEST_CASE_TEMPLATE("a call may be given a span, which says how many pages it is for", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(6);
  space.map(0);
  space.map(1, 4);
  const std::uintptr_t start = space.address(0);
  page* all[5] = {};
  const std::span<page*> some = std::span(all).first(3);
  const auto holds = [&](gup_result done, bool pins) {
    CHECK(done == gup_result{3, gup_error::none});
    for (std::size_t i = 0; i != 5; ++i) CHECK(all[i] == (i < 3 ? &space.pages[i] : nullptr));
    CHECK(held_on(space.pages[0], pins) == 1);
    CHECK(held_on(space.pages[1], pins) == 2);
    CHECK((pins ? pinref::unpin_user_pages(some) : pinref::release_pages(some)) == done);
    for (page*& each : all) each = nullptr;
  };
  holds(pinref::get_user_pages(space, start, foll::write, some), false);
  holds(pinref::get_user_pages_fast(space, start, foll::write, some), false);
  holds(pinref::pin_user_pages(space, start, foll::write, some), true);
  holds(pinref::pin_user_pages_fast(space, start, foll::write, some), true);
  // Anything that a span is made of.
  std::array<page*, 2> two{};
  CHECK(pinref::pin_user_pages_fast(space, start, foll::write, two) == gup_result{2, gup_error::none});
  CHECK(pinref::unpin_user_pages(two) == gup_result{2, gup_error::none});
  std::vector<page*> five(5);
  CHECK(pinref::pin_user_pages(space, start, foll::write, five) == gup_result{5, gup_error::none});
  CHECK(pinref::unpin_user_pages(five) == gup_result{5, gup_error::none});
  CHECK(pinref::get_user_pages_fast(space, start, foll::write, all) == gup_result{5, gup_error::none});
  CHECK(pinref::release_pages(all) == gup_result{5, gup_error::none});
  // Of no pages, somewhere and nowhere.
  CHECK(pinref::pin_user_pages_fast(space, start, foll::write, some.first(0)) == gup_result{0, gup_error::no_pages});
  CHECK(pinref::pin_user_pages(space, start, foll::write, std::span<page*>{}) == gup_result{0, gup_error::null_pages});
  for (const std::size_t head : {0u, 1u}) CHECK(space.pages[head].ref.snapshot() == Layout::live(1));
}

TEST_CASE_TEMPLATE("bad input gives one documented error and touches neither counts nor outputs", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(4);
  for (std::size_t i = 0; i != 4; ++i) space.map(i);
  const std::uintptr_t start = space.address(0);
  const auto size = space_type::page_size;
  const std::uintptr_t top = ~std::uintptr_t{0} - size + 1;
  page* const untouched = &space.pages[3];
  for (const auto& entry : entry_points<space_type>()) {
    CAPTURE(entry.name);
    const struct {
      std::uintptr_t start;
      std::size_t n;
      foll flags;
      bool null_output;
      gup_error expected;
    } cases[] = {
        {start, 0, foll::write, false, gup_error::no_pages},
        {start, 2, foll::write, true, gup_error::null_pages},
        {start + 1, 2, foll::write, false, gup_error::misaligned},
        {start + size / 2, 2, foll::none, false, gup_error::misaligned},
        {top, 2, foll::none, false, gup_error::address_overflow},
        {start, ~std::size_t{0}, foll::none, false, gup_error::address_overflow},
        {start, ~std::size_t{0} / size, foll::none, false, gup_error::address_overflow},
        // Their bytes wrap around to one page.
        {start, ~std::size_t{0} / size + 2, foll::none, false, gup_error::address_overflow},
        // An error code that was taken for a number of pages.
        {start, static_cast<std::size_t>(-14), foll::none, false, gup_error::address_overflow},
        {start, pinref::max_pages + 1, foll::none, false, gup_error::address_overflow},
        {top, 1, foll::none, false, gup_error::out_of_range},
        {start, 5, foll::none, false, gup_error::out_of_range},
        {start - size, 1, foll::none, false, gup_error::out_of_range},
        {start, 2, static_cast<foll>(1u << 20), false, gup_error::bad_flags},
        {start, 2, static_cast<foll>(~0u), false, gup_error::bad_flags},
    };
    for (const auto& bad : cases) {
      CAPTURE(bad.expected);
      page* pages[8] = {untouched, untouched};
      CHECK(entry.call(space, bad.start, bad.n, bad.flags, bad.null_output ? nullptr : pages) ==
            gup_result{0, bad.expected});
      CHECK(pages[0] == untouched);
      CHECK(pages[1] == untouched);
    }
    if (!entry.pins) {
      page* pages[1] = {untouched};
      CHECK(entry.call(space, start, 1, foll::longterm, pages) == gup_result{0, gup_error::bad_flags});
      CHECK(pages[0] == untouched);
    }
  }
  for (const std::size_t n : {static_cast<std::size_t>(-14), pinref::max_pages + 1})
    CHECK(pinref::fault_in_user_pages(space, start, n, foll::none) == gup_result{0, gup_error::address_overflow});
  for (std::size_t i = 0; i != 4; ++i) CHECK(space.pages[i].ref.snapshot() == Layout::live(1));
  CHECK(space.faults == 0);
}

TEST_CASE_TEMPLATE("a hole stops the call: the pages before it are held, or with foll::all none", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(8);
  for (std::size_t i : {0u, 1u, 2u, 4u, 5u}) space.map(i);
  for (const auto& entry : entry_points<space_type>()) {
    CAPTURE(entry.name);
    page* pages[6] = {};
    CHECK(entry.call(space, space.address(0), 6, foll::write, pages) == gup_result{3, gup_error::not_mapped});
    for (std::size_t i = 0; i != 3; ++i) CHECK(held_on(space.pages[i], entry.pins) == 1);
    CHECK(held_on(space.pages[4], entry.pins) == 0);
    release(pages, 3, entry.pins);
    CHECK(entry.call(space, space.address(0), 6, foll::write | foll::all, pages) ==
          gup_result{0, gup_error::not_mapped});
    for (page* each : pages) CHECK(each == nullptr);
    for (std::size_t i : {0u, 1u, 2u, 4u, 5u}) CHECK(space.pages[i].ref.snapshot() == Layout::live(1));
    CHECK(entry.call(space, space.address(0), 3, foll::all, pages) == gup_result{3, gup_error::none});
    release(pages, 3, entry.pins);
  }
}

TEST_CASE_TEMPLATE("foll::write needs a writable mapping; foll::nofault and foll::fast_only stop where they must",
                   Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(4);
  space.map(0);
  space.map(1, 1, kind::ordinary, false);
  space.demand = true;
  page* pages[4] = {};
  for (const auto& entry : entry_points<space_type>()) {
    CAPTURE(entry.name);
    CHECK(entry.call(space, space.address(0), 2, foll::write, pages) == gup_result{1, gup_error::no_permission});
    release(pages, 1, entry.pins);
    CHECK(entry.call(space, space.address(0), 2, foll::none, pages) == gup_result{2, gup_error::none});
    release(pages, 2, entry.pins);
    CHECK(entry.call(space, space.address(0), 3, foll::nofault, pages) == gup_result{2, gup_error::not_mapped});
    release(pages, 2, entry.pins);
    space.faults = 0;
    const std::size_t without_slow_path = entry.fast ? 2 : 0;
    CHECK(entry.call(space, space.address(0), 3, foll::fast_only, pages) ==
          gup_result{without_slow_path, gup_error::would_block});
    release(pages, without_slow_path, entry.pins);
    CHECK(space.faults == 0);
  }
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 3, foll::none, pages) == gup_result{3, gup_error::none});
  release(pages, 3, true);
}

TEST_CASE("the space is told whether a call gets or pins, in both paths") {
  told_space space(1);
  space.map(0);
  told_space::page* pages[1] = {};
  for (const foll flags : {foll::none, foll::write})
    for (const auto& entry : entry_points<told_space>()) {
      CAPTURE(entry.name);
      CHECK(entry.call(space, space.address(0), 1, flags, pages).ok());
      CHECK(space.told == (flags | (entry.pins ? foll::pin : foll::get)));
      CHECK(space.faults == (entry.fast ? 0 : 1));
      space.faults = 0;
      release(pages, 1, entry.pins);
    }
  CHECK(pinref::fault_in_user_pages(space, space.address(0), 1, foll::write).ok());
  CHECK(space.told == foll::write);
}

TEST_CASE("foll::force reads and writes what the protection refuses, and changes nothing for the others") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 4};
  REQUIRE(space.map(0, 2, protection::read));
  pinref::frame_arena::frame* pages[2];
  CHECK(pinref::pin_user_pages_fast(space, 0, 2, foll::write, pages).reason == gup_error::no_permission);
  CHECK(pinref::pin_user_pages_fast(space, 0, 2, foll::write | foll::force, pages) == gup_result{2, gup_error::none});
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 2, true).count == 2);
  CHECK(pinref::pin_user_pages_fast(space, 0, 2, foll::write, pages).reason == gup_error::no_permission);
  CHECK(pinref::pin_user_pages_fast(space, 0x2000, 1, foll::force, pages).reason == gup_error::not_mapped);
}

TEST_CASE_TEMPLATE("the same range got by one caller and pinned by another is held by both, and only the pin shows",
                   Layout, ALL_LAYOUTS) {
  pinref::basic_frame_arena<pinref::page_ref<Layout>> arena{2};
  pinref::basic_page_table<pinref::page_ref<Layout>> space{arena, 0x10000, 64};
  REQUIRE(space.map(0x10000, 64, pinref::protection::read_write));
  pinref::basic_frame<pinref::page_ref<Layout>>*got[4], *pinned[4];
  REQUIRE(pinref::get_user_pages_fast(space, 0x10000, 4, foll::none, got).count == 4);
  CHECK_FALSE(pinref::page_dma_pinned(*got[0]));
  REQUIRE(pinref::pin_user_pages_fast(space, 0x10000, 4, foll::write, pinned).count == 4);
  CHECK(got[0] == pinned[0]);
  CHECK(pinref::page_dma_pinned(*got[0]));
  CHECK(pinref::release_pages(got, 4).count == 4);
  CHECK(pinref::page_dma_pinned(*pinned[0]));
  CHECK(pinref::unpin_user_pages_dirty_lock(pinned, 4, true).count == 4);
  CHECK_FALSE(pinref::page_dma_pinned(*pinned[0]));
}

TEST_CASE_TEMPLATE("fault_in_user_pages makes pages present and holds none", Layout, ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  pinref::basic_frame_arena<ref> arena{2};
  pinref::basic_page_table<ref> space{arena, 0, 1024};
  REQUIRE(space.map(0, 8, protection::read_write));
  REQUIRE(space.map(8 * 4096, 4, protection::read));
  CHECK(pinref::fault_in_user_pages(space, 0, 8, foll::write | foll::nofault) == gup_result{0, gup_error::not_mapped});
  CHECK(pinref::fault_in_user_pages(space, 0, 8, foll::write | foll::fast_only) ==
        gup_result{0, gup_error::would_block});
  CHECK(pinref::fault_in_user_pages(space, 0, 12, foll::write) == gup_result{8, gup_error::no_permission});
  CHECK(pinref::fault_in_user_pages(space, 0, 13, foll::none) == gup_result{12, gup_error::not_mapped});
  CHECK(arena.nr_free() == arena.nr_frames() - 12);
  pinref::basic_frame<ref>* pages[12];
  CHECK(pinref::get_user_pages_fast(space, 0, 12, foll::fast_only, pages).count == 12);
  for (auto* page : pages) CHECK(page->ref().snapshot() == Layout::live(2));
  CHECK(pinref::release_pages(pages, 12).count == 12);
  CHECK(pinref::fault_in_user_pages(space, 4, 1, foll::none) == gup_result{0, gup_error::misaligned});
  CHECK(pinref::fault_in_user_pages(space, 0, 0, foll::none) == gup_result{0, gup_error::no_pages});
  auto* huge = arena.allocate_compound();
  REQUIRE(space.map(512 * 4096, 512, protection::read_write));
  REQUIRE(space.map_page(512 * 4096, *huge, protection::read_write));
  CHECK(pinref::fault_in_user_pages(space, 600 * 4096, 424, foll::write) == gup_result{424, gup_error::none});
}

TEST_CASE("to fault in part of a huge page asks the host once, and counts the part") {
  using space_type = foreign_space<pinref::page_ref<>>;
  space_type space(8);
  space.map(0, 4);
  space.map(4, 4);
  for (const bool present : {true, false}) {
    space.no_fast_path = !present;
    CHECK(pinref::fault_in_user_pages(space, space.address(1), 5, foll::none) == gup_result{5, gup_error::none});
    CHECK(space.faults == (present ? 0 : 2));
  }
}

TEST_CASE("to fault in for a write is to fault in what may be written") {
  foreign_space<pinref::page_ref<>> read_only(1);
  read_only.map(0, 1, kind::ordinary, false);
  CHECK(pinref::fault_in_user_pages(read_only, read_only.address(0), 1, foll::none) == gup_result{1, gup_error::none});
  CHECK(pinref::fault_in_user_pages(read_only, read_only.address(0), 1, foll::write) ==
        gup_result{0, gup_error::no_permission});

  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 1};
  REQUIRE(space.map(0, 1, pinref::protection::read_write));
  REQUIRE(space.map_page(0, *arena.allocate(), pinref::protection::read_write));
  space.write_protect(0);
  CHECK(pinref::fault_in_user_pages(space, 0, 1, foll::write) == gup_result{1, gup_error::none});
  CHECK(space.lookup(0, foll::write).page != nullptr);
}
