// SPDX-License-Identifier: MIT
#ifndef PINREF_TESTS_C_CASES_H
#define PINREF_TESTS_C_CASES_H

// Cases in plain C: each is a function, whose checks print what fails and go on. The last line reads
// `N passed, N failed`.

#include <stdbool.h>
#include <stdio.h>

typedef struct check_case {
  const char* name;
  void (*run)(void);
} check_case;

static bool check_failed;

#define CHECK(condition)                                             \
  do {                                                               \
    if (!(condition)) {                                              \
      check_failed = true;                                           \
      printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                \
  } while (0)

static inline int check_all(const check_case* cases, size_t n) {
  int passed = 0, failed = 0;
  for (size_t i = 0; i != n; ++i) {
    check_failed = false;
    cases[i].run();
    if (check_failed) printf("FAILED: %s\n", cases[i].name);
    failed += check_failed ? 1 : 0;
    passed += check_failed ? 0 : 1;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}

#endif  // PINREF_TESTS_C_CASES_H
