// SPDX-License-Identifier: MIT

// first: pinref: page_traits<Page>::set_head and set_nr_pages must be as composable_page asks
#include <cstddef>
#include <cstdint>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  frame* first = this;
  std::size_t pages = 1;

  frame& head() noexcept { return *first; }
  std::size_t nr_pages() noexcept { return pages; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  void set_head(frame& to) noexcept {
    first = &to;
  }
#else
  void set_head(frame* to) noexcept {
    first = to;
  }
#endif
  void set_nr_pages(std::size_t n) noexcept {
    pages = n;
  }
  std::uint64_t frame_number() noexcept {
    return 0;
  }
  frame& nth_page(std::size_t) noexcept {
    return *this;
  }
  void free_page() noexcept {}
};

void compose(frame& page) {
  pinref::make_compound_page(page, 1);
}
