// SPDX-License-Identifier: MIT
#pragma once

// Axiomatic models of straight-line programs: every reads-from and every modification order is enumerated, and what the
// axioms allow is kept.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <set>
#include <string>
#include <vector>

#include "pinref/explorer/explorer.hpp"

namespace axiomatic {

using order = std::memory_order;
inline constexpr auto rlx = std::memory_order_relaxed;
inline constexpr auto acq = std::memory_order_acquire;
inline constexpr auto rel = std::memory_order_release;
inline constexpr auto ar = std::memory_order_acq_rel;
inline constexpr auto sc = std::memory_order_seq_cst;

enum class kind { load, store, exchange, cas, fence };

struct instruction {
  kind k;
  order o;
  order failure;
  int location;
  int value;
  int expected;
};
using program = std::vector<std::vector<instruction>>;
inline constexpr int locations = 3;

enum class axioms {
  cxx20,     // of the standard, which does not forbid load buffering
  rc11,      // as published: Lahav, Vafeiadis, Kang, Hur and Dreyer, PLDI 2017
  explorer,  // of the standard, and no cycle of program order and reads-from
};

class relation {
 public:
  static constexpr std::size_t max = 16;
  bool operator()(std::size_t a, std::size_t b) const { return rows_[a][b]; }
  void add(std::size_t a, std::size_t b) { rows_[a][b] = true; }
  relation operator|(const relation& other) const {
    relation out = *this;
    for (std::size_t i = 0; i < max; ++i) out.rows_[i] |= other.rows_[i];
    return out;
  }
  relation then(const relation& next) const {
    relation out;
    for (std::size_t i = 0; i < max; ++i)
      for (std::size_t k = 0; k < max; ++k)
        if (rows_[i][k]) out.rows_[i] |= next.rows_[k];
    return out;
  }
  relation closure() const {
    relation out = *this;
    for (std::size_t k = 0; k < max; ++k)
      for (std::size_t i = 0; i < max; ++i)
        if (out.rows_[i][k]) out.rows_[i] |= out.rows_[k];
    return out;
  }
  bool reflexive() const {
    for (std::size_t i = 0; i < max; ++i)
      if (rows_[i][i]) return true;
    return false;
  }

 private:
  std::array<std::bitset<max>, max> rows_{};
};

/// Outcomes: what each load and RMW read, thread by thread, and the last value of each location.
class model {
 public:
  model(const program& p, axioms by) : by_(by) {
    for (int l = 0; l < locations; ++l) events_.push_back({-1, {kind::store, rlx, rlx, l, 0, 0}, rlx, false, true});
    for (std::size_t t = 0; t < p.size(); ++t) {
      for (const instruction& i : p[t]) {
        const bool rmw = i.k == kind::exchange || i.k == kind::cas;
        events_.push_back({static_cast<int>(t), i, i.o, rmw || i.k == kind::load, rmw || i.k == kind::store});
      }
    }
    choose_source(0);
  }

  const std::set<std::string>& outcomes() const { return outcomes_; }

 private:
  struct event {
    int thread;
    instruction i;
    order o;
    bool reads;
    bool writes;
    std::size_t source = 0;
  };

  void choose_source(std::size_t r) {
    while (r < events_.size() && !events_[r].reads) ++r;
    if (r == events_.size()) return choose_order();
    event& e = events_[r];
    for (std::size_t w = 0; w < events_.size(); ++w) {
      const instruction& from = events_[w].i;
      if (w == r || from.location != e.i.location || from.k == kind::load || from.k == kind::fence) continue;
      e.source = w;
      if (e.i.k == kind::cas) {
        e.writes = from.value == e.i.expected;
        e.o = e.writes ? e.i.o : e.i.failure;
      }
      choose_source(r + 1);
    }
  }

  void choose_order() {
    for (auto& m : modification_) m.clear();
    for (std::size_t i = 0; i < events_.size(); ++i) {
      if (events_[i].reads && !events_[events_[i].source].writes) return;
      if (events_[i].writes) modification_[static_cast<std::size_t>(events_[i].i.location)].push_back(i);
    }
    permute(0);
  }

  void permute(std::size_t l) {
    if (l == std::size_t{locations}) return judge();
    auto& m = modification_[l];
    std::sort(m.begin() + 1, m.end());
    do {
      bool atomic = true;
      for (std::size_t k = 1; k < m.size(); ++k)
        atomic = atomic && (!events_[m[k]].reads || events_[m[k]].source == m[k - 1]);
      if (atomic) permute(l + 1);
    } while (std::next_permutation(m.begin() + 1, m.end()));
  }

  void judge() {
    const std::size_t n = events_.size();
    relation sb, rf, mo, rb;
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = a + 1; b < n; ++b)
        if (events_[a].thread == -1 ? events_[b].thread != -1 : events_[a].thread == events_[b].thread) sb.add(a, b);
      if (events_[a].reads) rf.add(events_[a].source, a);
    }
    for (const auto& m : modification_)
      for (std::size_t a = 0; a < m.size(); ++a)
        for (std::size_t b = a + 1; b < m.size(); ++b) mo.add(m[a], m[b]);
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t w = 0; w < n; ++w)
        if (events_[r].reads && w != r && mo(events_[r].source, w)) rb.add(r, w);

    if (by_ != axioms::cxx20 && (sb | rf).closure().reflexive()) return;
    const relation eco = (rf | mo | rb).closure();
    const relation hb = (sb | synchronizes(sb)).closure();
    if (eco.reflexive() || hb.reflexive() || hb.then(eco).reflexive()) return;
    if (by_ == axioms::rc11 ? !partial_order(sb, hb, eco, mo | rb) : !single_order(sb, hb, eco)) return;

    std::string out;
    for (const event& e : events_)
      if (e.reads) out += std::to_string(events_[e.source].i.value) + " ";
    for (const auto& m : modification_) out += "| " + std::to_string(events_[m.back()].i.value) + " ";
    outcomes_.insert(out);
  }

  relation synchronizes(const relation& sb) const {
    relation sw;
    for (std::size_t r = 0; r < events_.size(); ++r) {
      if (!events_[r].reads) continue;
      std::vector<std::size_t> givers, takers;
      for (std::size_t w = events_[r].source;; w = events_[w].source) {
        for (std::size_t head = 0; head < events_.size(); ++head) {
          // Until C++20 a release sequence went on through the later stores of its thread.
          const bool of_the_same_thread = by_ == axioms::rc11 && sb(head, w) && same_location(head, w);
          if (events_[head].writes && (head == w || of_the_same_thread) && explorer::releases(events_[head].o))
            givers.push_back(head);
          if (is_fence(head) && explorer::releases(events_[head].o) && sb(head, w)) givers.push_back(head);
        }
        if (!events_[w].reads) break;
      }
      if (explorer::acquires(events_[r].o)) takers.push_back(r);
      for (std::size_t f = 0; f < events_.size(); ++f)
        if (is_fence(f) && explorer::acquires(events_[f].o) && sb(r, f)) takers.push_back(f);
      for (std::size_t a : givers)
        for (std::size_t b : takers) sw.add(a, b);
    }
    return sw;
  }

  // [atomics.order] p3-4.
  bool single_order(const relation& sb, const relation& hb, const relation& eco) const {
    const std::size_t n = events_.size();
    const relation strongly = (sb | sb.then(hb).then(sb)).closure();
    relation reaches, reached;  // itself, and for a fence what comes after it, and before it
    for (std::size_t i = 0; i < n; ++i) {
      reaches.add(i, i);
      reached.add(i, i);
      for (std::size_t a = 0; is_fence(i) && a < n; ++a) {
        if (hb(i, a)) reaches.add(i, a);
        if (hb(a, i)) reached.add(a, i);
      }
    }
    const relation before = strongly | reaches.then(eco).then(reached);
    relation s;
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = 0; b < n; ++b)
        if (a != b && events_[a].o == sc && events_[b].o == sc && before(a, b)) s.add(a, b);
    return !s.closure().reflexive();
  }

  // RC11: psc is acyclic.
  bool partial_order(const relation& sb, const relation& hb, const relation& eco, const relation& mo_rb) const {
    const std::size_t n = events_.size();
    relation elsewhere, here;  // program order between locations, happens-before within one
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = 0; b < n; ++b) {
        if (sb(a, b) && !same_location(a, b)) elsewhere.add(a, b);
        if (hb(a, b) && same_location(a, b)) here.add(a, b);
      }
    const relation scb = sb | elsewhere.then(hb).then(elsewhere) | here | mo_rb;
    relation from, to, fences;
    for (std::size_t i = 0; i < n; ++i) {
      if (events_[i].o != sc) continue;
      from.add(i, i);
      to.add(i, i);
      if (!is_fence(i)) continue;
      fences.add(i, i);
      for (std::size_t a = 0; a < n; ++a) {
        if (hb(i, a)) from.add(i, a);
        if (hb(a, i)) to.add(a, i);
      }
    }
    const relation of_fences = fences.then(hb | hb.then(eco).then(hb)).then(fences);
    return !(from.then(scb).then(to) | of_fences).closure().reflexive();
  }

  bool same_location(std::size_t a, std::size_t b) const {
    return !is_fence(a) && !is_fence(b) && events_[a].i.location == events_[b].i.location;
  }
  bool is_fence(std::size_t i) const { return events_[i].i.k == kind::fence; }

  const axioms by_;
  std::vector<event> events_;
  std::array<std::vector<std::size_t>, locations> modification_;
  std::set<std::string> outcomes_;
};

/// The outcomes that the explorer finds.
inline std::set<std::string> explored(const program& p, bool prune) {
  const auto r = explorer::explore({.prune = prune}, [&p](explorer::execution& x) {
    std::array<explorer::atomic<int>*, locations> at{};
    for (auto& a : at) a = &x.make<explorer::atomic<int>>(0);
    std::vector<std::string> got(p.size());
    for (std::size_t t = 0; t < p.size(); ++t) {
      x.thread([&, t] {
        for (const instruction& i : p[t]) {
          auto& a = *at[static_cast<std::size_t>(i.location)];
          int read = i.expected;
          if (i.k == kind::fence) explorer::fence(i.o);
          if (i.k == kind::store) a.store(i.value, i.o);
          if (i.k == kind::load) read = a.load(i.o);
          if (i.k == kind::exchange) read = a.exchange(i.value, i.o);
          if (i.k == kind::cas) a.compare_exchange_strong(read, i.value, i.o, i.failure);
          if (i.k != kind::fence && i.k != kind::store) got[t] += std::to_string(read) + " ";
        }
      });
    }
    x.join();
    std::string out;
    for (const std::string& g : got) out += g;
    for (auto* a : at) out += "| " + std::to_string(a->load(rlx)) + " ";
    x.outcome(out);
  });
  CHECK_MESSAGE(r.exhausted, r.text());
  return r.outcomes;
}

}  // namespace axiomatic
