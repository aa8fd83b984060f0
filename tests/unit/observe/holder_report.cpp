// SPDX-License-Identifier: MIT

#include "pinref/observe/holder_report.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "logged_host.hpp"
#include "pinref/handles/page_handle.hpp"

namespace {

struct page {
  support::logged<> ref;
  void free_page() noexcept {}
};

// The parts that no test can know are left out: addresses, times, threads, lines of this file.
std::string shape(std::string line) {
  if (line.rfind("pinref: ", 0) == 0) return line;
  const auto cut = [&line](const char* from, const char* to) {
    const std::size_t first = line.find(from);
    if (first == std::string::npos) return;
    const std::size_t begin = first + std::string(from).size(), end = line.find(to, begin);
    REQUIRE(end != std::string::npos);
    line.replace(begin, end - begin, "_");
  };
  cut(" of 0x", ",");
  cut("_, ", " s,");
  cut("thread ", ",");
  cut(": ", "holder_report.cpp");
  cut("holder_report.cpp:", " in");
  return line;
}

std::vector<std::string> lines(const support::log_of_a_test<>& holders) {
  std::vector<std::string> found;
  pinref::report_holders(holders.log, [&](const char* line) noexcept { found.push_back(shape(line)); });
  return found;
}

void pin_twice(page& p) {
  REQUIRE(pinref::try_pin_page(p, 2) == pinref::take_result::taken);
}

}  // namespace

TEST_CASE("a report sums up and has a line for each holder, that names its call") {
  support::log_of_a_test<> holders;
  page p;
  CHECK(lines(holders) == std::vector<std::string>{"pinref: 0 references, 0 pins; missed 0, unmatched 0"});
  p.ref.init();
  {
    const auto pin = pinref::page_pin<page>::try_pin(p);
    const auto found = lines(holders);
    REQUIRE(found.size() == 3);
    CHECK(found[0] == "pinref: 1 reference, 1 pin; missed 0, unmatched 0");
    CHECK(found[1].find("  1 reference of 0x_, _ s, thread _, #1: _holder_report.cpp:_ in ") == 0);
    CHECK(found[1].find(" (candidate)") != std::string::npos);
    CHECK(found[2].find("  1 pin of 0x_, _ s, thread _, #2: _holder_report.cpp:_ in ") == 0);
    CHECK(found[2].find(" (candidate)") == std::string::npos);
  }
  pin_twice(p);
  REQUIRE(pinref::try_pin_page(p) == pinref::take_result::taken);
  pinref::unpin_user_page(p);
  auto found = lines(holders);
  REQUIRE(found.size() == 4);
  CHECK(found[0] == "pinref: 1 reference, 2 pins; missed 0, unmatched 0");
  // The place of the first handle is free for the next.
  std::sort(found.begin() + 1, found.end(),
            [](const auto& a, const auto& b) { return a.substr(a.find('#')) < b.substr(b.find('#')); });
  CHECK(found[2] == "  1 to 2 of 2 pins of 0x_, _ s, thread _, #3: _holder_report.cpp:_ in pin_twice (candidate)");
  CHECK(found[3].find("  0 to 1 of 1 pin of 0x_, _ s, thread _, #4: ") == 0);
  pinref::unpin_user_page(p);
  pinref::unpin_user_page(p);
  pinref::put_page(p);
  CHECK(lines(holders).size() == 1);
}

TEST_CASE("a report says what was missed and what was released without having been listed") {
  support::log_of_a_test<> holders{1};
  page p;
  p.ref.init();
  pin_twice(p);
  pinref::unpin_user_page(p);
  CHECK(lines(holders)[0] == "pinref: 1 reference, 0 pins; missed 2, unmatched 1");
  pinref::unpin_user_page(p);
  pinref::put_page(p);
}

TEST_CASE("a report is printed to a file, a line for each") {
  support::log_of_a_test<> holders;
  page p;
  p.ref.init();
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  pinref::report_holders(holders.log, file);
  std::rewind(file);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  CHECK(text.find("pinref: 1 reference, 0 pins; missed 0, unmatched 0\n  1 reference of 0x") == 0);
  CHECK(text.back() == '\n');
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  pinref::put_page(p);
}
