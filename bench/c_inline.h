// SPDX-License-Identifier: MIT
#ifndef BENCH_C_INLINE_H
#define BENCH_C_INLINE_H

// Pairs of calls on one word; how many went wrong.

#include <pinref.h>

#ifdef __cplusplus
extern "C" {
#endif

size_t c_get_put(pinref_word* word, size_t ops);
size_t c_pin_unpin(pinref_word* word, size_t ops);

#ifdef __cplusplus
}
#endif

#endif  // BENCH_C_INLINE_H
