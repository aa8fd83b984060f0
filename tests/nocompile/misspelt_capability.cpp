// SPDX-License-Identifier: MIT

// expect(gcc): constraints not satisfied
// expect(gcc): the required expression 'pinref::page_traits<Page>::free_page(page)' is invalid
// expect(gcc): the required expression 'space.prefetch(address)' is invalid
// expect(clang): because 'frame' does not satisfy 'freeable_page'
// expect(clang): because 'table' does not satisfy 'prefetching_space'
// The host says what it means to offer. Without the two lines at the end a misspelt name counts as absent.
#include <cstdint>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

#if defined(PINREF_NOCOMPILE_CONTROL)
#define FREE_PAGE free_page
#define PREFETCH prefetch
#else
#define FREE_PAGE freepage
#define PREFETCH pre_fetch
#endif

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static void FREE_PAGE(frame&) noexcept {}
};

struct table {
  void PREFETCH(std::uintptr_t) noexcept {}
};

static_assert(pinref::freeable_page<frame>);
static_assert(pinref::prefetching_space<table>);
