// SPDX-License-Identifier: MIT

// The table of litmus tests in explorer/README.md, line by line: the program of a line is run, its outcome is looked
// for, and what the line says of it must be so for the axioms of RC11, for those of C++20, and for the explorer.

#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <utility>

#include "axiomatic.hpp"

namespace {

using namespace axiomatic;

struct litmus {
  program threads;
  std::vector<std::string> registers;  // of the loads and RMWs, thread by thread
};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" `");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" `") + 1 - first);
}

std::vector<std::string> parts(const std::string& text, const std::string& between) {
  std::vector<std::string> out;
  for (std::size_t from = 0;;) {
    const std::size_t to = text.find(between, from);
    out.push_back(trimmed(text.substr(from, to - from)));
    if (to == std::string::npos) return out;
    from = to + between.size();
  }
}

template <class Map>
auto look_up(const Map& names, const std::string& name) {
  const auto found = names.find(name);
  if (found == names.end()) throw std::runtime_error("no such word: " + name);
  return found->second;
}

order order_named(const std::string& name) {
  static const std::map<std::string, order> names{{"rlx", rlx}, {"acq", acq}, {"rel", rel}, {"ar", ar}, {"sc", sc}};
  return look_up(names, name);
}

int location_named(const std::string& name) {
  static const std::map<std::string, int> names{{"x", 0}, {"y", 1}, {"z", 2}};
  return look_up(names, name);
}

bool is_location(const std::string& name) {
  return name == "x" || name == "y" || name == "z";
}

// `x = 1 rel`, `a = x acq`, `a = swap(x, 2) ar`, `a = cas(x, 1, 2) acq rlx` or `fence sc`.
instruction statement(const std::string& text, std::vector<std::string>& registers) {
  std::vector<std::string> words;
  std::string spaced;
  for (const char c : text) spaced += std::strchr("(),=", c) != nullptr ? ' ' : c;
  for (const std::string& each : parts(spaced, " "))
    if (!each.empty()) words.push_back(each);
  if (words.size() == 2 && words[0] == "fence") return {kind::fence, order_named(words[1]), rlx, 0, 0, 0};
  if (words.size() < 3) throw std::runtime_error("no statement: " + text);
  if (is_location(words[0])) {
    if (words.size() != 3) throw std::runtime_error("no store: " + text);
    return {kind::store, order_named(words[2]), rlx, location_named(words[0]), std::stoi(words[1]), 0};
  }
  registers.push_back(words[0]);
  if (words[1] == "swap" && words.size() == 5)
    return {kind::exchange, order_named(words[4]), rlx, location_named(words[2]), std::stoi(words[3]), 0};
  if (words[1] == "cas" && words.size() == 7)
    return {kind::cas,           order_named(words[5]), order_named(words[6]), location_named(words[2]),
            std::stoi(words[4]), std::stoi(words[3])};
  if (words.size() != 3) throw std::runtime_error("no load: " + text);
  return {kind::load, order_named(words[2]), rlx, location_named(words[1]), 0, 0};
}

litmus parsed(const std::string& text) {
  litmus out;
  for (const std::string& thread : parts(text, "\xe2\x80\x96")) {  // two upright lines
    out.threads.emplace_back();
    for (const std::string& each : parts(thread, ";")) out.threads.back().push_back(statement(each, out.registers));
  }
  return out;
}

// Is there an outcome with what `wanted` says, such as `a=1 x=2`?
bool found(const litmus& test, const std::set<std::string>& outcomes, const std::string& wanted) {
  return std::any_of(outcomes.begin(), outcomes.end(), [&](const std::string& outcome) {
    std::map<std::string, std::string> values;
    const std::vector<std::string> halves = parts(outcome, "|");
    const std::vector<std::string> read = parts(halves[0], " ");
    for (std::size_t i = 0; i != test.registers.size(); ++i) values[test.registers[i]] = read[i];
    for (const char* each : {"x", "y", "z"}) values[each] = halves[1 + static_cast<std::size_t>(location_named(each))];
    const std::vector<std::string> conditions = parts(wanted, " ");
    return std::all_of(conditions.begin(), conditions.end(), [&](const std::string& condition) {
      const std::vector<std::string> sides = parts(condition, "=");
      return sides.size() == 2 && look_up(values, sides[0]) == sides[1];
    });
  });
}

struct line {
  std::string name, program, outcome;
  std::string rc11, cxx20, explorer;
};

std::vector<line> lines_of_the_table() {
  std::ifstream page(PINREF_EXPLORER_README);
  std::vector<line> out;
  bool inside = false;
  for (std::string text; std::getline(page, text);) {
    const std::vector<std::string> cells = parts(text, "|");
    if (cells.size() == 8 && cells[1] == "test") inside = true;
    if (cells.size() != 8) inside = false;
    if (inside && cells[1] != "test" && cells[1].find("---") == std::string::npos)
      // A mark may follow the verdict.
      out.push_back({cells[1], cells[2], cells[3], parts(cells[4], " ")[0], cells[5], cells[6]});
  }
  return out;
}

std::string verdict(bool allowed) {
  return allowed ? "allowed" : "forbidden";
}

}  // namespace

TEST_CASE("every line of the table of litmus tests is so") {
  const std::vector<line> lines = lines_of_the_table();
  std::set<std::string> names;
  for (const line& each : lines) {
    CAPTURE(each.name);
    CHECK_MESSAGE(names.insert(each.name).second, "the name stands twice");
    const litmus test = parsed(each.program);
    const auto by_cxx20 = model(test.threads, axioms::cxx20).outcomes();
    CHECK(each.rc11 == verdict(found(test, model(test.threads, axioms::rc11).outcomes(), each.outcome)));
    CHECK(each.cxx20 == verdict(found(test, by_cxx20, each.outcome)));
    const auto by_explorer = explored(test.threads, true);
    CHECK(each.explorer == verdict(found(test, by_explorer, each.outcome)));
    // Not this outcome alone: all of them.
    CHECK(by_explorer == model(test.threads, axioms::explorer).outcomes());
    CHECK(std::includes(by_cxx20.begin(), by_cxx20.end(), by_explorer.begin(), by_explorer.end()));
  }
  for (const char* shape : {"SB", "MP", "LB", "IRIW", "2+2W", "CoRR", "CoWR", "CoRW", "CoWW", "WRC", "ISA2", "R", "S",
                            "RWC", "W+RWC", "Z6.U", "relseq"})
    CHECK_MESSAGE(
        std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return name == shape || name.find(std::string(shape) + "+") == 0; }),
        "no line for " << shape);
}

TEST_CASE("a line that is wrong is found") {
  const litmus test = parsed("x = 1 rlx; y = 1 rel \xe2\x80\x96 a = y acq; b = x rlx");
  CHECK(test.threads.size() == 2);
  CHECK(test.registers == std::vector<std::string>{"a", "b"});
  const auto outcomes = explored(test.threads, true);
  CHECK(found(test, outcomes, "a=1 b=1"));
  CHECK(found(test, outcomes, "a=0 x=1"));
  CHECK_FALSE(found(test, outcomes, "a=1 b=0"));
  CHECK_THROWS(parsed("x = 1"));
  CHECK_THROWS(parsed("a = w acq"));
  CHECK_THROWS(parsed("fence all"));
  CHECK_THROWS(found(test, outcomes, "c=1"));
}
