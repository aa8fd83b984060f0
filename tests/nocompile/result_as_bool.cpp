// SPDX-License-Identifier: MIT

// expect(gcc): could not convert
// expect(clang): is not contextually convertible to 'bool'
#include <pinref/pinref.hpp>

bool pin(pinref::page_ref<>& ref) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  if (ref.try_pin() == pinref::take_result::taken) return true;
#else
  if (ref.try_pin()) return true;
#endif
  return false;
}
