// SPDX-License-Identifier: MIT

// first: pinref: releasing many pages needs page_traits<Page>::free_page(page)
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
};

void release(frame* page) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  if (pinref::unpin_user_page(*page) == pinref::release_result::last) delete page;
#else
  (void)pinref::unpin_user_pages(&page, 1);
#endif
}
