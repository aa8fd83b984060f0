// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Whether a single total order S of the seq_cst operations exists, as [atomics.order] p3-4 of C++20 asks. The memory
/// runs seq_cst as acquire and release; executions that fail here never happened.
///
/// When not to use it: by itself. The engine asks at the end of each execution.
///
/// Example:
///
///     if (!explorer::seq_cst_order_exists(memory)) drop_this_execution();

#include <algorithm>
#include <vector>

#include "pinref/explorer/memory.hpp"

namespace explorer {

inline bool seq_cst_order_exists(const memory& m) {
  if (m.seq_cst_operations() < 2) return true;
  const std::vector<event>& events = m.events();

  // One access is coherence-ordered before another of the same atomic iff its key is smaller.
  std::vector<int> rank(events.size(), 0);
  for (cell_id c = 0; c < m.cells(); ++c) {
    int next = 0;
    for (const message& message : m.at(c).messages) rank[message.event] = next++;
  }
  const auto key = [&](std::size_t i) { return events[i].writes ? 2 * rank[i] : 2 * rank[events[i].source] + 1; };
  const auto happens_before = [](const event& a, const event& b) { return a.number <= b.clock[a.thread]; };

  // first: the earliest access of each atomic at or (for a fence) after the operation;
  // last: the latest one at or before it. first[a] of X below last[a] of Y puts X before Y.
  struct operation {
    const event* self;
    vector_clock before;  // what happened before the previous event of the thread, and that event
    std::vector<int> first, last;
  };
  constexpr int never = 1 << 30;
  std::vector<operation> operations;
  std::array<vector_clock, max_threads> previous{};
  for (std::size_t i = 0; i < events.size(); ++i) {
    const event& x = events[i];
    if (x.order == std::memory_order_seq_cst && (x.kind == op::fence || x.reads || x.writes)) {
      operation o{&x, previous[x.thread], std::vector<int>(m.cells(), never), std::vector<int>(m.cells(), -1)};
      for (std::size_t j = 0; j < events.size(); ++j) {
        const event& a = events[j];
        if (!a.reads && !a.writes) continue;
        if (j == i || (x.kind == op::fence && happens_before(x, a))) {
          o.first[a.where] = std::min(o.first[a.where], key(j));
        }
        if (j == i || (x.kind == op::fence && happens_before(a, x))) {
          o.last[a.where] = std::max(o.last[a.where], key(j));
        }
      }
      operations.push_back(std::move(o));
    }
    previous[x.thread] = x.clock;
    if (x.kind == op::start) previous[static_cast<std::size_t>(x.put)] = x.clock;
  }

  const auto ordered = [&](const operation& x, const operation& y) {
    if (x.self == y.self) return false;
    if (x.self->thread == y.self->thread) return x.self->number < y.self->number;
    // Strongly happens before: through an event after x and an event before y.
    if (y.before[x.self->thread] > x.self->number) return true;
    for (cell_id c = 0; c < m.cells(); ++c) {
      if (x.first[c] < y.last[c]) return true;
    }
    return false;
  };

  while (!operations.empty()) {
    const auto minimal = std::find_if(operations.begin(), operations.end(), [&](const auto& y) {
      return std::none_of(operations.begin(), operations.end(), [&](const auto& x) { return ordered(x, y); });
    });
    if (minimal == operations.end()) return false;
    operations.erase(minimal);
  }
  return true;
}

}  // namespace explorer
