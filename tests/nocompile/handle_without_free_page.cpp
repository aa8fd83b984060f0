// SPDX-License-Identifier: MIT

// first: pinref: handles need page_traits<Page>::free_page(page)
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  static void free_page(frame&) noexcept {}
#endif
};

bool hold(frame& page) {
  return static_cast<bool>(pinref::page_ptr<frame>::get_page_unless_zero(page));
}
