// Many pages at once: what one call holds, marks and releases, page by page.

#include <doctest/doctest.h>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "pinref/hold/page_hold.hpp"
#include "pinref/hold/pinned_range.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::take_result;
using support::foreign_space;
using support::kind;

namespace {

using frame = pinref::frame_arena::frame;

// A compound page of four, which copy-on-write may share.
struct shared_page {
  pinref::page_ref<> ref;
  std::size_t from_head = 0;
  bool exclusive = false;
};

struct sharing_space {
  using page = shared_page;
  static constexpr std::size_t page_size = 4096;

  sharing_space() {
    for (std::size_t i = 0; i != 4; ++i) pages[i].from_head = i;
    pages[0].ref.reset();
  }
  bool contains(std::uintptr_t, std::uintptr_t) const noexcept { return true; }
  pinref::mapping<page> lookup(std::uintptr_t at, foll) noexcept {
    const std::size_t i = at / page_size;
    return {&pages[i], 0, 4 - i};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<page>&) noexcept { return true; }
  template <class Use>
  gup_error fault_in(std::uintptr_t at, foll flags, Use use) noexcept {
    return use(lookup(at, flags));
  }

  page pages[4];
};

// Always told to give up.
struct interrupted_space : foreign_space<pinref::page_ref<>> {
  using foreign_space::foreign_space;
  bool interrupted() noexcept {
    ++asked;
    return true;
  }
  int asked = 0;
};

// An object of one page, whose word notices every release of what is not held.
struct checked_page {
  pinref::checked_ref<pinref::page_ref<>, support::remember> ref;
};

struct checked_object {
  using page = checked_page;
  static constexpr std::size_t page_size = 4096;

  std::uint64_t size() const noexcept { return page_size; }
  page* find(std::uint64_t) noexcept { return &only; }
  gup_error allocate(std::uint64_t) noexcept { return gup_error::no_memory; }

  page only;
};

}  // namespace

template <>
struct pinref::page_traits<checked_page> {
  static auto& ref(checked_page& p) noexcept { return p.ref; }
  static void free_page(checked_page&) noexcept {}
};

template <>
struct pinref::page_traits<shared_page> {
  static auto& ref(shared_page& p) noexcept { return p.ref; }
  static shared_page& head(shared_page& p) noexcept { return *(&p - p.from_head); }
  static std::size_t nr_pages(shared_page&) noexcept { return 4; }
  static std::uint64_t frame_number(shared_page& p) noexcept { return p.from_head; }
  static shared_page& nth_page(shared_page& p, std::size_t i) noexcept { return *(&p + i); }
  static bool exclusive(shared_page& head) noexcept { return head.exclusive; }
  static void set_exclusive(shared_page& head, bool mark) noexcept { head.exclusive = mark; }
  static void free_page(shared_page&) noexcept {}
};

TEST_CASE("a shared compound page that the host presents for a pin is given back with all that was taken of it") {
  sharing_space space;
  shared_page* pages[4] = {};
  CHECK(pinref::pin_user_pages(space, 4096, 3, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::pin_user_pages_fast(space, 4096, 3, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(space.pages[0].ref.snapshot() == pinref::bias64::of(1));
  space.pages[0].exclusive = true;
  CHECK(pinref::pin_user_pages(space, 4096, 3, foll::none, pages) == gup_result{3, gup_error::none});
  CHECK(space.pages[0].ref.snapshot() == pinref::bias64::of(1, 3));
}

TEST_CASE_TEMPLATE("whether a page may be held for long is asked of its head", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  space_type space(4);
  auto& head = space.map(0, 4, kind::transient_only);
  typename space_type::page* pages[2] = {};
  for (const bool fast : {false, true}) {
    CAPTURE(fast);
    const auto pin = fast ? pinref::pin_user_pages_fast<space_type> : pinref::pin_user_pages<space_type>;
    CHECK(pin(space, space.address(2), 2, foll::longterm, pages) == gup_result{0, gup_error::not_longterm});
    CHECK(head.ref.snapshot() == Layout::of(1));
  }
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

TEST_CASE("a call that never blocks does not ask whether to give up") {
  interrupted_space space(1);
  interrupted_space::page* pages[1] = {};
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::fast_only | foll::interruptible, pages) ==
        gup_result{0, gup_error::would_block});
  CHECK(space.asked == 0);
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::interruptible, pages) ==
        gup_result{0, gup_error::interrupted});
  CHECK(space.asked == 1);
}

TEST_CASE("a page of an object that could not be pinned is not unpinned") {
  checked_object object;
  checked_page* folios[1] = {};
  std::size_t offset = 0;
  const int misuses = support::misuses;
  CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{0, gup_error::busy});
  CHECK(support::misuses == misuses);
}

TEST_CASE_TEMPLATE("null entries do not part a run: it is released as a whole, or refused as a whole", Layout,
                   pinref::bias64, pinref::split) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  space_type space(1);
  auto& page = space.map(0);
  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  typename space_type::page* pages[] = {&page, nullptr, &page, nullptr, &page};
  CHECK(pinref::unpin_user_pages(pages, 5) == gup_result{0, gup_error::underflow});
  CHECK(page.ref.snapshot() == Layout::of(1, 2));
  CHECK(pinref::unpin_user_pages(pages, 3) == gup_result{2, gup_error::none});
}

TEST_CASE("a page is marked dirty only if it is asked for, and only if a pin of it goes") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  frame* pages[] = {&page};
  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  CHECK(pinref::unpin_user_page_range_dirty_lock(&page, 1, false).count == 1);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 1, false).count == 1);
  CHECK(pinref::unpin_user_folio_dirty_lock(page, 0).count == 0);
  CHECK(pinref::unpin_user_page_range_dirty_lock(&page, 0, true).count == 0);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 0, true).count == 0);
  CHECK_FALSE(page.dirty());
  CHECK(page.ref().snapshot() == pinref::bias64::of(1));
}

TEST_CASE("a handle that was reset is empty, and releases nothing when it goes") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  REQUIRE(pinref::get_page(page, 2) == take_result::taken);
  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  {
    auto reference = pinref::page_ptr<frame>::adopt(page);
    reference.reset();
    CHECK_FALSE(reference);
    reference.reset();
    auto pin = pinref::page_pin<frame>::adopt(page);
    pin.reset();
    CHECK_FALSE(pin);
  }
  CHECK(page.ref().snapshot() == pinref::bias64::of(2, 1));
}

TEST_CASE("of a range no more is released than there is, from either end") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  REQUIRE(pinref::try_pin_page(page, 8) == take_result::taken);
  frame* pages[] = {&page, &page, &page, &page, &page, &page, &page, &page};
  {
    auto range = pinref::pinned_range<frame>::adopt(pages + 3, 3);
    CHECK(range.release_back(1).count == 1);
    CHECK(range.release_back(5).count == 2);
    CHECK(range.empty());
    CHECK(range.release_back(1).count == 0);
    CHECK(range.release_front(1).count == 0);
  }
  CHECK(page.ref().snapshot() == pinref::bias64::of(1, 5));
}
