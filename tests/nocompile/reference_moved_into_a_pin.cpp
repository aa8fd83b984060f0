// SPDX-License-Identifier: MIT

// expect(gcc): conversion from
// expect(clang): no viable conversion from
#include <pinref/pinref.hpp>
#include <utility>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static void free_page(frame&) noexcept {}
};

pinref::page_pin<frame> hand_over(pinref::page_ptr<frame> reference) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  return pinref::page_pin<frame>::try_pin(*reference);
#else
  pinref::page_pin<frame> pin = std::move(reference);
  return pin;
#endif
}
