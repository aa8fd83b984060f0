// Every memory order of the library that a protocol runs, one step weaker, one at a time, over all protocols: some
// execution of one of them must fail. So no order is stronger than it needs to be, and none is untested.

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

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
      if (std::string(at.at.file).find("include/pinref/") == std::string::npos || has(seen, at)) continue;
      seen.push_back(at);
      for (const std::memory_order to : explorer::weaker(at)) all.push_back({at, to});
    }
  return all;
}

// Weaker orders of each header that the protocols run. A number is changed together with the orders of its header; one
// that has changed by itself is an order that no protocol runs any more, and so nobody tests.
// clang-format off
const std::map<std::string, int> expected{
    {"decide/layout_break.hpp", 3},
    {"decide/share_count.hpp", 5},
    {"gup/write_protect_seq.hpp", 2},
    {"hold/pin_owner.hpp", 3},
    {"host/frame.hpp", 2},
    {"host/page_table.hpp", 2},
    {"host/sleeping_lock.hpp", 3},
    {"ref/hot_ref.hpp", 17},
    {"ref/hot_threads.hpp", 2},
    {"ref/split_ref.hpp", 5},
    {"ref/wait_canceller.hpp", 2},
    {"ref/zoned_word.hpp", 13},
};
// clang-format on

std::map<std::string, int> by_header(const std::vector<mutant>& mutants) {
  constexpr const char* library = "include/pinref/";
  std::map<std::string, int> counts;
  for (const mutant& m : mutants) ++counts[std::strstr(m.at.at.file, library) + std::strlen(library)];
  return counts;
}

std::string text(const std::map<std::string, int>& counts) {
  std::string out;
  for (const auto& [header, n] : counts) out += "    {\"" + header + "\", " + std::to_string(n) + "},\n";
  return out;
}

TEST_CASE("every memory order is needed by some protocol") {
  const std::vector<subject> subjects = all_subjects();
  const std::vector<mutant> mutants = all_mutants(subjects);
  const std::map<std::string, int> found = by_header(mutants);
  CHECK_MESSAGE(found == expected, "the weaker orders are not those that order_mutation.cpp expects, but\n"
                                       << text(found));
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
