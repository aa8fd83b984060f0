// SPDX-License-Identifier: MIT

// An owner of several requests, held and put off, and what its host sees of it.

#include "pinref/handles/pin_owner.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "pinref/handles/pin_request.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using pinref::release_result;

namespace {

using frame = pinref::frame_arena::frame;

struct fixture {
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, 64};
  pinref::pin_owner<frame, std::mutex> owner;
  frame* pages[64] = {};

  fixture() { REQUIRE(space.map(0, 64, protection::read_write)); }
};

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
  pinref::page_ref<> ref{pinref::bias64::live(1)};
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

using watched_owner = pinref::pin_owner<calling_page, watched_lock>;
using watched_request = pinref::pin_request<calling_page, watched_lock>;

TEST_CASE_FIXTURE(fixture, "an owner releases everything it still holds, once") {
  {
    pinref::pin_request a{owner}, b{owner}, c{owner};
    REQUIRE(a.pin_user_pages_fast(space, 0, foll::write, {pages, 8}).count == 8);
    REQUIRE(c.pin_user_pages_fast(space, 0, foll::write, {pages + 8, 8}).count == 8);
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
      CHECK(a.pin_user_pages_fast(space, 0, foll::none, {pages, 2}).count == 2);
      CHECK(owner.live() == 2);
    }
  }
  CHECK(owner.live() == 0);
  for (std::size_t i = 0; i != 8; ++i) CHECK(pages[i]->ref().snapshot() == pinref::bias64::live(1));
}

TEST_CASE_FIXTURE(fixture, "a drain releases every request that was put off, and counts all their pages") {
  pinref::pin_request first{owner}, second{owner}, third{owner};
  REQUIRE(first.pin_user_pages_fast(space, 0, foll::write, {pages, 3}).count == 3);
  REQUIRE(second.pin_user_pages_fast(space, 4 * 4096, foll::write, {pages + 4, 2}).count == 2);
  REQUIRE(third.pin_user_pages_fast(space, 8 * 4096, foll::write, {pages + 8, 4}).count == 4);
  for (std::size_t i = 0; i != 12; ++i)
    if (pages[i] != nullptr) pages[i]->lock();
  CHECK(first.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  CHECK(second.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  CHECK(third.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  CHECK(owner.live() == 9);
  for (std::size_t i = 0; i != 12; ++i)
    if (pages[i] != nullptr) pages[i]->unlock();

  SUBCASE("by itself") {
    CHECK(owner.drain() == gup_result{9, gup_error::none});
  }
  SUBCASE("as the end of a dirty release of everything") {
    CHECK(owner.unpin_all_dirty_lock() == gup_result{9, gup_error::none});
  }
  SUBCASE("together with what was not put off") {
    pinref::pin_request held{owner};
    REQUIRE(held.pin_user_pages_fast(space, 16 * 4096, foll::write, {pages + 16, 5}).count == 5);
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
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages, 3}).ok());
  CHECK(owner.drain() == gup_result{0, gup_error::none});
  CHECK(pinref::page_dma_pinned(*pages[0]));
  CHECK(owner.live() == 3);
}

TEST_CASE_FIXTURE(fixture, "a drain reports a page that was released before") {
  CHECK(owner.drain() == gup_result{});
  pinref::pin_request request{owner};
  REQUIRE(request.pin_user_pages_fast(space, 0, foll::write, {pages, 3}).count == 3);
  for (std::size_t i = 0; i != 3; ++i) pages[i]->lock();
  CHECK(request.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  frame* const released = pages[0];
  for (std::size_t i = 0; i != 3; ++i) pages[i]->unlock();
  (void)pinref::unpin_user_page(*released);
  CHECK(owner.drain() == gup_result{2, gup_error::underflow});
  CHECK(owner.drain() == gup_result{});
  CHECK(owner.live() == 0);
}

TEST_CASE_FIXTURE(fixture, "an owner reports what one of its requests could not release") {
  pinref::pin_request first{owner}, second{owner};
  REQUIRE(first.pin_user_pages_fast(space, 0, foll::none, {pages, 1}).count == 1);
  REQUIRE(second.pin_user_pages_fast(space, 4096, foll::none, {pages + 1, 1}).count == 1);
  (void)pinref::unpin_user_page(*pages[1]);
  CHECK(owner.unpin_all() == gup_result{1, gup_error::underflow});
  CHECK(owner.unpin_all() == gup_result{0, gup_error::none});
}

TEST_CASE("an owner reports what it could not release of what was put off") {
  calling_space space;
  calling_page* pages[1];
  watched_owner owner;
  watched_request request{owner};
  CHECK(request.pin_user_pages_fast(space, 0, foll::write, pages).ok());
  space.pages[0].locked = true;
  CHECK(request.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  space.pages[0].locked = false;
  CHECK(space.pages[0].ref.unpin() == release_result::released);
  CHECK(owner.unpin_all_dirty_lock() == gup_result{0, gup_error::underflow});
  CHECK(owner.live() == 0);
}

TEST_CASE_FIXTURE(fixture, "a request that goes leaves its neighbours with their owner") {
  using request = pinref::pin_request<frame, std::mutex>;
  pinref::pin_owner<frame, std::mutex> another;
  std::optional<request> oldest{std::in_place, owner};
  std::optional<request> middle{std::in_place, owner};
  request youngest{owner};
  REQUIRE(youngest.pin_user_pages_fast(space, 0, foll::none, {pages, 1}).count == 1);

  middle.reset();
  oldest.reset();
  // Whoever still looks there finds pins of somebody else.
  oldest.emplace(another);
  REQUIRE(oldest->pin_user_pages_fast(space, 4096, foll::none, {pages + 1, 1}).count == 1);

  CHECK(owner.unpin_all().count == 1);
  CHECK(another.live() == 1);
}

TEST_CASE("a request is made known to its owner, and taken from it, under the owner's lock") {
  watched_owner owner;
  const int before = watched_lock::taken;
  {
    watched_request first{owner}, second{owner};
    CHECK(watched_lock::taken == before + 2);
  }
  CHECK(watched_lock::taken == before + 4);
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
    CHECK(made.back()->pin_user_pages_fast(space, 3, foll::write, extra).ok());
  };
  {
    watched_request a{owner}, b{owner}, c{owner};
    CHECK(a.pin_user_pages_fast(space, 0, foll::write, pages[0]).ok());
    CHECK(b.pin_user_pages_fast(space, 1, foll::write, pages[1]).ok());
    space.pages[2].locked = true;
    CHECK(c.pin_user_pages_fast(space, 2, foll::write, pages[2]).ok());
    CHECK(c.unpin_dirty_deferred() == gup_result{0, gup_error::none});
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
  CHECK(owner.drain() == gup_result{0, gup_error::none});
  CHECK(request.pin_user_pages_fast(space, 0, foll::write, pages).ok());
  CHECK(request.unpin_dirty_deferred() == gup_result{1, gup_error::none});
  CHECK(request.pin_user_pages_fast(space, 1, foll::write, pages).ok());
  CHECK(request.unpin_dirty_lock().count == 1);
  CHECK(owner.drain() == gup_result{0, gup_error::none});
  CHECK(watched_lock::taken == before);

  CHECK(request.pin_user_pages_fast(space, 2, foll::write, pages).ok());
  space.pages[2].locked = true;
  CHECK(request.unpin_dirty_deferred() == gup_result{0, gup_error::none});
  space.pages[2].locked = false;
  CHECK(owner.drain() == gup_result{1, gup_error::none});
  CHECK(watched_lock::taken > before);
  const int after = watched_lock::taken;
  CHECK(owner.drain() == gup_result{0, gup_error::none});
  CHECK(watched_lock::taken == after);
}

TEST_CASE("the limit can be used up to the last page, by one request or by two") {
  calling_space space;
  calling_page* pages[2][4];
  watched_owner owner{3};
  watched_request first{owner}, second{owner};
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, pages[0]).reason == gup_error::limit_exceeded);
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages[0], 2}).ok());
  CHECK(second.pin_user_pages_fast(space, 0, foll::write, {pages[1], 2}).reason == gup_error::limit_exceeded);
  CHECK(second.pin_user_pages_fast(space, 0, foll::write, {pages[1], 1}).ok());
  CHECK(owner.live() == owner.limit());
  CHECK(first.unpin().count + second.unpin().count == 3);
  CHECK(first.pin_user_pages_fast(space, 0, foll::write, {pages[0], 3}).ok());
}
