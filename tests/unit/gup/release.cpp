// SPDX-License-Identifier: MIT

// Releases of many pages: what goes together, what is marked, and what is refused.

#include "pinref/gup/release.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "foreign_host.hpp"
#include "hooked_sync.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/ref/hot_ref.hpp"

using pinref::gup_error;
using pinref::gup_result;
using pinref::take_result;
using support::foreign_space;
using support::hooked_sync;

namespace {

using frame = pinref::frame_arena::frame;

// Writes down what a dirty release does to it, in order.
struct diary_page {
  pinref::page_ref<> ref;
  bool is_dirty = false;
  bool immortal = false;
  std::string diary;
};

}  // namespace

template <>
struct pinref::page_traits<diary_page> {
  static auto& ref(diary_page& p) noexcept { return p.ref; }
  static bool immortal(diary_page& p) noexcept { return p.immortal; }
  static void lock(diary_page& p) noexcept { p.diary += p.ref.dma_pinned_hint() ? "lock " : "lock-after-unpin "; }
  static void unlock(diary_page& p) noexcept { p.diary += "unlock "; }
  static bool dirty(diary_page& p) noexcept { return p.is_dirty; }
  static void set_dirty(diary_page& p) noexcept {
    p.diary += p.ref.dma_pinned_hint() ? "dirty " : "dirty-after-unpin ";
    p.is_dirty = true;
  }
  static void free_page(diary_page& p) noexcept { p.diary += "free "; }
};

TEST_CASE("a dirty release marks before it unpins, and locks clean pages only") {
  diary_page clean, dirty;
  clean.ref.init();
  dirty.ref.init();
  dirty.is_dirty = true;
  diary_page* pages[] = {&clean, &dirty};
  const auto pin = [&] {
    REQUIRE(clean.ref.try_pin() == take_result::taken);
    REQUIRE(dirty.ref.try_pin() == take_result::taken);
  };
  SUBCASE("unpin_user_pages_dirty_lock") {
    pin();
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, 2, true) == gup_result{2, gup_error::none});
    CHECK(clean.diary == "lock dirty unlock ");
    CHECK(dirty.diary.empty());
  }
  SUBCASE("without make_dirty no page is touched but for its pin") {
    pin();
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, 2, false) == gup_result{2, gup_error::none});
    CHECK(clean.diary.empty());
    CHECK_FALSE(clean.is_dirty);
  }
  SUBCASE("unpin_user_folio_dirty_lock") {
    pin();
    CHECK(pinref::unpin_user_folio_dirty_lock(clean, 1).ok());
    CHECK(pinref::unpin_user_folio_dirty_lock(dirty, 1).ok());
    CHECK(clean.diary == "lock dirty unlock ");
    CHECK(dirty.diary.empty());
  }
  SUBCASE("the last holder frees what it has marked") {
    pin();
    REQUIRE(pinref::put_page(clean) == pinref::release_result::released);
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, 1, true) == gup_result{1, gup_error::none});
    CHECK(clean.diary == "lock dirty unlock free ");
  }
  CHECK_FALSE(clean.ref.dma_pinned());
}

TEST_CASE_TEMPLATE("null entries are tolerated everywhere, and do not end a run", Layout, ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  pinref::basic_frame_arena<ref> arena{2};
  auto* a = arena.allocate();
  auto* b = arena.allocate();
  pinref::basic_frame<ref>* pages[] = {nullptr, a, nullptr, a, b, nullptr};
  for (int way = 0; way != 3; ++way) {
    CAPTURE(way);
    for (auto* each : {a, a, b})
      REQUIRE((way == 2 ? pinref::get_page_unless_zero(*each) : pinref::try_pin_page(*each)) == take_result::taken);
    const gup_result done = way == 0   ? pinref::unpin_user_pages(pages, 6)
                            : way == 1 ? pinref::unpin_user_pages_dirty_lock(pages, 6, true)
                                       : pinref::release_pages(pages, 6);
    CHECK(done == gup_result{3, gup_error::none});
    CHECK(a->ref().snapshot() == Layout::live(1));
    CHECK(b->ref().snapshot() == Layout::live(1));
  }
  pinref::basic_frame<ref>* nothing[] = {nullptr, nullptr};
  CHECK(pinref::unpin_user_pages(nothing, 2) == gup_result{0, gup_error::none});
  CHECK(pinref::unpin_user_pages_dirty_lock(nothing, 2, true) == gup_result{0, gup_error::none});
  CHECK(pinref::put_page(*a) == pinref::release_result::last);
  CHECK(pinref::put_page(*b) == pinref::release_result::last);
}

TEST_CASE("a null array is an error, an empty one is not") {
  pinref::frame_arena::frame** none = nullptr;
  pinref::frame_arena::frame* no_frame = nullptr;
  CHECK(pinref::unpin_user_pages(none, 3) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::unpin_user_pages_dirty_lock(none, 3, true) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::unpin_user_pages_dirty_lock(none, 3, false) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::unpin_user_page_range(no_frame, 3) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::unpin_user_page_range_dirty_lock(no_frame, 3, true) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::release_pages(none, 3) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::unpin_user_pages(none, 0) == gup_result{0, gup_error::none});
  CHECK(pinref::unpin_user_page_range_dirty_lock(no_frame, 0, true) == gup_result{0, gup_error::none});
}

TEST_CASE_TEMPLATE("an over-release in the middle is reported, and every rightful release is done", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  space_type space(3);
  typename space_type::page* pages[3];
  for (std::size_t i = 0; i != 3; ++i) pages[i] = &space.map(i);
  REQUIRE(pinref::try_pin_page(*pages[0]) == take_result::taken);
  REQUIRE(pinref::try_pin_page(*pages[2]) == take_result::taken);
  CHECK(pinref::unpin_user_pages(pages, 3) == gup_result{2, gup_error::underflow});
  for (auto* page : pages) CHECK(page->ref.snapshot() == Layout::live(1));
}

TEST_CASE(
    "a range over 512 pages of one compound page is two locked operations in all, one to pin and one to release") {
  using ref = pinref::page_ref<pinref::bias64, hooked_sync>;
  foreign_space<ref> space(514);
  space.map(0);
  space.map(1, 512);
  space.map(513);
  foreign_space<ref>::page* pages[514] = {};
  int operations = 0;
  const auto count = [&](auto call) {
    operations = 0;
    hooked_sync::interleave([&](int) { ++operations; });
    call();
    hooked_sync::hook = nullptr;
    return operations;
  };
  using pinref::foll;
  CHECK(count([&] { CHECK(pinref::pin_user_pages_fast(space, space.address(1), 512, foll::write, pages).ok()); }) == 1);
  CHECK(count([&] { CHECK(pinref::unpin_user_pages(pages, 512).count == 512); }) == 1);
  CHECK(count([&] { CHECK(pinref::pin_user_pages(space, space.address(0), 514, foll::write, pages).ok()); }) == 3);
  CHECK(count([&] { CHECK(pinref::unpin_user_pages(pages, 514).count == 514); }) == 3);
  CHECK(count([&] { CHECK(pinref::get_user_pages_fast(space, space.address(0), 514, foll::write, pages).ok()); }) == 3);
  CHECK(count([&] { CHECK(pinref::release_pages(pages, 514).count == 514); }) == 3);
  CHECK(count([&] { CHECK(pinref::pin_user_pages_fast(space, space.address(1), 512, foll::write, pages).ok()); }) == 1);
  CHECK(count([&] { CHECK(pinref::unpin_user_page_range(pages[0], 512).count == 512); }) == 1);
}

TEST_CASE_TEMPLATE("a range goes by frame number: it ends with its head, starts in the middle, crosses into the next",
                   Layout, ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  pinref::basic_frame_arena<ref> arena{3};
  auto* first = arena.allocate_compound();
  auto* second = arena.allocate_compound();
  auto* small = arena.allocate();
  REQUIRE(first != nullptr);
  REQUIRE(second != nullptr);
  if (second < first) std::swap(first, second);
  REQUIRE(second == first + 512);
  REQUIRE(pinref::try_pin_page(*first, 12) == take_result::taken);
  REQUIRE(pinref::try_pin_page(*second, 20) == take_result::taken);
  CHECK(pinref::unpin_user_page_range_dirty_lock(first + 500, 32, true) == gup_result{32, gup_error::none});
  CHECK(first->ref().snapshot() == Layout::live(1));
  CHECK(second->ref().snapshot() == Layout::live(1));
  CHECK(first->dirty());
  CHECK(second->dirty());
  CHECK_FALSE(small->dirty());
  for (auto* page : {first, second, small}) CHECK(pinref::put_page(*page) == pinref::release_result::last);
  CHECK(arena.nr_free() == arena.nr_frames());
}

TEST_CASE_TEMPLATE("entries of one head that are not neighbours are released by count, not as a range", Layout,
                   ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  pinref::basic_frame_arena<ref> arena{2};
  auto* head = arena.allocate_compound();
  auto* other = arena.allocate();
  pinref::basic_frame<ref>* pages[] = {head + 7, head + 3, head + 3, other, head + 511};
  for (auto* page : pages) REQUIRE(pinref::try_pin_page(*page) == take_result::taken);
  CHECK(head->ref().pins() == 4);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 5, true) == gup_result{5, gup_error::none});
  CHECK(head->ref().snapshot() == Layout::live(1));
  CHECK(other->ref().snapshot() == Layout::live(1));
  CHECK(pinref::put_page(*head) == pinref::release_result::last);
  CHECK(pinref::put_page(*other) == pinref::release_result::last);
}

TEST_CASE("a folio is released by a count above the limit of one bulk take, in steps") {
  using ref = pinref::page_ref<pinref::bias32>;
  pinref::basic_frame_arena<ref> arena{1};
  auto* head = arena.allocate_compound();
  const std::size_t most = ref::max_pins_at_once;
  for (int i = 0; i != 3; ++i) REQUIRE(pinref::try_pin_page(*head, most) == take_result::taken);
  CHECK(pinref::unpin_user_folio(*head, 3 * most) == gup_result{3 * most, gup_error::none});
  CHECK(head->ref().snapshot() == pinref::bias32::live(1));
  CHECK(pinref::unpin_user_folio(*head, 0) == gup_result{0, gup_error::none});
  CHECK(pinref::put_page(*head) == pinref::release_result::last);
}

TEST_CASE("an immortal page in a dirty release is neither locked nor marked nor counted") {
  diary_page zero;
  zero.ref.init();
  zero.immortal = true;
  diary_page* pages[] = {&zero};
  CHECK(pinref::unpin_user_pages(pages, 1) == gup_result{1, gup_error::none});
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 1, true) == gup_result{1, gup_error::none});
  CHECK(pinref::unpin_user_folio_dirty_lock(zero, 3) == gup_result{3, gup_error::none});
  // More than one step releases.
  constexpr std::size_t many = pinref::bias64::max_pins_at_once + 1;
  CHECK(pinref::unpin_user_folio(zero, many) == gup_result{many, gup_error::none});
  CHECK(pinref::release_pages(pages, 1) == gup_result{1, gup_error::none});
  CHECK(zero.ref.snapshot() == pinref::bias64::live(1));
  CHECK(zero.diary.empty());
  CHECK_FALSE(zero.is_dirty);
}

namespace {

template <class Ref>
struct counted_page {
  Ref ref;
  int freed = 0;
};

}  // namespace

template <class Ref>
struct pinref::page_traits<counted_page<Ref>> {
  static auto& ref(counted_page<Ref>& p) noexcept { return p.ref; }
  static void free_page(counted_page<Ref>& p) noexcept { ++p.freed; }
};

TEST_CASE_TEMPLATE("a release of more than is held, in more than one step, is refused whole", Layout, ALL_LAYOUTS,
                   SMALL_BIAS_LAYOUTS, support::split8) {
  using ref = pinref::page_ref<Layout>;
  using page = counted_page<ref>;
  using word = typename Layout::word_type;
  page p;
  const auto unpin = [&](std::size_t n) { return pinref::unpin_user_folio(p, n); };
  const auto put = [&](std::size_t n) {
    std::vector<page*> pages(n, &p);
    return pinref::release_pages(pages.data(), n);
  };
  const auto refused = [&](auto call, std::size_t n, Layout state) {
    CAPTURE(n);
    support::set_state(p.ref, state);
    CHECK(call(n) == gup_result{0, gup_error::underflow});
    CHECK(p.ref.snapshot() == state);
    CHECK(p.freed == 0);
  };
  const auto released = [&](auto call, std::size_t n, Layout state, Layout then) {
    CAPTURE(n);
    support::set_state(p.ref, state);
    CHECK(call(n) == gup_result{n, gup_error::none});
    CHECK(p.ref.snapshot() == then);
  };
  constexpr std::size_t pins = ref::max_pins_at_once, references = ref::max_references_at_once;
  // The only holders: the rest would be released from whoever comes next.
  refused(unpin, pins + 2, Layout::live(0, static_cast<word>(pins + 1)));
  refused(unpin, pins + 2, Layout::live(1, static_cast<word>(pins + 1)));
  released(unpin, pins + 1, Layout::live(1, static_cast<word>(pins + 1)), Layout::live(1));
  released(unpin, pins + 1, Layout::live(0, static_cast<word>(pins + 1)), Layout{});
  CHECK(p.freed == 1);
  if constexpr (references < 1'000'000) {
    p.freed = 0;
    refused(put, references + 2, Layout::live(static_cast<word>(references + 1)));
    released(put, references + 1, Layout::live(static_cast<word>(references + 2)), Layout::live(1));
    released(put, references + 1, Layout::live(static_cast<word>(references + 1)), Layout{});
    CHECK(p.freed == 1);
  }
}

TEST_CASE("a hot page is released in steps, whatever the sum of its slots looks like meanwhile") {
  using ref = pinref::hot_ref<>;
  static pinref::hot_threads threads;
  static ref::slots counts{threads};
  static counted_page<ref> p;
  p.ref.init();
  if (!p.ref.make_hot(counts)) return;
  const std::size_t n = ref::max_pins_at_once + 3;
  CHECK(p.ref.try_pin(ref::max_pins_at_once) == take_result::taken);
  CHECK(p.ref.try_pin(3) == take_result::taken);
  CHECK(pinref::unpin_user_folio(p, n) == gup_result{n, gup_error::none});
  CHECK(p.ref.make_exact() == pinref::release_result::released);
  CHECK(p.ref.snapshot() == pinref::bias64::live(1));
  CHECK(p.ref.put() == pinref::release_result::last);
}

namespace {

// Its owner may have gone, and then nobody writes it.
struct orphan_page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  bool is_dirty = false;
  bool has_owner = false;
};

}  // namespace

template <>
struct pinref::page_traits<orphan_page> {
  static auto& ref(orphan_page& p) noexcept { return p.ref; }
  static std::uint64_t frame_number(orphan_page& p) noexcept {
    return reinterpret_cast<std::uintptr_t>(&p) / sizeof(orphan_page);
  }
  static orphan_page& nth_page(orphan_page& p, std::size_t i) noexcept {
    // Afterwards the descriptor may be somebody else's.
    CHECK(p.ref.dma_pinned_hint());
    return *(&p + i);
  }
  static void lock(orphan_page&) noexcept {}
  static void unlock(orphan_page&) noexcept {}
  static bool dirty(orphan_page& p) noexcept { return p.is_dirty; }
  static bool set_dirty(orphan_page& p) noexcept { return p.is_dirty = p.has_owner; }
  static void free_page(orphan_page&) noexcept {}
};

TEST_CASE("the next page of a range is found while the one before it is still pinned") {
  orphan_page all[3];
  for (orphan_page& each : all) REQUIRE(each.ref.try_pin() == take_result::taken);
  CHECK(pinref::unpin_user_page_range(&all[0], 3) == gup_result{3, gup_error::none});
}

TEST_CASE("a dirty release of a page that refuses the mark says so, and unpins") {
  orphan_page all[3];
  all[1].has_owner = true;
  orphan_page* pages[] = {&all[0], &all[1], &all[2]};
  const auto pinned = [&](auto release) {
    for (orphan_page& each : all) REQUIRE(each.ref.try_pin() == take_result::taken);
    release();
    for (orphan_page& each : all) CHECK(each.ref.snapshot() == pinref::bias64::live(1));
    CHECK(all[1].is_dirty);
    CHECK_FALSE(all[2].is_dirty);
  };
  const gup_result refused{3, gup_error::dirty_refused};
  pinned([&] { CHECK(pinref::unpin_user_pages_dirty_lock(pages, 3, true) == refused); });
  pinned([&] { CHECK(pinref::unpin_user_page_range_dirty_lock(&all[0], 3, true) == refused); });
  pinned([&] { CHECK(pinref::unpin_user_pages_dirty_lock(pages, 3, false) == gup_result{3, gup_error::none}); });
  pinned([&] {
    CHECK(pinref::unpin_user_folio_dirty_lock(all[0], 1) == gup_result{1, gup_error::dirty_refused});
    CHECK(pinref::unpin_user_folio_dirty_lock(all[1], 1) == gup_result{1, gup_error::none});
    CHECK(pinref::unpin_user_folio_dirty_lock(all[2], 1) == gup_result{1, gup_error::dirty_refused});
  });
  // What was released too often is the worse news.
  REQUIRE(all[0].ref.try_pin() == take_result::taken);
  REQUIRE(all[1].ref.try_pin() == take_result::taken);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 3, true) == gup_result{2, gup_error::underflow});
  orphan_page* other_way[] = {&all[2], &all[1], &all[0]};
  REQUIRE(all[0].ref.try_pin() == take_result::taken);
  REQUIRE(all[1].ref.try_pin() == take_result::taken);
  CHECK(pinref::unpin_user_pages_dirty_lock(other_way, 3, true) == gup_result{2, gup_error::underflow});
}

TEST_CASE_TEMPLATE("null entries do not part a run: it is released as a whole, or refused as a whole", Layout,
                   pinref::bias64, pinref::split32) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  space_type space(1);
  auto& page = space.map(0);
  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  typename space_type::page* pages[] = {&page, nullptr, &page, nullptr, &page};
  CHECK(pinref::unpin_user_pages(pages, 5) == gup_result{0, gup_error::underflow});
  CHECK(page.ref.snapshot() == Layout::live(1, 2));
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
  CHECK(page.ref().snapshot() == pinref::bias64::live(1));
}

TEST_CASE("a release of far more than is held ends at the first refusal of each run, and the other runs are released") {
  counted_page<pinref::page_ref<>> a, b;
  a.ref.init();
  b.ref.init();
  REQUIRE(pinref::try_pin_page(a, 2) == take_result::taken);
  REQUIRE(pinref::try_pin_page(b, 3) == take_result::taken);
  CHECK(pinref::unpin_user_folio(a, std::numeric_limits<std::size_t>::max()) == gup_result{0, gup_error::underflow});
  counted_page<pinref::page_ref<>>* pages[] = {&a, &a, &a, nullptr, &b, &b, &a};
  CHECK(pinref::unpin_user_pages(pages, 7) == gup_result{3, gup_error::underflow});
  CHECK(a.ref.snapshot() == pinref::bias64::live(1, 1));
  CHECK(b.ref.snapshot() == pinref::bias64::live(1, 1));
}

TEST_CASE("a count of pages that is a negative errno is refused and nothing is touched") {
  orphan_page all[4];
  orphan_page* pages[4] = {&all[0], &all[1], &all[2], &all[3]};
  for (orphan_page& each : all) {
    each.has_owner = true;
    REQUIRE(each.ref.try_pin() == take_result::taken);
  }
  const std::size_t error = static_cast<std::size_t>(-14);
  const gup_result refused{0, gup_error::too_many_pages};
  for (const std::size_t n : {error, pinref::max_pages + 1}) {
    CHECK(pinref::unpin_user_pages(pages, n) == refused);
    CHECK(pinref::release_pages(pages, n) == refused);
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, n, true) == refused);
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, n, false) == refused);
    CHECK(pinref::unpin_user_page_range(&all[0], n) == refused);
    CHECK(pinref::unpin_user_page_range_dirty_lock(&all[0], n, true) == refused);
  }
  orphan_page* none = nullptr;
  CHECK(pinref::unpin_user_pages(&none, pinref::max_pages + 1) == refused);
  CHECK(pinref::unpin_user_folio(all[0], error) == gup_result{0, gup_error::underflow});
  CHECK(pinref::unpin_user_folio_dirty_lock(all[0], error) == gup_result{0, gup_error::underflow});
  for (const orphan_page& each : all) {
    CHECK(each.ref.snapshot() == pinref::bias64::live(1, 1));
    CHECK_FALSE(each.is_dirty);
  }
  CHECK(pinref::unpin_user_pages(pages, 4).ok());
}

TEST_CASE_TEMPLATE("what is released may be a span, an array or a vector, of pages or of constant pointers to them",
                   Layout, ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  using page = pinref::basic_frame<ref>;
  pinref::basic_frame_arena<ref> arena{1};
  page* const a = arena.allocate();
  page* const b = arena.allocate();
  const auto pinned = [&] {
    for (page* each : {a, a, b}) REQUIRE(pinref::try_pin_page(*each) == take_result::taken);
  };
  const gup_result three{3, gup_error::none};
  page* array[] = {a, nullptr, a, b};
  pinned();
  CHECK(pinref::unpin_user_pages(array) == three);
  pinned();
  CHECK(pinref::unpin_user_pages(std::span<page* const>(array)) == three);
  pinned();
  CHECK(pinref::unpin_user_pages_dirty_lock(std::vector<page*>{a, a, b}, false) == three);
  CHECK_FALSE(a->dirty());
  pinned();
  CHECK(pinref::unpin_user_pages_dirty_lock(std::span(array).last(3), true) == gup_result{2, gup_error::none});
  CHECK(a->dirty());
  CHECK(pinref::unpin_user_page(*a) == pinref::release_result::released);
  for (page* each : {a, a, b}) REQUIRE(pinref::get_page(*each) == take_result::taken);
  CHECK(pinref::release_pages(std::span(array)) == three);
  CHECK(pinref::unpin_user_pages(std::span<page*>{}) == gup_result{0, gup_error::none});
  for (page* each : {a, b}) CHECK(each->ref().snapshot() == Layout::live(1));
}
