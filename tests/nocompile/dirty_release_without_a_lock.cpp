// SPDX-License-Identifier: MIT

// first: pinref: dirty release needs page_traits<Page>::lock(page) and unlock(page)
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static bool dirty(frame&) noexcept { return false; }
  static void set_dirty(frame&) noexcept {}
  static void free_page(frame&) noexcept {}
};

pinref::gup_result release(frame** pages) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  return pinref::unpin_user_pages(pages, 1);
#else
  return pinref::unpin_user_pages_dirty_lock(pages, 1, true);
#endif
}
