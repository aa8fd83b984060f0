// SPDX-License-Identifier: MIT

// first: pinref: page_traits<Page>::lock and unlock must be as lockable_page asks
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  void free_page() noexcept {}
  bool dirty() noexcept { return false; }
  void set_dirty() noexcept {}
  void lock() noexcept {}
#if defined(PINREF_NOCOMPILE_CONTROL)
  void unlock() noexcept {}
#else
  void un_lock() noexcept {}
#endif
};

pinref::release_result release(frame& page) {
  return pinref::unpin_user_page(page);
}
