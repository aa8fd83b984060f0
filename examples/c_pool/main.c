// SPDX-License-Identifier: MIT

// A buffer pool in C on real direct I/O.
//
//   c_pool [--no-pins] [--directory DIR]
//
// Users ask for blocks of a file, do not wait for them, and give the frames back. Other users put data of their own
// into frames, wait for a block, and look at both again. A frame that was given back while the disk still writes to it
// must not be handed out: its pin says so. With --no-pins a read under way holds nothing, and somebody's data is
// overwritten.
//
// Exit code: 0 all as it should be, 1 data was overwritten, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <fcntl.h>
#include <pinref.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "pool.h"

#define NR_BLOCKS 256u
#define NR_USERS 2u
#define ROUNDS 400u

typedef struct user {
  pool* frames;
  unsigned number;
  unsigned good, overwritten, misread, failed;
  pthread_t thread;
} user;

static void fill(void* data, uint64_t what) {
  uint64_t* const words = (uint64_t*)data;
  for (size_t i = 0; i != BLOCK_SIZE / sizeof *words; ++i) words[i] = what ^ (i << 32);
}
static bool is_filled(const void* data, uint64_t what) {
  const uint64_t* const words = (const uint64_t*)data;
  for (size_t i = 0; i != BLOCK_SIZE / sizeof *words; ++i)
    if (words[i] != (what ^ (i << 32))) return false;
  return true;
}

static void* use(void* argument) {
  user* const self = (user*)argument;
  for (unsigned round = 0; round != ROUNDS; ++round) {
    const unsigned block = (round * NR_USERS + self->number) % NR_BLOCKS;
    const uint64_t own = UINT64_C(1) << 63 | block;

    frame* const abandoned = pool_take(self->frames);
    pool_start_read(self->frames, abandoned, block);
    pool_give(self->frames, abandoned);

    frame* const mine = pool_take(self->frames);
    fill(mine->data, own);

    frame* const wanted = pool_take(self->frames);
    pool_start_read(self->frames, wanted, (block + 7) % NR_BLOCKS);
    device_wait(self->frames->disk, &wanted->read);

    self->failed += wanted->read.failed ? 1 : 0;
    self->misread += is_filled(wanted->data, (block + 7) % NR_BLOCKS) ? 0 : 1;
    self->overwritten += is_filled(mine->data, own) ? 0 : 1;
    ++self->good;
    pool_give(self->frames, wanted);
    pool_give(self->frames, mine);
  }
  return NULL;
}

// A file of blocks that say which they are, open for direct I/O; -1 and errno if there can be none.
static int make_file(const char* directory) {
  static const char name[] = "/c_pool.XXXXXX";
  char path[4096];
  char* const block = (char*)aligned_alloc(BLOCK_SIZE, BLOCK_SIZE);
  int file = -1;
  bool written = block != NULL && strlen(directory) + sizeof name <= sizeof path;
  if (written) {
    strcpy(path, directory);
    strcat(path, name);
    file = mkstemp(path);
    if (file >= 0) unlink(path);
    written = file >= 0 && fcntl(file, F_SETFL, O_DIRECT) == 0;
  }
  for (unsigned i = 0; written && i != NR_BLOCKS; ++i) {
    fill(block, i);
    written = pwrite(file, block, BLOCK_SIZE, (off_t)i * BLOCK_SIZE) == BLOCK_SIZE;
  }
  free(block);
  if (written) return file;
  if (file >= 0) close(file);
  return -1;
}

static int run(int file, bool no_pins) {
  static device disk;
  static pool frames;
  user users[NR_USERS] = {{0}};
  unsigned good = 0, overwritten = 0, misread = 0, failed = 0;
  if (device_open(&disk, file, NR_FRAMES / 4) != 0 || !pool_open(&frames, &disk, no_pins)) return 2;
  for (unsigned i = 0; i != NR_USERS; ++i) {
    users[i].frames = &frames;
    users[i].number = i;
    if (pthread_create(&users[i].thread, NULL, use, &users[i]) != 0) abort();
  }
  for (unsigned i = 0; i != NR_USERS; ++i) {
    pthread_join(users[i].thread, NULL);
    good += users[i].good;
    overwritten += users[i].overwritten;
    misread += users[i].misread;
    failed += users[i].failed;
  }
  device_close(&disk);
  pool_close(&frames);
  if (failed != 0) {
    printf("c_pool: %u reads failed\n", failed);
    return 2;
  }
  printf("c_pool: %u rounds; %u frames were passed over, because the disk still wrote to them\n", good, frames.nr_busy);
  if (overwritten + misread != 0) {
    printf("CORRUPT: %u of %u users found their data overwritten, %u found another block\n", overwritten, good,
           misread);
    return 1;
  }
  puts("INTACT: every frame held what its user put there");
  return frames.nr_busy != 0 ? 0 : 2;
}

int main(int argc, char** argv) {
  const char* directory = ".";
  bool no_pins = false;
  int file, code;
  for (int i = 1; i != argc; ++i) {
    if (strcmp(argv[i], "--no-pins") == 0) {
      no_pins = true;
    } else if (strcmp(argv[i], "--directory") == 0 && i + 1 != argc) {
      directory = argv[++i];
    } else {
      bool help = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
      if (!help) fprintf(stderr, "not understood: %s\n", argv[i]);
      fprintf(help ? stdout : stderr, "usage: c_pool [--no-pins] [--directory DIR]\n");
      return help ? 0 : 2;
    }
  }
  file = make_file(directory);
  if (file < 0) {
    printf("cannot run here: no direct I/O in %s: %s\n", directory, strerror(errno));
    return 77;
  }
  code = run(file, no_pins);
  close(file);
  return code;
}
