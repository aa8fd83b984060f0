#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstdio>

#include "covered.hpp"

namespace {

struct say_covered : doctest::IReporter {
  explicit say_covered(const doctest::ContextOptions&) {}

  void test_run_end(const doctest::TestRunStats& stats) override {
    std::printf("covered: %u cases, %lld assertions", stats.numTestCasesPassingFilters,
                static_cast<long long>(stats.numAsserts));
    for (const auto& [what, n] : support::covered())
      std::printf(", %llu %s", static_cast<unsigned long long>(n), what.c_str());
    std::puts("");
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

}  // namespace

REGISTER_LISTENER("covered", 1, say_covered);
