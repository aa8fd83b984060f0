// SPDX-License-Identifier: MIT

// expect: cancels_waits
#include <pinref/pinref.hpp>

// Nothing would wake the waiter when the predicate comes true.
bool wait(pinref::page_ref<>& ref) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  const pinref::wait_canceller<> stop;
#else
  const auto stop = [] { return true; };
#endif
  return ref.wait_until_unpinned(pinref::deadline::never(), stop) == pinref::wait_result::given_up;
}
