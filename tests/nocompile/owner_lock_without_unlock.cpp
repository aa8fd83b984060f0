// SPDX-License-Identifier: MIT

// first: pinref: the Lock of a pin_owner must be as basic_lockable asks
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  void free_page() noexcept {}
};

struct spinlock {
  void lock() noexcept {}
#if defined(PINREF_NOCOMPILE_CONTROL)
  void unlock() noexcept {}
#endif
};

pinref::pin_owner<frame, spinlock> owner;
