// SPDX-License-Identifier: MIT

// first: pinref: takes of compound pages need page_traits<Page>::free_page(page)
#include <cstddef>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  frame* head = this;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static frame& head(frame& page) noexcept { return *page.head; }
  static std::size_t nr_pages(frame&) noexcept { return 1; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  static void free_page(frame&) noexcept {}
#endif
};

bool pin(frame& page) {
  return pinref::try_pin_page(page) == pinref::take_result::taken;
}
