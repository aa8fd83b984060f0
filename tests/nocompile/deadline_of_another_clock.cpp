// SPDX-License-Identifier: MIT

// first: pinref: deadline::at needs a time point of std::chrono::steady_clock in whole units
#include <chrono>
#include <pinref/pinref.hpp>

pinref::deadline soon() {
#if defined(PINREF_NOCOMPILE_CONTROL)
  return pinref::deadline::at(std::chrono::steady_clock::now());
#else
  return pinref::deadline::at(std::chrono::system_clock::now());
#endif
}
