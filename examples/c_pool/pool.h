// SPDX-License-Identifier: MIT
#ifndef EXAMPLES_C_POOL_POOL_H
#define EXAMPLES_C_POOL_POOL_H

// A buffer pool of frames that a device reads blocks into. The pool holds one reference to every frame, a user one
// more, and a read under way a pin. A frame is reused only when it could be frozen: nobody uses it, and no device does.

#include <pinref.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "device.h"

#define NR_FRAMES 32u

typedef struct frame {
  pinref_word ref;
  void* data;
  transfer read;  // of the last block it was asked for
  struct frame *older, *newer;
} frame;

typedef struct pool {
  device* disk;
  bool no_pins;  // the control: a read under way holds nothing
  frame frames[NR_FRAMES];
  frame *oldest, *newest;  // not in use; the newest goes first, its lines are still in the cache
  unsigned nr_busy;        // how often the evictor has found a frame that a device still writes to
  pthread_mutex_t lock;
  pthread_cond_t given_back;
} pool;

static void pool_push_newest(pool* all, frame* each) {
  each->older = all->newest;
  each->newer = NULL;
  *(all->newest != NULL ? &all->newest->newer : &all->oldest) = each;
  all->newest = each;
}
static void pool_unlink(pool* all, frame* each) {
  *(each->older != NULL ? &each->older->newer : &all->oldest) = each->newer;
  *(each->newer != NULL ? &each->newer->older : &all->newest) = each->older;
}

// False if there is no memory.
static bool pool_open(pool* all, device* disk, bool no_pins) {
  static const pinref_word dead = PINREF_DEAD_WORD;
  const pool fresh = {.disk = disk, .no_pins = no_pins};
  *all = fresh;
  pthread_mutex_init(&all->lock, NULL);
  pthread_cond_init(&all->given_back, NULL);
  for (unsigned i = 0; i != NR_FRAMES; ++i) {
    frame* const each = &all->frames[i];
    each->ref = dead;
    each->read.ended = true;
    each->data = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
    if (each->data == NULL) return false;
    pinref_init(&each->ref, 1);
    pool_push_newest(all, each);
  }
  return true;
}

// A frame with one reference for the caller, and anything in it. Sleeps while all are in use.
static frame* pool_take(pool* all) {
  frame* found = NULL;
  pthread_mutex_lock(&all->lock);
  for (;;) {
    for (found = all->newest; found != NULL; found = found->older) {
      // The whole decision: one exchange, against users and devices alike.
      if (pinref_freeze(&found->ref, 1)) break;
      ++all->nr_busy;
    }
    if (found != NULL) break;
    pthread_cond_wait(&all->given_back, &all->lock);
  }
  pool_unlink(all, found);
  pthread_mutex_unlock(&all->lock);
  pinref_unfreeze(&found->ref, 2);
  return found;
}

// The user has done with it; a device may have not.
static void pool_give(pool* all, frame* each) {
  pthread_mutex_lock(&all->lock);
  pool_push_newest(all, each);
  if (pinref_put(&each->ref) != PINREF_RELEASE_RELEASED) abort();
  pthread_cond_broadcast(&all->given_back);
  pthread_mutex_unlock(&all->lock);
}

static void pool_read_ended(transfer* ended) {
  frame* const each = (frame*)((char*)ended - offsetof(frame, read));
  pool* const all = (pool*)ended->owner;
  if (!all->no_pins && pinref_unpin(&each->ref) != PINREF_RELEASE_RELEASED) abort();
  pthread_mutex_lock(&all->lock);
  pthread_cond_broadcast(&all->given_back);
  pthread_mutex_unlock(&all->lock);
}

// Begins to read a block into a frame of the caller's.
static void pool_start_read(pool* all, frame* into, unsigned block) {
  // In the control the frame's last read may still be in the disk's queue.
  if (all->no_pins) device_wait(all->disk, &into->read);
  if (!all->no_pins && pinref_try_pin(&into->ref) != PINREF_TAKE_TAKEN) abort();
  const transfer asked = {.data = into->data, .block = block, .on_end = pool_read_ended, .owner = all};
  into->read = asked;
  device_read(all->disk, &into->read);
}

// Nobody uses the pool. Memory goes when no device knows it any more.
static void pool_close(pool* all) {
  for (unsigned i = 0; i != NR_FRAMES; ++i) {
    frame* const each = &all->frames[i];
    if (pinref_wait_until_unpinned(&each->ref, PINREF_FOREVER, NULL) != PINREF_WAIT_REACHED) abort();
    if (pinref_put(&each->ref) != PINREF_RELEASE_LAST) abort();
    free(each->data);
  }
  pthread_cond_destroy(&all->given_back);
  pthread_mutex_destroy(&all->lock);
}

#endif  // EXAMPLES_C_POOL_POOL_H
