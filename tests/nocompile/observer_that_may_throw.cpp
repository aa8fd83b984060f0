// SPDX-License-Identifier: MIT

// first: pinref: what observes a word must be as word_observer asks
#include <cstddef>
#include <pinref/observe/observed_ref.hpp>

struct counts_takes : pinref::ref_observer {
#if defined(PINREF_NOCOMPILE_CONTROL)
  template <pinref::hold>
  void taken(const void*, std::size_t n, pinref::no_site) noexcept {
    all += n;
  }
#else
  template <pinref::hold>
  void taken(const void*, std::size_t n, pinref::no_site) {
    all += n;
  }
#endif
  std::size_t all = 0;
};

pinref::observed_ref<pinref::page_ref<>, counts_takes> ref;
