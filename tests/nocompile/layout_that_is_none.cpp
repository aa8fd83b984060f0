// SPDX-License-Identifier: MIT

// first: pinref: the Layout of a page_ref must be as word_layout asks
#include <cstdint>
#include <pinref/pinref.hpp>

#if defined(PINREF_NOCOMPILE_CONTROL)
pinref::page_ref<pinref::bias_layout<std::uint64_t, 20>> ref;
#else
pinref::page_ref<std::uint64_t> ref;
#endif
