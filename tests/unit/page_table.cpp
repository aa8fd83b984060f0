// The default host's table, entry by entry: an entry answers for its own page, and is another once the page is.

#include "pinref/host/page_table.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "pinref/gup/gup.hpp"

using pinref::foll;
using pinref::protection;

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
    CHECK(mapped[i]->ref().snapshot() == pinref::bias64::of(1, 1));
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
  CHECK(pinref::page_pin_count(*head) == 3);
  CHECK(pinref::page_pin_count(*behind) == 1);
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
