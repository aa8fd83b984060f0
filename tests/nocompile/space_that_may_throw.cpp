// SPDX-License-Identifier: MIT

// expect(gcc): no matching function for call to 'pin_user_pages_fast
// expect(clang): no matching function for call to 'pin_user_pages_fast'
// expect: fault_in
#include <cstddef>
#include <cstdint>
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
};

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static void free_page(frame&) noexcept {}
};

struct table {
  using page = frame;
  static constexpr std::size_t page_size = 4096;
  bool contains(std::uintptr_t, std::uintptr_t) const noexcept { return true; }
  pinref::mapping<frame> lookup(std::uintptr_t, pinref::foll) const noexcept { return {}; }
  bool recheck(std::uintptr_t, const pinref::mapping<frame>&) const noexcept { return true; }
  template <class Use>
#if defined(PINREF_NOCOMPILE_CONTROL)
  pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) noexcept {
#else
  pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) {
#endif
      return pinref::gup_error::not_mapped;
}
}
;

bool pin(table& space, frame** pages) {
  return pinref::pin_user_pages_fast(space, 0, 1, pinref::foll::write, pages).ok();
}
