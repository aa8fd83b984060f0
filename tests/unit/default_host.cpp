#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using pinref::release_result;
using frame = pinref::frame_arena::frame;

TEST_CASE("an arena gives out each frame once, from one piece of memory, and takes them back") {
  pinref::frame_arena arena{2};
  REQUIRE(arena.valid());
  CHECK(arena.nr_frames() == 1024);
  std::set<std::byte*> seen;
  std::vector<frame*> frames;
  while (frame* page = arena.allocate()) {
    CHECK(page->ref().count() == 1);
    CHECK_FALSE(page->dirty());
    CHECK(seen.insert(arena.data(*page)).second);
    std::memset(arena.data(*page), 0x5a, arena.frame_size);
    CHECK(&arena.frame_at(arena.frame_number(*page)) == page);
    page->set_dirty();
    frames.push_back(page);
  }
  CHECK(frames.size() == 1024);
  CHECK(arena.allocate_compound() == nullptr);
  CHECK(static_cast<std::size_t>(*seen.rbegin() - *seen.begin()) == 1023 * arena.frame_size);
  for (frame* page : frames) CHECK(pinref::put_page(*page) == release_result::last);
  CHECK(arena.nr_free() == 1024);
}

TEST_CASE("a compound page is 2 MiB on its own boundary, and its frames serve as small ones afterwards") {
  pinref::frame_arena arena{2};
  frame* small = arena.allocate();
  frame* head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  CHECK(reinterpret_cast<std::uintptr_t>(arena.data(*head)) % arena.block_size == 0);
  CHECK(arena.allocate_compound() == nullptr);
  CHECK(&pinref::compound_head(head[511]) == head);
  CHECK(pinref::put_page(head[200]) == release_result::last);
  CHECK(&pinref::compound_head(head[511]) == &head[511]);
  CHECK(pinref::put_page(*small) == release_result::last);
  std::vector<frame*> frames;
  while (frame* page = arena.allocate()) frames.push_back(page);
  CHECK(frames.size() == 1024);
  for (frame* page : frames) REQUIRE(pinref::put_page(*page) == release_result::last);
  frame* a = arena.allocate_compound();
  frame* b = arena.allocate_compound();
  CHECK(a != nullptr);
  CHECK(b != nullptr);
  CHECK(pinref::put_page(*a) == release_result::last);
  CHECK(pinref::put_page(*b) == release_result::last);
}

TEST_CASE("frames and compound pages given out and taken back in any order are never lost nor given out twice") {
  pinref::frame_arena arena{4};
  std::mt19937 random{11};
  std::set<frame*> small, compound;
  for (int i = 0; i != 40'000; ++i) {
    // Phases of filling and of emptying, so that whole, partial and full blocks come and go.
    const bool fill = i / 3000 % 2 == 0 ? random() % 4 != 0 : random() % 4 == 0;
    const bool whole = random() % 64 == 0;
    std::set<frame*>& held = whole ? compound : small;
    if (fill) {
      frame* const page = whole ? arena.allocate_compound() : arena.allocate();
      if (!whole) CHECK((page != nullptr) == (small.size() + 512 * compound.size() < 2048));
      if (page == nullptr) continue;
      REQUIRE(held.insert(page).second);
      REQUIRE(page->nr_pages() == (whole ? 512 : 1));
    } else if (!held.empty()) {
      frame* const page =
          *std::next(held.begin(), static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(held.size(), 64)));
      held.erase(page);
      REQUIRE(pinref::put_page(*page) == release_result::last);
    }
    REQUIRE(arena.nr_free() == 2048 - small.size() - 512 * compound.size());
  }
  for (frame* page : compound) CHECK(arena.frame_number(*page) % 512 == 0);
  for (frame* page : small) REQUIRE(pinref::put_page(*page) == release_result::last);
  for (frame* page : compound) REQUIRE(pinref::put_page(*page) == release_result::last);
  // Every block is whole again.
  frame* blocks[4];
  for (frame*& block : blocks) CHECK((block = arena.allocate_compound()) != nullptr);
  for (frame* block : blocks) CHECK(pinref::put_page(*block) == release_result::last);
}

TEST_CASE("a frame that is given out again is clean, as a small one and as part of a compound one") {
  pinref::frame_arena arena{1};
  frame* const page = arena.allocate();
  page->set_dirty();
  REQUIRE(pinref::put_page(*page) == release_result::last);
  REQUIRE(arena.allocate() == page);
  CHECK_FALSE(page->dirty());
  page->set_dirty();
  REQUIRE(pinref::put_page(*page) == release_result::last);
  frame* const head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  CHECK_FALSE(head->dirty());
  head->set_dirty();
  REQUIRE(pinref::put_page(*head) == release_result::last);
  for (std::size_t i = 0; i != arena.frames_per_block; ++i) CHECK_FALSE(arena.allocate()->dirty());
}

TEST_CASE("a table that goes gives its pages back") {
  pinref::frame_arena arena{2};
  frame* pinned[1];
  {
    pinref::page_table space{arena, 0x200000, 1024};
    REQUIRE(space.map(0x200000, 1024, protection::read_write));
    CHECK(pinref::fault_in_user_pages(space, 0x200000, 3, foll::write).count == 3);
    REQUIRE(space.map_page(0x200000 + 512 * 4096, *arena.allocate_compound(), protection::read_write));
    REQUIRE(pinref::pin_user_pages_fast(space, 0x200000, 1, foll::write, pinned).ok());
    CHECK(arena.nr_free() == arena.nr_frames() - 3 - 512);
  }
  CHECK(arena.nr_free() == arena.nr_frames() - 1);
  CHECK(pinref::unpin_user_pages(pinned, 1).ok());
  CHECK(arena.nr_free() == arena.nr_frames());
}

TEST_CASE("an arena gives its memory back to the system") {
  const auto is_mapped = [](std::uintptr_t address) {
    std::ifstream maps("/proc/self/maps");
    REQUIRE(maps);
    for (std::string line; std::getline(maps, line);) {
      char* rest = nullptr;
      const auto first = std::strtoull(line.c_str(), &rest, 16);
      if (address >= first && address < std::strtoull(rest + 1, nullptr, 16)) return true;
    }
    return false;
  };
  std::uintptr_t memory = 0;
  {
    pinref::frame_arena arena{1};
    memory = reinterpret_cast<std::uintptr_t>(arena.data(arena.frame_at(0)));
    CHECK(is_mapped(memory));
  }
  CHECK_FALSE(is_mapped(memory));
}

TEST_CASE("an arena the system refuses is invalid and gives nothing") {
  pinref::frame_arena wrapped{SIZE_MAX / pinref::frame_arena::block_size + 1};
  CHECK_FALSE(wrapped.valid());
  pinref::frame_arena none{0};
  CHECK_FALSE(none.valid());
  CHECK(none.allocate() == nullptr);
  pinref::frame_arena absurd{SIZE_MAX / pinref::frame_arena::block_size - 2};
  CHECK_FALSE(absurd.valid());
  CHECK(absurd.allocate_compound() == nullptr);
}

TEST_CASE("a table that does not fit its addresses or the memory is invalid and maps nothing") {
  pinref::frame_arena arena{1};
  const auto refuses = [&](std::uintptr_t base, std::size_t n) {
    pinref::page_table table{arena, base, n};
    return !table.valid() && !table.contains(base, base) && !table.map(base, 1, protection::read);
  };
  constexpr std::size_t page = pinref::page_table::page_size;
  CHECK(refuses(0, 0));
  CHECK(refuses(page / 2, 4));
  CHECK(refuses(0 - 3 * page, 4));
  if (sizeof(std::size_t) > 4) CHECK(refuses(0, SIZE_MAX / page));  // 32 bits have room for it
  pinref::page_table last{arena, 0 - 3 * page, 3};
  CHECK(last.valid());
  CHECK(last.map(0 - page, 1, protection::read));
}

TEST_CASE("a pinned frame outlives its mapping and its owner's reference, and is not given out again") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0x100000, 16};
  REQUIRE(space.map(0x100000, 1, protection::read_write));
  frame* pinned[1];
  REQUIRE(pinref::pin_user_pages_fast(space, 0x100000, 1, foll::write, pinned).ok());
  space.unmap(0x100000, 1);
  CHECK(pinref::page_dma_pinned(*pinned[0]));
  std::vector<frame*> others;
  while (frame* page = arena.allocate()) {
    CHECK(page != pinned[0]);
    others.push_back(page);
  }
  CHECK(others.size() == 511);
  CHECK(pinref::unpin_user_page(*pinned[0]) == release_result::last);
  CHECK(arena.allocate() == pinned[0]);
  others.push_back(pinned[0]);
  for (frame* page : others) CHECK(pinref::put_page(*page) == release_result::last);
}

TEST_CASE("demand-zero memory is zero, also in a frame that held something else") {
  pinref::frame_arena arena{1};
  std::vector<frame*> used;
  while (frame* page = arena.allocate()) {
    std::memset(arena.data(*page), 0xff, arena.frame_size);
    used.push_back(page);
  }
  for (frame* page : used) REQUIRE(pinref::put_page(*page) == release_result::last);
  pinref::page_table space{arena, 0, 8};
  REQUIRE(space.map(0, 8, protection::read_write));
  frame* pages[8];
  REQUIRE(pinref::get_user_pages_fast(space, 0, 8, foll::none, pages).count == 8);
  for (frame* page : pages)
    for (std::size_t i = 0; i != arena.frame_size; ++i) REQUIRE(arena.data(*page)[i] == std::byte{0});
  CHECK(pinref::release_pages(pages, 8).count == 8);
}

TEST_CASE("protection: none hides, read refuses writers, write_protect makes the next writer fault") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 8};
  frame* pages[8];
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::none, pages) == gup_result{0, gup_error::not_mapped});
  REQUIRE(space.map(0, 8, protection::read));
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write, pages) == gup_result{0, gup_error::no_permission});
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::none, pages) == gup_result{1, gup_error::none});
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
  REQUIRE(space.map(0, 8, protection::read_write));
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write | foll::fast_only, pages).reason ==
        gup_error::would_block);
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write, pages).ok());
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write | foll::fast_only, pages).ok());
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
  space.write_protect(0);
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write | foll::fast_only, pages).reason ==
        gup_error::would_block);
  CHECK_FALSE(space.map(0, 9, protection::read));
  CHECK_FALSE(space.map(1, 1, protection::read));
}

TEST_CASE("areas keep their pages while they are narrowed and widened, and each access asks anew") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 4};
  frame* pages[1];
  const auto pin = [&](foll flags) {
    const gup_result done = pinref::pin_user_pages_fast(space, 4096, 1, flags, pages);
    if (done.ok()) CHECK(pinref::unpin_user_pages(pages, 1).ok());
    return done.reason;
  };
  REQUIRE(space.map(0, 4, protection::read_write));
  REQUIRE(pin(foll::write) == gup_error::none);
  frame* const first = pages[0];
  REQUIRE(space.map(0, 4, protection::read));
  CHECK(pin(foll::fast_only) == gup_error::none);
  CHECK(pin(foll::write | foll::fast_only) == gup_error::would_block);
  CHECK(pin(foll::write) == gup_error::no_permission);
  // A debugger may write; nobody else by that.
  CHECK(pin(foll::write | foll::force) == gup_error::none);
  CHECK(pin(foll::write | foll::fast_only) == gup_error::would_block);
  REQUIRE(space.map(0, 4, protection::none));
  CHECK(pin(foll::fast_only) == gup_error::would_block);
  CHECK(pin(foll::none) == gup_error::not_mapped);
  REQUIRE(space.map(0, 4, protection::read_write));
  CHECK(pin(foll::fast_only) == gup_error::would_block);
  // A reader's fault does not let writers in.
  CHECK(pin(foll::none) == gup_error::none);
  CHECK(pin(foll::fast_only) == gup_error::none);
  CHECK(pin(foll::write | foll::fast_only) == gup_error::would_block);
  CHECK(pin(foll::write) == gup_error::none);
  CHECK(pages[0] == first);
  // What is widened stays as it was accessed.
  REQUIRE(space.map(0, 4, protection::read_write));
  CHECK(pin(foll::write | foll::fast_only) == gup_error::none);
  CHECK(first->ref().snapshot() == pinref::bias64::of(1));
}

TEST_CASE("a table knows where it ends") {
  constexpr std::uintptr_t base = 0x100000, end = base + 4 * 4096;
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, base, 4};
  CHECK(space.contains(base, base));
  CHECK(space.contains(base, end - 1));
  CHECK_FALSE(space.contains(base, end));
  CHECK_FALSE(space.contains(base - 1, base));
  CHECK_FALSE(space.contains(base + 5000, base + 10));
  const auto refuses = [&](std::uintptr_t address, std::size_t n) { return !space.map(address, n, protection::read); };
  CHECK(refuses(base, 0));
  CHECK(refuses(base, 5));
  CHECK(refuses(base + 1, 1));
  CHECK(refuses(base - 4096, 1));
  CHECK(refuses(end, 1));
  CHECK(refuses(end + 4096, 1));
  CHECK(refuses(base + 3 * 4096, 2));
  CHECK(refuses(base, SIZE_MAX));
  CHECK(space.map(base, 4, protection::read));
  space.unmap(std::uintptr_t{1} << 30, 1);
  frame* pages[4];
  CHECK(pinref::get_user_pages_fast(space, base, 4, foll::none, pages).count == 4);
  CHECK(pinref::release_pages(pages, 4).count == 4);
}

TEST_CASE("a page is mapped whole where its area allows it, over what was there, or not at all") {
  pinref::frame_arena arena{3};
  pinref::page_table space{arena, 0, 1024};
  frame* const head = arena.allocate_compound();
  frame* const small = arena.allocate();
  REQUIRE(head != nullptr);
  REQUIRE(small != nullptr);
  const auto refused = [&](std::uintptr_t address, frame& page, protection allowed) {
    const std::size_t free = arena.nr_free();
    CHECK_FALSE(space.map_page(address, page, allowed));
    CHECK(arena.nr_free() == free);
    CHECK(page.ref().snapshot() == pinref::bias64::of(1));
  };
  refused(0, *small, protection::read);  // no area
  REQUIRE(space.map(0, 1024, protection::read_write));
  REQUIRE(space.map(700 * 4096, 1, protection::read));
  refused(700 * 4096, *small, protection::read_write);
  refused(512 * 4096, *head, protection::read_write);  // one page of it
  refused(4096, *head, protection::read);
  refused(1024 * 4096, *small, protection::read);
  refused(0, *small, protection::none);
  REQUIRE(space.map(700 * 4096, 1, protection::read_write));

  // Over pages of its own and a small one in the middle.
  frame* pages[512];
  REQUIRE(pinref::pin_user_pages_fast(space, 512 * 4096, 8, foll::write, pages).count == 8);
  REQUIRE(pinref::unpin_user_pages(pages, 8).count == 8);
  REQUIRE(space.map_page(600 * 4096, *small, protection::read));
  const std::size_t before = arena.nr_free();
  REQUIRE(space.map_page(512 * 4096, *head, protection::read_write));
  CHECK(arena.nr_free() == before + 9);
  REQUIRE(pinref::get_user_pages_fast(space, 512 * 4096, 512, foll::write | foll::fast_only, pages).count == 512);
  for (std::size_t i = 0; i != 512; ++i) REQUIRE(pages[i] == head + i);
  CHECK(pinref::release_pages(pages, 512).count == 512);
  space.unmap(512 * 4096, 1);
  CHECK(arena.nr_free() == arena.nr_frames());
}

TEST_CASE("an arena that is used up stops a call with no_memory and keeps what is held") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 600};
  REQUIRE(space.map(0, 600, protection::read_write));
  std::vector<frame*> pages(600);
  CHECK(pinref::pin_user_pages_fast(space, 0, 600, foll::write, pages.data()) == gup_result{512, gup_error::no_memory});
  CHECK(pinref::unpin_user_pages(pages.data(), 512).count == 512);
  CHECK(pinref::pin_user_pages_fast(space, 0, 600, foll::write | foll::all, pages.data()) ==
        gup_result{0, gup_error::no_memory});
  CHECK(pages[0] == nullptr);
}

TEST_CASE_TEMPLATE("a huge mapping is pinned whole and outlives its unmapping", Layout, ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  pinref::basic_frame_arena<ref> arena{2};
  pinref::basic_page_table<ref> space{arena, 0, 1024};
  REQUIRE(space.map(0, 1024, protection::read_write));
  auto* head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  CHECK_FALSE(space.map_page(4096, *head, protection::read_write));
  REQUIRE(space.map_page(512 * 4096, *head, protection::read_write));
  std::vector<pinref::basic_frame<ref>*> pages(520);
  CHECK(pinref::pin_user_pages_fast(space, 508 * 4096, 516, foll::write, pages.data()) ==
        gup_result{516, gup_error::none});
  CHECK(head->ref().snapshot() == Layout::of(1, 512));
  space.unmap(600 * 4096, 1);
  CHECK(head->ref().snapshot() == Layout::of(0, 512));
  CHECK(pinref::unpin_user_pages_dirty_lock(pages.data(), 516, true).count == 516);
  CHECK(arena.nr_free() == 1024 - 4);
}

TEST_CASE("the page lock has one owner at a time") {
  pinref::frame_arena arena{1};
  frame* page = arena.allocate();
  int inside = 0, entered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t != 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i != 2000; ++i) {
        page->lock();
        CHECK(++inside == 1);
        ++entered;
        --inside;
        page->unlock();
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(entered == 8000);
  CHECK(page->try_lock());
  CHECK_FALSE(page->try_lock());
  page->unlock();
  CHECK(pinref::put_page(*page) == release_result::last);
}

TEST_CASE("one page of a huge one is narrowed alone, and taken away with all the others") {
  constexpr std::uintptr_t base = 512 * 4096, page_size = 4096;
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, base, 512};
  REQUIRE(space.map(base, 512, protection::read_write));
  frame* const head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  const auto found = [&](std::size_t i, foll flags) { return space.lookup(base + i * page_size, flags); };
  REQUIRE(space.map_page(base, *head, protection::read_write));
  SUBCASE("an entry answers for the pages from its address on") {
    for (const std::size_t i : {0u, 1u, 100u, 511u}) {
      CHECK(found(i, foll::write).page == head + i);
      CHECK(found(i, foll::write).run == 512 - i);
    }
    frame* pages[512];
    CHECK(pinref::pin_user_pages_fast(space, base + 100 * page_size, 412, foll::write | foll::fast_only, pages).count ==
          412);
    for (std::size_t i = 0; i != 412; ++i) REQUIRE(pages[i] == head + 100 + i);
    CHECK(pinref::unpin_user_pages(pages, 412).count == 412);
  }
  SUBCASE("an area of its own splits it") {
    const auto whole = found(0, foll::write);
    REQUIRE(space.map(base + 7 * page_size, 1, protection::read));
    CHECK_FALSE(space.recheck(base, whole));
    CHECK(found(7, foll::write).page == nullptr);
    for (const std::size_t i : {0u, 6u, 7u, 8u, 511u}) {
      CHECK(found(i, i == 7 ? foll::none : foll::write).page == head + i);
      CHECK(found(i, foll::none).run == 1);
    }
    frame* pages[512];
    CHECK(pinref::pin_user_pages_fast(space, base, 512, foll::write, pages) == gup_result{7, gup_error::no_permission});
    CHECK(pinref::unpin_user_pages(pages, 7).count == 7);
  }
  SUBCASE("unmapped in one place it is mapped nowhere") {
    space.unmap(base + 300 * page_size, 1);
    for (const std::size_t i : {0u, 299u, 300u, 301u, 511u}) CHECK(found(i, foll::none).page == nullptr);
    CHECK(arena.nr_free() == arena.nr_frames());
  }
}
