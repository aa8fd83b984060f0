// SPDX-License-Identifier: MIT

// first: pinref: the reference word must be lock-free on this target
#include <atomic>
#include <pinref/pinref.hpp>

template <class T>
struct locked_atomic : std::atomic<T> {
  using std::atomic<T>::atomic;
#if !defined(PINREF_NOCOMPILE_CONTROL)
  static constexpr bool is_always_lock_free = false;
#endif
};

struct locked_sync : pinref::std_sync {
  template <class T>
  using atomic = locked_atomic<T>;
};

pinref::page_ref<pinref::bias64, locked_sync> ref;
