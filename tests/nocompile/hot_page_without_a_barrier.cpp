// SPDX-License-Identifier: MIT

// first: pinref: the Sync of a hot_ref must be as hot_word_sync asks
#include <pinref/pinref.hpp>

#if defined(PINREF_NOCOMPILE_CONTROL)
pinref::hot_ref<pinref::bias64, pinref::hot_sync> ref;
#else
pinref::hot_ref<pinref::bias64, pinref::std_sync> ref;
#endif
