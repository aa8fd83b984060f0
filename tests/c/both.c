// SPDX-License-Identifier: MIT

// The half of both.cpp that is C.

#include "both.h"

int both_use(pinref_word* word, int rounds) {
  int wrong = 0;
  for (int i = 0; i != rounds; ++i) {
    if (pinref_try_get(word) == PINREF_TAKE_TAKEN) {
      const bool pinned = pinref_try_pin(word) == PINREF_TAKE_TAKEN;
      wrong += pinned && pinref_dma_pinned(word) ? 0 : 1;
      wrong += pinref_unpin(word) == PINREF_RELEASE_RELEASED ? 0 : 1;
      wrong += pinref_put(word) == PINREF_RELEASE_RELEASED ? 0 : 1;
    }
  }
  return wrong;
}

int both_freeze(pinref_word* word, const int* done) {
  int times = 0;
  while (!__atomic_load_n(done, __ATOMIC_ACQUIRE)) {
    if (!pinref_freeze(word, 1)) continue;
    ++times;
    pinref_unfreeze(word, 1);
  }
  return times;
}

pinref_take_result both_pin(pinref_word* word) {
  return pinref_try_pin(word);
}
pinref_release_result both_unpin(pinref_word* word) {
  return pinref_unpin(word);
}
bool both_asks(pinref_word* word) {
  return pinref_dma_pinned(word);
}
pinref_wait_result both_wait(pinref_word* word) {
  return pinref_wait_until_unpinned(word, PINREF_FOREVER, NULL);
}
void both_cancel(pinref_canceller* stop) {
  pinref_cancel(stop);
}
