#include <doctest/doctest.h>

#include <string_view>

#include "entry_points.hpp"
#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;
using support::entry_points;
using support::foreign_space;
using support::held_on;
using support::kind;
using support::release;

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
    for (std::size_t head : {1u, 7u, 8u}) CHECK(space.pages[head].ref.snapshot() == Layout::of(1));
  }
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
  for (std::size_t i = 0; i != 4; ++i) CHECK(space.pages[i].ref.snapshot() == Layout::of(1));
  CHECK(space.faults == 0);
}

TEST_CASE("the error table: every error has a name of its own and the errno Linux would give") {
  using enum gup_error;
  const gup_error all[] = {limit_exceeded, busy,         interrupted,      none,         no_pages,    null_pages,
                           bad_flags,      misaligned,   address_overflow, out_of_range, not_mapped,  no_permission,
                           broken_mapping, not_longterm, overflow,         no_memory,    would_block, underflow,
                           too_many_pages, dirty_refused};
  for (gup_error a : all)
    for (gup_error b : all) CHECK((std::string_view{to_string(a)} == to_string(b)) == (a == b));
  CHECK(to_errno(none) == 0);
  CHECK(to_errno(bad_flags) == EINVAL);
  CHECK(to_errno(address_overflow) == EOVERFLOW);
  CHECK(to_errno(not_mapped) == EFAULT);
  CHECK(to_errno(not_longterm) == EOPNOTSUPP);
  CHECK(to_errno(overflow) == ENOMEM);
  CHECK(to_errno(would_block) == EAGAIN);
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
    for (std::size_t i : {0u, 1u, 2u, 4u, 5u}) CHECK(space.pages[i].ref.snapshot() == Layout::of(1));
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

TEST_CASE_TEMPLATE("a page not for long is refused to foll::longterm only, and keeps its count", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(3);
  space.map(0);
  space.map(1, 2, kind::transient_only);
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.pins) continue;
    page* pages[3] = {};
    CHECK(entry.call(space, space.address(0), 3, foll::longterm, pages) == gup_result{1, gup_error::not_longterm});
    CHECK(space.pages[1].ref.snapshot() == Layout::of(1));
    release(pages, 1, true);
    CHECK(entry.call(space, space.address(0), 3, foll::none, pages) == gup_result{3, gup_error::none});
    release(pages, 3, true);
  }
}

namespace {

// A page of a file: a device may read it for long, not write to it.
struct file_page {
  pinref::page_ref<> ref{pinref::bias64::of(1)};
};

struct file_space {
  using page = file_page;
  static constexpr std::size_t page_size = 4096;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < page_size; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t, foll) noexcept { return {&only}; }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    return use(pinref::mapping<page>{&only});
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return page_size; }
  [[nodiscard]] page* find(std::uint64_t) noexcept { return &only; }
  [[nodiscard]] gup_error allocate(std::uint64_t) noexcept { return gup_error::no_memory; }

  page only;
};

}  // namespace

template <>
struct pinref::page_traits<file_page> {
  static auto& ref(file_page& p) noexcept { return p.ref; }
  static bool immortal(file_page&) noexcept { return false; }
  static bool longterm_pinnable(file_page&, foll flags) noexcept {
    CHECK(has(flags, foll::longterm | foll::pin));
    return !has(flags, foll::write);
  }
  static void free_page(file_page&) noexcept {}
};

TEST_CASE("a host may refuse a page to long pins by the flags of the call") {
  file_space space;
  file_page* pages[1] = {};
  for (const auto call : {pinref::pin_user_pages<file_space>, pinref::pin_user_pages_fast<file_space>}) {
    CHECK(call(space, 0, 1, foll::longterm | foll::write, pages) == gup_result{0, gup_error::not_longterm});
    CHECK(call(space, 0, 1, foll::write, pages).ok());
    CHECK(pinref::unpin_user_pages(pages, 1).ok());
    CHECK(call(space, 0, 1, foll::longterm, pages).ok());
    CHECK(pinref::unpin_user_pages(pages, 1).ok());
  }
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(space, 0, 1, pages, 1, offset).ok());
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
  CHECK(space.only.ref.snapshot() == pinref::bias64::of(1));
}

TEST_CASE_TEMPLATE("an immortal page is not read for long: who reads it would never see what replaces it", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  typename space_type::page* pages[1] = {};
  space_type space(1);
  space.map(0, 1, kind::immortal);
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.pins) continue;
    CAPTURE(entry.name);
    CHECK(entry.call(space, space.address(0), 1, foll::longterm, pages) == gup_result{0, gup_error::not_longterm});
    CHECK(entry.call(space, space.address(0), 1, foll::none, pages) == gup_result{1, gup_error::none});
    // Memory that is written to is nobody's zero page.
    CHECK(entry.call(space, space.address(0), 1, foll::longterm | foll::write, pages).ok());
  }
}

TEST_CASE_TEMPLATE("a mapping that changes under the fast path is given back in the same mode and faulted in", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.fast) continue;
    CAPTURE(entry.name);
    space_type space(2);
    page& old = space.map(0);
    page& fresh = space.map(1);
    page* pages[1] = {};
    space.before_recheck = [&](std::size_t) {
      // Seen in the word the caller holds it in, and only there.
      CHECK(held_on(old, entry.pins) == 1);
      CHECK(held_on(old, !entry.pins) == 0);
      space.slots[0] = space.slots[1];
      CHECK(pinref::put_page(old) == release_result::released);
    };
    CHECK(entry.call(space, space.address(0), 1, foll::none, pages) == gup_result{1, gup_error::none});
    CHECK(pages[0] == &fresh);
    CHECK(held_on(fresh, entry.pins) == 1);
    // The caller was the old page's last holder.
    CHECK(old.freed == 1);
    CHECK(space.faults == 1);
    release(pages, 1, entry.pins);
  }
}

TEST_CASE_TEMPLATE("a dead page in the fast path is nobody's fault: it is looked up again", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  typename space_type::page* pages[1] = {};
  space_type space(2);
  auto& dying = space.map(0);
  space.map(1);
  REQUIRE(pinref::put_page(dying) == release_result::last);
  space.refuse_fault = [&](std::size_t) {
    space.slots[0] = space.slots[1];
    return false;
  };
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::none, pages) == gup_result{1, gup_error::none});
  CHECK(pages[0] == &space.pages[1]);
  CHECK(space.broken == 0);
  release(pages, 1, true);
}

TEST_CASE(
    "a fast call asks for the pages ahead of it, in order and none outside its range; a slow call asks for none") {
  using space_type = foreign_space<pinref::page_ref<>>;
  constexpr std::size_t n = pinref::prefetch_distance + 3;
  space_type space(n + 2);
  for (std::size_t i = 0; i != n + 2; ++i) space.map(i);
  space_type::page* pages[n] = {};
  REQUIRE(pinref::pin_user_pages_fast(space, space.address(1), n, foll::none, pages).ok());
  release(pages, n, true);
  CHECK(space.prefetched == std::vector<std::size_t>{n - 2, n - 1, n});

  space.prefetched.clear();
  REQUIRE(pinref::pin_user_pages(space, space.address(1), n, foll::none, pages).ok());
  release(pages, n, true);
  REQUIRE(pinref::pin_user_pages_fast(space, space.address(1), pinref::prefetch_distance, foll::none, pages).ok());
  release(pages, pinref::prefetch_distance, true);
  CHECK(space.prefetched.empty());
}

TEST_CASE_TEMPLATE("A2.1 a failure at the k-th page of n, for every k, leaves exactly k held and others' pages alone",
                   Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  constexpr std::size_t n = 9;
  for (const auto& entry : entry_points<space_type>())
    for (bool all : {false, true})
      for (std::size_t k = 0; k <= n; ++k)
        for (int way = 0; way != 3; ++way) {
          CAPTURE(entry.name);
          CAPTURE(all);
          CAPTURE(k);
          CAPTURE(way);
          space_type space(n + 1);
          for (std::size_t i = 0; i <= n; ++i) space.map(i);
          // An earlier call holds every page once, in both modes.
          page* earlier[n] = {};
          REQUIRE(pinref::pin_user_pages_fast(space, space.address(0), n, foll::none, earlier).ok());
          REQUIRE(pinref::get_user_pages_fast(space, space.address(0), n, foll::none, earlier).ok());

          gup_error expected = gup_error::none;
          if (k != n) switch (way) {
              case 0:  // the mapping goes, seen by the recheck of the fast path or by the fault
                space.before_recheck = [&space, k](std::size_t i) {
                  if (i == k) space.slots[k].mapped = nullptr;
                };
                space.refuse_fault = [&space, k](std::size_t i) {
                  if (i == k) space.slots[k].mapped = nullptr;
                  return false;
                };
                expected = gup_error::not_mapped;
                break;
              case 1:  // the fault fails
                space.no_fast_path = true;
                space.refuse_fault = [k](std::size_t i) { return i == k; };
                expected = gup_error::no_memory;
                break;
              case 2:  // the word is full
                support::set_state(space.pages[k].ref, support::full<Layout>());
                expected = gup_error::overflow;
                break;
            }
          page* pages[n] = {};
          const gup_result done = entry.call(space, space.address(0), n, all ? foll::all : foll::none, pages);
          const std::size_t held = all && k != n ? 0 : k;
          CHECK(done == gup_result{held, expected});
          for (std::size_t i = 0; i != n; ++i) {
            CAPTURE(i);
            if (i == k && way == 2) {
              CHECK(space.pages[i].ref.snapshot() == support::full<Layout>());
              continue;
            }
            const bool mine = i < held;
            CHECK(space.pages[i].ref.snapshot() ==
                  Layout::of(static_cast<typename Layout::word_type>(2 + (mine && !entry.pins)),
                             static_cast<typename Layout::word_type>(1 + (mine && entry.pins))));
          }
          release(pages, held, entry.pins);
        }
}

TEST_CASE_TEMPLATE(
    "A2.2 where the take cannot fail but does, small, compound and device pages give one error and one diagnostic",
    Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  for (const auto& entry : entry_points<space_type>())
    for (kind is : {kind::ordinary, kind::device})
      for (std::size_t pages_in_it : {1u, 4u}) {
        CAPTURE(entry.name);
        space_type space(8);
        space.map(0);
        auto& broken = space.map(1, pages_in_it, is);
        REQUIRE(broken.ref.freeze(1));
        typename space_type::page* pages[8] = {};
        const gup_result done = entry.call(space, space.address(0), 1 + pages_in_it, foll::none, pages);
        CHECK(done == gup_result{1, gup_error::broken_mapping});
        CHECK(to_errno(done.reason) == EFAULT);
        CHECK(space.broken == 1);
        CHECK(broken.ref.snapshot().zone() == pinref::zone::frozen);
        CHECK(broken.freed == 0);
        release(pages, 1, entry.pins);
      }
}

TEST_CASE_TEMPLATE("A2.6 a step of 512 pages that does not fit is not held in part", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(513);
  space.map(0);
  page& head = space.map(1, 512);
  // Room for one more holder of either kind, not for 512.
  for (const auto& entry : entry_points<space_type>()) {
    CAPTURE(entry.name);
    const auto room = static_cast<typename Layout::word_type>(entry.pins ? support::pin_weight<Layout>() : 1);
    support::set_state(head.ref,
                       Layout::of(static_cast<typename Layout::word_type>(Layout::zones::max_holders - room)));
    const Layout before = head.ref.snapshot();
    page* pages[513] = {};
    CHECK(entry.call(space, space.address(0), 513, foll::none, pages) == gup_result{1, gup_error::overflow});
    CHECK(head.ref.snapshot() == before);
    CHECK(pages[1] == nullptr);
    release(pages, 1, entry.pins);
    support::set_state(head.ref, Layout::of(1));
    CHECK(entry.call(space, space.address(0), 513, foll::none, pages) == gup_result{513, gup_error::none});
    release(pages, 513, entry.pins);
  }
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
