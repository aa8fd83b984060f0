// Every memory order of the library that a protocol runs, one step weaker, one at a time, over all protocols: some
// execution of one of them must fail. So no order is stronger than it needs to be, and none is untested.

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "protocol.hpp"

namespace {

using explorer::site;

struct subject {
  const support::program* run;
  const char* protocol;
  std::uint64_t cost;
  std::vector<site> sites;
};

struct mutant {
  site at;
  std::memory_order to;
};

bool has(const std::vector<site>& sites, const site& s) {
  return std::find(sites.begin(), sites.end(), s) != sites.end();
}

// The header of a site below include/pinref/, or null for one of the tests.
const char* in_library(const site& s) {
  constexpr const char* library = "/include/pinref/";
  const char* const found = std::strstr(s.at.file, library);
  return found == nullptr || std::strstr(s.at.file, "/explorer/include/") != nullptr ? nullptr
                                                                                     : found + std::strlen(library);
}

// With a rule, so that programs which were explored before are not counted again.
std::memory_order as_written(const site& here, const char*, unsigned) {
  return here.order;
}

// All programs of all protocols, the cheapest first.
std::vector<subject> all_subjects() {
  std::vector<subject> all;
  for (const support::protocol& p : support::protocols())
    for (const support::program& each : p.programs) {
      explorer::result r = explorer::explore({.orders = as_written}, each);
      all.push_back({&each, p.text, r.steps, std::move(r.sites)});
    }
  std::sort(all.begin(), all.end(), [](const subject& a, const subject& b) { return a.cost < b.cost; });
  return all;
}

std::vector<mutant> all_mutants(const std::vector<subject>& subjects) {
  std::vector<site> seen;
  std::vector<mutant> all;
  for (const subject& s : subjects)
    for (const site& at : s.sites) {
      if (in_library(at) == nullptr || has(seen, at)) continue;
      seen.push_back(at);
      for (const std::memory_order to : explorer::weaker(at)) all.push_back({at, to});
    }
  return all;
}

// Weaker orders of each header that the protocols run. A number is changed together with the orders of its header; one
// that has changed by itself is an order that no protocol runs any more, and so nobody tests.
// clang-format off
const std::map<std::string, int> expected{
    {"handles/pin_request.hpp", 3},
    {"host/frame.hpp", 2},
    {"host/page_table.hpp", 2},
    {"host/range_queue.hpp", 8},
    {"host/region_index.hpp", 5},
    {"host/shadow.hpp", 2},
    {"host/range_queue.hpp", 8},
    {"host/region_index.hpp", 5},
    {"host/shadow.hpp", 2},
    {"host/sleeping_lock.hpp", 3},
    {"parts/deferred_list.hpp", 2},
    {"parts/layout_gate.hpp", 3},
    {"parts/page_stamp.hpp", 4},
    {"parts/share_count.hpp", 5},
    {"parts/write_protect_seq.hpp", 2},
    {"sync/hot_threads.hpp", 2},
    {"sync/wait_canceller.hpp", 2},
    {"word/hot_switch.hpp", 3},
    {"word/hot_word.hpp", 14},
    {"word/split_word.hpp", 5},
    {"word/zoned_word.hpp", 21},
};
// clang-format on

std::map<std::string, int> by_header(const std::vector<mutant>& mutants) {
  std::map<std::string, int> counts;
  for (const mutant& m : mutants) ++counts[in_library(m.at)];
  return counts;
}

std::string text(const std::map<std::string, int>& counts) {
  std::string out;
  for (const auto& [header, n] : counts) out += "    {\"" + header + "\", " + std::to_string(n) + "},\n";
  return out;
}

// A numbered comment and the lines it stands for: down to the next one, or to the end of its function.
struct numbered_order {
  std::string header;
  std::string name;
  int first;
  int last;
};

// "(R7)" of a line that begins "// (R7) "; empty for others.
std::string number_of(const std::string& line) {
  const std::size_t close = line.find(')');
  if (line.compare(0, 4, "// (") != 0 || close == std::string::npos || close < 6) return {};
  const std::string name = line.substr(4, close - 4);
  const bool digits = std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return std::isupper(static_cast<unsigned char>(name[0])) != 0 && digits ? "(" + name + ")" : std::string{};
}

// Those of all headers whose statement is stronger than relaxed.
std::vector<numbered_order> numbered_orders(const std::filesystem::path& library) {
  std::vector<numbered_order> all;
  for (const auto& each : std::filesystem::recursive_directory_iterator(library)) {
    if (each.path().extension() != ".hpp") continue;
    std::ifstream file(each.path());
    numbered_order now;
    std::size_t depth = 0;
    bool strong = false;
    const auto end = [&](int line) {
      now.last = line;
      if (strong && !now.name.empty()) all.push_back(now);
      now.name.clear();
      strong = false;
    };
    int line = 0;
    for (std::string text; std::getline(file, text);) {
      ++line;
      const std::size_t indent = text.find_first_not_of(' ');
      if (indent == std::string::npos) continue;
      if (const std::string number = number_of(text.substr(indent)); !number.empty()) {
        end(line - 1);
        now = {std::filesystem::relative(each.path(), library).generic_string(), number, line, line};
        depth = indent;
      } else if (text[indent] == '}' && indent < depth) {
        end(line);
      }
      const bool is_code = text.compare(indent, 2, "//") != 0;
      strong = strong || (is_code && (text.find("memory_order_acq") != std::string::npos ||
                                      text.find("memory_order_release") != std::string::npos));
    }
    end(line);
  }
  return all;
}

// Orders whose access stands elsewhere.
bool is_tried_elsewhere(const numbered_order& order) {
  // Passed on to a function that has the access, and is a mutant there.
  if (order.header == "word/zoned_word.hpp" && order.name == "(R1)") return true;
  // Of the data itself, which has no Sync: page_stamp.cpp has accesses of these orders in their place.
  return order.header == "parts/page_stamp.hpp" && (order.name == "(V5)" || order.name == "(V6)");
}

bool runs(const std::vector<subject>& subjects, const numbered_order& order) {
  if (is_tried_elsewhere(order)) return true;
  const auto stands_there = [&order](const site& s) {
    return s.order != std::memory_order_relaxed && in_library(s) != nullptr && order.header == in_library(s) &&
           s.at.line >= order.first && s.at.line <= order.last;
  };
  return std::any_of(subjects.begin(), subjects.end(), [&](const subject& each) {
    return std::any_of(each.sites.begin(), each.sites.end(), stands_there);
  });
}

TEST_CASE("every memory order is needed by some protocol") {
  const std::vector<subject> subjects = all_subjects();
  const std::vector<mutant> mutants = all_mutants(subjects);
  const std::map<std::string, int> found = by_header(mutants);
  CHECK_MESSAGE(found == expected, "the weaker orders are not those that order_mutation.cpp expects, but\n"
                                       << text(found));

  const std::vector<numbered_order> orders = numbered_orders(PINREF_HEADERS);
  CHECK(orders.size() > 40);
  for (const numbered_order& each : orders)
    CHECK_MESSAGE(runs(subjects, each), each.header << ": no protocol runs " << each.name);

  for (const mutant& m : mutants) {
    const auto kills = [&m](const subject& s) {
      return has(s.sites, m.at) && explorer::explore({.orders = explorer::at_site(m.at, m.to)}, *s.run).failed;
    };
    const auto killer = std::find_if(subjects.begin(), subjects.end(), kills);
    const std::string what = explorer::text(m.at) + " -> " + explorer::text(m.to);
    const std::string by = killer != subjects.end() ? killer->protocol : "nothing fails";
    CHECK_MESSAGE(killer != subjects.end(), what << ": " << by);
    support::cover(killer != subjects.end() ? "weaker orders caught" : "weaker orders missed", 1);
  }
}

}  // namespace
