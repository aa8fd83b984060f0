// SPDX-License-Identifier: MIT

// first: pinref: page_traits<Page>::set_head and set_nr_pages must be as composable_page asks
#include <cstddef>
#include <cstdint>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  frame* first = this;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static frame& head(frame& page) noexcept { return *page.first; }
  static std::size_t nr_pages(frame&) noexcept { return 1; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  static void set_head(frame& page, frame& to) noexcept {
    page.first = &to;
  }
#else
  static void set_head(frame& page, frame& to, std::size_t) noexcept {
    page.first = &to;
  }
#endif
  static void set_nr_pages(frame&, std::size_t) noexcept {}
  static std::uint64_t frame_number(frame&) noexcept {
    return 0;
  }
  static frame& nth_page(frame& page, std::size_t) noexcept {
    return page;
  }
  static void free_page(frame&) noexcept {}
};

pinref::take_result pin(frame& page) {
  return pinref::try_pin_page(page);
}
