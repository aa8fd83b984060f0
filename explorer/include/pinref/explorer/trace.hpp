// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// A failed execution, one line for each event.
///
/// When not to use it: by itself. result::trace is made by it.
///
/// Example:
///
///     std::string text = explorer::trace_text(memory, names);

#include <cstdio>
#include <string>
#include <vector>

#include "pinref/explorer/memory.hpp"

namespace explorer {

struct named_range {
  const void* address;
  std::size_t size;
  const char* name;
};

class names {
 public:
  void clear() { ranges_.clear(); }
  void add(const void* address, std::size_t size, const char* name) { ranges_.push_back({address, size, name}); }

  /// The smallest named range around the address, or null.
  const named_range* find(const void* address) const {
    const named_range* best = nullptr;
    for (const named_range& r : ranges_) {
      const auto offset = distance(r.address, address);
      if (offset < r.size && (best == nullptr || r.size < best->size)) best = &r;
    }
    return best;
  }

  std::string text(const cell& c, cell_id id) const {
    const std::string name = text(c.address);
    return !name.empty() ? name : (c.is_atomic ? "atomic" : "plain") + std::to_string(id);
  }

  /// A pointer to something named by that name, any other value as a number.
  std::string value(std::uint64_t bits) const {
    const std::string name = text(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(bits)));
    if (!name.empty()) return "&" + name;
    char out[24];
    std::snprintf(out, sizeof out, bits < 10 ? "%llu" : "0x%llx", static_cast<unsigned long long>(bits));
    return out;
  }

 private:
  std::string text(const void* address) const {
    const named_range* r = find(address);
    if (r == nullptr) return {};
    const auto offset = distance(r->address, address);
    return offset == 0 ? r->name : std::string(r->name) + "+" + std::to_string(offset);
  }

  static std::uintptr_t distance(const void* from, const void* to) {
    return reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
  }

  std::vector<named_range> ranges_;
};

inline std::string trace_text(const memory& m, const names& known) {
  constexpr std::size_t longest = 500;
  const std::vector<event>& events = m.events();
  const std::size_t begin = events.size() > longest ? events.size() - longest : 0;
  std::string out;
  if (begin != 0) out = "  (" + std::to_string(begin) + " events before)\n";
  for (std::size_t i = begin; i < events.size(); ++i) {
    const event& e = events[i];
    const bool ordered = e.at.file != nullptr;
    std::string line = "  T" + std::to_string(e.thread) + "  ";
    const auto column = [&line](std::size_t at, const std::string& what) {
      line.resize(std::max(line.size() + 1, at), ' ');
      line += what;
    };
    line += text(e.kind);
    if (e.kind == op::start) column(14, "T" + std::to_string(e.put));
    if (e.where != no_cell) {
      column(14, e.where < m.cells() ? known.text(m.at(e.where), e.where) : "?");
    }
    if (ordered) column(28, text(e.order));
    if (e.reads) column(33, "read " + known.value(e.got));
    if (e.reads && e.stale) column(0, "STALE");
    if (e.writes && e.kind != op::init) column(e.reads ? 58 : 33, "write " + known.value(e.put));
    if (e.writes && e.kind == op::init) column(33, "value " + known.value(e.put));
    if (!e.reads && e.stale) column(0, "NOT LAST");
    if (ordered) column(84, text(e.at));
    out += line + "\n";
  }
  return out;
}

}  // namespace explorer
