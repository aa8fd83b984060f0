// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <new>

#include "crew.hpp"
#include "layouts.hpp"

// A word in memory that processes share, and processes that are killed at any instruction. What they held is leaked.
// All that can be said of it is conservative: never less than what they surely held, never more than what they had
// begun to take, and never a page freed early.

using pinref::release_result;
using pinref::take_result;

namespace {

constexpr std::size_t nr_children = 6;
constexpr unsigned rounds = stress::slow ? 10 : 20;

// What a process says of itself, before and after each step, so that a reader of a dead process knows it to within the
// one step that was under way.
struct diary {
  struct line {
    std::atomic<unsigned> at_least{0};
    std::atomic<unsigned> at_most{0};
  };
  line references;
  line pins;
  std::atomic<unsigned> steps{0};
  std::atomic<unsigned> wrong{0};
};

template <class Ref>
struct shared_memory {
  Ref ref;
  diary children[nr_children];
};

// At most so many of a kind in one process.
constexpr unsigned most = 3;

template <class Ref>
[[noreturn]] void live(Ref& ref, diary& mine, stress::random choices, pid_t parent) {
  // A parent that fails leaves nobody behind.
  while (getppid() == parent) {
    const bool pin = choices.once_in(2);
    diary::line& line = pin ? mine.pins : mine.references;
    const unsigned held = line.at_least.load();
    if (held != most && (held == 0 || choices.once_in(2))) {
      line.at_most.store(held + 1);
      const take_result taken = pin ? ref.try_pin() : ref.try_get();
      line.at_least.store(held + 1);
      mine.wrong += taken != take_result::taken;
    } else {
      line.at_least.store(held - 1);
      const release_result done = pin ? ref.unpin() : ref.put();
      line.at_most.store(held - 1);
      // The parent holds the page all the time.
      mine.wrong += done != release_result::released;
    }
    mine.wrong += mine.pins.at_least.load() != 0 && !ref.dma_pinned();
    ++mine.steps;
  }
  _exit(1);
}

}  // namespace

TEST_CASE_TEMPLATE("processes killed at any instruction leak what they held and free nothing early", Layout,
                   pinref::bias64, pinref::bias32) {
  using ref_type = pinref::page_ref<Layout>;
  using shared = shared_memory<ref_type>;
  void* const memory = mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  stress::random choices(4711);
  for (unsigned round = 0; round != rounds; ++round) {
    auto& page = *new (memory) shared;
    page.ref.init();
    pid_t children[nr_children];
    for (std::size_t i = 0; i != nr_children; ++i) {
      const stress::random seed(round * nr_children + i + 1);
      const pid_t parent = getpid();
      children[i] = fork();
      if (children[i] == 0) live(page.ref, page.children[i], seed, parent);
      REQUIRE(children[i] > 0);
    }
    // Each is killed somewhere in its steps, whenever the signal comes.
    for (std::size_t i = 0; i != nr_children; ++i) {
      const auto enough = static_cast<unsigned>(1 + choices.below(2000));
      while (page.children[i].steps.load() < enough) sched_yield();
      REQUIRE(kill(children[i], SIGKILL) == 0);
    }
    for (const pid_t child : children) {
      int status = 0;
      REQUIRE(waitpid(child, &status, 0) == child);
      REQUIRE(WIFSIGNALED(status));
    }
    support::cover("processes killed", nr_children);

    unsigned references = 0, pins = 0, most_references = 0, most_pins = 0;
    for (const diary& child : page.children) {
      CHECK(child.wrong == 0);
      CHECK(child.steps > 0);
      references += child.references.at_least;
      pins += child.pins.at_least;
      most_references += child.references.at_most;
      most_pins += child.pins.at_most;
    }
    // Nobody changes the word any more.
    const Layout left = page.ref.snapshot();
    CHECK(left.zone() == pinref::zone::alive);
    const auto leaked_references = static_cast<std::size_t>(left.references()) - 1;
    const auto leaked_pins = static_cast<std::size_t>(left.pins());
    CHECK(leaked_references >= references);
    CHECK(leaked_references <= most_references);
    CHECK(leaked_pins >= pins);
    CHECK(leaked_pins <= most_pins);
    CHECK(page.ref.dma_pinned() == (leaked_pins != 0));
    CHECK(page.ref.freeze(1) == (leaked_references + leaked_pins == 0));
    if (leaked_references + leaked_pins == 0) page.ref.unfreeze(1);

    // Whoever knows that all of them are dead can take over what they left.
    if (leaked_pins != 0) CHECK(page.ref.unpin(leaked_pins) == release_result::released);
    CHECK(page.ref.put(leaked_references + 1) == release_result::last);
  }
  CHECK(munmap(memory, sizeof(shared)) == 0);
}
