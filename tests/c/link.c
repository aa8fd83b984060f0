// SPDX-License-Identifier: MIT

// A program of C alone that needs every function of the three headers; linking.py links it.

#include <pinref_cache.h>
#include <stdlib.h>

static pinref_error register_memory(void* context, uintptr_t first, size_t length, unsigned access, void** handle) {
  (void)first, (void)length, (void)access;
  *handle = context;
  return PINREF_ERROR_NONE;
}
static bool deregister(void* context, void* handle) {
  return context == handle;
}

int main(void) {
  static const pinref_backend backend = {register_memory, deregister, NULL};
  pinref_word word = PINREF_DEAD_WORD;
  pinref_cache* cache;
  pinref_pinned held;
  void* memory;
  if (!pinref_matches()) return 2;
  pinref_init(&word, 1);
  if (pinref_try_pin(&word) != PINREF_TAKE_TAKEN || !pinref_dma_pinned(&word)) return 3;
  if (pinref_unpin(&word) != PINREF_RELEASE_RELEASED || pinref_put(&word) != PINREF_RELEASE_LAST) return 4;
  if (pinref_wait_until_unpinned(&word, 0, NULL) != PINREF_WAIT_REACHED) return 5;
  memory = aligned_alloc(PINREF_CACHE_ALIGNMENT, (pinref_cache_size() + 63) / 64 * 64);
  cache = pinref_cache_init(memory, &backend, SIZE_MAX, SIZE_MAX);
  if (cache == NULL) return 6;
  held = pinref_cache_pin(cache, 4096, 1, 0, PINREF_FOLL_NONE, NULL, NULL);
  if (held.region == NULL || pinref_region_unpin(held.region) != PINREF_RELEASE_RELEASED) return 7;
  pinref_cache_fini(cache);
  free(memory);
  return 0;
}
