// SPDX-License-Identifier: MIT

// first: pinref: this word is too small for so many takers
#include <pinref/pinref.hpp>

#if defined(PINREF_NOCOMPILE_CONTROL)
using layout = pinref::bias_layout<std::uint32_t, 16, 64>;
#else
using layout = pinref::bias_layout<std::uint32_t, 20>;
#endif

layout word;
