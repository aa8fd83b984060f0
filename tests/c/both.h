// SPDX-License-Identifier: MIT
#ifndef PINREF_TESTS_C_BOTH_H
#define PINREF_TESTS_C_BOTH_H

// What both.c does with words of both.cpp.

#include <pinref.h>
#include <pinref_pages.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Takes and releases references and pins of a word, `rounds` times; returns how many of its calls went wrong.
int both_use(pinref_word* word, int rounds);
/// Freezes and gives back a word whenever it can, until `*done`; returns how often that was.
int both_freeze(pinref_word* word, const int* done);
/// One pin more, or less.
pinref_take_result both_pin(pinref_word* word);
pinref_release_result both_unpin(pinref_word* word);
/// The question, and a wait without an end.
bool both_asks(pinref_word* word);
pinref_wait_result both_wait(pinref_word* word);
/// Cancels a wait.
void both_cancel(pinref_canceller* stop);

#ifdef __cplusplus
}
#endif

#endif  // PINREF_TESTS_C_BOTH_H
