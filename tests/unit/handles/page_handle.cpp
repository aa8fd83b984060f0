// SPDX-License-Identifier: MIT

#include "pinref/handles/page_handle.hpp"

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::on_release;
using pinref::page_pin;
using pinref::page_ptr;
using pinref::release_result;
using pinref::take_result;

namespace {

using frame = pinref::frame_arena::frame;

template <class Handle>
constexpr bool move_only = std::is_nothrow_move_constructible_v<Handle>&& std::is_nothrow_move_assignable_v<Handle> &&
                           !std::is_copy_constructible_v<Handle> && !std::is_copy_assignable_v<Handle>;

template <class A, class B>
concept comparable = requires(const A& a, const B& b) {
  a == b;
};

}  // namespace

static_assert(move_only<page_ptr<frame>> && sizeof(page_ptr<frame>) <= 2 * sizeof(void*));
static_assert(move_only<page_pin<frame>> && move_only<page_pin<frame, on_release::dirty>>);
// A reference and a pin are never the same, nor are two ways to release.
static_assert(comparable<page_ptr<frame>, page_ptr<frame>> && !comparable<page_ptr<frame>, page_pin<frame>>);
static_assert(!comparable<page_pin<frame>, page_pin<frame, on_release::dirty>>);

TEST_CASE("a page_ptr holds one reference until it goes, is moved from, reset or detached") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  auto owner = page_ptr<frame>::adopt(page);
  {
    auto second = page_ptr<frame>::get_page_unless_zero(page);
    REQUIRE(second);
    CHECK(second.reason() == take_result::taken);
    CHECK(second.get() == &page);
    CHECK(&*second == &page);
    CHECK(second->ref().references() == 2);
    auto third = std::move(second);
    CHECK_FALSE(second);
    CHECK(page.ref().references() == 2);
    auto fourth = page_ptr<frame>::get_page(page);
    CHECK(page.ref().references() == 3);
    fourth = std::move(third);
    CHECK(page.ref().references() == 2);
    frame* const raw = fourth.detach();
    CHECK_FALSE(fourth);
    CHECK(page.ref().references() == 2);
    CHECK(pinref::put_page(*raw) == release_result::released);
  }
  CHECK(page.ref().references() == 1);
  owner.reset();
  CHECK(arena.nr_free() == arena.nr_frames());
  const auto none = page_ptr<frame>::get_page_unless_zero(page);
  CHECK_FALSE(none);
  CHECK(none.reason() == take_result::dead);
}

TEST_CASE("a page_pin releases as its type says: plain leaves the page clean, dirty marks it") {
  pinref::frame_arena arena{1};
  auto owner = page_ptr<frame>::adopt(*arena.allocate());
  {
    auto reads = page_pin<frame>::try_pin(*owner);
    REQUIRE(reads);
    CHECK(pinref::page_dma_pinned(*owner));
    auto more = page_pin<frame>::add_pin(*owner);
    CHECK(owner->ref().pins() == 2);
  }
  CHECK_FALSE(pinref::page_dma_pinned(*owner));
  CHECK_FALSE(owner->dirty());
  {
    auto writes = page_pin<frame, on_release::dirty>::try_pin(*owner);
    REQUIRE(writes);
    CHECK_FALSE(owner->dirty());
  }
  CHECK(owner->dirty());
  CHECK_FALSE(pinref::page_dma_pinned(*owner));
}

TEST_CASE("a handle moved to itself keeps its page; one that is moved to, or adopts, says why it holds what it holds") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  auto held = page_ptr<frame>::adopt(page);
  CHECK(held.reason() == take_result::taken);
  auto& same = held;
  held = std::move(same);
  REQUIRE(held);
  CHECK(page.ref().references() == 1);

  page_ptr<frame> other;
  CHECK(other.reason() == take_result::dead);
  other = std::move(held);
  CHECK(other.reason() == take_result::taken);
  other.reset();
  held = page_ptr<frame>::get_page_unless_zero(page);
  CHECK(held.reason() == take_result::dead);
  REQUIRE(arena.nr_free() == arena.nr_frames());
  frame& full = *arena.allocate();
  support::set_state(full.ref(), support::full<pinref::bias64>());
  held = page_ptr<frame>::get_page_unless_zero(full);
  CHECK(held.reason() == take_result::overflow);
  const auto moved = std::move(held);
  CHECK(moved.reason() == take_result::overflow);
}

TEST_CASE("a handle that was moved from, reset or detached is as one that never held a page") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  const auto owner = page_ptr<frame>::adopt(page);
  const page_ptr<frame> never;
  const auto is_empty = [&](const page_ptr<frame>& handle) {
    CHECK_FALSE(handle);
    CHECK(handle.get() == nullptr);
    CHECK(handle.operator->() == nullptr);
    CHECK(handle.reason() == take_result::dead);
    CHECK(handle == never);
    CHECK(handle != owner);
  };
  is_empty(never);
  auto first = page_ptr<frame>::get_page(page);
  CHECK(first.reason() == take_result::taken);
  auto second = std::move(first);
  is_empty(first);
  CHECK(second.reason() == take_result::taken);
  first = std::move(second);
  is_empty(second);
  first.reset();
  is_empty(first);
  first = page_ptr<frame>::get_page(page);
  CHECK(first.detach() == &page);
  is_empty(first);
  CHECK(first.detach() == nullptr);
  CHECK(pinref::put_page(page) == release_result::released);

  // Also one that was refused has its reason taken along.
  frame& full = *arena.allocate();
  support::set_state(full.ref(), support::full<pinref::bias64>());
  auto refused = page_ptr<frame>::get_page_unless_zero(full);
  CHECK(refused.reason() == take_result::overflow);
  const auto moved = std::move(refused);
  is_empty(refused);
  CHECK(moved.reason() == take_result::overflow);
  CHECK(page.ref().references() == 1);
}

TEST_CASE("handles are equal if they hold the same page, or both none") {
  pinref::frame_arena arena{1};
  const auto one = page_ptr<frame>::adopt(*arena.allocate());
  const auto other = page_ptr<frame>::adopt(*arena.allocate());
  const page_ptr<frame> none, also_none;
  CHECK(one == one);
  CHECK(one == one.share());
  CHECK(one != other);
  CHECK(one != none);
  CHECK(none == also_none);
  const auto pin = page_pin<frame>::try_pin(*one);
  CHECK(pin == pin.share());
  CHECK(pin != page_pin<frame>::try_pin(*other));
  CHECK(pin != page_pin<frame>{});
}

TEST_CASE_TEMPLATE("a handle that is shared holds once more, in its own way", Layout, ALL_LAYOUTS) {
  using space_type = support::foreign_space<pinref::page_ref<Layout>>;
  using page_type = typename space_type::page;
  space_type space(4);
  auto& head = space.map(0, 4);
  auto& tail = space.pages[3];
  {
    const auto reference = page_ptr<page_type>::get_page_unless_zero(tail);
    const auto pin = page_pin<page_type>::try_pin(tail);
    CHECK(head.ref.snapshot() == Layout::live(2, 1));
    {
      const auto second = reference.share();
      const auto third = second.share();
      const auto second_pin = pin.share();
      CHECK(third.reason() == take_result::taken);
      CHECK(third.get() == &tail);
      CHECK(second_pin.get() == &tail);
      CHECK(head.ref.snapshot() == Layout::live(4, 2));
    }
    CHECK(head.ref.snapshot() == Layout::live(2, 1));
    // What the page cannot count is refused and says so; the handle holds on.
    support::set_state(head.ref, support::full<Layout>());
    const auto refused = reference.share();
    const auto refused_pin = pin.share();
    CHECK_FALSE(refused);
    CHECK_FALSE(refused_pin);
    CHECK(refused.reason() == take_result::overflow);
    CHECK(refused_pin.reason() == take_result::overflow);
    CHECK(head.ref.snapshot() == support::full<Layout>());
    support::set_state(head.ref, Layout::live(2, 1));
  }
  CHECK(head.ref.snapshot() == Layout::live(1));
  // Of no page there is no second handle.
  const page_ptr<page_type> none;
  CHECK_FALSE(none.share());
  CHECK(none.share().reason() == take_result::dead);
}

TEST_CASE("a dirty pin that is shared marks the page with each of its handles") {
  pinref::frame_arena arena{1};
  const auto owner = page_ptr<frame>::adopt(*arena.allocate());
  auto first = page_pin<frame, on_release::dirty>::try_pin(*owner);
  auto second = first.share();
  first.reset();
  CHECK(owner->dirty());
  CHECK(owner->clear_dirty());
  second.reset();
  CHECK(owner->dirty());
  CHECK_FALSE(pinref::page_dma_pinned(*owner));
}

TEST_CASE("a handle that was reset is empty, and releases nothing when it goes") {
  pinref::frame_arena arena{1};
  frame& page = *arena.allocate();
  REQUIRE(pinref::get_page(page, 2) == take_result::taken);
  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  {
    auto reference = page_ptr<frame>::adopt(page);
    reference.reset();
    CHECK_FALSE(reference);
    reference.reset();
    auto pin = page_pin<frame>::adopt(page);
    pin.reset();
    CHECK_FALSE(pin);
  }
  CHECK(page.ref().snapshot() == pinref::bias64::live(2, 1));
}
