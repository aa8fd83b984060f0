// SPDX-License-Identifier: MIT

// first: pinref: page_traits<Page>::head and nr_pages must be as compound_page asks, noexcept included
#include <cstddef>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  frame* head = this;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  static frame& head(frame& page) noexcept {
    return *page.head;
  }
#else
  static frame& head(frame& page) {
    return *page.head;
  }
#endif
  static std::size_t nr_pages(frame&) noexcept {
    return 1;
  }
  static void free_page(frame&) noexcept {}
};

bool pin(frame& page) {
  return pinref::try_pin_page(page) == pinref::take_result::taken;
}
