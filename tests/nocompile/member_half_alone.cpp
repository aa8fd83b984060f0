// SPDX-License-Identifier: MIT

// expect: pinref: page_traits<Page>::resident and on_idle must be as idle_page asks, noexcept included
// expect: pinref: page_traits<Page>::free_page must be as freeable_page asks, noexcept included
// A host by members is judged as one by traits is.
#include <pinref/pinref.hpp>

struct device_page {
  pinref::page_ref<> ref;
  bool resident() noexcept { return true; }
#if defined(PINREF_NOCOMPILE_CONTROL)
  void on_idle() noexcept {}
#endif
};

struct frame {
  pinref::page_ref<> ref;
#if defined(PINREF_NOCOMPILE_CONTROL)
  void free_page() noexcept {}
#else
  void free_page() {}
#endif
};

bool ask(device_page& one, frame& other) {
  return pinref::page_dma_pinned(one) || pinref::page_dma_pinned(other);
}
