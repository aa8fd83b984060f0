// SPDX-License-Identifier: MIT

// first: pinref: a range of pages needs page_traits<Page>::frame_number(page) and nth_page(page, i)
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static void free_page(frame&) noexcept {}
};

pinref::gup_result release(frame* first, frame** pages) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  (void)first;
  return pinref::unpin_user_pages(pages, 2);
#else
  (void)pages;
  return pinref::unpin_user_page_range(first, 2);
#endif
}
