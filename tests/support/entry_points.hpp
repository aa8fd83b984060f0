// SPDX-License-Identifier: MIT
#pragma once

// The calls that hold a range of pages, called alike.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "pinref/gup/gup.hpp"
#include "pinref/page/page.hpp"

namespace support {

template <class Space>
struct entry_point {
  const char* name;
  pinref::gup_result (*call)(Space&, std::uintptr_t, std::size_t, pinref::foll, typename Space::page**);
  bool pins;
  bool fast;
};

template <class Space>
std::array<entry_point<Space>, 4> entry_points() {
  using pages_of = typename Space::page**;
  return {{
      {"get_user_pages",
       [](Space& space, std::uintptr_t start, std::size_t n, pinref::foll flags, pages_of pages) {
         return pinref::get_user_pages(space, start, n, flags, pages);
       },
       false, false},
      {"get_user_pages_fast",
       [](Space& space, std::uintptr_t start, std::size_t n, pinref::foll flags, pages_of pages) {
         return pinref::get_user_pages_fast(space, start, n, flags, pages);
       },
       false, true},
      {"pin_user_pages",
       [](Space& space, std::uintptr_t start, std::size_t n, pinref::foll flags, pages_of pages) {
         return pinref::pin_user_pages(space, start, n, flags, pages);
       },
       true, false},
      {"pin_user_pages_fast",
       [](Space& space, std::uintptr_t start, std::size_t n, pinref::foll flags, pages_of pages) {
         return pinref::pin_user_pages_fast(space, start, n, flags, pages);
       },
       true, true},
  }};
}

// What such a call holds on the page: its pins, or its references beyond the mapping's own.
template <class Page>
std::size_t held_on(Page& page, bool pins) {
  return static_cast<std::size_t>(pins ? static_cast<long long>(pinref::page_pins(page))
                                       : static_cast<long long>(pinref::page_references(page)) - 1);
}

template <class Page>
void release(Page** pages, std::size_t n, bool pins) {
  const pinref::gup_result done = pins ? pinref::unpin_user_pages(pages, n) : pinref::release_pages(pages, n);
  CHECK(done == pinref::gup_result{n, pinref::gup_error::none});
}

}  // namespace support
