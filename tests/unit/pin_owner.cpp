// An owner with several requests put off, and a host that looks at each page when its lock is given back.

#include "pinref/hold/pin_owner.hpp"

#include <doctest/doctest.h>

#include <mutex>

#include "foreign_host.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using pinref::take_result;

namespace {

using frame = pinref::frame_arena::frame;

struct fixture {
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, 64};
  pinref::pin_owner<frame, std::mutex> owner;
  frame* pages[64] = {};

  fixture() { REQUIRE(space.map(0, 64, protection::read_write)); }
};

// Notes whether it was dirty when its lock was given back.
struct watched_page {
  pinref::page_ref<> ref;
  bool locked = false, dirty = false, was_dirty = false;
  int unlocks = 0;
};

// Of one owner at a time.
struct counted_lock {
  void lock() noexcept {
    CHECK_FALSE(held);
    held = true;
    ++taken;
  }
  void unlock() noexcept { held = false; }
  static inline bool held = false;
  static inline int taken = 0;
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

}  // namespace

template <>
struct pinref::page_traits<watched_page> {
  static auto& ref(watched_page& page) noexcept { return page.ref; }
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

TEST_CASE_FIXTURE(fixture, "a drain releases every request that was put off, and counts all their pages") {
  pinref::owned_pins first{owner}, second{owner}, third{owner};
  REQUIRE(first.pin_user_pages_fast(space, 0, 3, foll::write, pages).count == 3);
  REQUIRE(second.pin_user_pages_fast(space, 4 * 4096, 2, foll::write, pages + 4).count == 2);
  REQUIRE(third.pin_user_pages_fast(space, 8 * 4096, 4, foll::write, pages + 8).count == 4);
  for (std::size_t i = 0; i != 12; ++i)
    if (pages[i] != nullptr) pages[i]->lock();
  CHECK(first.unpin_dirty_deferred() == 0);
  CHECK(second.unpin_dirty_deferred() == 0);
  CHECK(third.unpin_dirty_deferred() == 0);
  CHECK(owner.live() == 9);
  for (std::size_t i = 0; i != 12; ++i)
    if (pages[i] != nullptr) pages[i]->unlock();

  SUBCASE("by itself") {
    CHECK(owner.drain() == 9);
  }
  SUBCASE("as the end of a dirty release of everything") {
    CHECK(owner.unpin_all_dirty_lock() == gup_result{9, gup_error::none});
  }
  SUBCASE("together with what was not put off") {
    pinref::owned_pins held{owner};
    REQUIRE(held.pin_user_pages_fast(space, 16 * 4096, 5, foll::write, pages + 16).count == 5);
    CHECK(owner.unpin_all_dirty_lock() == gup_result{14, gup_error::none});
    CHECK(pages[16]->dirty());
  }
  CHECK(owner.live() == 0);
  for (frame* page : pages)
    if (page != nullptr) {
      CHECK(page->dirty());
      CHECK_FALSE(pinref::page_dma_pinned(*page));
    }
  // Used anew, a request is not drained for what was put off before.
  CHECK(first.pin_user_pages_fast(space, 0, 3, foll::write, pages).ok());
  CHECK(owner.drain() == 0);
  CHECK(pinref::page_dma_pinned(*pages[0]));
  CHECK(owner.live() == 3);
}

TEST_CASE_FIXTURE(fixture, "a compound page that is put off keeps all its pins until the drain") {
  frame& head = *arena.allocate_compound();
  pinref::page_table huge{arena, 0, 1024};
  REQUIRE(huge.map(0, 1024, protection::read_write));
  REQUIRE(huge.map_page(0, head, protection::read_write));
  pinref::owned_pins request{owner};
  // Four tails of the compound page, and a small page behind it.
  REQUIRE(request.pin_user_pages_fast(huge, 508 * 4096, 5, foll::write, pages).count == 5);
  frame& small = *pages[4];
  head.lock();
  CHECK(request.unpin_dirty_deferred() == 1);
  CHECK(small.dirty());
  CHECK(pinref::page_pin_count(small) == 0);
  CHECK(pinref::page_pin_count(head) == 4);
  CHECK(owner.live() == 4);
  head.unlock();
  CHECK(owner.drain() == 4);
  CHECK(head.dirty());
  CHECK(pinref::page_pin_count(head) == 0);
}

TEST_CASE("a page is marked dirty under its lock, which is given back, by a release that does not block too") {
  watched_space space;
  space.only.ref.reset();
  pinref::pin_owner<watched_page, std::mutex> owner;
  watched_page* page = nullptr;
  pinref::owned_pins request{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, 1, foll::write, &page).count == 1);
  SUBCASE("the lock is free") {
    CHECK(request.unpin_dirty_deferred() == 1);
  }
  SUBCASE("the lock is taken, and the page drained") {
    space.only.locked = true;
    CHECK(request.unpin_dirty_deferred() == 0);
    CHECK(space.only.unlocks == 0);
    CHECK_FALSE(space.only.dirty);
    space.only.locked = false;
    CHECK(owner.drain() == 1);
  }
  CHECK(space.only.unlocks == 1);
  CHECK(space.only.was_dirty);
  CHECK_FALSE(space.only.locked);
  CHECK_FALSE(pinref::page_dma_pinned(space.only));
}

TEST_CASE("a request is made known to its owner, and taken from it, under the owner's lock") {
  pinref::pin_owner<watched_page, counted_lock> owner;
  const int before = counted_lock::taken;
  {
    pinref::owned_pins first{owner}, second{owner};
    CHECK(counted_lock::taken == before + 2);
  }
  CHECK(counted_lock::taken == before + 4);
}

TEST_CASE("a request takes the way its name says: with the host's lock, or without") {
  using space_type = support::foreign_space<pinref::page_ref<>>;
  using page = space_type::page;
  space_type space(2);
  space.map(0);
  space.map(1);
  pinref::pin_owner<page, std::mutex> owner;
  page* pages[2] = {};
  pinref::owned_pins request{owner};
  CHECK(request.pin_user_pages_fast(space, space.address(0), 2, foll::write, pages).ok());
  CHECK(space.faults == 0);
  CHECK(request.unpin().ok());
  CHECK(request.pin_user_pages(space, space.address(0), 2, foll::write, pages).ok());
  CHECK(space.faults == 2);
}
