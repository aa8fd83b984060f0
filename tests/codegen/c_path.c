// SPDX-License-Identifier: MIT

// The fast paths in C, beside those of fast_path.cpp and question.cpp: the same instructions.

#include <pinref.h>

// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_try_get
pinref_take_result check_c_try_get(pinref_word* word) {
  return pinref_try_get(word);
}

// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_get
pinref_take_result check_c_get(pinref_word* word) {
  return pinref_get(word);
}

// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_put
pinref_release_result check_c_put(pinref_word* word) {
  return pinref_put(word);
}

// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_try_pin
pinref_take_result check_c_try_pin(pinref_word* word) {
  return pinref_try_pin(word);
}

// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_add_pin
pinref_take_result check_c_add_pin(pinref_word* word) {
  return pinref_add_pin(word);
}

// codegen: locked=1 fetches=0 branches=1 loads=0 like=check_unpin
pinref_release_result check_c_unpin(pinref_word* word) {
  return pinref_unpin(word);
}

// codegen: locked=1 branches=1 loads=0 most=check_dma_pinned
bool check_c_dma_pinned(pinref_word* word) {
  return pinref_dma_pinned(word);
}

// codegen: locked=0 branches=1 loads=1 most=check_dma_pinned_hint
bool check_c_dma_pinned_hint(const pinref_word* word) {
  return pinref_dma_pinned_hint(word);
}

// codegen: locked=1 fetches=0 branches=2 loads=0 most=check_try_pin_n
pinref_take_result check_c_try_pin_n(pinref_word* word, size_t n) {
  return pinref_try_pin_n(word, n);
}
