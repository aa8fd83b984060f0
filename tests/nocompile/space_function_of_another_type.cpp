// SPDX-License-Identifier: MIT

// expect: pinref: prefetch(address) of a space must be as prefetching_space asks, noexcept included
// expect: pinref: broken_mapping(address) of a space must be as diagnosing_space asks, noexcept included
// expect: pinref: relocate(start, n) of a space must be as relocating_space asks, noexcept included
// expect: pinref: fork_seq() of a space must be as forking_space asks, noexcept included
// expect: pinref: interrupted() of a space must be as interrupting_space asks, noexcept included
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
  pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) noexcept {
    return pinref::gup_error::not_mapped;
  }
#if defined(PINREF_NOCOMPILE_CONTROL)
  void prefetch(std::uintptr_t) noexcept {}
  void broken_mapping(std::uintptr_t) noexcept {}
  pinref::gup_error relocate(std::uintptr_t, std::size_t) noexcept {
    return pinref::gup_error::none;
  }
  pinref::write_protect_seq<> seq;
  auto& fork_seq() noexcept {
    return seq;
  }
  bool interrupted() noexcept {
    return false;
  }
#else
  void prefetch(std::uintptr_t, std::size_t) noexcept {}
  void broken_mapping() noexcept {}
  bool relocate(std::uintptr_t, std::size_t) noexcept {
    return true;
  }
  int fork_seq() noexcept {
    return 0;
  }
  bool interrupted() {
    return false;
  }
#endif
};

bool pin(table& space, frame** pages) {
  return pinref::pin_user_pages_fast(space, 0, 1, pinref::foll::write, pages).ok();
}
