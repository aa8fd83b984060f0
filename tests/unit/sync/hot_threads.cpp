// SPDX-License-Identifier: MIT

#include "pinref/sync/hot_threads.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "other_stamp.hpp"

using pinref::hot_threads;

TEST_CASE("a pool gives each number once, and none when all are taken") {
  pinref::detail::number_pool<pinref::std_sync> pool;
  for (unsigned i = 0; i != pool.size; ++i) CHECK(pool.take() == i);
  CHECK(pool.take() == pool.none);
  for (const unsigned number : {63u, 5u}) {
    pool.give_back(number);
    CHECK(pool.take() == number);
    CHECK(pool.take() == pool.none);
  }
}

TEST_CASE("live threads have numbers of their own, and leave them to later ones") {
  hot_threads threads;
  constexpr unsigned more = hot_threads::size + 8;
  for (int round = 0; round != 3; ++round) {
    std::vector<unsigned> numbers(more);
    std::atomic<unsigned> ready{0};
    std::vector<std::thread> all;
    for (unsigned i = 0; i != more; ++i)
      all.emplace_back([&, i] {
        numbers[i] = threads.enroll();
        CHECK(threads.number() == numbers[i]);
        ready.fetch_add(1);
        while (ready.load() != more) std::this_thread::yield();
      });
    for (std::thread& thread : all) thread.join();
    std::set<unsigned> given;
    for (const unsigned number : numbers)
      if (number != hot_threads::none) {
        CHECK(number < hot_threads::size);
        CHECK(given.insert(number).second);
      }
    CHECK(given.size() == hot_threads::size);
  }
}

TEST_CASE("a thread that has left an object knows nothing of it, and another has its number") {
  std::optional<hot_threads> threads{std::in_place};
  REQUIRE(threads->enroll() == 0);
  threads->leave();
  CHECK(threads->number() == hot_threads::none);
  threads->leave();
  CHECK(threads->enroll() == 0);
  SUBCASE("in the same object") {
    threads->leave();
  }
  SUBCASE("in another at the same place") {
    threads->leave();
    threads.emplace();
  }
  std::thread{[&] {
    CHECK(threads->enroll() == 0);
    std::thread{[&] { CHECK(threads->enroll() == 1); }}.join();
  }}.join();
  CHECK(threads->number() == hot_threads::none);
}

TEST_CASE("of an object that another version has made, no thread gets a number") {
  hot_threads threads;
  support::stamp_otherwise(threads);
  CHECK(!threads.of_this_layout());
  CHECK(!threads.enter());
  CHECK(threads.number() == hot_threads::none);
}
