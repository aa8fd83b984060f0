#include <doctest/doctest.h>

#include <functional>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/page/page.hpp"

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

TEST_CASE_TEMPLATE("a host with only the word can hold, ask and release", Layout, ALL_LAYOUTS) {
  bare_page<Layout> page;
  CHECK(pinref::try_get_page(page) == take_result::dead);
  page.ref.reset();
  CHECK(pinref::get_page(page) == take_result::taken);
  CHECK(pinref::try_get_page(page, 3) == take_result::taken);
  CHECK(pinref::page_ref_count(page) == 5);
  CHECK_FALSE(pinref::page_dma_pinned(page));
  CHECK(pinref::try_pin_page(page) == take_result::taken);
  CHECK(pinref::page_dma_pinned(page));
  CHECK(pinref::page_dma_pinned_hint(page));
  CHECK(pinref::page_pin_count(page) == 1);
  CHECK(pinref::put_page(page, 5) == release_result::released);
  CHECK(pinref::unpin_user_page(page) == release_result::last);
}

TEST_CASE_TEMPLATE("any page of a compound page counts on its head", Layout, ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(8);
  auto& head = space.map(2, 4);
  auto& tail = space.pages[5];
  CHECK(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::page_pin_count(head) == 1);
  CHECK(pinref::page_dma_pinned(space.pages[3]));
  CHECK_FALSE(pinref::page_dma_pinned(space.pages[6]));
  CHECK(tail.ref.snapshot().zone() == pinref::zone::dead);
  CHECK(pinref::unpin_user_page(tail) == release_result::released);
  CHECK(pinref::put_page(tail) == release_result::last);
  CHECK(head.freed == 1);
}

TEST_CASE("a page that is split off while it is taken is taken again, on its own head, and the old head given back") {
  splitting_page head, tail;
  head.ref.reset();
  tail.head = &head;
  SUBCASE("the old head lives on") {
    tail.after_head_is_read = [&] {
      tail.head = &tail;
      tail.ref.reset();
    };
    CHECK(pinref::try_pin_page(tail) == take_result::taken);
    CHECK(head.ref.snapshot() == pinref::bias64::of(1));
    CHECK(tail.ref.snapshot() == pinref::bias64::of(1, 1));
  }
  SUBCASE("the taker was the old head's last holder, so it frees it") {
    tail.after_head_is_read = [&] {
      tail.after_head_is_read = [&] { (void)head.ref.put(); };
      tail.head = &tail;
      tail.ref.reset();
    };
    CHECK(pinref::try_get_page(tail) == take_result::taken);
    CHECK(head.freed == 1);
    CHECK(tail.ref.count() == 2);
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
  CHECK(page.ref.snapshot() == Layout::of(1));
  for (int i = 0; i != 100; ++i) CHECK(pinref::unpin_user_page(page) == release_result::released);
  CHECK(pinref::put_page(page) == release_result::released);
  CHECK(page.freed == 0);
  // Whatever its word says.
  support::set_state(page.ref, Layout::of(2, 3));
  CHECK_FALSE(pinref::page_dma_pinned(page));
  CHECK_FALSE(pinref::page_dma_pinned_hint(page));
  CHECK(pinref::page_idle(page));
}

TEST_CASE_TEMPLATE("A2.3 a device page idle at one calls back exactly once, from every release call, in every order",
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
        REQUIRE(pinref::try_get_page(device) == take_result::taken);
        REQUIRE(pinref::try_pin_page(device, 3) == take_result::taken);
        for (int step = 0; step != 4; ++step) {
          CHECK(device.idled == expected);
          step == put_at ? put(device) : unpin(device);
        }
        CHECK(device.idled == ++expected);
        CHECK(device.ref.snapshot() == Layout::of(1));
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
