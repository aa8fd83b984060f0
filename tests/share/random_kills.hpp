// SPDX-License-Identifier: MIT
#pragma once

// Processes that are killed at any instruction, and new ones that come.

#include <doctest/doctest.h>

#include "covered.hpp"
#include "workers.hpp"

namespace share_test {

inline constexpr unsigned nr_workers = 3;

inline pid_t start(const pinref::segment& pool, std::uint64_t seed) {
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  static pinref::segment mine;
  if (mine.attach(pool.descriptor()) != pinref::segment_error::none) ::_exit(1);
  static worker<> self{mine, seed};
  self.run(parent);
}

inline void killed(pid_t pid) {
  REQUIRE(::kill(pid, SIGKILL) == 0);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFSIGNALED(status));
}

inline void kill_at_random(unsigned kills, std::uint64_t seed) {
  pinref::segment pool;
  REQUIRE(pool.create({.places = 8, .slots = 16, .pages = 70, .page_size = 0, .user_bytes = sizeof(common)}) ==
          pinref::segment_error::none);
  auto& it = *new (pool.user()) common;
  dice roll{seed};
  unsigned done = 0, settled = 0, released = 0, freed = 0, unsettled = 0;
  while (done < kills) {
    pid_t workers[nr_workers];
    for (pid_t& pid : workers) pid = start(pool, roll());
    for (unsigned i = 0; i != 100; ++i) {
      // Long enough for a few hundred calls, most of the time.
      const ::timespec pause{0, static_cast<long>(roll.below(roll.below(4) == 0 ? 2'000'000 : 100'000))};
      ::nanosleep(&pause, nullptr);
      const unsigned which = roll.below(nr_workers);
      killed(workers[which]);
      ++done;
      // Sometimes by a survivor, who may be killed over it.
      if (roll.below(2) == 0) {
        const auto report = pinref::recover(pool.memory(), no_devices{});
        settled += report.settled;
        released += report.references + report.pins;
        freed += report.freed;
        unsettled += report.in_doubt;
        CHECK(report.unaccounted == 0);
      }
      workers[which] = start(pool, roll());
    }
    for (const pid_t pid : workers) killed(pid);
    done += nr_workers;
    // The traffic pauses.
    const auto report = pinref::recover(pool.memory(), no_devices{});
    CHECK(!report.busy);
    CHECK(report.in_doubt == 0);
    CHECK(report.unaccounted == 0);
    CHECK(report.left_dead == 0);
    settled += report.settled;
    all_is_well(pool.memory());
    CHECK(audit(pool.memory()).held == 0);
    CHECK(it.wrong.load() == 0);
  }
  CHECK(it.rounds.load() > kills);
  support::cover("processes killed", done);
  support::cover("holds released for the dead", released);
  support::cover("records settled", settled);
  support::cover("records that had to wait", unsettled);
  support::cover("pages freed for the dead", freed);
}

}  // namespace share_test
