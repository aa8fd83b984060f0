// SPDX-License-Identifier: MIT
#pragma once

// A process that may be killed, and what must be so when its survivors have recovered.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit.hpp"
#include "covered.hpp"
#include "killing_sync.hpp"

namespace share_test {

enum class fate { killed, finished };

// Runs `body` in a process of its own, with a segment and a member for it, and says whether it came to its end.
template <class Body>
fate child(const segment& pool, Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    static segment mine;
    static member me;
    if (mine.attach(pool.descriptor()) != pinref::segment_error::none) ::_exit(1);
    body(mine, me);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) {
    REQUIRE(WTERMSIG(status) == SIGKILL);
    support::cover("processes killed", 1);
    return fate::killed;
  }
  REQUIRE(WEXITSTATUS(status) == 0);
  return fate::finished;
}

// All that the dead held has been given back.
inline void all_is_given_back(const segment& pool, const pinref::recovery_report& report) {
  CHECK(!report.busy);
  CHECK(report.in_doubt == 0);
  CHECK(report.unaccounted == 0);
  CHECK(report.left_dead == 0);
  all_is_well(pool.memory());
}

}  // namespace share_test
