// SPDX-License-Identifier: MIT

// The default host's table: an entry answers for its own page, and is another once the page is; what an area allows;
// and huge pages, mapped and split.

#include "pinref/host/page_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "second_thread.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using pinref::release_result;

namespace {

using frame = pinref::frame_arena::frame;
constexpr std::size_t page_size = pinref::page_table::page_size;

struct fixture {
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, 1024};

  fixture() { REQUIRE(space.map(0, 1024, protection::read_write)); }
};

// Tells a look-up without the lock about every store.
struct watched_sync : pinref::std_sync {
  static inline std::function<void()> after_store;

  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    void store(T to, std::memory_order order) noexcept {
      std::atomic<T>::store(to, order);
      if (after_store) after_store();
    }
  };
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "small pages beside each other are each their own") {
  frame* mapped[3];
  for (std::size_t i = 0; i != 3; ++i) {
    // In the reverse order of frames, so that no entry can answer for the next.
    mapped[2 - i] = arena.allocate();
    REQUIRE(space.map_page((2 - i) * page_size, *mapped[2 - i], protection::read_write));
  }
  frame* pages[3] = {};
  CHECK(pinref::pin_user_pages_fast(space, 0, 3, foll::write | foll::fast_only, pages).count == 3);
  for (std::size_t i = 0; i != 3; ++i) {
    CHECK(pages[i] == mapped[i]);
    CHECK(space.lookup(i * page_size, foll::write).run == 1);
    CHECK(mapped[i]->ref().snapshot() == pinref::bias64::live(1, 1));
  }
  CHECK(pinref::unpin_user_pages(pages, 3).ok());
}

TEST_CASE_FIXTURE(fixture, "each entry of a huge page is that of its own page, to the last") {
  frame* const head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  REQUIRE(space.map_page(0, *head, protection::read_write));
  frame* const behind = arena.allocate();
  REQUIRE(space.map_page(512 * page_size, *behind, protection::read_write));
  frame* pages[4] = {};
  CHECK(pinref::pin_user_pages_fast(space, 509 * page_size, 4, foll::write | foll::fast_only, pages).count == 4);
  for (std::size_t i = 0; i != 3; ++i) CHECK(pages[i] == head + 509 + i);
  CHECK(pages[3] == behind);
  CHECK(pinref::page_pins(*head) == 3);
  CHECK(pinref::page_pins(*behind) == 1);
  CHECK(pinref::unpin_user_pages(pages, 4).ok());
}

TEST_CASE_FIXTURE(fixture, "a look-up is stale once its page is another, may be accessed otherwise, or is gone") {
  REQUIRE(space.map_page(0, *arena.allocate(), protection::read_write));
  const auto seen = space.lookup(0, foll::write);
  REQUIRE(seen.page != nullptr);
  CHECK(space.recheck(0, seen));
  SUBCASE("another") {
    REQUIRE(space.map_page(0, *arena.allocate(), protection::read_write));
  }
  SUBCASE("read-only") {
    space.write_protect(0);
  }
  SUBCASE("narrowed") {
    REQUIRE(space.map(0, 1, protection::read));
  }
  SUBCASE("gone") {
    space.unmap(0, 1);
  }
  CHECK_FALSE(space.recheck(0, seen));
}

TEST_CASE("a page that is faulted in can be found without a lock only when it has been cleared") {
  using ref = pinref::page_ref<pinref::bias64, watched_sync>;
  pinref::basic_frame_arena<ref> arena{1};
  pinref::basic_page_table<ref> space{arena, 0, 1};
  REQUIRE(space.map(0, 1, protection::read_write));
  auto* const used = arena.allocate();
  std::memset(arena.data(*used), 0xff, page_size);
  REQUIRE(pinref::put_page(*used) == pinref::release_result::last);

  int found = 0;
  watched_sync::after_store = [&] {
    const auto seen = space.lookup(0, foll::write);
    if (seen.page == nullptr) return;
    CHECK(seen.page == used);
    const std::byte* const data = arena.data(*seen.page);
    CHECK(std::all_of(data, data + page_size, [](std::byte each) { return each == std::byte{0}; }));
    ++found;
  };
  CHECK(pinref::fault_in_user_pages(space, 0, 1, foll::write).ok());
  watched_sync::after_store = nullptr;
  CHECK(found != 0);
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
  CHECK(first->ref().snapshot() == pinref::bias64::live(1));
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

TEST_CASE("a table may reach to the last address there is") {
  constexpr std::uintptr_t base = UINTPTR_MAX - 2 * page_size + 1;
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, base, 2};
  REQUIRE(space.valid());
  CHECK(space.contains(base, UINTPTR_MAX));
  REQUIRE(space.map(base, 2, protection::read_write));
  frame* pages[3] = {};
  CHECK(pinref::pin_user_pages_fast(space, base, 2, foll::write, pages) == gup_result{2, gup_error::none});
  CHECK(pinref::unpin_user_pages(pages, 2).ok());
  CHECK(pinref::pin_user_pages_fast(space, base, 3, foll::write, pages) == gup_result{0, gup_error::address_overflow});
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
    CHECK(page.ref().snapshot() == pinref::bias64::live(1));
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
  CHECK(head->ref().snapshot() == Layout::live(1, 512));
  space.unmap(600 * 4096, 1);
  CHECK(head->ref().snapshot() == Layout::live(0, 512));
  CHECK(pinref::unpin_user_pages_dirty_lock(pages.data(), 516, true).count == 516);
  CHECK(arena.nr_free() == 1024 - 4);
}

TEST_CASE("one page of a huge one is narrowed alone, and taken away with all the others") {
  constexpr std::uintptr_t base = 512 * 4096;
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

TEST_CASE("write protecting one page of a huge one leaves the others as they were") {
  constexpr std::size_t n = pinref::frame_arena::frames_per_block;
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, n};
  auto* const head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  REQUIRE(space.map(0, n, pinref::protection::read_write));
  REQUIRE(space.map_page(0, *head, pinref::protection::read_write));
  CHECK(space.lookup(0, foll::write).run == n);
  space.write_protect(pinref::page_table::page_size);
  CHECK(space.lookup(0, foll::write).run == 1);
  CHECK(space.lookup(pinref::page_table::page_size, foll::write).page == nullptr);
  CHECK(space.lookup(pinref::page_table::page_size, foll::none).page != nullptr);
}

TEST_CASE("while a page is faulted in nobody else changes the table") {
  struct scene {
    using ref = pinref::page_ref<pinref::bias64, support::counting_sleeps>;
    pinref::basic_frame_arena<ref> arena{1};
    pinref::basic_page_table<ref> space{arena, 0, 2};
    pinref::basic_frame<ref>* mine = arena.allocate();
  };
  const std::function<void(scene&)> calls[] = {
      [](scene& in) { CHECK(in.space.map(0, 2, protection::read)); },
      [](scene& in) { CHECK(in.space.map_page(0, *in.mine, protection::read_write)); },
      [](scene& in) { in.space.unmap(0, 2); },
      [](scene& in) { in.space.write_protect(0); },
      [](scene& in) { CHECK(pinref::fault_in_user_pages(in.space, page_size, 1, foll::write).ok()); },
  };
  for (const auto& call : calls) {
    scene in;
    REQUIRE(in.space.map(0, 2, protection::read_write));
    std::optional<support::second_thread> other;
    const gup_error reason = in.space.fault_in(0, foll::write, [&](const auto&) noexcept {
      CHECK(other.emplace([&] { call(in); }).sleeps());
      return gup_error::none;
    });
    CHECK(reason == gup_error::none);
    other.reset();
  }
}
