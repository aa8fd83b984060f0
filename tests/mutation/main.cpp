// SPDX-License-Identifier: MIT

// The main of a program with mutants: asked to note which mutants a test case reaches, it writes a line for each case
// to standard error: its name, the processor time it took, and the numbers, with tabs between them.

#include <ctime>

#include "support/main.cpp"

namespace {

struct say_reached : support::quiet_listener {
  using quiet_listener::quiet_listener;

  void test_case_start(const doctest::TestCaseData& it) override {
    name = it.m_name;
    for (auto& each : mutate::reached) each.store(false, std::memory_order_relaxed);
    start = std::clock();
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    if (mutate::chosen != mutate::noting) return;
    std::fprintf(stderr, "reached\t%s\t%f\t", name, double(std::clock() - start) / CLOCKS_PER_SEC);
    for (std::size_t i = 0; i != std::size(mutate::reached); ++i)
      if (mutate::reached[i].load(std::memory_order_relaxed)) std::fprintf(stderr, "%zu,", i);
    std::fputs("\n", stderr);
  }

  const char* name = "";
  std::clock_t start = 0;
};

}  // namespace

REGISTER_LISTENER("reached", 2, say_reached);
