// SPDX-License-Identifier: MIT

// Transfers beside an owner who takes the memory away and gives it to somebody else, by closing it or by a hook.

#include "pinref/host/registration_cache.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "covered.hpp"
#include "pinref/page/page.hpp"
#include "test_device.hpp"

using namespace std::chrono_literals;
using pinref::gup_error;

namespace {

constexpr std::size_t page = 4096, nr_blocks = 8;
constexpr std::uintptr_t base = 0x100000;
constexpr unsigned rights = 1;

struct numbers {
  unsigned state;
  unsigned next() noexcept {
    state = state * 1664525 + 1013904223;
    return state >> 16;
  }
};

}  // namespace

TEST_CASE("memory that is closed is in no transfer, and is registered nowhere") {
  support::test_device device;
  // Room for fewer regions than there are blocks, so that some are evicted.
  pinref::registration_cache<support::test_device, 6> cache{device};
  std::atomic<bool> stop{false};
  std::atomic<int> owner[nr_blocks] = {}, wrong{0};
  std::atomic<std::size_t> transfers{0}, closed{0};

  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed != 4; ++seed)
    threads.emplace_back([&, seed] {
      numbers random{seed};
      while (!stop.load(std::memory_order_relaxed)) {
        const unsigned block = random.next() % nr_blocks, length = 1 + random.next() % 2;
        if (block + length > nr_blocks) continue;
        const auto held = cache.pin(base + block * page, length * page, rights);
        if (held.region == nullptr) continue;
        const int before = owner[block].load();
        if (random.next() % 8 == 0) std::this_thread::yield();
        if (owner[block].load() != before || !device.covers(base + block * page)) ++wrong;
        ++transfers;
        if (pinref::unpin_user_page(*held.region) != pinref::release_result::released) ++wrong;
      }
    });
  threads.emplace_back([&] {
    numbers random{77};
    while (!stop.load(std::memory_order_relaxed)) {
      const unsigned block = random.next() % nr_blocks;
      if (random.next() % 4 == 0) cache.tell(base + random.next() % nr_blocks * page, page);
      const auto until = random.next() % 2 == 0 ? pinref::deadline::passed() : pinref::deadline::in(2ms);
      if (cache.close(base + block * page, page, until) != gup_error::none) continue;
      if (device.covers(base + block * page)) ++wrong;
      ++owner[block];
      if (!cache.open(base + block * page, page)) ++wrong;
      ++closed;
    }
  });
  std::this_thread::sleep_for(500ms);
  stop = true;
  for (std::thread& each : threads) each.join();

  CHECK(wrong == 0);
  CHECK(device.wrong == 0);
  CHECK(transfers > 0);
  CHECK(closed > 0);
  support::cover("transfers through a registration cache", transfers.load());
  CHECK(cache.close(base, nr_blocks * page) == gup_error::none);
  CHECK(device.nr_live() == 0);
  CHECK(cache.counts().regions == 0);
  CHECK(cache.counts().bytes == 0);
}
