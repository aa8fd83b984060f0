// SPDX-License-Identifier: MIT

// The real sleep: what the explorer's waiters are shown with is a model of this.

#include "pinref/sync/std_sync.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <new>
#include <thread>

#include "layouts.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/parts/layout_gate.hpp"
#include "pinref/sync/hot_sync.hpp"
#include "pinref/sync/word_sync.hpp"
#include "real_waits.hpp"

using pinref::deadline;
using pinref::page_ref;
using pinref::release_result;
using pinref::shared_sync;
using pinref::sleep_result;
using pinref::std_sync;
using pinref::take_result;
using pinref::wait_result;
using support::long_time;
using support::time_of_this_thread;
using support::until_watched;

static_assert(pinref::word_sync<std_sync> && pinref::word_sync<shared_sync> && pinref::word_sync<pinref::hot_sync>);
static_assert(pinref::hot_word_sync<pinref::hot_sync> && !pinref::hot_word_sync<std_sync>);
static_assert(!std_sync::process_shared && shared_sync::process_shared);

TEST_CASE_TEMPLATE("a sleep does not begin where a value has changed, in any of its places", Sync, std_sync,
                   shared_sync) {
  typename Sync::template atomic<std::uint64_t> word{0x0000000700000005};
  typename Sync::template atomic<std::uint32_t> other{3};
  static_assert(Sync::template nr_futexes<std::uint64_t> == 2 && Sync::template nr_futexes<std::uint8_t> == 0);
  const auto high = [&](std::uint64_t seen) { return Sync::futex_of(word, 0, seen); };
  const auto low = [&](std::uint64_t seen) { return Sync::futex_of(word, 1, seen); };
  CHECK(high(0x0000000700000005).seen == 7);
  CHECK(low(0x0000000700000005).seen == 5);
  CHECK(*high(0).address == 7);
  CHECK(*low(0).address == 5);
  const auto result = [&](auto... places) {
    const typename Sync::futex all[] = {places...};
    return Sync::wait(all, sizeof...(places), deadline::in_nanoseconds(long_time));
  };
  const std::uint64_t now = word;
  CHECK(result(high(0)) == sleep_result::changed);
  CHECK(result(high(0), low(now)) == sleep_result::changed);
  CHECK(result(high(now), low(0)) == sleep_result::changed);
  CHECK(result(high(now), low(now), Sync::futex_of(other, 0, 4u)) == sleep_result::changed);
}

TEST_CASE_TEMPLATE("a sleep ends at its deadline, or after the time it is to last at most, and not before", Sync,
                   std_sync, shared_sync) {
  typename Sync::template atomic<std::uint32_t> one{1}, two{2};
  const typename Sync::futex places[] = {Sync::futex_of(one, 0, 1u), Sync::futex_of(two, 0, 2u)};
  for (const unsigned n : {0u, 1u, 2u}) {
    CAPTURE(n);
    CHECK(Sync::wait(places, n, deadline::passed()) == sleep_result::timed_out);
    // Fractions of a second, which a sleep of whole seconds would spin through.
    const auto begin = pinref::monotonic_now();
    const std::int64_t used = time_of_this_thread();
    while (Sync::wait(places, n, deadline::in_nanoseconds(40'000'000 + begin - pinref::monotonic_now())) !=
           sleep_result::timed_out) {
    }
    CHECK(pinref::monotonic_now() - begin >= 40'000'000);
    CHECK(time_of_this_thread() - used < 20'000'000);
    CHECK(Sync::wait(places, n, deadline::never(), 1000) == sleep_result::woken);
  }
}

TEST_CASE_TEMPLATE("a sleeper is woken by whichever of its places it is", Sync, std_sync, shared_sync) {
  typename Sync::template atomic<std::uint32_t> one{1}, two{2};
  for (auto* const woken : {&one, &two}) {
    std::atomic<bool> awake{false};
    std::thread sleeper([&] {
      const typename Sync::futex places[] = {Sync::futex_of(one, 0, 1u), Sync::futex_of(two, 0, 2u)};
      CHECK(Sync::wait(places, 2, deadline::in_nanoseconds(long_time)) == sleep_result::woken);
      awake = true;
    });
    while (!awake) {
      Sync::wake_all(*woken);
      std::this_thread::yield();
    }
    sleeper.join();
  }
}

// In memory that is mapped shared the waits of one process end by what another does.
TEST_CASE_TEMPLATE("a wait in one process ends by a release in another", Layout, ALL_LAYOUTS) {
  struct shared {
    page_ref<Layout, shared_sync> ref;
    pinref::layout_gate<shared_sync> gate;
    pinref::wait_canceller<shared_sync> stop;
    pinref::detail::sleeping_lock<shared_sync> lock;
  };
  void* const at = ::mmap(nullptr, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(at != MAP_FAILED);
  auto& here = *new (at) shared;
  here.ref.init();
  REQUIRE(here.ref.try_pin() == take_result::taken);
  here.gate.close();
  here.lock.lock();
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  const deadline until = deadline::in_nanoseconds(long_time);
  if (child == 0) {
    int failed = here.ref.wait_until_unpinned(until) != wait_result::reached;
    failed += here.gate.wait_until_open(until) != wait_result::reached;
    here.lock.lock();
    failed += here.ref.try_pin() != take_result::taken;
    here.lock.unlock();
    failed += here.ref.wait_until_unpinned(until, here.stop) != wait_result::given_up;
    ::_exit(failed);
  }
  until_watched(here.ref);
  CHECK(here.ref.unpin() != release_result::underflow);
  ::usleep(5000);
  here.gate.open();
  ::usleep(5000);
  here.lock.unlock();
  while (here.ref.snapshot().zone() != pinref::zone::watched && until.left() > 0) std::this_thread::yield();
  here.stop.cancel();
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(here.ref.snapshot() == Layout::live(1, 1));
  ::munmap(at, sizeof(shared));
}
