// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// What goes into an exploration and what comes out of it.
///
/// When not to use it: by itself. explorer.hpp includes it.
///
/// Example:
///
///     explorer::options how{.spurious_weak_cas = 1};
///     how.orders = explorer::weaken(explorer::op::rmw, std::memory_order_acquire, std::memory_order_relaxed, "word");

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace explorer {

enum class op : std::uint8_t {
  load,
  store,
  rmw,
  cas,
  cas_fail,
  fence,
  wait,
  sleep,
  notify,
  pause,
  init,
  destroy,
  read,
  write,
  start,
  join,
  light,
  heavy
};

/// Where a call was written: as a default argument, the caller's line. (clang 14 compiles no
/// std::source_location.)
struct place {
  place(const char* f = __builtin_FILE(), int l = __builtin_LINE()) noexcept : file(f), line(l) {}
  const char* file;
  int line;
};

/// A place in the code under test that names a memory order.
struct site {
  op kind;
  std::memory_order order;
  place at;

  bool operator==(const site& other) const {
    return kind == other.kind && order == other.order && at.line == other.at.line &&
           std::strcmp(at.file, other.at.file) == 0;
  }
};

/// Maps an access to the order it is run with. `location` is the name given with explorer::name(),
/// or "" without one. A compare_exchange is asked for twice: as op::cas and as op::cas_fail.
using order_rule = std::function<std::memory_order(const site& where, const char* location, unsigned thread)>;

struct options {
  std::uint64_t max_executions = 0;  ///< 0: until everything has been seen
  std::uint32_t max_steps = 5000;    ///< per execution, below 60000; more is reported as a failure
  int preemption_bound = -1;         ///< switches away from a thread that could go on; -1: any
  unsigned spurious_weak_cas = 0;    ///< spurious compare_exchange_weak failures per execution
  bool prune = true;                 ///< cut an execution that reaches a state seen before
  std::uint64_t random_walks = 0;    ///< not 0: that many random executions instead of all
  std::uint64_t seed = 1;            ///< of the random walks
  const char* replay = nullptr;      ///< result::trail of a failure: run that execution only
  order_rule orders{};               ///< run-time replacement of memory orders
};

struct result {
  bool failed = false;
  bool exhausted = false;          ///< every execution within the options was covered
  std::string message;             ///< of the failure
  std::string trace;               ///< of the failure, one line for each step
  std::string trail;               ///< of the failure, for options::replay
  std::uint64_t executions = 0;    ///< started
  std::uint64_t pruned = 0;        ///< cut at a state seen before
  std::uint64_t inconsistent = 0;  ///< dropped: no single order of the seq_cst operations exists
  std::uint64_t states = 0;        ///< distinct, when pruning
  std::uint64_t steps = 0;
  std::set<std::string> outcomes;  ///< collected by execution::outcome()
  std::vector<site> sites;         ///< every memory order that was run, in the order first seen

  std::string text() const {
    std::string out = failed ? "FAILED: " + message + "\n" + trace + "replay: \"" + trail + "\"\n"
                             : std::string(exhausted ? "passed, exhausted" : "passed");
    out += (failed ? "after " : ": ") + std::to_string(executions) + " executions (" + std::to_string(pruned) +
           " pruned, " + std::to_string(inconsistent) + " inconsistent), " + std::to_string(states) + " states, " +
           std::to_string(steps) + " steps\n";
    return out;
  }
};

inline const char* text(op kind) {
  static constexpr const char* names[] = {"load", "store", "rmw",    "cas+",  "cas-",  "fence",
                                          "wait", "sleep", "notify", "pause", "init",  "destroy",
                                          "read", "write", "start",  "join",  "light", "heavy"};
  return names[static_cast<unsigned>(kind)];
}

inline const char* text(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "rlx";
    case std::memory_order_acquire:
      return "acq";
    case std::memory_order_release:
      return "rel";
    case std::memory_order_acq_rel:
      return "ar";
    case std::memory_order_seq_cst:
      return "sc";
    default:
      return "con";
  }
}

/// "ref.hpp:57"
inline std::string text(const place& where) {
  const char* slash = std::strrchr(where.file, '/');
  return std::string(slash ? slash + 1 : where.file) + ":" + std::to_string(where.line);
}

/// "rmw acq ref.hpp:57"
inline std::string text(const site& where) {
  return std::string(text(where.kind)) + " " + text(where.order) + " " + text(where.at);
}

/// The orders that are one step weaker than `where.order` for its kind of operation.
inline std::vector<std::memory_order> weaker(const site& where) {
  const bool is_load = where.kind == op::load || where.kind == op::cas_fail || where.kind == op::wait;
  switch (where.order) {
    case std::memory_order_seq_cst:
      if (is_load) return {std::memory_order_acquire};
      if (where.kind == op::store) return {std::memory_order_release};
      return {std::memory_order_acq_rel};
    case std::memory_order_acq_rel:
      return {std::memory_order_acquire, std::memory_order_release};
    case std::memory_order_acquire:
    case std::memory_order_release:
      return {std::memory_order_relaxed};
    default:
      return {};
  }
}

/// A rule that changes one site.
inline order_rule at_site(site where, std::memory_order to) {
  return [where, to](const site& here, const char*, unsigned) { return here == where ? to : here.order; };
}

/// A rule that changes every operation of a kind with order `from`, at all locations or at one.
inline order_rule weaken(op kind, std::memory_order from, std::memory_order to, std::string location = {}) {
  return [=](const site& here, const char* name, unsigned) {
    const bool here_too = location.empty() || location == name;
    return here_too && here.kind == kind && here.order == from ? to : here.order;
  };
}

/// What the memory asks of the scheduler: a decision among `count` ways, and the end of a bad run.
struct host {
  virtual unsigned choose(unsigned count) = 0;
  [[noreturn]] virtual void fail(std::string what) = 0;

 protected:
  ~host() = default;
};

}  // namespace explorer
