// SPDX-License-Identifier: MIT

// The C interface: a pair on one page, inline in C, and with every call out of line as another language makes it.

#define PINREF_NO_INLINE 1
#include "c_inline.h"

#include <cstddef>
#include <string>

#include "pages.hpp"
#include "paired.hpp"
#include "schemes.hpp"
#include "workloads.hpp"

namespace {

using namespace bench;

/// A word of C, as pages.hpp keeps one.
struct c_word {
  void revive() noexcept { pinref_init(&word, 1); }
  BENCH_INLINE bool get() noexcept { return pinref_try_get(&word) == PINREF_TAKE_TAKEN; }
  BENCH_INLINE bool put() noexcept { return pinref_put(&word) != PINREF_RELEASE_RELEASED; }
  BENCH_INLINE bool pin() noexcept { return pinref_try_pin(&word) == PINREF_TAKE_TAKEN; }
  BENCH_INLINE bool unpin() noexcept { return pinref_unpin(&word) != PINREF_RELEASE_RELEASED; }

  pinref_word word = PINREF_DEAD_WORD;
};

template <std::size_t (*Loop)(pinref_word*, std::size_t)>
struct in_c {
  one_page<c_word> page;

  void operator()(unsigned, std::size_t ops) {
    if (Loop(&(*page).word, ops) != 0) [[unlikely]]
      broken();
  }
};

void add_benchmarks() {
  for (unsigned threads : {1u, 2u}) {
    compare<get_put<bare>, get_put<bias64>, in_c<c_get_put>>("c_get_put", "c", threads);
    compare<get_put<bare>, get_put<bias64>, get_put<c_word>>("c_get_put", "c_call", threads);
    compare<pin_unpin<bare>, pin_unpin<bias64>, in_c<c_pin_unpin>>("c_pin_unpin", "c", threads);
    compare<pin_unpin<bare>, pin_unpin<bias64>, pin_unpin<c_word>>("c_pin_unpin", "c_call", threads);
  }
}

}  // namespace

BENCH_MAIN(add_benchmarks)
