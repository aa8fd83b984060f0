#include <doctest/doctest.h>

#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/hold/page_hold.hpp"
#include "pinref/hold/pin_owner.hpp"
#include "pinref/hold/pinned_range.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::on_release;
using pinref::protection;
using pinref::release_result;
using pinref::take_result;

namespace {

using frame = pinref::frame_arena::frame;

struct fixture {
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, 64};
  frame* pages[64] = {};

  fixture() { REQUIRE(space.map(0, 64, protection::read_write)); }
};

template <class Handle>
constexpr bool move_only = std::is_nothrow_move_constructible_v<Handle>&& std::is_nothrow_move_assignable_v<Handle> &&
                           !std::is_copy_constructible_v<Handle> && !std::is_copy_assignable_v<Handle>;

// The lock of an owner, and pages that call back: what runs under that lock, and how often it is taken.
struct watched_lock {
  static inline bool held = false;
  static inline int taken = 0;
  void lock() {
    CHECK_FALSE(held);
    held = true;
    ++taken;
  }
  void unlock() { held = false; }
};

struct calling_page {
  pinref::page_ref<> ref{pinref::bias64::of(1)};
  bool locked = false;
  bool dirty = false;
  static inline std::function<void()> on_call;

  static void called() {
    CHECK_FALSE(watched_lock::held);
    if (on_call) on_call();
  }
};

// Every address maps its page.
struct calling_space {
  using page = calling_page;
  static constexpr std::size_t page_size = 1;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < 4; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, foll) noexcept { return {&pages[address], 0, 1}; }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t, foll, Use) noexcept {
    return gup_error::not_mapped;
  }

  page pages[4];
};

// It can be locked, but not be marked dirty.
struct plain_page {
  pinref::page_ref<> ref;
};

}  // namespace

template <>
struct pinref::page_traits<calling_page> {
  static auto& ref(calling_page& p) noexcept { return p.ref; }
  static void lock(calling_page& p) noexcept {
    calling_page::called();
    CHECK_FALSE(std::exchange(p.locked, true));
  }
  static bool try_lock(calling_page& p) noexcept { return !std::exchange(p.locked, true); }
  static void unlock(calling_page& p) noexcept { p.locked = false; }
  static bool dirty(calling_page& p) noexcept { return p.dirty; }
  static void set_dirty(calling_page& p) noexcept { p.dirty = true; }
  static void free_page(calling_page&) noexcept { calling_page::called(); }
};

template <>
struct pinref::page_traits<plain_page> {
  static auto& ref(plain_page& p) noexcept { return p.ref; }
  static void lock(plain_page&) noexcept {}
  static bool try_lock(plain_page&) noexcept { return true; }
  static void unlock(plain_page&) noexcept {}
  static void free_page(plain_page&) noexcept {}
};

using watched_owner = pinref::pin_owner<calling_page, watched_lock>;
using watched_request = pinref::owned_pins<calling_page, watched_lock>;

static_assert(move_only<pinref::page_ptr<frame>> && sizeof(pinref::page_ptr<frame>) <= 2 * sizeof(void*));
static_assert(move_only<pinref::page_pin<frame>> && move_only<pinref::page_pin<frame, on_release::dirty>>);
static_assert(move_only<pinref::pinned_range<frame>> && sizeof(pinref::pinned_range<frame>) == 2 * sizeof(void*));
static_assert(!std::is_copy_constructible_v<pinref::owned_pins<frame, std::mutex>> &&
              !std::is_move_constructible_v<pinref::owned_pins<frame, std::mutex>>);

TEST_CASE("a page_ptr holds one reference until it goes, is moved from, reset or detached") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  auto owner = pinref::page_ptr<frame>::adopt(page);
  {
    auto second = pinref::page_ptr<frame>::try_get(page);
    REQUIRE(second);
    CHECK(second.reason() == take_result::taken);
    CHECK(second.get() == &page);
    CHECK(&*second == &page);
    CHECK(second->ref().count() == 2);
    auto third = std::move(second);
    CHECK_FALSE(second);
    CHECK(page.ref().count() == 2);
    auto fourth = pinref::page_ptr<frame>::get_more(page);
    CHECK(page.ref().count() == 3);
    fourth = std::move(third);
    CHECK(page.ref().count() == 2);
    frame* const raw = fourth.detach();
    CHECK_FALSE(fourth);
    CHECK(page.ref().count() == 2);
    CHECK(pinref::put_page(*raw) == release_result::released);
  }
  CHECK(page.ref().count() == 1);
  owner.reset();
  CHECK(arena.nr_free() == arena.nr_frames());
  const auto none = pinref::page_ptr<frame>::try_get(page);
  CHECK_FALSE(none);
  CHECK(none.reason() == take_result::dead);
}

TEST_CASE("a page_pin releases as its type says: plain leaves the page clean, dirty marks it") {
  pinref::frame_arena arena{1};
  auto owner = pinref::page_ptr<frame>::adopt(*arena.allocate());
  {
    auto reads = pinref::page_pin<frame>::try_pin(*owner);
    REQUIRE(reads);
    CHECK(pinref::page_dma_pinned(*owner));
    auto more = pinref::page_pin<frame>::add_pin(*owner);
    CHECK(owner->ref().pins() == 2);
  }
  CHECK_FALSE(pinref::page_dma_pinned(*owner));
  CHECK_FALSE(owner->dirty());
  {
    auto writes = pinref::page_pin<frame, on_release::dirty>::try_pin(*owner);
    REQUIRE(writes);
    CHECK_FALSE(owner->dirty());
  }
  CHECK(owner->dirty());
  CHECK_FALSE(pinref::page_dma_pinned(*owner));
}

TEST_CASE_FIXTURE(fixture, "a pinned_range releases whole or in parts, from either end") {
  using range = pinref::pinned_range<frame, on_release::dirty>;
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 16, foll::write, pages).count == 16);
  {
    range pins = range::adopt(pages, 16);
    CHECK(pins.release_front(4) == gup_result{4, gup_error::none});
    CHECK(pins.release_back(2) == gup_result{2, gup_error::none});
    CHECK(pins.size() == 10);
    CHECK(pins[0] == pages[4]);
    CHECK(pins.end() - pins.begin() == 10);
    CHECK(pages[3]->dirty());
    CHECK(pages[15]->dirty());
    CHECK_FALSE(pages[4]->dirty());
    CHECK_FALSE(pinref::page_dma_pinned(*pages[3]));
    CHECK(pinref::page_dma_pinned(*pages[4]));
    CHECK(pins.release_front(1000) == gup_result{10, gup_error::none});
    CHECK(pins.empty());
  }
  for (std::size_t i = 0; i != 16; ++i) CHECK(pages[i]->ref().snapshot() == pinref::bias64::of(1));
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 4, foll::none, pages).count == 4);
  {
    auto one = pinref::pinned_range<frame>::adopt(pages, 4);
    auto other = std::move(one);
    CHECK(one.empty());
    one = std::move(other);
    CHECK(one.size() == 4);
    CHECK(one.detach() == pages);
  }
  CHECK(pinref::unpin_user_pages(pages, 4).count == 4);
}

TEST_CASE_FIXTURE(fixture, "a pinned_range that is assigned another releases its own, and to itself nothing") {
  using range = pinref::pinned_range<frame>;
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 8, foll::none, pages).count == 8);
  range first = range::adopt(pages, 4), second = range::adopt(pages + 4, 4);
  first = std::move(second);
  CHECK(first.size() == 4);
  CHECK(first[0] == pages[4]);
  for (std::size_t i = 0; i != 8; ++i) CHECK(pinref::page_pin_count(*pages[i]) == (i < 4 ? 0 : 1));
  CHECK(second.empty());
  range& same = first;
  first = std::move(same);
  CHECK(first.size() == 4);
  CHECK(pinref::page_pin_count(*pages[4]) == 1);
  CHECK(first.detach() == pages + 4);
  CHECK(first.size() == 0);
  CHECK(first.begin() == first.end());
  CHECK(pinref::unpin_user_pages(pages + 4, 4).count == 4);
}

TEST_CASE("a handle moved to itself keeps its page; one that is moved to, or adopts, says why it holds what it holds") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  auto held = pinref::page_ptr<frame>::adopt(page);
  CHECK(held.reason() == take_result::taken);
  auto& same = held;
  held = std::move(same);
  REQUIRE(held);
  CHECK(page.ref().count() == 1);

  pinref::page_ptr<frame> other;
  CHECK(other.reason() == take_result::dead);
  other = std::move(held);
  CHECK(other.reason() == take_result::taken);
  other.reset();
  held = pinref::page_ptr<frame>::try_get(page);
  CHECK(held.reason() == take_result::dead);
  REQUIRE(arena.nr_free() == arena.nr_frames());
  frame& full = *arena.allocate();
  support::set_state(full.ref(), support::full<pinref::bias64>());
  held = pinref::page_ptr<frame>::try_get(full);
  CHECK(held.reason() == take_result::overflow);
  const auto moved = std::move(held);
  CHECK(moved.reason() == take_result::overflow);
}

TEST_CASE_FIXTURE(fixture, "an owner's limit refuses before anything is pinned, and is given back on every path") {
  pinref::pin_owner<frame, std::mutex> owner{14};
  pinref::owned_pins first{owner}, second{owner};
  CHECK(first.pin_user_pages_fast(space, 0, 15, foll::write, pages) == gup_result{0, gup_error::limit_exceeded});
  CHECK(owner.live() == 0);
  CHECK(arena.nr_free() == arena.nr_frames());
  CHECK(first.pin_user_pages_fast(space, 0, 10, foll::write, pages) == gup_result{10, gup_error::none});
  CHECK(owner.live() == 10);
  // Counted for each request, though the pages are the same.
  CHECK(second.pin_user_pages(space, 0, 5, foll::write, pages + 16) == gup_result{0, gup_error::limit_exceeded});
  CHECK(second.pin_user_pages(space, 0, 4, foll::write, pages + 16) == gup_result{4, gup_error::none});
  CHECK(owner.live() == 14);
  CHECK(first.pin_user_pages_fast(space, 0, 1, foll::write, pages + 32) == gup_result{0, gup_error::busy});
  CHECK(first.unpin() == gup_result{10, gup_error::none});
  CHECK(owner.live() == 4);
  CHECK(first.unpin() == gup_result{0, gup_error::none});
  CHECK(second.unpin_dirty_lock() == gup_result{4, gup_error::none});
  CHECK(pages[16]->dirty());
  CHECK(owner.live() == 0);

  space.unmap(8 * 4096, 1);
  CHECK(first.pin_user_pages_fast(space, 0, 14, foll::write, pages) == gup_result{8, gup_error::not_mapped});
  CHECK(owner.live() == 8);
  CHECK(first.unpin().count == 8);
  CHECK(first.pin_user_pages_fast(space, 0, 14, foll::write | foll::all, pages) ==
        gup_result{0, gup_error::not_mapped});
  CHECK(first.pin_user_pages_fast(space, 1, 2, foll::write, pages) == gup_result{0, gup_error::misaligned});
  CHECK(first.pin_user_pages_fast(space, 0, 0, foll::write, pages) == gup_result{0, gup_error::no_pages});
  CHECK(first.pin_user_pages_fast(space, 0, ~std::size_t{0}, foll::write, pages) ==
        gup_result{0, gup_error::address_overflow});
  CHECK(first.pin_user_pages(space, 0, 15, foll::write, nullptr) == gup_result{0, gup_error::null_pages});
  CHECK(owner.live() == 0);
}

TEST_CASE_FIXTURE(fixture, "an owner releases everything it still holds, once") {
  pinref::pin_owner<frame, std::mutex> owner;
  {
    pinref::owned_pins a{owner}, b{owner}, c{owner};
    REQUIRE(a.pin_user_pages_fast(space, 0, 8, foll::write, pages).count == 8);
    REQUIRE(c.pin_user_pages_fast(space, 0, 8, foll::write, pages + 8).count == 8);
    SUBCASE("plainly") {
      CHECK(owner.unpin_all() == gup_result{16, gup_error::none});
      CHECK_FALSE(pages[0]->dirty());
    }
    SUBCASE("dirty") {
      CHECK(owner.unpin_all_dirty_lock() == gup_result{16, gup_error::none});
      CHECK(pages[0]->dirty());
    }
    SUBCASE("each by its own going away") {}
    if (owner.live() == 0) {
      CHECK(owner.unpin_all() == gup_result{0, gup_error::none});
      CHECK(a.unpin().count == 0);
      // The request is usable again.
      CHECK(a.pin_user_pages_fast(space, 0, 2, foll::none, pages).count == 2);
      CHECK(owner.live() == 2);
    }
  }
  CHECK(owner.live() == 0);
  for (std::size_t i = 0; i != 8; ++i) CHECK(pages[i]->ref().snapshot() == pinref::bias64::of(1));
}

TEST_CASE("of a release by the request and one by the owner exactly one does the work") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 8};
  REQUIRE(space.map(0, 8, protection::read_write));
  pinref::pin_owner<frame, std::mutex> owner;
  frame* pages[8];
  for (int round = 0; round != 2000; ++round) {
    pinref::owned_pins request{owner};
    REQUIRE(request.pin_user_pages_fast(space, 0, 8, foll::write, pages).count == 8);
    gup_result theirs;
    std::thread rival([&] { theirs = owner.unpin_all(); });
    const gup_result mine = request.unpin();
    rival.join();
    CHECK(mine.count + theirs.count == 8);
    CHECK(owner.live() == 0);
  }
  CHECK(pages[0]->ref().snapshot() == pinref::bias64::of(1));
}

TEST_CASE_FIXTURE(fixture,
                  "deferred dirty release: what is free goes at once, what is locked stays pinned until drained") {
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::owned_pins request{owner}, other{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, 6, foll::write, pages).count == 6);
  REQUIRE(other.pin_user_pages_fast(space, 0, 1, foll::write, pages + 8).count == 1);
  // The array is the request's to reorder.
  const std::vector<frame*> was(pages, pages + 6);
  frame *const locked = was[2], *const dirty_and_locked = was[4];
  locked->lock();
  dirty_and_locked->set_dirty();
  dirty_and_locked->lock();
  CHECK(request.unpin_dirty_deferred() == 5);
  CHECK(owner.live() == 2);
  for (std::size_t i : {0u, 1u, 3u, 5u}) CHECK(was[i]->dirty());
  CHECK_FALSE(locked->dirty());
  CHECK(pinref::page_dma_pinned(*locked));
  CHECK_FALSE(pinref::page_dma_pinned(*dirty_and_locked));
  // Until it is drained the request can neither be released again nor used anew.
  CHECK(request.unpin_dirty_deferred() == 0);
  CHECK(request.unpin().count == 0);
  CHECK(request.pin_user_pages_fast(space, 0, 1, foll::write, pages + 16).reason == gup_error::busy);
  CHECK(owner.unpin_all() == gup_result{1, gup_error::none});
  CHECK(pinref::page_dma_pinned(*locked));
  locked->unlock();
  CHECK(owner.drain() == 1);
  CHECK(locked->dirty());
  CHECK_FALSE(pinref::page_dma_pinned(*locked));
  CHECK(owner.live() == 0);
  CHECK(owner.drain() == 0);
  dirty_and_locked->unlock();
  CHECK(request.pin_user_pages_fast(space, 0, 1, foll::write, pages).ok());
}

TEST_CASE_FIXTURE(fixture, "a request that goes away while it is put off is drained by its destructor") {
  pinref::pin_owner<frame, std::mutex> owner;
  {
    pinref::owned_pins request{owner};
    REQUIRE(request.pin_user_pages_fast(space, 0, 2, foll::write, pages).count == 2);
    pages[0]->lock();
    CHECK(request.unpin_dirty_deferred() == 1);
    pages[0]->unlock();
  }
  CHECK(pages[0]->dirty());
  CHECK(owner.live() == 0);
  CHECK(pages[0]->ref().snapshot() == pinref::bias64::of(1));
}

TEST_CASE("an owner calls its host without its lock, which the host may need to make requests and end them") {
  calling_space space;
  calling_page* pages[4][1];
  calling_page* extra[1];
  watched_owner owner;
  std::vector<watched_request*> made;
  calling_page::on_call = [&] {
    if (made.size() == 4) return;
    made.push_back(new watched_request{owner});
    CHECK(made.back()->pin_user_pages_fast(space, 3, 1, foll::write, extra).ok());
  };
  {
    watched_request a{owner}, b{owner}, c{owner};
    CHECK(a.pin_user_pages_fast(space, 0, 1, foll::write, pages[0]).ok());
    CHECK(b.pin_user_pages_fast(space, 1, 1, foll::write, pages[1]).ok());
    space.pages[2].locked = true;
    CHECK(c.pin_user_pages_fast(space, 2, 1, foll::write, pages[2]).ok());
    CHECK(c.unpin_dirty_deferred() == 0);
    space.pages[2].locked = false;
    SUBCASE("plainly: the last holder of each page") {
      for (std::size_t i = 0; i != 3; ++i) (void)space.pages[i].ref.put();
      CHECK(owner.unpin_all() == gup_result{2, gup_error::none});
      CHECK(made.size() == 2);
    }
    SUBCASE("dirty, and what was put off") {
      CHECK(owner.unpin_all_dirty_lock() == gup_result{3, gup_error::none});
      CHECK(made.size() == 3);
    }
    // What came meanwhile is left to the next call.
    CHECK(space.pages[3].ref.pins() == made.size());
  }
  calling_page::on_call = nullptr;
  for (watched_request* each : made) delete each;
  CHECK(owner.live() == 0);
}

TEST_CASE("a drain with nothing put off, and a release by the request, take no lock") {
  calling_space space;
  calling_page* pages[1];
  watched_owner owner;
  watched_request request{owner};
  const int before = watched_lock::taken;
  CHECK(owner.drain() == 0);
  CHECK(request.pin_user_pages_fast(space, 0, 1, foll::write, pages).ok());
  CHECK(request.unpin_dirty_deferred() == 1);
  CHECK(request.pin_user_pages_fast(space, 1, 1, foll::write, pages).ok());
  CHECK(request.unpin_dirty_lock().count == 1);
  CHECK(owner.drain() == 0);
  CHECK(watched_lock::taken == before);

  CHECK(request.pin_user_pages_fast(space, 2, 1, foll::write, pages).ok());
  space.pages[2].locked = true;
  CHECK(request.unpin_dirty_deferred() == 0);
  space.pages[2].locked = false;
  CHECK(owner.drain() == 1);
  CHECK(watched_lock::taken > before);
  const int after = watched_lock::taken;
  CHECK(owner.drain() == 0);
  CHECK(watched_lock::taken == after);
}

TEST_CASE("an owner reports what it could not release of what was put off") {
  calling_space space;
  calling_page* pages[1];
  watched_owner owner;
  watched_request request{owner};
  CHECK(request.pin_user_pages_fast(space, 0, 1, foll::write, pages).ok());
  space.pages[0].locked = true;
  CHECK(request.unpin_dirty_deferred() == 0);
  space.pages[0].locked = false;
  CHECK(space.pages[0].ref.unpin() == release_result::released);
  CHECK(owner.unpin_all_dirty_lock() == gup_result{0, gup_error::underflow});
  CHECK(owner.live() == 0);
}

TEST_CASE("the limit can be used up to the last page, by one request or by two") {
  calling_space space;
  calling_page* pages[2][4];
  watched_owner owner{3};
  watched_request first{owner}, second{owner};
  CHECK(first.pin_user_pages_fast(space, 0, 4, foll::write, pages[0]).reason == gup_error::limit_exceeded);
  CHECK(first.pin_user_pages_fast(space, 0, 2, foll::write, pages[0]).ok());
  CHECK(second.pin_user_pages_fast(space, 0, 2, foll::write, pages[1]).reason == gup_error::limit_exceeded);
  CHECK(second.pin_user_pages_fast(space, 0, 1, foll::write, pages[1]).ok());
  CHECK(owner.live() == owner.limit());
  CHECK(first.unpin().count + second.unpin().count == 3);
  CHECK(first.pin_user_pages_fast(space, 0, 3, foll::write, pages[0]).ok());
}

TEST_CASE("a request of pages that can be locked, but not be marked dirty, is released plainly") {
  pinref::pin_owner<plain_page, std::mutex> owner;
  pinref::owned_pins<plain_page, std::mutex> request{owner};
  CHECK(request.unpin().count == 0);
}
