#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <new>
#include <stop_token>
#include <thread>

#include "layouts.hpp"
#include "pinref/decide/layout_break.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/ref/stop_token.hpp"

// The real sleep: what the explorer's waiters are shown with is a model of this.

using pinref::deadline;
using pinref::page_ref;
using pinref::release_result;
using pinref::shared_sync;
using pinref::sleep_result;
using pinref::std_sync;
using pinref::take_result;
using pinref::wait_result;

namespace {

// A limit for what must not take long at all, so that a lost wake-up is a failure and no hang.
const std::int64_t long_time = 60'000'000'000;

template <class Ref>
void until_watched(const Ref& ref) {
  while (ref.snapshot().zone() != pinref::zone::watched) std::this_thread::yield();
}

std::int64_t time_of_this_thread() {
  ::timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

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
    return Sync::wait(all, sizeof...(places), deadline::in(long_time));
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
    while (Sync::wait(places, n, deadline::in(40'000'000 + begin - pinref::monotonic_now())) !=
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
      CHECK(Sync::wait(places, 2, deadline::in(long_time)) == sleep_result::woken);
      awake = true;
    });
    while (!awake) {
      Sync::wake_all(*woken);
      std::this_thread::yield();
    }
    sleeper.join();
  }
}

TEST_CASE_TEMPLATE("a word is as it was after a wait that ended before its time, if nobody else waits", Layout,
                   ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK(ref.wait_until_unpinned(deadline::in(1'000'000)) == wait_result::timed_out);
  CHECK(ref.snapshot() == Layout::of(1, 1));
  pinref::wait_canceller<> stop;
  std::thread canceller([&] {
    until_watched(ref);
    stop.cancel();
  });
  CHECK(ref.wait_until_idle(1, deadline::in(long_time), stop) == wait_result::given_up);
  canceller.join();
  CHECK(ref.snapshot() == Layout::of(1, 1));
  CHECK(ref.wait_until_unpinned(deadline::never(), stop) == wait_result::given_up);
  CHECK(ref.snapshot() == Layout::of(1, 1));
}

TEST_CASE_TEMPLATE("who leaves a wait wakes the others, who go on waiting", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  std::thread other([&] { CHECK(ref.wait_until_unpinned(deadline::in(long_time)) == wait_result::reached); });
  until_watched(ref);
  CHECK(ref.wait_until_unpinned(deadline::in(1'000'000)) == wait_result::timed_out);
  until_watched(ref);
  CHECK(ref.unpin() == release_result::released);
  other.join();
  CHECK(ref.snapshot() == Layout::of(1));
}

TEST_CASE("a stop that is requested ends the waits of its token, before and while they sleep") {
  page_ref<> ref;
  ref.reset();
  REQUIRE(ref.try_pin() == take_result::taken);
  std::stop_source source;
  std::thread stopper([&] {
    until_watched(ref);
    source.request_stop();
  });
  CHECK(ref.wait_until_unpinned(deadline::in(long_time), pinref::stop_canceller{source.get_token()}) ==
        wait_result::given_up);
  stopper.join();
  pinref::layout_gate<> gate;
  gate.close();
  CHECK(gate.wait_until_open(deadline::in(long_time), pinref::stop_canceller{source.get_token()}) ==
        wait_result::given_up);
  CHECK(ref.snapshot() == pinref::bias64::of(1, 1));
}

TEST_CASE_TEMPLATE("a waiter of a page with traffic sleeps", Layout, ALL_LAYOUTS) {
  page_ref<Layout> ref;
  ref.reset();
  // There is a pin at every moment, and another one at every other.
  REQUIRE(ref.try_pin() == take_result::taken);
  std::jthread traffic([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      REQUIRE(ref.try_pin() == take_result::taken);
      REQUIRE(ref.unpin() == release_result::released);
    }
  });
  const std::int64_t used = time_of_this_thread(), begin = pinref::monotonic_now();
  CHECK(ref.wait_until_unpinned(deadline::in(300'000'000)) == wait_result::timed_out);
  CHECK((time_of_this_thread() - used) * 20 <= pinref::monotonic_now() - begin);
}

TEST_CASE("a frozen page is not free, a buried one is") {
  page_ref<> ref;
  ref.reset();
  REQUIRE(ref.freeze(1));
  CHECK(ref.wait_until_idle(0, deadline::in(3'000'000)) == wait_result::timed_out);
  CHECK(ref.wait_until_idle(5, deadline::passed()) == wait_result::timed_out);
  CHECK_FALSE(ref.idle(0));
  CHECK(ref.wait_until_unpinned(deadline::passed()) == wait_result::reached);
  ref.bury();
  CHECK(ref.wait_until_idle(0) == wait_result::reached);
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
  here.ref.reset();
  REQUIRE(here.ref.try_pin() == take_result::taken);
  here.gate.close();
  here.lock.lock();
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  const deadline until = deadline::in(long_time);
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
  here.gate.reopen();
  ::usleep(5000);
  here.lock.unlock();
  while (here.ref.snapshot().zone() != pinref::zone::watched && until.left() > 0) std::this_thread::yield();
  here.stop.cancel();
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(here.ref.snapshot() == Layout::of(1, 1));
  ::munmap(at, sizeof(shared));
}

TEST_CASE_TEMPLATE("a page lock of three states keeps others out and wakes them", Sync, std_sync, shared_sync) {
  pinref::detail::sleeping_lock<Sync> lock;
  static_assert(sizeof lock == 4);
  CHECK(lock.try_lock());
  CHECK_FALSE(lock.try_lock());
  int inside = 0;
  std::array<std::thread, 3> threads;
  for (std::thread& each : threads)
    each = std::thread([&] {
      for (int i = 0; i != 1000; ++i) {
        lock.lock();
        ++inside;
        lock.unlock();
      }
    });
  lock.unlock();
  for (std::thread& each : threads) each.join();
  CHECK(inside == 3000);
  CHECK(lock.try_lock());
}
