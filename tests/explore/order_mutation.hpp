// SPDX-License-Identifier: MIT
#pragma once

// Every memory order of the library that some programs run, one step weaker, one at a time, over all of these programs:
// some execution of one of them must fail. So no order is stronger than it needs to be, and none is untested.

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "protocol.hpp"

namespace support::order_mutation {

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

inline bool has(const std::vector<site>& sites, const site& s) {
  return std::find(sites.begin(), sites.end(), s) != sites.end();
}

// The header of a site below include/pinref/, or null for one of the tests.
inline const char* in_library(const site& s) {
  constexpr const char* library = "/include/pinref/";
  const char* const found = std::strstr(s.at.file, library);
  return found == nullptr || std::strstr(s.at.file, "/explorer/include/") != nullptr ? nullptr
                                                                                     : found + std::strlen(library);
}

// With a rule, so that programs which were explored before are not counted again.
inline std::memory_order as_written(const site& here, const char*, unsigned) {
  return here.order;
}

// All programs of these protocols, the cheapest first.
inline std::vector<subject> all_subjects(const std::vector<support::protocol>& protocols) {
  std::vector<subject> all;
  for (const support::protocol& p : protocols)
    for (const support::program& each : p.programs) {
      explorer::result r = explorer::explore({.orders = as_written}, each);
      all.push_back({&each, p.text, r.steps, std::move(r.sites)});
    }
  std::sort(all.begin(), all.end(), [](const subject& a, const subject& b) { return a.cost < b.cost; });
  return all;
}

inline std::vector<mutant> all_mutants(const std::vector<subject>& subjects) {
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

inline std::map<std::string, int> by_header(const std::vector<mutant>& mutants) {
  std::map<std::string, int> counts;
  for (const mutant& m : mutants) ++counts[in_library(m.at)];
  return counts;
}

inline std::string text(const std::map<std::string, int>& counts) {
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
inline std::string number_of(const std::string& line) {
  const std::size_t close = line.find(')');
  if (line.compare(0, 4, "// (") != 0 || close == std::string::npos || close < 6) return {};
  const std::string name = line.substr(4, close - 4);
  const bool digits = std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return std::isupper(static_cast<unsigned char>(name[0])) != 0 && digits ? "(" + name + ")" : std::string{};
}

// Those of all headers whose statement is stronger than relaxed.
inline std::vector<numbered_order> numbered_orders(const std::filesystem::path& library) {
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

inline bool runs(const std::vector<subject>& subjects, const numbered_order& order) {
  const auto stands_there = [&order](const site& s) {
    return s.order != std::memory_order_relaxed && in_library(s) != nullptr && order.header == in_library(s) &&
           s.at.line >= order.first && s.at.line <= order.last;
  };
  return std::any_of(subjects.begin(), subjects.end(), [&](const subject& each) {
    return std::any_of(each.sites.begin(), each.sites.end(), stands_there);
  });
}

// A program that fails with the mutant in, or null.
inline const subject* find_killer(const mutant& m, const std::vector<subject>& subjects) {
  for (const subject& s : subjects)
    if (has(s.sites, m.at) && explorer::explore({.orders = explorer::at_site(m.at, m.to)}, *s.run).failed) {
      support::cover("weaker orders caught", 1);
      return &s;
    }
  support::cover("weaker orders missed", 1);
  return nullptr;
}

}  // namespace support::order_mutation
