// SPDX-License-Identifier: MIT
#pragma once

// Hot pages with their slots, and the Syncs that let one thread play several.

#include <doctest/doctest.h>

#include <memory>

#include "hooked_sync.hpp"
#include "pinref/ref/hot_ref.hpp"

namespace support {

struct no_barrier : pinref::hot_sync {
  static bool has_heavy_barrier() noexcept { return false; }
};

// Threads say who they are.
struct numbered : pinref::hot_sync {
  static inline thread_local unsigned own = 0;
  struct threads {
    static unsigned number() noexcept { return own; }
    static unsigned enroll() noexcept { return own; }
  };
};

// One thread plays all, and sees each read-modify-write.
struct alone : hooked_sync {
  static inline unsigned own = 0;
  struct threads {
    static unsigned number() noexcept { return own; }
    static unsigned enroll() noexcept { return own; }
  };
  static bool has_heavy_barrier() noexcept { return true; }
  static void light_barrier() noexcept {}
  static void heavy_barrier() noexcept {}
  static void pause() noexcept {}
};

// With one reference, its keeper's.
template <class Ref = pinref::hot_ref<>>
struct hot_page {
  using numbers = typename Ref::sync::threads;

  hot_page() { ref.init(); }
  [[nodiscard]] bool heat() { return ref.make_hot(*counts); }
  [[nodiscard]] numbers& threads() { return made->threads; }

  Ref ref;
  struct storage {
    numbers threads;
    typename Ref::slots counts{threads};
  };
  std::unique_ptr<storage> made = std::make_unique<storage>();
  typename Ref::slots* counts = &made->counts;
};

}  // namespace support

// The kernel may be too old; then pages stay as they are, and there is nothing to see.
#define REQUIRE_HOT(page)                                                       \
  do {                                                                          \
    if (!(page).heat()) {                                                       \
      REQUIRE_MESSAGE(!pinref::hot_sync::has_heavy_barrier(), "should be hot"); \
      return;                                                                   \
    }                                                                           \
    REQUIRE((page).ref.is_hot());                                               \
  } while (false)
