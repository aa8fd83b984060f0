// SPDX-License-Identifier: MIT

#include "pinref/sync/stop_token.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "layouts.hpp"
#include "pinref/parts/layout_gate.hpp"
#include "pinref/ref/page_ref.hpp"
#include "real_waits.hpp"

using pinref::deadline;
using pinref::page_ref;
using pinref::take_result;
using pinref::wait_result;
using support::long_time;
using support::until_watched;

TEST_CASE("a stop that is requested ends the waits of its token, before and while they sleep") {
  page_ref<> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  std::stop_source source;
  std::thread stopper([&] {
    until_watched(ref);
    source.request_stop();
  });
  CHECK(ref.wait_until_unpinned(deadline::in_nanoseconds(long_time), pinref::stop_canceller{source.get_token()}) ==
        wait_result::given_up);
  stopper.join();
  pinref::layout_gate<> gate;
  gate.close();
  CHECK(gate.wait_until_open(deadline::in_nanoseconds(long_time), pinref::stop_canceller{source.get_token()}) ==
        wait_result::given_up);
  CHECK(ref.snapshot() == pinref::bias64::live(1, 1));
}
