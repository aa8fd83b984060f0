// SPDX-License-Identifier: MIT

// expect: pinref: page_traits<Page>::frame_number and nth_page must be as numbered_page asks, noexcept included
// expect: pinref: page_traits<Page>::lock and unlock must be as lockable_page asks, noexcept included
// expect: pinref: page_traits<Page>::try_lock and unlock must be as trylockable_page asks, noexcept included
// expect: pinref: page_traits<Page>::dirty and set_dirty must be as dirty_page asks, noexcept included
// expect: pinref: page_traits<Page>::resident and on_idle must be as idle_page asks, noexcept included
// expect: pinref: page_traits<Page>::immortal must be as immortal_page asks, noexcept included
// expect: pinref: page_traits<Page>::longterm_pinnable must be as longterm_page asks, noexcept included
// expect: pinref: page_traits<Page>::free_page must be as freeable_page asks, noexcept included
// expect: pinref: page_traits<Page>::share_count must be as share_counted_page asks, noexcept included
// expect: pinref: page_traits<Page>::mapcount must be as mapcounted_page asks, noexcept included
#include <cstddef>
#include <cstdint>
#include <pinref/pinref.hpp>

template <int>
struct frame {
  pinref::page_ref<> ref;
};

template <int Which>
struct plain {
  static auto& ref(frame<Which>& page) noexcept { return page.ref; }
};

template <>
struct pinref::page_traits<frame<0>> : plain<0> {
  using page = frame<0>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static std::uint64_t frame_number(page&) noexcept {
    return 0;
  }
  static page& nth_page(page& p, std::size_t i) noexcept {
    return *(&p + i);
  }
#else
  static std::uint64_t frame_number(page&) {
    return 0;
  }
  static page& nth_page(page& p, std::size_t i) noexcept {
    return *(&p + i);
  }
#endif
};

template <>
struct pinref::page_traits<frame<1>> : plain<1> {
  using page = frame<1>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static void lock(page&) noexcept {}
  static void unlock(page&) noexcept {}
#else
  static void lock(page&) {}
  static void unlock(page&) noexcept {}
#endif
};

template <>
struct pinref::page_traits<frame<2>> : plain<2> {
  using page = frame<2>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool try_lock(page&) noexcept {
    return true;
  }
  static void unlock(page&) noexcept {}
#else
  static int try_lock(page&) noexcept {
    return true;
  }
  static void unlock(page&) noexcept {}
#endif
};

template <>
struct pinref::page_traits<frame<3>> : plain<3> {
  using page = frame<3>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool dirty(page&) noexcept {
    return true;
  }
  static void set_dirty(page&) noexcept {}
#else
  static bool dirty(page&) noexcept {
    return true;
  }
  static int set_dirty(page&) noexcept {
    return 0;
  }
#endif
};

template <>
struct pinref::page_traits<frame<4>> : plain<4> {
  using page = frame<4>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool resident(page&) noexcept {
    return true;
  }
  static void on_idle(page&) noexcept {}
#else
  static bool resident(page&) noexcept {
    return true;
  }
  static void on_idle(page&, int) noexcept {}
#endif
};

template <>
struct pinref::page_traits<frame<5>> : plain<5> {
  using page = frame<5>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool immortal(page&) noexcept {
    return false;
  }
#else
  bool immortal(page&) noexcept {
    return false;
  }
#endif
};

template <>
struct pinref::page_traits<frame<6>> : plain<6> {
  using page = frame<6>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool longterm_pinnable(page&, pinref::foll) noexcept {
    return true;
  }
#else
  static bool longterm_pinnable(page&, unsigned) noexcept {
    return true;
  }
#endif
};

template <>
struct pinref::page_traits<frame<7>> : plain<7> {
  using page = frame<7>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static void free_page(page&) noexcept {}
#else
  static void free_page(page*) noexcept {}
#endif
};

template <>
struct pinref::page_traits<frame<8>> : plain<8> {
  using page = frame<8>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static inline pinref::share_count<> users;
  static auto& share_count(page&) noexcept {
    return users;
  }
#else
  static int share_count(page&) noexcept {
    return 1;
  }
#endif
};

template <>
struct pinref::page_traits<frame<9>> : plain<9> {
  using page = frame<9>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static int mapcount(page&) noexcept {
    return 1;
  }
#else
  static int mapcount(page&) {
    return 1;
  }
#endif
};

template <int... Which>
bool pin(frame<Which>&... pages) {
  return ((pinref::page_dma_pinned(pages)) || ...);
}

bool pin_all(frame<0>& p0, frame<1>& p1, frame<2>& p2, frame<3>& p3, frame<4>& p4, frame<5>& p5, frame<6>& p6,
             frame<7>& p7, frame<8>& p8, frame<9>& p9) {
  return pin(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9);
}
