// SPDX-License-Identifier: MIT

// Every fast path, for counting: counts.py reads the disassembly and compares it with docs/codegen.md.

#include <pinref/gup/release.hpp>
#include <pinref/page/page.hpp>
#include <pinref/ref/page_ref.hpp>

#include <cstddef>

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

struct frame {
  page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
};

#define WORD(name, layout)                                                \
  extern "C" take_result name##_get(page_ref<layout>& ref) {              \
    return ref.get();                                                     \
  }                                                                       \
  extern "C" take_result name##_try_get(page_ref<layout>& ref) {          \
    return ref.try_get();                                                 \
  }                                                                       \
  extern "C" take_result name##_try_get_if_alive(page_ref<layout>& ref) { \
    return ref.try_get_if_alive();                                        \
  }                                                                       \
  extern "C" release_result name##_put(page_ref<layout>& ref) {           \
    return ref.put();                                                     \
  }                                                                       \
  extern "C" release_result name##_put_sole(page_ref<layout>& ref) {      \
    return ref.put_sole();                                                \
  }                                                                       \
  extern "C" take_result name##_try_pin(page_ref<layout>& ref) {          \
    return ref.try_pin();                                                 \
  }                                                                       \
  extern "C" take_result name##_add_pin(page_ref<layout>& ref) {          \
    return ref.add_pin();                                                 \
  }                                                                       \
  extern "C" release_result name##_unpin(page_ref<layout>& ref) {         \
    return ref.unpin();                                                   \
  }                                                                       \
  extern "C" bool name##_freeze(page_ref<layout>& ref) {                  \
    return ref.freeze(1);                                                 \
  }                                                                       \
  extern "C" void name##_unfreeze(page_ref<layout>& ref) {                \
    ref.unfreeze(1);                                                      \
  }                                                                       \
  extern "C" bool name##_dma_pinned(page_ref<layout>& ref) {              \
    return ref.dma_pinned();                                              \
  }                                                                       \
  extern "C" bool name##_dma_pinned_hint(page_ref<layout>& ref) {         \
    return ref.dma_pinned_hint();                                         \
  }

WORD(bias64, pinref::bias64)
WORD(bias32, pinref::bias32)
WORD(split, pinref::split32)

extern "C" take_result frame_get_page(frame& page) {
  return pinref::get_page(page);
}
extern "C" take_result frame_try_get_page(frame& page) {
  return pinref::get_page_unless_zero(page);
}
extern "C" release_result frame_put_page(frame& page) {
  return pinref::put_page(page);
}
extern "C" take_result frame_try_pin_page(frame& page) {
  return pinref::try_pin_page(page);
}
extern "C" take_result frame_add_pin(frame& page) {
  return pinref::add_pin(page);
}
extern "C" release_result frame_unpin_user_page(frame& page) {
  return pinref::unpin_user_page(page);
}
extern "C" bool frame_page_dma_pinned(frame& page) {
  return pinref::page_dma_pinned(page);
}
extern "C" bool frame_page_dma_pinned_hint(frame& page) {
  return pinref::page_dma_pinned_hint(page);
}
