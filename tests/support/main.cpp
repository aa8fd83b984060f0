// SPDX-License-Identifier: MIT

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdio>

#include "covered.hpp"
#include "quiet_listener.hpp"

namespace {

struct say_covered : support::quiet_listener {
  using quiet_listener::quiet_listener;

  void test_run_end(const doctest::TestRunStats& stats) override {
    std::printf("covered: %u cases, %lld assertions", stats.numTestCasesPassingFilters,
                static_cast<long long>(stats.numAsserts));
    for (const auto& [what, n] : support::covered())
      std::printf(", %llu %s", static_cast<unsigned long long>(n), what.c_str());
    std::puts("");
  }
};

}  // namespace

REGISTER_LISTENER("covered", 1, say_covered);
