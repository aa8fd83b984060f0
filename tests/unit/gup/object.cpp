// SPDX-License-Identifier: MIT

#include "pinref/gup/object.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <span>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::gup_error;
using pinref::gup_result;
using support::kind;

namespace {

// A file in memory: pages by index, mapped nowhere.
template <class Layout>
struct file {
  using space_type = support::foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  static constexpr std::size_t page_size = 4096;

  std::uint64_t size() const noexcept { return bytes; }
  page* find(std::uint64_t index) noexcept {
    if (before_find) before_find(index);
    const auto at = static_cast<std::size_t>(index);
    return memory.slots[at].mapped;
  }
  gup_error allocate(std::uint64_t index) noexcept {
    ++allocations;
    if (fail_at == index) return gup_error::no_memory;
    const auto at = static_cast<std::size_t>(index);
    if (!forgets) memory.map(at);
    return raced ? gup_error::busy : gup_error::none;
  }

  space_type memory{32};
  std::uint64_t bytes = 32 * page_size;
  std::uint64_t fail_at = ~std::uint64_t{0};
  int allocations = 0;
  bool raced = false;
  bool forgets = false;  // what it has allocated
  std::function<void(std::uint64_t)> before_find;
};

struct single {
  pinref::page_ref<> ref;
};

struct four_pages {
  using page = single;
  static constexpr std::size_t page_size = 4096;
  std::uint64_t size() const noexcept { return 4 * page_size; }
  page* find(std::uint64_t index) noexcept { return &pages[index]; }
  gup_error allocate(std::uint64_t) noexcept { return gup_error::no_memory; }
  page pages[4];
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
struct pinref::page_traits<single> {
  static auto& ref(single& page) noexcept { return page.ref; }
  static void free_page(single&) noexcept {}
};

template <>
struct pinref::page_traits<checked_page> {
  static auto& ref(checked_page& p) noexcept { return p.ref; }
  static void free_page(checked_page&) noexcept {}
};

TEST_CASE_TEMPLATE("pin_object_folios pins each folio once, tells the offset in the first and stops at its maximum",
                   Layout, ALL_LAYOUTS) {
  file<Layout> object;
  object.memory.map(0);
  object.memory.map(1, 8);
  object.memory.map(9);
  object.memory.map(10, 4);
  typename file<Layout>::page* folios[8] = {};
  std::size_t offset = 7;
  // From the third page of the first compound page to the second of the second.
  const std::uint64_t first = 3 * 4096 + 100, last = 11 * 4096 + 5;
  CHECK(pinref::pin_object_folios(object, first, last, folios, 8, offset) == gup_result{3, gup_error::none});
  CHECK(offset == 2 * 4096 + 100);
  CHECK(folios[0] == &object.memory.pages[1]);
  CHECK(folios[1] == &object.memory.pages[9]);
  CHECK(folios[2] == &object.memory.pages[10]);
  CHECK(folios[3] == nullptr);
  for (std::size_t i = 0; i != 3; ++i) CHECK(pinref::page_pins(*folios[i]) == 1);
  CHECK(pinref::unpin_user_pages(folios, 3).count == 3);
  CHECK(pinref::pin_object_folios(object, first, last, folios, 2, offset) == gup_result{2, gup_error::none});
  CHECK(pinref::unpin_user_pages(folios, 2).count == 2);
  CHECK(pinref::pin_object_folios(object, 4096, 4096, folios, 1, offset) == gup_result{1, gup_error::none});
  CHECK(offset == 0);
  CHECK(pinref::unpin_user_pages(folios, 1).count == 1);
  CHECK(object.allocations == 0);
}

TEST_CASE("pages that are never compound are folios of one page") {
  four_pages object;
  for (single& page : object.pages) page.ref.init();
  single* folios[4] = {};
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(object, 4096 + 7, 3 * 4096, folios, 4, offset) == gup_result{3, gup_error::none});
  CHECK(offset == 7);
  for (std::size_t i = 0; i != 3; ++i) CHECK(folios[i] == &object.pages[i + 1]);
  CHECK(pinref::unpin_user_pages(folios, 3).count == 3);
  for (const single& page : object.pages) CHECK(page.ref.snapshot() == pinref::bias64::live(1));
}

TEST_CASE_TEMPLATE("missing pages are allocated, and a lost race is tried again", Layout, ALL_LAYOUTS) {
  file<Layout> object;
  object.raced = true;
  typename file<Layout>::page* folios[4] = {};
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(object, 0, 4 * 4096 - 1, folios, 4, offset) == gup_result{4, gup_error::none});
  CHECK(object.allocations == 4);
  CHECK(pinref::unpin_user_pages(folios, 4).count == 4);
}

TEST_CASE_TEMPLATE("an error at any folio leaves no pin and null entries, and says why", Layout, ALL_LAYOUTS) {
  for (const gup_error why : {gup_error::no_memory, gup_error::not_longterm, gup_error::overflow})
    for (std::size_t k = 0; k != 4; ++k) {
      CAPTURE(why);
      CAPTURE(k);
      file<Layout> object;
      if (why == gup_error::no_memory)
        object.fail_at = k;
      else if (why == gup_error::not_longterm)
        object.memory.map(k, 1, kind::transient_only);
      else
        support::set_state(object.memory.map(k).ref, support::full<Layout>());
      typename file<Layout>::page* folios[4] = {};
      std::size_t offset = 99;
      CHECK(pinref::pin_object_folios(object, 0, 4 * 4096 - 1, folios, 4, offset) == gup_result{0, why});
      CHECK(offset == 99);
      for (auto* folio : folios) CHECK(folio == nullptr);
      for (std::size_t i = 0; i != 4; ++i)
        if (object.memory.slots[i].mapped != nullptr && (i != k || why != gup_error::overflow))
          CHECK(object.memory.pages[i].ref.snapshot() == Layout::live(1));
    }
}

TEST_CASE_TEMPLATE("a page that is replaced between look-up and pin is given back; one that never rests ends in busy",
                   Layout, ALL_LAYOUTS) {
  file<Layout> object;
  object.memory.map(0);
  object.memory.map(1);
  typename file<Layout>::page* folios[1] = {};
  std::size_t offset = 0;
  std::size_t looks = 0;
  SUBCASE("once") {
    object.before_find = [&](std::uint64_t) {
      if (++looks == 2) object.memory.slots[0].mapped = &object.memory.pages[1];
    };
    CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{1, gup_error::none});
    CHECK(folios[0] == &object.memory.pages[1]);
    CHECK(object.memory.pages[0].ref.snapshot() == Layout::live(1));
    CHECK(pinref::unpin_user_pages(folios, 1).count == 1);
  }
  SUBCASE("always") {
    object.before_find = [&](std::uint64_t) { object.memory.slots[0].mapped = &object.memory.pages[++looks % 2]; };
    CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{0, gup_error::busy});
    CHECK(object.memory.pages[0].ref.snapshot() == Layout::live(1));
    CHECK(object.memory.pages[1].ref.snapshot() == Layout::live(1));
  }
}

TEST_CASE("races are counted for each index: many at several are no reason to give up") {
  file<pinref::bias64> object;
  const std::size_t n = 4;
  for (std::size_t i = 0; i != n; ++i) object.memory.map(i);
  auto& other = object.memory.map(n);
  // At each index the page is another at every second look, as often as is borne.
  std::size_t looks = 0;
  object.before_find = [&](std::uint64_t index) {
    const auto at = static_cast<std::size_t>(index);
    const std::size_t look = looks++ % (2 * pinref::max_object_races + 2);
    const bool lost = look % 2 != 0 && look < 2 * pinref::max_object_races;
    object.memory.slots[at].mapped = lost ? &other : &object.memory.pages[at];
  };
  decltype(object)::page* folios[n] = {};
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(object, 0, n * 4096 - 1, folios, n, offset) == gup_result{n, gup_error::none});
  CHECK(looks == n * (2 * pinref::max_object_races + 2));
  CHECK(other.ref.snapshot() == pinref::bias64::live(1));
  CHECK(pinref::unpin_user_pages(folios, n).count == n);
}

TEST_CASE_TEMPLATE("a page that died in its place is not handed out", Layout, ALL_LAYOUTS) {
  file<Layout> object;
  auto& page = object.memory.map(0);
  support::set_state(page.ref, Layout{});
  typename file<Layout>::page* folios[1] = {};
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{0, gup_error::busy});
  CHECK(folios[0] == nullptr);
  CHECK(page.ref.snapshot() == Layout{});
}

TEST_CASE("bad input to pin_object_folios: one error each, nothing touched") {
  file<pinref::bias64> object;
  file<pinref::bias64>::page* folios[1] = {&object.memory.pages[5]};
  std::size_t offset = 99;
  decltype(&folios[0]) none = nullptr;
  CHECK(pinref::pin_object_folios(object, 0, 1, none, 1, offset) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::pin_object_folios(object, 0, 1, folios, 0, offset) == gup_result{0, gup_error::no_pages});
  CHECK(pinref::pin_object_folios(object, 2, 1, folios, 1, offset) == gup_result{0, gup_error::out_of_range});
  CHECK(pinref::pin_object_folios(object, 0, object.bytes, folios, 1, offset) ==
        gup_result{0, gup_error::out_of_range});
  // An error code that was taken for a number of pages.
  for (const std::size_t n : {static_cast<std::size_t>(-14), pinref::max_pages + 1})
    CHECK(pinref::pin_object_folios(object, 0, 1, folios, n, offset) == gup_result{0, gup_error::too_many_pages});
  CHECK(folios[0] == &object.memory.pages[5]);
  CHECK(offset == 99);
  CHECK(object.allocations == 0);
}

TEST_CASE("a page of an object that could not be pinned is not unpinned") {
  checked_object object;
  checked_page* folios[1] = {};
  std::size_t offset = 0;
  const int misuses = support::misuses;
  CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{0, gup_error::busy});
  CHECK(support::misuses == misuses);
}

TEST_CASE("an object whose new pages are never found is busy in the end") {
  file<pinref::bias64> object;
  object.forgets = true;
  file<pinref::bias64>::page* folios[1] = {};
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{0, gup_error::busy});
  CHECK(object.allocations == static_cast<int>(pinref::max_object_races) + 1);
}

TEST_CASE_TEMPLATE("the folios may go into a span, of which no more are written than it has", Layout, ALL_LAYOUTS) {
  using page = typename file<Layout>::page;
  file<Layout> object;
  object.memory.map(0, 4);
  object.memory.map(4, 4);
  page* folios[3] = {};
  std::size_t offset = 7;
  const std::span<page*> two = std::span(folios).first(2);
  CHECK(pinref::pin_object_folios(object, 4096, 12 * 4096, two, offset) == gup_result{2, gup_error::none});
  CHECK(offset == 4096);
  CHECK(folios[0] == &object.memory.pages[0]);
  CHECK(folios[1] == &object.memory.pages[4]);
  CHECK(folios[2] == nullptr);
  CHECK(pinref::unpin_user_pages(two).count == 2);
  CHECK(pinref::pin_object_folios(object, 0, 1, std::span<page*>{}, offset) == gup_result{0, gup_error::null_pages});
  CHECK(pinref::pin_object_folios(object, 0, 1, two.first(0), offset) == gup_result{0, gup_error::no_pages});
}
