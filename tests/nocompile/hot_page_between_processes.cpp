// SPDX-License-Identifier: MIT

// first: pinref: a hot page has users in one process, use page_ref
#include <pinref/pinref.hpp>

struct of_a_process : pinref::hot_sync {
#if defined(PINREF_NOCOMPILE_CONTROL)
  static constexpr bool process_shared = false;
#else
  static constexpr bool process_shared = true;
#endif
};

pinref::hot_ref<pinref::bias64, of_a_process> word;
