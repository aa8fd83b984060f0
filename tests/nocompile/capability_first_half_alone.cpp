// SPDX-License-Identifier: MIT

// expect: pinref: page_traits<Page>::head and nr_pages must be as compound_page asks, noexcept included
// expect: pinref: page_traits<Page>::frame_number and nth_page must be as numbered_page asks, noexcept included
// expect: pinref: page_traits<Page>::lock and unlock must be as lockable_page asks, noexcept included
// expect: pinref: page_traits<Page>::try_lock and unlock must be as trylockable_page asks, noexcept included
// expect: pinref: page_traits<Page>::dirty and set_dirty must be as dirty_page asks, noexcept included
// expect: pinref: page_traits<Page>::resident and on_idle must be as idle_page asks, noexcept included
// expect: pinref: page_traits<Page>::exclusive and set_exclusive must be as exclusive_page asks, noexcept included
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
  static page& head(page& p) noexcept {
    return p;
  }
  static std::size_t nr_pages(page&) noexcept {
    return 1;
  }
  static void free_page(page&) noexcept {}
#else
  static page& head(page& p) noexcept {
    return p;
  }
#endif
};

template <>
struct pinref::page_traits<frame<1>> : plain<1> {
  using page = frame<1>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static std::uint64_t frame_number(page&) noexcept {
    return 0;
  }
  static page& nth_page(page& p, std::size_t i) noexcept {
    return *(&p + i);
  }
#else
  static std::uint64_t frame_number(page&) noexcept {
    return 0;
  }
#endif
};

template <>
struct pinref::page_traits<frame<2>> : plain<2> {
  using page = frame<2>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static void lock(page&) noexcept {}
  static void unlock(page&) noexcept {}
#else
  static void lock(page&) noexcept {}
#endif
};

template <>
struct pinref::page_traits<frame<3>> : plain<3> {
  using page = frame<3>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool try_lock(page&) noexcept {
    return true;
  }
  static void unlock(page&) noexcept {}
#else
  static bool try_lock(page&) noexcept {
    return true;
  }
#endif
};

template <>
struct pinref::page_traits<frame<4>> : plain<4> {
  using page = frame<4>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool dirty(page&) noexcept {
    return true;
  }
  static void set_dirty(page&) noexcept {}
#else
  static bool dirty(page&) noexcept {
    return true;
  }
#endif
};

template <>
struct pinref::page_traits<frame<5>> : plain<5> {
  using page = frame<5>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool resident(page&) noexcept {
    return true;
  }
  static void on_idle(page&) noexcept {}
#else
  static bool resident(page&) noexcept {
    return true;
  }
#endif
};

template <>
struct pinref::page_traits<frame<6>> : plain<6> {
  using page = frame<6>;
#if defined(PINREF_NOCOMPILE_CONTROL)
  static bool exclusive(page&) noexcept {
    return true;
  }
  static void set_exclusive(page&, bool) noexcept {}
#else
  static bool exclusive(page&) noexcept {
    return true;
  }
#endif
};

template <int... Which>
bool pin(frame<Which>&... pages) {
  return ((pinref::page_dma_pinned(pages)) || ...);
}

bool pin_all(frame<0>& p0, frame<1>& p1, frame<2>& p2, frame<3>& p3, frame<4>& p4, frame<5>& p5, frame<6>& p6) {
  return pin(p0, p1, p2, p3, p4, p5, p6);
}
