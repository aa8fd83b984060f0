// SPDX-License-Identifier: MIT

// first: pinref: deferred release needs page_traits<Page>::try_lock(page)
#include <mutex>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static bool dirty(frame&) noexcept { return false; }
  static void set_dirty(frame&) noexcept {}
  static void lock(frame&) noexcept {}
  static void unlock(frame&) noexcept {}
  static void free_page(frame&) noexcept {}
};

void complete(pinref::pin_request<frame, std::mutex>& request) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  (void)request.unpin_dirty_lock();
#else
  (void)request.unpin_dirty_deferred();
#endif
}
