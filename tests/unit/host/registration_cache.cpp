// SPDX-License-Identifier: MIT

// The registration cache: what is registered, for how long, and who may take the memory away.

#include "pinref/host/registration_cache.hpp"

#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "hooked_sync.hpp"
#include "pinref/page/page.hpp"
#include "real_waits.hpp"
#include "test_device.hpp"
#include "while_waiting.hpp"

using namespace std::chrono_literals;
using pinref::foll;
using pinref::gup_error;
using support::test_device;

namespace {

constexpr unsigned local_read = 1, local_write = 2, remote = 4;
constexpr std::size_t page = 4096;
constexpr std::uintptr_t base = 0x100000;

template <std::size_t Max = 64>
struct world {
  using cache_type = pinref::registration_cache<test_device, Max>;
  using region = typename cache_type::region;

  explicit world(pinref::registration_budget budget = {}) : cache(device, budget) {}
  ~world() { CHECK(device.wrong == 0); }

  region* pin(std::uintptr_t at, std::size_t length, unsigned access = local_read, foll flags = foll::none) {
    const auto [held, reason] = cache.pin(at, length, access, flags);
    CHECK((held != nullptr) == (reason == gup_error::none));
    why = reason;
    if (held != nullptr) CHECK(device.covers(at));
    return held;
  }
  static void unpin(region* held) { CHECK(pinref::unpin_user_page(*held) == pinref::release_result::released); }
  // Registered, and idle.
  int cached(std::uintptr_t at, std::size_t length, unsigned access = local_read) {
    region* const held = pin(at, length, access);
    REQUIRE(held != nullptr);
    const int key = held->handle();
    unpin(held);
    return key;
  }
  bool hits(std::uintptr_t at, std::size_t length = 1, unsigned access = local_read) {
    region* const held = pin(at, length, access, foll::fast_only);
    if (held != nullptr) unpin(held);
    return held != nullptr;
  }

  test_device device;
  cache_type cache;
  gup_error why = gup_error::none;
};
using small_world = world<4>;

}  // namespace

TEST_CASE_FIXTURE(world<>, "a registration is made once, rounded out, and found by every byte of it") {
  region* const first = pin(base + 100, page);
  REQUIRE(first != nullptr);
  CHECK(first->first() == base);
  CHECK(first->length() == 2 * page);
  CHECK(first->last() == base + 2 * page - 1);
  CHECK(first->access() == local_read);
  CHECK(pin(base + 2 * page - 1, 1) == first);
  CHECK(pinref::page_pins(*first) == 2);
  CHECK(device.last_key == 1);
  unpin(first);
  unpin(first);
  CHECK(hits(base, 2 * page));
  CHECK_FALSE(hits(base + 2 * page));
  CHECK(why == gup_error::would_block);
  CHECK(device.nr_live() == 1);
  CHECK(cache.counts().regions == 1);
  CHECK(cache.counts().bytes == 2 * page);
  CHECK(cache.counts().registered == 1);
}

TEST_CASE_FIXTURE(world<>, "bad requests are named, and nothing is registered") {
  CHECK(pin(base, 0) == nullptr);
  CHECK(why == gup_error::no_pages);
  CHECK(pin(UINTPTR_MAX, 2) == nullptr);
  CHECK(why == gup_error::address_overflow);
  CHECK(pin(1, UINTPTR_MAX) == nullptr);
  CHECK(why == gup_error::out_of_range);
  CHECK(pin(base, 1, local_read, foll::pin) == nullptr);
  CHECK(why == gup_error::bad_flags);
  CHECK(device.nr_live() == 0);
  CHECK(cached(UINTPTR_MAX, 1) == 1);
  CHECK(hits(UINTPTR_MAX - 5, 6));
}

TEST_CASE_FIXTURE(world<>, "a range that overlaps others is registered with them, bounds and rights") {
  region* const low = pin(base, page, local_read);
  region* const high = pin(base + 2 * page, page, local_write);
  CHECK(cached(base + 9 * page, page) == 3);
  region* const all = pin(base + page - 1, page + 2, remote);
  REQUIRE(all != nullptr);
  CHECK(all->first() == base);
  CHECK(all->length() == 3 * page);
  CHECK(all->access() == (local_read | local_write | remote));
  CHECK(cache.counts().merged == 2);
  // The others live until their last pin, and nobody finds them any more.
  CHECK(device.nr_live() == 4);
  CHECK(pin(base, 1, local_read) == all);
  unpin(all);
  CHECK(pinref::page_pins(*low) == 1);
  unpin(low);
  cache.reap();
  CHECK(device.nr_live() == 3);
  unpin(high);
  cache.reap();
  CHECK(device.nr_live() == 2);
  unpin(all);
  CHECK(hits(base, 3 * page, local_read | local_write | remote));
}

TEST_CASE_FIXTURE(world<>, "rights that a region lacks are a miss, and are added") {
  CHECK(cached(base, page, local_read) == 1);
  CHECK_FALSE(hits(base, 1, local_write));
  CHECK(cached(base, 10, local_write) == 2);
  CHECK(hits(base, page, local_read | local_write));
  CHECK(device.nr_live() == 1);
  CHECK(device.live[2].access == (local_read | local_write));
}

TEST_CASE_FIXTURE(world<>, "what cannot be registered merged is registered as it was asked for") {
  CHECK(cached(base, 4 * page, local_read) == 1);
  device.refuse = [](const test_device::registration& r) {
    return r.length > 2 * page ? gup_error::not_mapped : gup_error::none;
  };
  region* const own = pin(base + 3 * page, 2 * page, local_write);
  REQUIRE(own != nullptr);
  CHECK(own->first() == base + 3 * page);
  CHECK(own->length() == 2 * page);
  CHECK(own->access() == local_write);
  unpin(own);
  CHECK_FALSE(hits(base));
  CHECK(device.nr_live() == 1);
}

TEST_CASE_FIXTURE(world<>, "a registration that fails says why, and what was there stays") {
  CHECK(cached(base, page, local_read) == 1);
  region* const held = pin(base + 8 * page, page);
  device.refuse = [](const test_device::registration&) { return gup_error::no_permission; };
  CHECK(pin(base, 2 * page, local_write) == nullptr);
  CHECK(why == gup_error::no_permission);
  CHECK(hits(base));
  CHECK(cache.counts().failed == 2);
  CHECK(cache.counts().regions == 2);
  CHECK(cache.counts().bytes == 2 * page);

  // Short of memory: idle regions go, one in use does not, and then there is a reason.
  device.refuse = [](const test_device::registration&) { return gup_error::no_memory; };
  CHECK(pin(base + 20 * page, page) == nullptr);
  CHECK(why == gup_error::no_memory);
  CHECK(device.nr_live() == 1);
  CHECK(cache.counts().evicted == 1);
  unpin(held);
  device.refuse = [this](const test_device::registration&) {
    return device.live.empty() ? gup_error::none : gup_error::limit_exceeded;
  };
  CHECK(cached(base + 20 * page, page) != 0);
  CHECK(device.nr_live() == 1);
}

TEST_CASE("the budget in regions: those go first that were not used lately, those in use never") {
  small_world w;
  int keys[4];
  for (unsigned i = 0; i != 4; ++i) keys[i] = w.cached(base + i * 8 * page, page);
  // The first look round finds all of them used; then only two are.
  CHECK(w.cached(base + 32 * page, page) == 5);
  CHECK(w.device.nr_live() == 4);
  unsigned left[4], n = 0;
  for (unsigned i = 0; i != 4; ++i)
    if (w.device.live.count(keys[i]) != 0) left[n++] = i;
  REQUIRE(n == 3);
  CHECK(w.hits(base + left[0] * 8 * page));
  auto* const held = w.pin(base + left[1] * 8 * page, page);
  CHECK(w.cached(base + 40 * page, page) == 6);
  CHECK_FALSE(w.hits(base + left[2] * 8 * page));
  CHECK(w.hits(base + left[0] * 8 * page));

  std::vector<small_world::region*> all{held};
  while (auto* const next = w.pin(base + (100 + 8 * all.size()) * page, page)) all.push_back(next);
  CHECK(w.why == gup_error::limit_exceeded);
  CHECK(all.size() == 4);
  for (auto* const each : all) w.unpin(each);
}

TEST_CASE("the budget in bytes, also by what has left and is still held") {
  world<> w{{.bytes = 8 * page, .regions = 3}};
  w.cached(base, 4 * page);
  w.cached(base + 10 * page, 4 * page);
  w.cached(base + 20 * page, 6 * page);
  CHECK(w.device.bytes == 6 * page);
  CHECK(w.pin(base, 9 * page) == nullptr);
  CHECK(w.why == gup_error::limit_exceeded);
  CHECK(w.hits(base + 20 * page));  // for that nobody had to go

  auto* const held = w.pin(base + 20 * page, page);
  // With what it overlaps it would not fit.
  auto* const own = w.pin(base + 25 * page, 2 * page);
  REQUIRE(own != nullptr);
  CHECK(own->length() == 2 * page);
  CHECK(w.device.bytes == 8 * page);
  CHECK(w.pin(base, page) == nullptr);
  CHECK(w.why == gup_error::limit_exceeded);
  w.unpin(held);
  CHECK(w.pin(base, page) != nullptr);
  w.unpin(w.pin(base, page));
  w.unpin(w.pin(base, page));
}

TEST_CASE_FIXTURE(world<>, "closing a range is refused while a region in it is held, and changes nothing") {
  region* const held = pin(base, 4 * page);
  CHECK(cached(base + 4 * page, page) == 2);
  CHECK(cache.close(base + 3 * page, 2 * page) == gup_error::busy);
  CHECK(hits(base, 4 * page));
  CHECK(hits(base + 4 * page));
  CHECK(device.nr_live() == 2);
  CHECK_FALSE(cache.open(base + 3 * page, 2 * page));
  // Also what was asked first, and was idle.
  region* const higher = pin(base + 6 * page, page);
  CHECK(cache.close(base + 4 * page, 3 * page) == gup_error::busy);
  CHECK(hits(base + 4 * page));
  unpin(higher);
  CHECK(cache.close(base + 6 * page, page) == gup_error::none);
  CHECK(cache.open(base + 6 * page, page));
  unpin(held);

  CHECK(cache.close(base + 3 * page + 1, page) == gup_error::none);
  CHECK(device.nr_live() == 0);
  CHECK(pin(base, 4 * page) == nullptr);
  CHECK(why == gup_error::busy);
  CHECK(cached(base, 3 * page) == 4);  // beside it
  // A range has one owner at a time.
  CHECK(cache.close(base + 4 * page, 1) == gup_error::busy);
  CHECK_FALSE(cache.open(base + 3 * page, page));
  CHECK(cache.open(base + 3 * page + 1, page));
  CHECK_FALSE(cache.open(base + 3 * page + 1, page));
  CHECK(cached(base, 4 * page) == 5);
  CHECK(device.nr_live() == 1);
}

TEST_CASE_FIXTURE(world<>, "ranges that are none, and too many of them") {
  CHECK(cache.close(base, 0) == gup_error::no_pages);
  CHECK(cache.close(UINTPTR_MAX, 2) == gup_error::address_overflow);
  CHECK(cache.close(0, UINTPTR_MAX) == gup_error::none);
  CHECK(cache.open(0, UINTPTR_MAX));
  for (unsigned i = 0; i != 16; ++i) CHECK(cache.close(base + i * page, page) == gup_error::none);
  CHECK(cache.close(base + 16 * page, page) == gup_error::limit_exceeded);
  for (unsigned i = 0; i != 16; ++i) CHECK(cache.open(base + i * page, page));
  CHECK(cached(base, page) == 1);
  cache.tell(base, 0);
  CHECK(hits(base));
  CHECK(cached(UINTPTR_MAX, 1) == 2);
  cache.tell(UINTPTR_MAX, 10);
  CHECK_FALSE(hits(UINTPTR_MAX));
  CHECK(hits(base));
}

TEST_CASE_FIXTURE(world<>, "a reference keeps the registration, and is no transfer") {
  cached(base, page);
  decltype(cache)::view<> space{cache, local_read};
  region* held = nullptr;
  pinref::extent_part<decltype(space)::extent> part;
  REQUIRE(pinref::get_extents(space, base + 10, 20, foll::none, {&held, 1}, {&part, 1}).ok());
  CHECK(part.offset == 10);
  CHECK(part.length == 20);
  CHECK_FALSE(pinref::page_dma_pinned(*held));
  CHECK(cache.close(base, page) == gup_error::busy);
  CHECK(pinref::put_page(*held) == pinref::release_result::released);
  CHECK(cache.close(base, page) == gup_error::none);
}

TEST_CASE_FIXTURE(world<>, "closing may wait: no transfer begins meanwhile, and a deadline opens the range again") {
  region* const held = pin(base, page);
  CHECK(cache.close(base, page, pinref::deadline::in(5ms)) == gup_error::busy);
  CHECK_FALSE(hits(base));
  CHECK(device.nr_live() == 1);
  pinref::wait_canceller<> stop;
  stop.cancel();
  CHECK(cache.close(base, page, pinref::deadline::never(), stop) == gup_error::interrupted);

  std::thread transfer{[&] {
    support::until_watched(held->ref);
    CHECK(pin(base + 10, 1) == nullptr);
    CHECK(why == gup_error::busy);
    CHECK(device.nr_live() == 1);
    unpin(held);
  }};
  CHECK(cache.close(base, page, pinref::deadline::in_nanoseconds(support::long_time)) == gup_error::none);
  CHECK(device.nr_live() == 0);
  transfer.join();
  CHECK(cache.open(base, page));
}

TEST_CASE_FIXTURE(small_world, "whoever waits for a region to end is not kept by its next holder") {
  region* const held = pin(base, page);
  bool asked = false;
  const support::while_waiting stop([&] {
    if (std::exchange(asked, true)) return false;
    unpin(held);
    cache.reap();
    CHECK(device.nr_live() == 0);
    region* const next = pin(base + 8 * page, page);
    CHECK(next != held);
    unpin(next);
    return false;
  });
  CHECK(cache.close(base, page, pinref::deadline::in_nanoseconds(support::long_time), stop) == gup_error::none);
  CHECK(asked);
  CHECK(cache.open(base, page));
  CHECK(cached(base, page) == 3);
}

TEST_CASE_FIXTURE(world<>, "a range that is being closed is not registered anew while its registrations end") {
  cached(base, page);
  device.ending = [&] {
    CHECK(pin(base, page) == nullptr);
    CHECK(why == gup_error::busy);
  };
  CHECK(cache.close(base, page) == gup_error::none);
  CHECK_FALSE(device.ending);
  CHECK(device.nr_live() == 0);
  CHECK(cache.open(base, page));
}

TEST_CASE_FIXTURE(world<>, "a registration under way counts as held") {
  cached(base + 8 * page, page);
  device.block();
  std::thread other{[&] {
    CHECK(pin(base, page) == nullptr);
    CHECK(why == gup_error::busy);
  }};
  device.until_waiting();
  CHECK(cache.close(base, 10 * page) == gup_error::busy);
  region* const beside = cache.pin(base + 8 * page, page, local_read, foll::fast_only).region;
  REQUIRE(beside != nullptr);
  unpin(beside);
  const support::while_waiting stop([&] {
    device.unblock();
    return false;
  });
  CHECK(cache.close(base, page, pinref::deadline::in_nanoseconds(support::long_time), stop) == gup_error::none);
  // It has been waited for, and has ended again.
  CHECK(device.last_key == 2);
  CHECK(device.nr_live() == 1);
  device.unblock();
  other.join();
  CHECK(device.last_key == 2);
}

TEST_CASE_FIXTURE(world<>, "two misses of one range register once") {
  device.block();
  region* held[2] = {};
  std::thread one{[&] { held[0] = cache.pin(base, 2 * page, local_read).region; }};
  device.until_waiting();
  std::thread two{[&] { held[1] = cache.pin(base + page, page, local_read).region; }};
  std::this_thread::sleep_for(10ms);
  // What is elsewhere does not wait.
  CHECK(device.waiting >= 1);
  device.unblock();
  one.join();
  two.join();
  CHECK(held[0] == held[1]);
  CHECK(device.last_key == 1);
  unpin(held[0]);
  unpin(held[1]);
}

TEST_CASE_FIXTURE(world<>, "memory that goes, told by a hook: no transfer begins, those under way go on") {
  region* const held = pin(base, 2 * page);
  cached(base + 8 * page, page);
  cache.tell(base + page, 1);
  CHECK_FALSE(hits(base));
  CHECK(hits(base + 8 * page));
  CHECK(device.nr_live() == 2);
  // It is registered anew, and the old region ends when it is held no more.
  region* const again = pin(base, 2 * page);
  REQUIRE(again != nullptr);
  CHECK(again != held);
  CHECK(again->handle() != held->handle());
  CHECK(device.nr_live() == 3);
  unpin(held);
  cache.reap();
  CHECK(device.nr_live() == 2);
  unpin(again);
  CHECK(cache.counts().invalidated == 1);
  cache.tell(base, 10 * page);
  cache.reap();
  CHECK(device.nr_live() == 0);
}

TEST_CASE_FIXTURE(world<>, "a hook on the thread that is inside the device neither allocates nor waits") {
  cached(base, page);
  int calls = 0;
  device.inside = [&](std::uintptr_t first, std::size_t length) {
    ++calls;
    const std::size_t before = ::mallinfo2().uordblks;
    cache.tell(base, page);
    // Its own memory, the first time; and more than the queue has room for.
    if (calls == 1) cache.tell(first, length);
    if (calls == 2)
      for (unsigned i = 0; i != 100; ++i) cache.tell(base + 1000 * page + i, 1);
    CHECK(::mallinfo2().uordblks == before);
    CHECK_FALSE(hits(base));
  };
  region* const held = pin(base + 8 * page, page);
  REQUIRE(held != nullptr);
  CHECK(calls == 3);
  CHECK(device.nr_live() == 1);
  unpin(held);

  // If it goes every time, there is a reason.
  device.inside = [&](std::uintptr_t first, std::size_t length) { cache.tell(first, length); };
  CHECK(pin(base, page) == nullptr);
  CHECK(why == gup_error::busy);
  device.inside = nullptr;
  CHECK(hits(base + 8 * page));
  cache.reap();
  CHECK(device.nr_live() == 1);
}

TEST_CASE("a registration that is told while it is made is found by nobody, at no moment") {
  using hooked = support::hooked_sync;
  test_device device;
  pinref::registration_cache<test_device, 4, hooked> cache{device};
  bool told = false;
  int looked = 0;
  device.inside = [&](std::uintptr_t first, std::size_t length) {
    if (std::exchange(told, true)) return;
    cache.tell(first, length);
  };
  // Before every step of the miss.
  hooked::interleave([&](int) {
    if (!told) return;
    const auto found = cache.pin(base, 1, local_read, foll::fast_only).region;
    ++looked;
    if (found == nullptr) return;
    CHECK(found->handle() == 2);
    (void)pinref::unpin_user_page(*found);
  });
  const auto held = cache.pin(base, page, local_read).region;
  hooked::stop();
  REQUIRE(held != nullptr);
  CHECK(held->handle() == 2);
  CHECK(looked > 4);
  (void)pinref::unpin_user_page(*held);
}

TEST_CASE_FIXTURE(world<>, "what the caller looked at before is looked at again after the take") {
  cached(base, page);
  bool open = true;
  int asked = 0;
  const auto admit = [&]() noexcept {
    ++asked;
    return open;
  };
  region* held = cache.pin(base, page, local_read, foll::none, admit).region;
  REQUIRE(held != nullptr);
  CHECK(asked == 1);
  unpin(held);
  open = false;
  CHECK(cache.pin(base, page, local_read, foll::fast_only, admit).reason == gup_error::would_block);
  CHECK(cache.pin(base, page, local_read, foll::none, admit).reason == gup_error::busy);
  CHECK(cache.pin(base + 8 * page, page, local_read, foll::none, admit).reason == gup_error::busy);
  CHECK(pinref::page_pins(*held) == 0);
  CHECK(cache.close(base, 10 * page) == gup_error::none);
}

TEST_CASE_FIXTURE(world<>, "a device that does not deregister is asked again, and the memory is not given up") {
  cached(base, page);
  device.stuck = true;
  CHECK(cache.close(base, page) == gup_error::busy);
  CHECK(cache.close(base, page, pinref::deadline::in(5ms)) == gup_error::busy);
  CHECK(device.nr_live() == 1);
  CHECK(cache.counts().bytes == page);
  CHECK(cached(base, page) == 2);
  device.stuck = false;
  CHECK(cache.close(base, page) == gup_error::none);
  CHECK(device.nr_live() == 0);
  CHECK(cache.counts().regions == 0);
}

TEST_CASE_FIXTURE(world<>, "a hook on the thread that ends a registration queues, too") {
  cached(base, page);
  cached(base + 8 * page, page);
  device.ending = [&] { cache.tell(base + 8 * page, page); };
  CHECK(cache.close(base, page) == gup_error::none);
  CHECK_FALSE(device.ending);
  CHECK_FALSE(hits(base + 8 * page));
  cache.reap();
  CHECK(device.nr_live() == 0);
  CHECK(cache.open(base, page));
}

// Every call of the device fails once, in turn: `nth` counts registrations and their ends.
TEST_CASE("whichever call of the device fails, nothing is lost and nothing is held") {
  for (const gup_error reason : {gup_error::no_memory, gup_error::limit_exceeded, gup_error::not_mapped,
                                 gup_error::no_permission, gup_error::interrupted}) {
    bool all_done = false;
    for (int nth = 0; !all_done; ++nth) {
      REQUIRE(nth < 100);
      CAPTURE(nth);
      CAPTURE(to_string(reason));
      world<4> w{{.bytes = 12 * page, .regions = 4}};
      int calls = 0;
      bool failed = false;
      w.device.refuse = [&](const test_device::registration&) {
        if (calls++ != nth) return gup_error::none;
        failed = true;
        return reason;
      };
      w.device.refuse_end = [&] { return calls++ == nth && (failed = true); };

      using region = world<4>::region;
      std::vector<region*> held;
      const auto pin = [&](unsigned at, unsigned n, unsigned access) {
        region* const got = w.cache.pin(base + at * page, n * page, access).region;
        if (got == nullptr) return;
        CHECK(w.device.covers(base + at * page));
        CHECK((got->access() & access) == access);
        held.push_back(got);
      };
      const auto unpin_all = [&] {
        for (region* const each : held) w.unpin(each);
        held.clear();
      };
      pin(0, 1, local_read);
      pin(1, 1, local_read);
      pin(0, 2, local_write);  // merged
      unpin_all();
      pin(8, 4, local_read);
      pin(20, 4, local_read);
      pin(30, 4, local_read);  // something has to go
      unpin_all();
      pin(40, 8, remote);
      w.cache.tell(base + 8 * page, page);
      pin(8, 1, local_read);
      unpin_all();
      if (w.cache.close(base + 20 * page, 40 * page) == gup_error::none) {
        CHECK_FALSE(w.device.covers(base + 20 * page));
        CHECK_FALSE(w.device.covers(base + 40 * page));
        CHECK(w.cache.open(base + 20 * page, 40 * page));
      } else {
        CHECK(failed);
      }
      w.cache.reap();
      all_done = !failed;

      w.device.refuse = nullptr;
      w.device.refuse_end = nullptr;
      REQUIRE(w.cache.close(base, 100 * page) == gup_error::none);
      CHECK(w.device.nr_live() == 0);
      CHECK(w.cache.counts().regions == 0);
      CHECK(w.cache.counts().bytes == 0);
      CHECK(w.cache.open(base, 100 * page));
      for (unsigned i = 0; i != 4; ++i) CHECK(w.cached(base + i * 8 * page, page) != 0);
      CHECK(w.device.wrong == 0);
    }
  }
}

TEST_CASE("a device that does not deregister does not keep a miss busy for ever") {
  small_world w;
  for (unsigned i = 0; i != 4; ++i) w.cached(base + i * 8 * page, page);
  w.device.stuck = true;
  CHECK(w.pin(base + 100 * page, page) == nullptr);
  CHECK(w.why == gup_error::limit_exceeded);
  w.device.stuck = false;
  CHECK(w.pin(base + 100 * page, page) != nullptr);
  w.unpin(w.pin(base + 100 * page, page));
  w.unpin(w.pin(base + 100 * page, page));
}

TEST_CASE_FIXTURE(world<>, "in a forked child the cache is empty, says so, and leaves the parent's alone") {
  region* const held = pin(base, page);
  const ::pid_t child = ::fork();
  if (child == 0) {
    cache.forget_in_child();
    bool good = cache.pin(base, page, local_read).reason == gup_error::dead && cache.counts().regions == 0;
    good = good && pinref::unpin_user_page(*held) == pinref::release_result::underflow;
    good = good && cache.close(base, page) == gup_error::none && device.live.size() == 1;
    cache.reap();
    ::_exit(good && device.live.size() == 1 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(hits(base));
  unpin(held);
}

TEST_CASE("a cache that goes deregisters everything") {
  test_device device;
  {
    pinref::registration_cache<test_device, 8> cache{device};
    for (unsigned i = 0; i != 5; ++i) {
      const auto held = cache.pin(base + i * 8 * page, page, local_read);
      REQUIRE(held.region != nullptr);
      (void)pinref::unpin_user_page(*held.region);
    }
    cache.tell(base, page);
    CHECK(device.nr_live() == 5);
  }
  CHECK(device.nr_live() == 0);
  CHECK(device.wrong == 0);
}
