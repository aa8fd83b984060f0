// SPDX-License-Identifier: MIT

// The word, as C sees it. Built for each kind of word: PINREF_WORD_BITS, PINREF_PROCESS_SHARED, PINREF_NO_INLINE.

#include <pinref.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

static const int64_t soon = 50 * 1000 * 1000;  // never slept to the end where a wake-up comes

static void a_life(void) {
  pinref_word word = PINREF_DEAD_WORD;
  CHECK(pinref_zone_of(&word) == PINREF_ZONE_DEAD);
  CHECK(pinref_try_get(&word) == PINREF_TAKE_DEAD && pinref_try_pin(&word) == PINREF_TAKE_DEAD);
  CHECK(word.raw == PINREF_DEAD);
  pinref_init(&word, 1);
  CHECK(word.raw == 0 && pinref_zone_of(&word) == PINREF_ZONE_ALIVE);
  CHECK(pinref_get(&word) == PINREF_TAKE_TAKEN && word.raw == 1);
  CHECK(pinref_try_pin(&word) == PINREF_TAKE_TAKEN && word.raw == 1 + PINREF_PIN);
  CHECK(pinref_add_pin(&word) == PINREF_TAKE_TAKEN);
  CHECK(pinref_references(&word) == 2 && pinref_pins(&word) == 2);
  CHECK(pinref_dma_pinned(&word) && pinref_dma_pinned_hint(&word));
  CHECK(pinref_put(&word) == PINREF_RELEASE_RELEASED && pinref_put(&word) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_unpin(&word) == PINREF_RELEASE_RELEASED && pinref_dma_pinned(&word));
  CHECK(pinref_unpin(&word) == PINREF_RELEASE_LAST);
  CHECK(word.raw == PINREF_DEAD && !pinref_dma_pinned(&word) && !pinref_dma_pinned_hint(&word));
}

static void bulk(void) {
  pinref_word word = PINREF_DEAD_WORD;
  pinref_init(&word, 3);
  CHECK(pinref_get_n(&word, 4) == PINREF_TAKE_TAKEN && pinref_try_get_n(&word, 5) == PINREF_TAKE_TAKEN);
  CHECK(pinref_try_pin_n(&word, 6) == PINREF_TAKE_TAKEN && pinref_add_pin_n(&word, 7) == PINREF_TAKE_TAKEN);
  CHECK(pinref_references(&word) == 12 && pinref_pins(&word) == 13);
  CHECK(pinref_get_n(&word, 0) == PINREF_TAKE_TAKEN && pinref_put_n(&word, 0) == PINREF_RELEASE_RELEASED &&
        pinref_unpin_n(&word, 0) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_references(&word) == 12 && pinref_pins(&word) == 13);
  CHECK(pinref_unpin_n(&word, 13) == PINREF_RELEASE_RELEASED && pinref_put_n(&word, 12) == PINREF_RELEASE_LAST);
}

// One more than a call may take or release is refused and changes nothing; as many are taken.
static void limits_of_one_call(void) {
  pinref_word word = PINREF_DEAD_WORD;
  const size_t references = (size_t)PINREF_MAX_REFERENCES_AT_ONCE, pins = (size_t)PINREF_MAX_PINS_AT_ONCE;
  pinref_bits before;
  pinref_init(&word, 1);
  before = word.raw;
  CHECK(pinref_get_n(&word, references + 1) == PINREF_TAKE_OVERFLOW &&
        pinref_try_get_n(&word, references + 1) == PINREF_TAKE_OVERFLOW &&
        pinref_put_n(&word, references + 1) == PINREF_RELEASE_UNDERFLOW);
  CHECK(pinref_try_pin_n(&word, pins + 1) == PINREF_TAKE_OVERFLOW &&
        pinref_add_pin_n(&word, pins + 1) == PINREF_TAKE_OVERFLOW &&
        pinref_unpin_n(&word, pins + 1) == PINREF_RELEASE_UNDERFLOW);
  CHECK(word.raw == before);
  CHECK(pinref_try_get_n(&word, references) == PINREF_TAKE_TAKEN);
  CHECK(pinref_put_n(&word, references) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_try_pin_n(&word, pins) == PINREF_TAKE_TAKEN && pinref_unpin_n(&word, pins) == PINREF_RELEASE_RELEASED);
  CHECK(word.raw == before);
}

static void more_than_is_held(void) {
  pinref_word word = PINREF_DEAD_WORD;
  pinref_init(&word, 2);
  CHECK(pinref_unpin(&word) == PINREF_RELEASE_UNDERFLOW && pinref_put_n(&word, 3) == PINREF_RELEASE_UNDERFLOW);
  CHECK(pinref_references(&word) == 2 && pinref_pins(&word) == 0);
  while (pinref_try_pin_n(&word, (size_t)PINREF_MAX_PINS_AT_ONCE) == PINREF_TAKE_TAKEN) continue;
  CHECK(pinref_zone_of(&word) == PINREF_ZONE_ALIVE && pinref_references(&word) == 2);
}

// Where the layout is not exact, PINREF_PIN references look like a pin, and one fewer does not.
static void where_pins_begin(void) {
  pinref_word word = PINREF_DEAD_WORD;
  pinref_init(&word, (size_t)PINREF_UNPINNED_BELOW);
  CHECK(!pinref_dma_pinned(&word) && !pinref_dma_pinned_hint(&word) && pinref_pins(&word) == 0);
  CHECK(pinref_get(&word) == PINREF_TAKE_TAKEN);
  CHECK(pinref_dma_pinned(&word) == (pinref_pins(&word) != 0));
  CHECK(pinref_pins(&word) == 1);
  CHECK(pinref_put(&word) == PINREF_RELEASE_RELEASED && !pinref_dma_pinned(&word));
}

static void freezing(void) {
  pinref_word word = PINREF_DEAD_WORD;
  pinref_init(&word, 2);
  CHECK(!pinref_freeze(&word, 1) && !pinref_freeze(&word, 3) && !pinref_freeze(&word, 0));
  CHECK(pinref_try_pin(&word) == PINREF_TAKE_TAKEN && !pinref_freeze(&word, 2));
  CHECK(pinref_unpin(&word) == PINREF_RELEASE_RELEASED && pinref_freeze(&word, 2));
  CHECK(pinref_zone_of(&word) == PINREF_ZONE_FROZEN && pinref_try_get(&word) == PINREF_TAKE_DEAD);
  CHECK(!pinref_dma_pinned(&word));
  pinref_unfreeze(&word, 1);
  CHECK(pinref_references(&word) == 1 && pinref_idle(&word, 1) && !pinref_idle(&word, 0));
  CHECK(pinref_freeze(&word, 1));
  pinref_bury(&word);
  CHECK(word.raw == PINREF_DEAD);
}

// The second thread releases what the first waits for; if it does so before the wait, the wait ends at once.
typedef struct waited {
  pinref_word* word;
  pinref_canceller* stop;
} waited;

static void* release_later(void* argument) {
  waited* all = (waited*)argument;
  while (pinref_zone_of(all->word) != PINREF_ZONE_WATCHED) usleep(100);
  if (all->stop != NULL)
    pinref_cancel(all->stop);
  else
    CHECK(pinref_unpin(all->word) == PINREF_RELEASE_RELEASED);
  return NULL;
}

static void waiting(void) {
  pinref_word word = PINREF_DEAD_WORD;
  pinref_canceller stop = {0};
  waited all = {&word, NULL};
  pthread_t other;
  pinref_init(&word, 1);
  CHECK(pinref_wait_until_unpinned(&word, 0, NULL) == PINREF_WAIT_REACHED);
  CHECK(pinref_wait_until_idle(&word, 0, 0, NULL) == PINREF_WAIT_TIMED_OUT);
  CHECK(pinref_try_pin(&word) == PINREF_TAKE_TAKEN);
  CHECK(pinref_wait_until_unpinned(&word, 1, &stop) == PINREF_WAIT_TIMED_OUT);
  CHECK(pinref_zone_of(&word) == PINREF_ZONE_ALIVE);

  CHECK(pthread_create(&other, NULL, release_later, &all) == 0);
  CHECK(pinref_wait_until_unpinned(&word, PINREF_FOREVER, &stop) == PINREF_WAIT_REACHED);
  CHECK(pthread_join(other, NULL) == 0);

  CHECK(pinref_try_pin(&word) == PINREF_TAKE_TAKEN);
  CHECK(pthread_create(&other, NULL, release_later, &all) == 0);
  CHECK(pinref_wait_until_idle(&word, 1, PINREF_FOREVER, NULL) == PINREF_WAIT_REACHED);
  CHECK(pthread_join(other, NULL) == 0);

  CHECK(pinref_try_pin(&word) == PINREF_TAKE_TAKEN);
  all.stop = &stop;
  CHECK(pthread_create(&other, NULL, release_later, &all) == 0);
  CHECK(pinref_wait_until_unpinned(&word, PINREF_FOREVER, &stop) == PINREF_WAIT_GIVEN_UP);
  CHECK(pthread_join(other, NULL) == 0);
  CHECK(pinref_wait_until_unpinned(&word, soon, &stop) == PINREF_WAIT_GIVEN_UP);
  CHECK(pinref_unpin(&word) == PINREF_RELEASE_RELEASED && pinref_put(&word) == PINREF_RELEASE_LAST);
}

#if PINREF_PROCESS_SHARED
// The release of one process ends the wait of another. A wake-up that does not cross leaves it asleep for ever, and the
// test runs into its time limit.
static void between_processes(void) {
  void* const memory = mmap(NULL, sizeof(pinref_word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pinref_word* const word = (pinref_word*)memory;
  const pinref_word dead = PINREF_DEAD_WORD;
  pid_t child;
  int status = 0;
  CHECK(memory != MAP_FAILED);
  *word = dead;
  pinref_init(word, 1);
  CHECK(pinref_try_pin(word) == PINREF_TAKE_TAKEN);
  child = fork();
  if (child == 0) {
    while (pinref_zone_of(word) != PINREF_ZONE_WATCHED) usleep(100);
    _exit(pinref_unpin(word) == PINREF_RELEASE_RELEASED ? 0 : 1);
  }
  CHECK(child > 0 && pinref_wait_until_unpinned(word, PINREF_FOREVER, NULL) == PINREF_WAIT_REACHED);
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(munmap(memory, sizeof(pinref_word)) == 0);
}
#endif

static void names(void) {
  CHECK(strcmp(pinref_take_to_string(PINREF_TAKE_TAKEN), "taken") == 0);
  CHECK(strcmp(pinref_take_to_string(PINREF_TAKE_DEAD), "dead") == 0);
  CHECK(strcmp(pinref_take_to_string(PINREF_TAKE_OVERFLOW), "overflow") == 0);
  CHECK(strcmp(pinref_release_to_string(PINREF_RELEASE_RELEASED), "released") == 0);
  CHECK(strcmp(pinref_release_to_string(PINREF_RELEASE_LAST), "last") == 0);
  CHECK(strcmp(pinref_release_to_string(PINREF_RELEASE_UNDERFLOW), "underflow") == 0);
  CHECK(strcmp(pinref_wait_to_string(PINREF_WAIT_REACHED), "reached") == 0);
  CHECK(strcmp(pinref_wait_to_string(PINREF_WAIT_TIMED_OUT), "timed_out") == 0);
  CHECK(strcmp(pinref_wait_to_string(PINREF_WAIT_GIVEN_UP), "given_up") == 0);
  CHECK(strcmp(pinref_zone_to_string(PINREF_ZONE_WATCHED), "watched") == 0);
}

static void layout(void) {
  CHECK(sizeof(pinref_word) * 8 == PINREF_WORD_BITS && PINREF_WORD_STAMP != 0 && pinref_matches());
  CHECK((PINREF_WORD_STAMP & UINT32_MAX) == sizeof(pinref_word));
}

int main(void) {
  static const check_case cases[] = {
    {"a life", a_life},
    {"bulk", bulk},
    {"limits of one call", limits_of_one_call},
    {"more than is held", more_than_is_held},
    {"where pins begin", where_pins_begin},
    {"freezing", freezing},
    {"waiting", waiting},
#if PINREF_PROCESS_SHARED
    {"between processes", between_processes},
#endif
    {"names", names},
    {"layout", layout},
  };
  return check_all(cases, sizeof cases / sizeof cases[0]);
}
