// SPDX-License-Identifier: MIT

// first: pinref: page_traits<Page>::resident and on_idle must be as idle_page asks, noexcept included
// A member that is called like a function is judged as one.
#include <pinref/pinref.hpp>

struct callback {
#if defined(PINREF_NOCOMPILE_CONTROL)
  void operator()() noexcept {}
#else
  void operator()() {}
#endif
};

struct device_page {
  pinref::page_ref<> ref;
  bool resident() noexcept { return true; }
  callback on_idle;
};

pinref::release_result release(device_page& page) {
  return pinref::unpin_user_page(page);
}
