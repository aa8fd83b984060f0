// SPDX-License-Identifier: MIT

// The loops of c_pairs.cpp that are C, everything inline.

#include "c_inline.h"

size_t c_get_put(pinref_word* word, size_t ops) {
  size_t wrong = 0;
  for (; ops != 0; --ops) {
    if (__builtin_expect(pinref_try_get(word) != PINREF_TAKE_TAKEN, 0)) ++wrong;
    if (__builtin_expect(pinref_put(word) != PINREF_RELEASE_RELEASED, 0)) ++wrong;
  }
  return wrong;
}

size_t c_pin_unpin(pinref_word* word, size_t ops) {
  size_t wrong = 0;
  for (; ops != 0; --ops) {
    if (__builtin_expect(pinref_try_pin(word) != PINREF_TAKE_TAKEN, 0)) ++wrong;
    if (__builtin_expect(pinref_unpin(word) != PINREF_RELEASE_RELEASED, 0)) ++wrong;
  }
  return wrong;
}
