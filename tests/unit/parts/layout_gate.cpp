// SPDX-License-Identifier: MIT

#include "pinref/parts/layout_gate.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "played_sync.hpp"

using pinref::deadline;
using pinref::wait_result;

TEST_CASE("a gate is open until it is closed, as often as it was closed, and lets sleepers through") {
  pinref::layout_gate<> gate;
  CHECK(gate.is_open());
  CHECK(gate.wait_until_open() == wait_result::reached);
  gate.close();
  gate.close();
  CHECK_FALSE(gate.is_open());
  CHECK(gate.wait_until_open(deadline::passed()) == wait_result::timed_out);
  CHECK(gate.wait_until_open(deadline::in_nanoseconds(1'000'000)) == wait_result::timed_out);
  pinref::wait_canceller<> stop;
  stop.cancel();
  CHECK(gate.wait_until_open(deadline::never(), stop) == wait_result::given_up);
  gate.open();
  CHECK_FALSE(gate.is_open());
  CHECK(gate.wait_until_open(deadline::passed()) == wait_result::timed_out);
  std::atomic<int> through{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i != 3; ++i)
    sleepers.emplace_back([&] {
      CHECK(gate.wait_until_open() == wait_result::reached);
      ++through;
    });
  CHECK(through == 0);
  gate.open();
  for (std::thread& each : sleepers) each.join();
  CHECK(through == 3);
  CHECK(gate.wait_until_open(deadline::passed()) == wait_result::reached);
}

TEST_CASE("whoever wakes before a gate that is still closed sleeps again") {
  using support::played_sync;
  pinref::layout_gate<played_sync> gate;
  gate.close();
  gate.close();
  int sleeps = 0;
  played_sync::sleep = [&](unsigned, std::int64_t) {
    // The first time for nothing, then once for each who opens.
    if (++sleeps != 1) gate.open();
    return sleeps == 2 ? pinref::sleep_result::changed : pinref::sleep_result::woken;
  };
  CHECK(gate.wait_until_open() == wait_result::reached);
  played_sync::sleep = nullptr;
  CHECK(sleeps == 3);
  CHECK(gate.is_open());
}
