// SPDX-License-Identifier: MIT

// expect(gcc): constraints not satisfied
// expect(clang): because 'frame' does not satisfy 'host_page'
#include <pinref/pinref.hpp>

// The word has a name of the host's own, and nothing says so.
struct frame {
  pinref::page_ref<> word;
};

#if defined(PINREF_NOCOMPILE_CONTROL)
template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.word; }
};
#endif

bool ask(frame& page) {
  return pinref::page_dma_pinned(page);
}
