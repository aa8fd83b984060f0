// SPDX-License-Identifier: MIT

// first: pinref: page_traits<Page>::dirty and set_dirty must be as dirty_page asks
// A state of several values is no answer to "is it dirty?".
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  void free_page() noexcept {}
#if defined(PINREF_NOCOMPILE_CONTROL)
  bool dirty() noexcept {
    return false;
  }
#else
  int dirty() noexcept {
    return 0;
  }
#endif
  void set_dirty() noexcept {}
};

pinref::reclaim_result reclaim(frame& page) {
  return pinref::reclaim_page(page, 1);
}
