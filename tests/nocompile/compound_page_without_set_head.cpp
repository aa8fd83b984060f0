// SPDX-License-Identifier: MIT

// first: pinref: a compound page is made of pages that are as composable_page asks
#include <cstddef>
#include <cstdint>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;

  frame& head() noexcept { return *this; }
  std::size_t nr_pages() noexcept { return 1; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  void set_head(frame&) noexcept {}
  void set_nr_pages(std::size_t) noexcept {}
#endif
  std::uint64_t frame_number() noexcept {
    return 0;
  }
  frame& nth_page(std::size_t) noexcept {
    return *this;
  }
  void free_page() noexcept {}
};

void split(frame& page) {
  pinref::split_compound_page(page);
}
