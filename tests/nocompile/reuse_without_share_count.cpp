// SPDX-License-Identifier: MIT

// first: pinref: can_reuse_locked needs page_traits<Page>::share_count(page)
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  pinref::share_count<> users;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  static auto& share_count(frame& page) noexcept {
    return page.users;
  }
#endif
};

bool reuse(frame& page) {
  return pinref::can_reuse_locked(page, [](frame&) {});
}
