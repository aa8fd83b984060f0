// SPDX-License-Identifier: MIT

// expect(gcc): ignoring return value
// expect(clang): ignoring return value
#include <pinref/pinref.hpp>

#pragma GCC diagnostic error "-Wunused-result"

void pin(pinref::page_ref<>& ref) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  (void)ref.try_pin();
#else
  ref.try_pin();
#endif
}
