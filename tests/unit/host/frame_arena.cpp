// SPDX-License-Identifier: MIT

#include "pinref/host/frame_arena.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"
#include "second_thread.hpp"

using pinref::foll;
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
    CHECK(page->ref().references() == 1);
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

TEST_CASE("whatever an arena does, nobody else does anything with it meanwhile") {
  using support::counting_sleeps;
  struct scene {
    using arena_type = pinref::basic_frame_arena<pinref::page_ref<pinref::bias64, counting_sleeps>>;
    arena_type arena{5};
    // What each of two threads may release.
    arena_type::frame* small[2] = {arena.allocate(), arena.allocate()};
    arena_type::frame* compound[2] = {arena.allocate_compound(), arena.allocate_compound()};
  };
  const std::function<void(scene&, int)> calls[] = {
      [](scene& in, int) { CHECK(in.arena.allocate() != nullptr); },
      [](scene& in, int) { CHECK(in.arena.allocate_compound() != nullptr); },
      [](scene& in, int who) { CHECK(pinref::put_page(*in.small[who]) == release_result::last); },
      [](scene& in, int who) { CHECK(pinref::put_page(*in.compound[who]) == release_result::last); },
      [](scene& in, int) { (void)in.arena.nr_free(); },
  };
  for (const auto& first : calls)
    for (const auto& second : calls) {
      scene in;
      std::optional<support::second_thread> other;
      bool sleeps = false;
      // The first exchange of each call, its unlock if there is no other, is one under the lock.
      counting_sleeps::before_exchange = [&] { sleeps = other.emplace([&] { second(in, 1); }).sleeps(); };
      first(in, 0);
      counting_sleeps::before_exchange = nullptr;
      CHECK(sleeps);
      other.reset();
    }
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
