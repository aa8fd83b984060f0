// SPDX-License-Identifier: MIT

#include "pinref/host/sleeping_lock.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "pinref/sync/std_sync.hpp"
#include "played_sync.hpp"

using pinref::shared_sync;
using pinref::std_sync;

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

namespace {

struct told_sync : support::played_sync {
  static inline int woken = 0;
  template <class T>
  static void wake_one(const std::atomic<T>&) noexcept {
    ++woken;
  }
};

}  // namespace

TEST_CASE("whoever tries the lock in vain does not forget for its owner that somebody sleeps") {
  pinref::detail::sleeping_lock<told_sync> lock;
  lock.lock();
  told_sync::sleep = [&](unsigned, std::int64_t) {
    CHECK_FALSE(lock.try_lock());
    lock.unlock();
    CHECK(told_sync::woken == 1);
    return pinref::sleep_result::woken;
  };
  lock.lock();
  told_sync::sleep = nullptr;
  CHECK_FALSE(lock.try_lock());
}
