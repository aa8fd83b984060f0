// SPDX-License-Identifier: MIT

// first: pinref: the Sync of a page_ref must be as word_sync asks
#include <pinref/pinref.hpp>

// Everything of a Sync but the sleep.
struct half_a_sync {
  template <class T>
  using atomic = pinref::std_sync::atomic<T>;
  template <class T>
  static constexpr unsigned nr_futexes = 1;
  using futex = pinref::std_sync::futex;
  static constexpr bool process_shared = false;
};

#if defined(PINREF_NOCOMPILE_CONTROL)
pinref::page_ref<pinref::bias64, pinref::std_sync> ref;
#else
pinref::page_ref<pinref::bias64, half_a_sync> ref;
#endif
