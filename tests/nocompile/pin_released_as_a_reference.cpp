// SPDX-License-Identifier: MIT

// first: pinref: this is a pin; release it as one, with its handle's reset()
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static void free_page(frame&) noexcept {}
};

void release(pinref::page_pin<frame>& pin) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  pin.reset();
#else
  pinref::put_page(pin);
#endif
}
