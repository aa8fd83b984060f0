// SPDX-License-Identifier: MIT

// One request: what it counts, what it releases, and what it puts off.

#include "pinref/handles/pin_request.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <span>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "foreign_host.hpp"
#include "mapped_pages.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using support::foreign_space;

namespace {

using frame = pinref::frame_arena::frame;

using fixture = support::mapped_pages;

// Notes whether it was dirty when its lock was given back.
struct watched_page {
  pinref::page_ref<> ref;
  bool immortal = false, locked = false, dirty = false, was_dirty = false;
  int unlocks = 0;
};

struct watched_space {
  using page = watched_page;
  static constexpr std::size_t page_size = 4096;

  bool contains(std::uintptr_t, std::uintptr_t) const noexcept { return true; }
  pinref::mapping<page> lookup(std::uintptr_t, foll) noexcept { return {&only}; }
  bool recheck(std::uintptr_t, const pinref::mapping<page>&) noexcept { return true; }
  template <class Use>
  gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    return use(pinref::mapping<page>{&only});
  }

  page only;
};

// It can be locked, but not be marked dirty.
struct plain_page {
  pinref::page_ref<> ref;
};

}  // namespace

template <>
struct pinref::page_traits<watched_page> {
  static auto& ref(watched_page& page) noexcept { return page.ref; }
  static bool immortal(watched_page& page) noexcept { return page.immortal; }
  static void free_page(watched_page&) noexcept {}
  static void lock(watched_page& page) noexcept { page.locked = true; }
  static bool try_lock(watched_page& page) noexcept { return !std::exchange(page.locked, true); }
  static void unlock(watched_page& page) noexcept {
    page.locked = false;
    page.was_dirty = page.dirty;
    ++page.unlocks;
  }
  static bool dirty(watched_page& page) noexcept { return page.dirty; }
  static void set_dirty(watched_page& page) noexcept { page.dirty = true; }
};

template <>
struct pinref::page_traits<plain_page> {
  static auto& ref(plain_page& p) noexcept { return p.ref; }
  static void lock(plain_page&) noexcept {}
  static bool try_lock(plain_page&) noexcept { return true; }
  static void unlock(plain_page&) noexcept {}
  static void free_page(plain_page&) noexcept {}
};

static_assert(!std::is_copy_constructible_v<pinref::pin_request<frame, std::mutex>> &&
              !std::is_move_constructible_v<pinref::pin_request<frame, std::mutex>>);

TEST_CASE_FIXTURE(fixture, "an owner's limit refuses before anything is pinned, and is given back on every path") {
  pinref::pin_owner<frame, std::mutex> owner{14};
  pinref::pin_request first{owner}, second{owner};
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages, 15}) == gup_result{0, gup_error::limit_exceeded});
  CHECK(owner.live() == 0);
  CHECK(arena.nr_free() == arena.nr_frames());
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages, 10}) == gup_result{10, gup_error::none});
  CHECK(owner.live() == 10);
  // Counted for each request, though the pages are the same.
  CHECK(second.pin_user_pages(space, 0, foll::write, {pages + 16, 5}) == gup_result{0, gup_error::limit_exceeded});
  CHECK(second.pin_user_pages(space, 0, foll::write, {pages + 16, 4}) == gup_result{4, gup_error::none});
  CHECK(owner.live() == 14);
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages + 32, 1}) == gup_result{0, gup_error::busy});
  CHECK(first.unpin() == gup_result{10, gup_error::none});
  CHECK(owner.live() == 4);
  CHECK(first.unpin() == gup_result{0, gup_error::none});
  CHECK(second.unpin_dirty_lock() == gup_result{4, gup_error::none});
  CHECK(pages[16]->dirty());
  CHECK(owner.live() == 0);

  space.unmap(8 * 4096, 1);
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages, 14}) == gup_result{8, gup_error::not_mapped});
  CHECK(owner.live() == 8);
  CHECK(first.unpin().count == 8);
  CHECK(first.pin_user_pages_fast(space, 0, foll::write | foll::all, {pages, 14}) ==
        gup_result{0, gup_error::not_mapped});
  CHECK(first.pin_user_pages_fast(space, 1, foll::write, {pages, 2}) == gup_result{0, gup_error::misaligned});
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages, 0}) == gup_result{0, gup_error::no_pages});
  CHECK(first.pin_user_pages(space, 0, foll::write, {}) == gup_result{0, gup_error::null_pages});
  CHECK(owner.live() == 0);
}

TEST_CASE("an owner's request needs neither page lock nor dirty bit") {
  using space_type = foreign_space<pinref::page_ref<>>;
  space_type space(4);
  for (std::size_t i = 0; i != 4; ++i) space.map(i);
  space_type::page* pages[4] = {};
  pinref::pin_owner<space_type::page, std::mutex> owner{8};
  {
    pinref::pin_request request{owner};
    const std::uintptr_t start = space.address(0);
    CHECK(request.pin_user_pages_fast(space, start, foll::none, pages) == gup_result{4, gup_error::none});
    CHECK(request.unpin() == gup_result{4, gup_error::none});
    CHECK(request.pin_user_pages(space, start, foll::none, {pages, 3}) == gup_result{3, gup_error::none});
  }
  CHECK(owner.live() == 0);
  for (std::size_t i = 0; i != 4; ++i) CHECK(space.pages[i].ref.snapshot() == pinref::bias64::live(1));
}

TEST_CASE("of a release by the request and one by the owner exactly one does the work") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 8};
  REQUIRE(space.map(0, 8, protection::read_write));
  pinref::pin_owner<frame, std::mutex> owner;
  frame* pages[8];
  for (int round = 0; round != 2000; ++round) {
    pinref::pin_request request{owner};
    REQUIRE(request.pin_user_pages_fast(space, 0, foll::write, pages).count == 8);
    gup_result theirs;
    std::thread rival([&] { theirs = owner.unpin_all(); });
    const gup_result mine = request.unpin();
    rival.join();
    CHECK(mine.count + theirs.count == 8);
    CHECK(owner.live() == 0);
  }
  CHECK(pages[0]->ref().snapshot() == pinref::bias64::live(1));
}

TEST_CASE_FIXTURE(fixture,
                  "deferred dirty release: what is free goes at once, what is locked stays pinned until drained") {
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::pin_request request{owner}, other{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, foll::write, {pages, 6}).count == 6);
  REQUIRE(other.pin_user_pages_fast(space, 0, foll::write, {pages + 8, 1}).count == 1);
  // The array is the request's to reorder.
  const std::vector<frame*> was(pages, pages + 6);
  frame *const locked = was[2], *const dirty_and_locked = was[4];
  locked->lock();
  dirty_and_locked->set_dirty();
  dirty_and_locked->lock();
  CHECK(request.unpin_dirty_deferred() == gup_result{5, gup_error::none});
  CHECK(owner.live() == 2);
  for (std::size_t i : {0u, 1u, 3u, 5u}) CHECK(was[i]->dirty());
  CHECK_FALSE(locked->dirty());
  CHECK(pinref::page_dma_pinned(*locked));
  CHECK_FALSE(pinref::page_dma_pinned(*dirty_and_locked));
  // Until it is drained the request can neither be released again nor used anew.
  CHECK(request.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  CHECK(request.unpin().count == 0);
  CHECK(request.pin_user_pages_fast(space, 0, foll::write, {pages + 16, 1}).reason == gup_error::busy);
  CHECK(owner.unpin_all() == gup_result{1, gup_error::none});
  CHECK(pinref::page_dma_pinned(*locked));
  locked->unlock();
  CHECK(owner.drain() == gup_result{1, gup_error::none});
  CHECK(locked->dirty());
  CHECK_FALSE(pinref::page_dma_pinned(*locked));
  CHECK(owner.live() == 0);
  CHECK(owner.drain() == gup_result{0, gup_error::none});
  dirty_and_locked->unlock();
  CHECK(request.pin_user_pages_fast(space, 0, foll::write, {pages, 1}).ok());
}

TEST_CASE_FIXTURE(fixture, "a request of which nothing was put off can pin again at once") {
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::pin_request request{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, foll::none, {pages, 1}).count == 1);
  CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
  CHECK(request.pin_user_pages_fast(space, 0, foll::none, {pages, 1}).ok());
}

TEST_CASE_FIXTURE(fixture, "entries that the caller has set to null are left out of a deferred release") {
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::pin_request request{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, foll::none, {pages, 3}).count == 3);
  for (const int i : {0, 2}) (void)pinref::unpin_user_page(*std::exchange(pages[i], nullptr));
  CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
  CHECK(owner.live() == 0);
}

TEST_CASE_FIXTURE(fixture, "a request that goes away while it is put off is drained by its destructor") {
  pinref::pin_owner<frame, std::mutex> owner;
  {
    pinref::pin_request request{owner};
    REQUIRE(request.pin_user_pages_fast(space, 0, foll::write, {pages, 2}).count == 2);
    pages[0]->lock();
    CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
    pages[0]->unlock();
  }
  CHECK(pages[0]->dirty());
  CHECK(owner.live() == 0);
  CHECK(pages[0]->ref().snapshot() == pinref::bias64::live(1));
}

TEST_CASE_FIXTURE(fixture, "a compound page that is put off keeps all its pins until the drain") {
  frame& head = *arena.allocate_compound();
  pinref::page_table huge{arena, 0, 1024};
  REQUIRE(huge.map(0, 1024, protection::read_write));
  REQUIRE(huge.map_page(0, head, protection::read_write));
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::pin_request request{owner};
  // Four tails of the compound page, and a small page behind it.
  REQUIRE(request.pin_user_pages_fast(huge, 508 * 4096, foll::write, {pages, 5}).count == 5);
  frame& small = *pages[4];
  head.lock();
  CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
  CHECK(small.dirty());
  CHECK(pinref::page_pins(small) == 0);
  CHECK(pinref::page_pins(head) == 4);
  CHECK(owner.live() == 4);
  head.unlock();
  CHECK(owner.drain() == gup_result{4, gup_error::none});
  CHECK(head.dirty());
  CHECK(pinref::page_pins(head) == 0);
}

TEST_CASE("a page is marked dirty under its lock, which is given back, by a release that does not block too") {
  watched_space space;
  space.only.ref.init();
  pinref::pin_owner<watched_page, std::mutex> owner;
  watched_page* page = nullptr;
  pinref::pin_request request{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, foll::write, {&page, 1}).count == 1);
  SUBCASE("the lock is free") {
    CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
  }
  SUBCASE("the lock is taken, and the page drained") {
    space.only.locked = true;
    CHECK(request.unpin_dirty_deferred() == gup_result{0, gup_error::none});
    CHECK(space.only.unlocks == 0);
    CHECK_FALSE(space.only.dirty);
    space.only.locked = false;
    CHECK(owner.drain() == gup_result{1, gup_error::none});
  }
  CHECK(space.only.unlocks == 1);
  CHECK(space.only.was_dirty);
  CHECK_FALSE(space.only.locked);
  CHECK_FALSE(pinref::page_dma_pinned(space.only));
}

TEST_CASE("an immortal page is released by a request as it was pinned: neither locked nor marked nor counted") {
  watched_space space;
  space.only.ref.init();
  space.only.immortal = true;
  pinref::pin_owner<watched_page, std::mutex> owner;
  watched_page* page = nullptr;
  pinref::pin_request request{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, foll::none, {&page, 1}).count == 1);
  CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
  REQUIRE(request.pin_user_pages(space, 0, foll::none, {&page, 1}).count == 1);
  CHECK(request.unpin_dirty_lock() == gup_result{1, gup_error::none});
  CHECK_FALSE(space.only.dirty);
  CHECK(space.only.unlocks == 0);
  CHECK(space.only.ref.snapshot() == pinref::bias64::live(1));
}

TEST_CASE("a request of pages that can be locked, but not be marked dirty, is released plainly") {
  pinref::pin_owner<plain_page, std::mutex> owner;
  pinref::pin_request<plain_page, std::mutex> request{owner};
  CHECK(request.unpin().count == 0);
}

TEST_CASE("a request takes the way its name says: with the host's lock, or without") {
  using space_type = foreign_space<pinref::page_ref<>>;
  using page = space_type::page;
  space_type space(2);
  space.map(0);
  space.map(1);
  pinref::pin_owner<page, std::mutex> owner;
  page* pages[2] = {};
  pinref::pin_request request{owner};
  CHECK(request.pin_user_pages_fast(space, space.address(0), foll::write, pages).ok());
  CHECK(space.faults == 0);
  CHECK(request.unpin().ok());
  CHECK(request.pin_user_pages(space, space.address(0), foll::write, pages).ok());
  CHECK(space.faults == 2);
}
