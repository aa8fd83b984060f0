// SPDX-License-Identifier: MIT

// The registration cache with a backend in C.

#include <pinref_cache.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"

#define GRANULE 4096u
#define NR_HANDLES 16

typedef struct card {
  struct {
    uintptr_t first;
    size_t length;
    unsigned access;
    bool registered;
  } regions[NR_HANDLES];
  int registered, deregistered, used;
  pinref_error refusal;
  bool keeps;
} card;

static pinref_error register_memory(void* context, uintptr_t first, size_t length, unsigned access, void** handle) {
  card* const nic = (card*)context;
  if (nic->refusal != PINREF_ERROR_NONE) return nic->refusal;
  nic->regions[nic->used].first = first;
  nic->regions[nic->used].length = length;
  nic->regions[nic->used].access = access;
  nic->regions[nic->used].registered = true;
  *handle = &nic->regions[nic->used++];
  ++nic->registered;
  return PINREF_ERROR_NONE;
}
static bool deregister(void* context, void* handle) {
  card* const nic = (card*)context;
  for (int i = 0; i != nic->used; ++i)
    if (handle == &nic->regions[i]) {
      CHECK(nic->regions[i].registered);
      if (nic->keeps) return false;
      nic->regions[i].registered = false;
      ++nic->deregistered;
      return true;
    }
  CHECK(false);  // no handle of ours
  return true;
}

static void* memory;
static card nic;
static pinref_backend backend = {register_memory, deregister, &nic};

static pinref_cache* fresh(size_t bytes, size_t regions) {
  memset(&nic, 0, sizeof nic);
  return pinref_cache_init(memory, &backend, bytes, regions);
}

static void hits_and_misses(void) {
  pinref_cache* const cache = fresh(SIZE_MAX, SIZE_MAX);
  const pinref_pinned first = pinref_cache_pin(cache, 10 * GRANULE + 5, 100, 3, PINREF_FOLL_NONE, NULL, NULL);
  const pinref_pinned again = pinref_cache_pin(cache, 10 * GRANULE, GRANULE, 1, PINREF_FOLL_FAST_ONLY, NULL, NULL);
  pinref_cache_counts counts;
  CHECK(first.reason == PINREF_ERROR_NONE && again.region == first.region && nic.registered == 1);
  CHECK(pinref_region_first(first.region) == 10 * GRANULE && pinref_region_last(first.region) == 11 * GRANULE - 1);
  CHECK(pinref_region_access(first.region) == 3 && pinref_region_handle(first.region) == &nic.regions[0]);
  CHECK(pinref_region_unpin(first.region) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_region_unpin(again.region) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_region_unpin(again.region) == PINREF_RELEASE_UNDERFLOW);
  CHECK(pinref_cache_pin(cache, 90 * GRANULE, 1, 1, PINREF_FOLL_FAST_ONLY, NULL, NULL).reason ==
        PINREF_ERROR_WOULD_BLOCK);
  CHECK(pinref_cache_pin(cache, 90 * GRANULE, 0, 1, 0, NULL, NULL).reason == PINREF_ERROR_NO_PAGES);
  counts = pinref_cache_count(cache);
  CHECK(counts.regions == 1 && counts.bytes == GRANULE && counts.registered == 1 && counts.evicted == 0);
  pinref_cache_fini(cache);
  CHECK(nic.deregistered == 1);
}

static void a_budget(void) {
  pinref_cache* const cache = fresh(2 * GRANULE, SIZE_MAX);
  const pinref_pinned one = pinref_cache_pin(cache, 0, GRANULE, 1, 0, NULL, NULL);
  const pinref_pinned two = pinref_cache_pin(cache, 8 * GRANULE, GRANULE, 1, 0, NULL, NULL);
  pinref_pinned three = pinref_cache_pin(cache, 16 * GRANULE, GRANULE, 1, 0, NULL, NULL);
  CHECK(one.region != NULL && two.region != NULL);
  CHECK(three.region == NULL && three.reason == PINREF_ERROR_LIMIT_EXCEEDED);
  CHECK(pinref_region_unpin(one.region) == PINREF_RELEASE_RELEASED);
  three = pinref_cache_pin(cache, 16 * GRANULE, GRANULE, 1, 0, NULL, NULL);
  CHECK(three.region != NULL && nic.deregistered == 1 && pinref_cache_count(cache).evicted == 1);
  CHECK(pinref_region_unpin(two.region) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_region_unpin(three.region) == PINREF_RELEASE_RELEASED);
  pinref_cache_fini(cache);
  CHECK(nic.deregistered == 3);
}

static void* unpin_when_watched(void* region) {
  usleep(2000);
  CHECK(pinref_region_unpin((pinref_region*)region) == PINREF_RELEASE_RELEASED);
  return NULL;
}

static void closing(void) {
  pinref_cache* const cache = fresh(SIZE_MAX, SIZE_MAX);
  const pinref_pinned held = pinref_cache_pin(cache, 0, GRANULE, 1, 0, NULL, NULL);
  pinref_canceller stop = {0};
  pthread_t other;
  CHECK(held.region != NULL);
  CHECK(pinref_cache_close(cache, 0, GRANULE, 0, NULL) == PINREF_ERROR_BUSY && nic.deregistered == 0);
  pinref_cancel(&stop);
  CHECK(pinref_cache_close(cache, 0, GRANULE, PINREF_FOREVER, &stop) == PINREF_ERROR_INTERRUPTED);
  CHECK(pthread_create(&other, NULL, unpin_when_watched, held.region) == 0);
  CHECK(pinref_cache_close(cache, 0, GRANULE, PINREF_FOREVER, NULL) == PINREF_ERROR_NONE && nic.deregistered == 1);
  CHECK(pthread_join(other, NULL) == 0);
  CHECK(pinref_cache_pin(cache, 0, 1, 1, 0, NULL, NULL).reason == PINREF_ERROR_BUSY);
  CHECK(!pinref_cache_open(cache, GRANULE, GRANULE) && pinref_cache_open(cache, 0, GRANULE));
  CHECK(pinref_cache_close(cache, 0, 0, 0, NULL) == PINREF_ERROR_NO_PAGES);
  pinref_cache_fini(cache);
}

static bool refuse(void* context) {
  ++*(int*)context;
  return false;
}

static void what_stops_a_transfer(void) {
  pinref_cache* const cache = fresh(SIZE_MAX, SIZE_MAX);
  int asked = 0;
  pinref_pinned held = pinref_cache_pin(cache, 0, GRANULE, 1, 0, refuse, &asked);
  CHECK(held.region == NULL && held.reason == PINREF_ERROR_BUSY && asked != 0);
  nic.refusal = PINREF_ERROR_NO_PERMISSION;
  held = pinref_cache_pin(cache, 8 * GRANULE, GRANULE, 1, 0, NULL, NULL);
  CHECK(held.region == NULL && held.reason == PINREF_ERROR_NO_PERMISSION && pinref_cache_count(cache).failed == 1);
  pinref_cache_fini(cache);
}

static void memory_that_goes(void) {
  pinref_cache* const cache = fresh(SIZE_MAX, SIZE_MAX);
  const pinref_pinned held = pinref_cache_pin(cache, 0, GRANULE, 1, 0, NULL, NULL);
  pinref_pinned next;
  CHECK(held.region != NULL);
  pinref_cache_tell(cache, 0, GRANULE);
  next = pinref_cache_pin(cache, 0, GRANULE, 1, 0, NULL, NULL);
  CHECK(next.region != NULL && next.region != held.region && nic.registered == 2 && nic.deregistered == 0);
  CHECK(pinref_region_unpin(held.region) == PINREF_RELEASE_RELEASED);
  nic.keeps = true;
  pinref_cache_reap(cache);
  CHECK(nic.deregistered == 0);
  nic.keeps = false;
  pinref_cache_reap(cache);
  CHECK(nic.deregistered == 1);
  CHECK(pinref_region_unpin(next.region) == PINREF_RELEASE_RELEASED);

  pinref_cache_forget_in_child(cache);
  CHECK(pinref_cache_pin(cache, 0, 1, 1, 0, NULL, NULL).reason == PINREF_ERROR_DEAD && nic.deregistered == 1);
  pinref_cache_fini(cache);
  CHECK(nic.deregistered == 1);
}

static void its_memory(void) {
  CHECK(pinref_cache_init(NULL, &backend, 1, 1) == NULL);
  CHECK(pinref_cache_init((char*)memory + 8, &backend, 1, 1) == NULL);
}

int main(void) {
  static const check_case cases[] = {
      {"hits and misses", hits_and_misses},
      {"a budget", a_budget},
      {"closing", closing},
      {"what stops a transfer", what_stops_a_transfer},
      {"memory that goes", memory_that_goes},
      {"its memory", its_memory},
  };
  const size_t size = pinref_cache_size();
  int failed;
  memory = aligned_alloc(PINREF_CACHE_ALIGNMENT,
                         (size + PINREF_CACHE_ALIGNMENT - 1) / PINREF_CACHE_ALIGNMENT * PINREF_CACHE_ALIGNMENT);
  if (memory == NULL) return 1;
  failed = check_all(cases, sizeof cases / sizeof cases[0]);
  free(memory);
  return failed;
}
