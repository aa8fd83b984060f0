// SPDX-License-Identifier: MIT

// One page: every call means its head, and the host hears what a release made of it.

#include "pinref/page/page.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <utility>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::release_result;
using pinref::take_result;
using support::foreign_page;
using support::foreign_space;
using support::kind;

namespace {

// A host with the word and nothing else.
template <class Layout>
struct bare_page {
  pinref::page_ref<Layout> ref;
};

// A host whose page can change heads between two reads of it.
struct splitting_page {
  pinref::page_ref<> ref;
  splitting_page* head = this;
  std::function<void()> after_head_is_read;
  int freed = 0;
};

// Says another head at each look, the last one from then on.
struct moving_page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  moving_page* heads[3] = {this, this, this};
  int looks = 0;
};

}  // namespace

template <class Layout>
struct pinref::page_traits<bare_page<Layout>> {
  static auto& ref(bare_page<Layout>& page) noexcept { return page.ref; }
};

template <>
struct pinref::page_traits<splitting_page> {
  static auto& ref(splitting_page& page) noexcept { return page.ref; }
  static splitting_page& head(splitting_page& page) noexcept {
    splitting_page& seen = *page.head;
    if (auto then = std::exchange(page.after_head_is_read, nullptr)) then();
    return seen;
  }
  static std::size_t nr_pages(splitting_page&) noexcept { return 2; }
  static void free_page(splitting_page& page) noexcept { ++page.freed; }
};

template <>
struct pinref::page_traits<moving_page> {
  static auto& ref(moving_page& p) noexcept { return p.ref; }
  static moving_page& head(moving_page& p) noexcept { return *p.heads[p.looks < 2 ? p.looks++ : 2]; }
  static std::size_t nr_pages(moving_page&) noexcept { return 1; }
  static void free_page(moving_page&) noexcept {}
};

TEST_CASE_TEMPLATE("a host with only the word can hold, ask and release", Layout, ALL_LAYOUTS) {
  bare_page<Layout> page;
  CHECK(pinref::get_page_unless_zero(page) == take_result::dead);
  page.ref.init();
  CHECK(pinref::get_page(page) == take_result::taken);
  CHECK(pinref::get_page_unless_zero(page, 3) == take_result::taken);
  CHECK(pinref::page_references(page) == 5);
  CHECK_FALSE(pinref::page_dma_pinned(page));
  CHECK(pinref::try_pin_page(page) == take_result::taken);
  CHECK(pinref::page_dma_pinned(page));
  CHECK(pinref::page_dma_pinned_hint(page));
  CHECK(pinref::page_pins(page) == 1);
  CHECK(pinref::put_page(page, 5) == release_result::released);
  CHECK(pinref::unpin_user_page(page) == release_result::last);
}

TEST_CASE_TEMPLATE("any page of a compound page counts on its head", Layout, ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(8);
  auto& head = space.map(2, 4);
  auto& tail = space.pages[5];
  CHECK(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::page_pins(head) == 1);
  CHECK(pinref::page_dma_pinned(space.pages[3]));
  CHECK_FALSE(pinref::page_dma_pinned(space.pages[6]));
  CHECK(tail.ref.snapshot().zone() == pinref::zone::dead);
  CHECK(pinref::unpin_user_page(tail) == release_result::released);
  CHECK(pinref::put_page(tail) == release_result::last);
  CHECK(head.freed == 1);
}

TEST_CASE_TEMPLATE("more pins and references of a tail, and every question about it, are its head's", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(4);
  auto& head = space.map(0, 4);
  auto& tail = space.pages[3];
  REQUIRE(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::add_pin(tail, 2) == take_result::taken);
  CHECK(pinref::get_page(tail, 3) == take_result::taken);
  CHECK(head.ref.snapshot() == Layout::live(4, 3));
  CHECK(tail.ref.snapshot() == Layout{});
  CHECK(pinref::page_pins(tail) == pinref::page_pins(head));
  CHECK(pinref::page_references(tail) == pinref::page_references(head));
  CHECK(pinref::page_dma_pinned(tail));
  CHECK(pinref::page_dma_pinned_hint(tail));
  CHECK(pinref::unpin_user_folio(tail, 3).ok());
  CHECK_FALSE(pinref::page_dma_pinned_hint(tail));
  CHECK(pinref::put_page(tail, 4) == release_result::last);
  CHECK(head.freed == 1);
}

TEST_CASE("a page that is split off while it is taken is taken again, on its own head, and the old head given back") {
  splitting_page head, tail;
  head.ref.init();
  tail.head = &head;
  SUBCASE("the old head lives on") {
    tail.after_head_is_read = [&] {
      tail.head = &tail;
      tail.ref.init();
    };
    CHECK(pinref::try_pin_page(tail) == take_result::taken);
    CHECK(head.ref.snapshot() == pinref::bias64::live(1));
    CHECK(tail.ref.snapshot() == pinref::bias64::live(1, 1));
  }
  SUBCASE("the taker was the old head's last holder, so it frees it") {
    tail.after_head_is_read = [&] {
      tail.after_head_is_read = [&] { (void)head.ref.put(); };
      tail.head = &tail;
      tail.ref.init();
    };
    CHECK(pinref::get_page_unless_zero(tail) == take_result::taken);
    CHECK(head.freed == 1);
    CHECK(tail.ref.references() == 2);
  }
}

TEST_CASE("a take whose head changes gives back all it took there") {
  moving_page before, after, page;
  for (const bool pins : {false, true}) {
    page.looks = 0;
    page.heads[0] = &before;
    page.heads[1] = page.heads[2] = &after;
    CHECK((pins ? pinref::try_pin_page(page, 3) : pinref::get_page_unless_zero(page, 3)) == pinref::take_result::taken);
    CHECK(before.ref.snapshot() == pinref::bias64::live(1));
    CHECK(after.ref.snapshot() == (pins ? pinref::bias64::live(4, 3) : pinref::bias64::live(4)));
  }
}

TEST_CASE_TEMPLATE("an immortal page is taken and released freely and never counted", Layout, ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(1);
  auto& page = space.map(0, 1, kind::immortal);
  for (int i = 0; i != 10; ++i) {
    CHECK(pinref::try_pin_page(page) == take_result::taken);
    CHECK(pinref::get_page(page) == take_result::taken);
  }
  CHECK_FALSE(pinref::page_dma_pinned(page));
  CHECK_FALSE(pinref::page_dma_pinned_hint(page));
  CHECK(page.ref.snapshot() == Layout::live(1));
  for (int i = 0; i != 100; ++i) CHECK(pinref::unpin_user_page(page) == release_result::released);
  CHECK(pinref::put_page(page) == release_result::released);
  CHECK(page.freed == 0);
  // Whatever its word says.
  support::set_state(page.ref, Layout::live(2, 3));
  CHECK_FALSE(pinref::page_dma_pinned(page));
  CHECK_FALSE(pinref::page_dma_pinned_hint(page));
  CHECK(pinref::page_idle(page));
}

TEST_CASE_TEMPLATE("a compound page whose head is immortal is never counted, by whichever page it is taken", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(4);
  auto& head = space.map(0, 4, kind::immortal);
  auto& tail = space.pages[2];
  CHECK(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::get_page_unless_zero(tail) == take_result::taken);
  CHECK(pinref::add_pin(tail) == take_result::taken);
  CHECK(pinref::get_page(tail) == take_result::taken);
  CHECK(head.ref.snapshot() == Layout::live(1));
  for (int i = 0; i != 8; ++i) CHECK(pinref::put_page(tail) == release_result::released);
  for (int i = 0; i != 8; ++i) CHECK(pinref::unpin_user_page(tail) == release_result::released);
  CHECK(head.ref.snapshot() == Layout::live(1));
  CHECK(head.freed == 0);
}

TEST_CASE_TEMPLATE("add_pin pins an already pinned page once more, and is released like every other pin", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(5);
  for (auto* page : {&space.map(0), &space.map(1, 4)}) {
    REQUIRE(pinref::try_pin_page(*page) == take_result::taken);
    CHECK(pinref::add_pin(*page) == take_result::taken);
    CHECK(pinref::add_pin(*page, 5) == take_result::taken);
    CHECK(pinref::page_pins(*page) == 7);
    CHECK(pinref::unpin_user_folio(*page, 7).count == 7);
    CHECK(page->ref.snapshot() == Layout::live(1));
  }
  auto& zero = space.map(0, 1, kind::immortal);
  CHECK(pinref::add_pin(zero) == take_result::taken);
  CHECK(zero.ref.snapshot() == Layout::live(1));
  auto& full = space.map(0);
  support::set_state(full.ref, support::full<Layout>());
  const Layout before = full.ref.snapshot();
  CHECK(pinref::add_pin(full) == take_result::overflow);
  CHECK(full.ref.snapshot() == before);
}

TEST_CASE_TEMPLATE("A2.3: a device page idle at one calls back exactly once, from every release call, in every order",
                   Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  using release = void (*)(page&);
  const release unpins[] = {
      [](page& p) { CHECK(pinref::unpin_user_page(p) != release_result::underflow); },
      [](page& p) {
        page* one[] = {&p};
        CHECK(pinref::unpin_user_pages(one, 1).ok());
      },
      [](page& p) { CHECK(pinref::unpin_user_page_range(&p, 1).ok()); },
      [](page& p) { CHECK(pinref::unpin_user_folio(p, 1).ok()); },
  };
  const release puts[] = {
      [](page& p) { CHECK(pinref::put_page(p) != release_result::underflow); },
      [](page& p) {
        page* one[] = {&p};
        CHECK(pinref::release_pages(one, 1).ok());
      },
  };
  space_type space(1);
  page& device = space.map(0, 1, kind::device);
  std::uint16_t expected = 0;
  for (release unpin : unpins)
    for (release put : puts)
      for (int put_at = 0; put_at != 4; ++put_at) {
        CAPTURE(put_at);
        REQUIRE(pinref::get_page_unless_zero(device) == take_result::taken);
        REQUIRE(pinref::try_pin_page(device, 3) == take_result::taken);
        for (int step = 0; step != 4; ++step) {
          CHECK(device.idled == expected);
          step == put_at ? put(device) : unpin(device);
        }
        CHECK(device.idled == ++expected);
        CHECK(device.ref.snapshot() == Layout::live(1));
      }

  SUBCASE("three pins released in one batch") {
    page* batch[] = {&device, nullptr, &device, &device};
    REQUIRE(pinref::try_pin_page(device, 3) == take_result::taken);
    CHECK(pinref::unpin_user_pages(batch, 4) == pinref::gup_result{3, pinref::gup_error::none});
    CHECK(device.idled == expected + 1);
    REQUIRE(pinref::try_pin_page(device, 3) == take_result::taken);
    CHECK(pinref::unpin_user_folio(device, 3).count == 3);
    CHECK(device.idled == expected + 2);
  }
  SUBCASE("its owner's own reference frees it, without another callback") {
    CHECK(pinref::put_page(device) == release_result::last);
    CHECK(device.freed == 1);
    CHECK(device.idled == expected);
  }
}

TEST_CASE_TEMPLATE("the host hears that a page is idle, also from a word that wants to know who released it", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::checked_ref<pinref::page_ref<Layout>, support::remember>> space(1);
  auto& device = space.map(0, 1, kind::device);
  const int misuses = support::misuses;
  REQUIRE(pinref::try_pin_page(device) == take_result::taken);
  CHECK(pinref::unpin_user_page(device) == release_result::idle);
  CHECK(device.idled == 1);
  REQUIRE(pinref::get_page_unless_zero(device) == take_result::taken);
  CHECK(pinref::put_page(device) == release_result::idle);
  CHECK(device.idled == 2);
  REQUIRE(pinref::get_page_unless_zero(device) == take_result::taken);
  CHECK(device.ref.put_sole(pinref::owner_ref::resident) == release_result::idle);
  CHECK(pinref::put_page(device) == release_result::last);
  CHECK(device.freed == 1);
  CHECK(support::misuses == misuses);
}

TEST_CASE("where the host frees its pages, or is told of them, the answer of a release may be dropped") {
  foreign_space<pinref::page_ref<>> space(1);
  auto& page = space.map(0);
  REQUIRE(pinref::try_pin_page(page) == take_result::taken);
  REQUIRE(pinref::get_page(page) == take_result::taken);
  pinref::put_page(page);
  pinref::unpin_user_page(page);
  CHECK(page.ref.snapshot() == pinref::bias64::live(1));
  pinref::put_page(page);
  CHECK(page.freed == 1);
}

TEST_CASE("what a page holds can be asked of one that may not be changed") {
  foreign_space<pinref::page_ref<>> space(3);
  auto& head = space.map(0, 3);
  REQUIRE(pinref::try_pin_page(head, 2) == take_result::taken);
  const auto& tail = space.pages[2];
  CHECK(pinref::page_references(tail) == 1);
  CHECK(pinref::page_pins(tail) == 2);
  CHECK(pinref::page_dma_pinned_hint(tail));
}
