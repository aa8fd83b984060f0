// SPDX-License-Identifier: MIT

// first: pinref: a hot page needs a layout with exact pins
#include <pinref/pinref.hpp>

#if defined(PINREF_NOCOMPILE_CONTROL)
using ref = pinref::hot_ref<pinref::bias64>;
#else
using ref = pinref::hot_ref<pinref::bias32>;
#endif

ref word;
