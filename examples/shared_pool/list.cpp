// SPDX-License-Identifier: MIT

// Shows who takes part in a segment and who holds which of its pages, without joining it, and without a write.
//
//   shared_pool_list /proc/PID/fd/N        of the process that has the segment's descriptor N
//   shared_pool_list --demo                a segment of its own, with a member that lives and one that was killed
//
// Exit code: 0 shown, 2 it is no segment of this build, or there is none.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "pinref/share.hpp"

namespace {

const char* life_of(const pinref::ledger_member& it) {
  if (it.state == pinref::place_state::dead) return "dead";
  switch (it.process()) {
    case pinref::process_state::running:
      return "alive";
    case pinref::process_state::gone:
      return "gone";
    case pinref::process_state::unknown:
      break;
  }
  return "unknown";
}

int show(int file) {
  pinref::segment pool;
  if (const auto error = pool.attach_read_only(file); error != pinref::segment_error::none) {
    std::fprintf(stderr, "no segment: %s\n", to_string(error));
    return 2;
  }
  const std::uint64_t now = pool.memory().head->now.load(std::memory_order_relaxed);
  std::printf("%u pages, %u of them free; %u places of %u records\n", pool.shape().pages, pool.nr_free(),
              pool.shape().places, pool.shape().slots);
  pinref::for_each_member(pool.memory(), [](const pinref::ledger_member& it) {
    std::printf("place %-3u process %-8u thread %-8u %-8s %u references, %u pins, %u claims", it.who.place,
                it.who.process, it.who.thread, life_of(it), it.references, it.pins, it.claims);
    if (it.quarantined != 0) std::printf(", %u quarantined", it.quarantined);
    if (it.in_doubt != 0) std::printf(", %u in doubt", it.in_doubt);
    std::printf("\n");
  });
  pinref::for_each_record(pool.memory(), [now](const pinref::ledger_holder& it) {
    std::printf("page %-6u place %-3u %-9s %-11s %u+%u, for %" PRIu64 " ms", it.what.page(), it.who.place,
                to_string(it.what.mode()), to_string(it.what.state()), it.what.n(), it.what.k(),
                now > it.since ? now - it.since : 0);
    if (it.lease != 0) std::printf(", until %" PRIu64, it.lease);
    std::printf("\n");
  });
  for (std::uint32_t page = 0; page != pool.shape().pages; ++page) {
    const auto counts = pool.page(page).snapshot();
    if (pool.page(page).kept() && counts.references() == 1 && counts.pins() == 0) continue;
    if (counts == pinref::shared64{}) continue;
    std::printf("page %-6u %s, %" PRId64 " references, %" PRIu64 " pins%s%s\n", page, to_string(counts.zone()),
                static_cast<std::int64_t>(counts.references()), static_cast<std::uint64_t>(counts.pins()),
                pool.page(page).kept() ? ", kept by the pool" : "", pool.page(page).tainted() ? ", tainted" : "");
  }
  return 0;
}

int demonstrate() {
  pinref::segment pool;
  pinref::member me;
  if (pool.create({.places = 4, .slots = 8, .pages = 8}) != pinref::segment_error::none) return 2;
  if (me.join(pool.memory()) != pinref::join_result::joined) return 2;
  auto page = me.allocate();
  if (!page || me.keep(page.held) != pinref::ledger_result::done) return 2;
  auto mine = me.try_get(0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    static pinref::segment its;
    static pinref::member it;
    if (its.attach(pool.descriptor()) != pinref::segment_error::none) ::_exit(2);
    if (it.join(its.memory()) != pinref::join_result::joined || !it.try_pin(0, 2) || !it.allocate()) ::_exit(2);
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(pid, nullptr, 0);
  pool.tick();
  std::printf("-- before anybody has noticed\n");
  int code = show(pool.descriptor());
  (void)pinref::recover(pool.memory(), pinref::survivor_hooks{});
  std::printf("-- after a recovery that knows nothing of devices\n");
  if (code == 0) code = show(pool.descriptor());
  return me.release(mine.held) == pinref::ledger_result::done ? code : 2;
}

}  // namespace

int main(int argc, char** argv) {
  const bool help = argc == 2 && (std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "-h");
  if (argc != 2 || help) {
    std::fprintf(help ? stdout : stderr, "usage: %s /proc/PID/fd/N | --demo\n", argv[0]);
    return help ? 0 : 2;
  }
  if (std::string_view(argv[1]) == "--demo") return demonstrate();
  const int file = ::open(argv[1], O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    std::perror(argv[1]);
    return 2;
  }
  return show(file);
}
