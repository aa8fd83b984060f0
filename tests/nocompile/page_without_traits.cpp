// expect(gcc): constraints not satisfied
// expect(clang): because 'frame' does not satisfy 'host_page'
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

#if defined(PINREF_NOCOMPILE_CONTROL)
template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
};
#endif

bool ask(frame& page) { return pinref::page_dma_pinned(page); }
