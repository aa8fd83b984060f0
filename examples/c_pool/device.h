// SPDX-License-Identifier: MIT
#ifndef EXAMPLES_C_POOL_DEVICE_H
#define EXAMPLES_C_POOL_DEVICE_H

// A disk that takes its time: reads of blocks into memory by direct I/O, each long after it was asked for. A thread
// does them in order. It begins when more than `lag` are waiting, or somebody waits for one of them.

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCK_SIZE 4096

typedef struct transfer {
  void* data;
  unsigned block;
  bool ended, failed;
  void (*on_end)(struct transfer* ended);
  void* owner;  // of on_end
  struct transfer* next;
} transfer;

typedef struct device {
  int file;
  unsigned lag, waiting, in_a_hurry;
  bool closing;
  transfer *first, *last;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  pthread_t thread;
} device;

static void* device_run(void* argument) {
  device* const disk = (device*)argument;
  pthread_mutex_lock(&disk->lock);
  for (;;) {
    transfer* const now = disk->first;
    if (now == NULL && disk->closing) break;
    if (now == NULL || (disk->waiting <= disk->lag && disk->in_a_hurry == 0 && !disk->closing)) {
      pthread_cond_wait(&disk->changed, &disk->lock);
      continue;
    }
    disk->first = now->next;
    --disk->waiting;
    pthread_mutex_unlock(&disk->lock);
    now->failed = pread(disk->file, now->data, BLOCK_SIZE, (off_t)now->block * BLOCK_SIZE) != BLOCK_SIZE;
    pthread_mutex_lock(&disk->lock);
    now->ended = true;
    pthread_cond_broadcast(&disk->changed);
    pthread_mutex_unlock(&disk->lock);
    // Afterwards neither the transfer nor its memory is touched.
    now->on_end(now);
    pthread_mutex_lock(&disk->lock);
  }
  pthread_mutex_unlock(&disk->lock);
  return NULL;
}

static int device_open(device* disk, int file, unsigned lag) {
  const device fresh = {.file = file, .lag = lag};
  *disk = fresh;
  pthread_mutex_init(&disk->lock, NULL);
  pthread_cond_init(&disk->changed, NULL);
  return pthread_create(&disk->thread, NULL, device_run, disk);
}

// The transfer, and the memory it goes to, stay until it has ended.
static void device_read(device* disk, transfer* asked) {
  asked->next = NULL;
  pthread_mutex_lock(&disk->lock);
  if (disk->first == NULL)
    disk->first = asked;
  else
    disk->last->next = asked;
  disk->last = asked;
  ++disk->waiting;
  pthread_cond_broadcast(&disk->changed);
  pthread_mutex_unlock(&disk->lock);
}

static void device_wait(device* disk, const transfer* asked) {
  pthread_mutex_lock(&disk->lock);
  ++disk->in_a_hurry;
  pthread_cond_broadcast(&disk->changed);
  while (!asked->ended) pthread_cond_wait(&disk->changed, &disk->lock);
  --disk->in_a_hurry;
  pthread_mutex_unlock(&disk->lock);
}

// Does what is waiting, and ends.
static void device_close(device* disk) {
  pthread_mutex_lock(&disk->lock);
  disk->closing = true;
  pthread_cond_broadcast(&disk->changed);
  pthread_mutex_unlock(&disk->lock);
  pthread_join(disk->thread, NULL);
  pthread_cond_destroy(&disk->changed);
  pthread_mutex_destroy(&disk->lock);
}

#endif  // EXAMPLES_C_POOL_DEVICE_H
