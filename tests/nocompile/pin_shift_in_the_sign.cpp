// SPDX-License-Identifier: MIT

// first: pinref: PinShift leaves no room for pins below the sign bit
#include <pinref/pinref.hpp>

#if defined(PINREF_NOCOMPILE_CONTROL)
using layout = pinref::bias_layout<std::uint32_t, 10>;
#else
using layout = pinref::bias_layout<std::uint32_t, 31>;
#endif

layout word;
