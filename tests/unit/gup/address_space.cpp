// SPDX-License-Identifier: MIT

// What a host's address space gets wrong, or leaves out, ends in an answer: nothing loops, nothing is handed out that
// was not written.

#include "pinref/gup/address_space.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "entry_points.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;

namespace {

// The least a host can have: a word, and somewhere for free pages to go.
struct page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
};

// Every address maps its page, and says that the entry covers `run` pages.
struct space {
  using page = ::page;
  static constexpr std::size_t page_size = 4096;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept {
    return last < pages.size() * page_size;
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, foll) noexcept {
    if (!present) return {};
    return {&pages[address / page_size], 0, run};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t address, foll, Use use) noexcept {
    if (forgets) return gup_error::none;
    const gup_error done = use(pinref::mapping<page>{&pages[address / page_size], 0, run});
    if (repeats) return use(pinref::mapping<page>{&pages[address / page_size + 1], 0, run});
    return fails_afterwards ? gup_error::no_memory : done;
  }
  void broken_mapping(std::uintptr_t address) noexcept { broken.push_back(address); }

  std::vector<page> pages = std::vector<page>(4);
  std::size_t run = 1;
  bool present = true;
  bool forgets = false;           // to call `use`
  bool repeats = false;           // it, for the next page
  bool fails_afterwards = false;  // though the page was held
  std::vector<std::uintptr_t> broken;
};

}  // namespace

template <>
struct pinref::page_traits<page> {
  static auto& ref(page& p) noexcept { return p.ref; }
  static void free_page(page&) noexcept {}
};

TEST_CASE("an entry for several pages that have no numbers is taken page by page") {
  space s;
  s.run = 4;
  for (const bool present : {true, false}) {
    s.present = present;
    page* pages[4] = {};
    REQUIRE(pinref::pin_user_pages_fast(s, 0, 4, foll::none, pages) == gup_result{4, gup_error::none});
    for (std::size_t i = 0; i != 4; ++i) {
      CHECK(pages[i] == &s.pages[i]);
      CHECK(pinref::page_pins(s.pages[i]) == 1);
    }
    CHECK(pinref::unpin_user_pages(pages, 4).ok());
  }
}

TEST_CASE("a run of no pages is a broken mapping, in both paths") {
  space s;
  s.run = 0;
  page* const untouched = &s.pages[3];
  page* pages[2] = {untouched, untouched};
  for (const bool present : {true, false}) {
    s.present = present;
    s.broken.clear();
    CHECK(pinref::pin_user_pages_fast(s, 4096, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
    CHECK(pinref::get_user_pages(s, 4096, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
    CHECK(pinref::fault_in_user_pages(s, 4096, 2, foll::none) == gup_result{0, gup_error::broken_mapping});
    CHECK(s.broken == std::vector<std::uintptr_t>{4096, 4096, 4096});
  }
  CHECK(s.pages[1].ref.snapshot() == pinref::bias64::live(1));
  for (page* const each : pages) CHECK(each == untouched);
}

TEST_CASE("what a fault_in holds by `use` and then fails, or holds a second time, is given back") {
  space s;
  s.present = false;
  page* const untouched = &s.pages[3];
  const auto both_calls = [&](gup_result expected) {
    for (const auto& entry : support::entry_points<space>()) {
      if (entry.fast) continue;
      page* pages[2] = {untouched, untouched};
      CHECK(entry.call(s, 0, 2, foll::none, pages) == expected);
      CHECK(pages[0] == untouched);
      for (const page& each : s.pages) CHECK(each.ref.snapshot() == pinref::bias64::live(1));
    }
  };
  s.fails_afterwards = true;
  both_calls({0, gup_error::no_memory});
  s.repeats = true;
  both_calls({0, gup_error::broken_mapping});
  CHECK(s.broken == std::vector<std::uintptr_t>{0, 0});
}

TEST_CASE("a fault_in that reports success without a page is a broken mapping") {
  space s;
  s.present = false;
  s.forgets = true;
  page* pages[2] = {};
  CHECK(pinref::pin_user_pages_fast(s, 0, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::get_user_pages(s, 0, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::fault_in_user_pages(s, 0, 2, foll::none) == gup_result{0, gup_error::broken_mapping});
  CHECK(s.broken.size() == 3);
}
