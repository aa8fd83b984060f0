// SPDX-License-Identifier: MIT

// Classic litmus tests: the explorer must find every outcome that C++20 allows (without load
// buffering) and none that it forbids. All checks but the largest name the complete set.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "pinref/explorer/explorer.hpp"

namespace {

constexpr auto rlx = std::memory_order_relaxed;
constexpr auto acq = std::memory_order_acquire;
constexpr auto rel = std::memory_order_release;
constexpr auto ar = std::memory_order_acq_rel;
constexpr auto sc = std::memory_order_seq_cst;

using outcomes = std::set<std::string>;
using variable = explorer::atomic<int>;

struct bed {
  variable x{0};
  variable y{0};
  variable z{0};
  std::vector<int> r{};
};

using code = std::function<void(bed&)>;

// Registers r0, r1, ... and, after a bar, the final x and y if asked for.
outcomes run(unsigned registers, bool final_values, const std::vector<code>& threads, explorer::options how = {}) {
  const auto r = explorer::explore(how, [&](explorer::execution& e) {
    auto& b = e.make<bed>();
    b.r.assign(registers, 0);
    for (const code& c : threads) e.thread([&b, &c] { c(b); });
    e.join();
    std::string out;
    for (int value : b.r) out += std::to_string(value);
    if (final_values) out += "|" + std::to_string(b.x.load(rlx)) + std::to_string(b.y.load(rlx));
    e.outcome(out);
  });
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK(r.exhausted);
  return r.outcomes;
}

// Pruning must not change what is found.
outcomes all(unsigned registers, bool final_values, const std::vector<code>& threads) {
  explorer::options plain;
  plain.prune = false;
  const outcomes found = run(registers, final_values, threads);
  CHECK(found == run(registers, final_values, threads, plain));
  return found;
}

bool has(const outcomes& found, const char* outcome) {
  return found.count(outcome) != 0;
}

outcomes without(outcomes set, const std::string& outcome) {
  set.erase(outcome);
  return set;
}

const outcomes any_two{"00", "01", "10", "11"};

using order = std::memory_order;

struct orders4 {
  order a, b, c, d;
};

outcomes store_buffering(orders4 o, order fence1 = rlx, order fence2 = rlx) {
  return all(2, false,
             {[=](bed& b) {
                b.x.store(1, o.a);
                if (fence1 != rlx) explorer::fence(fence1);
                b.r[0] = b.y.load(o.b);
              },
              [=](bed& b) {
                b.y.store(1, o.c);
                if (fence2 != rlx) explorer::fence(fence2);
                b.r[1] = b.x.load(o.d);
              }});
}

outcomes message_passing(orders4 o, order fence1 = rlx, order fence2 = rlx) {
  return all(2, false,
             {[=](bed& b) {
                b.x.store(1, o.a);
                if (fence1 != rlx) explorer::fence(fence1);
                b.y.store(1, o.b);
              },
              [=](bed& b) {
                b.r[0] = b.y.load(o.c);
                if (fence2 != rlx) explorer::fence(fence2);
                b.r[1] = b.x.load(o.d);
              }});
}

// Orders: of the stores, of the readers' loads, of a fence between the loads.
outcomes iriw(order store, order load, order fence = rlx) {
  const auto reader = [=](bed& b, variable& first, variable& second, std::size_t at) {
    b.r[at] = first.load(load);
    if (fence != rlx) explorer::fence(fence);
    b.r[at + 1] = second.load(load);
  };
  return run(4, false,
             {[=](bed& b) { b.x.store(1, store); }, [=](bed& b) { b.y.store(1, store); },
              [=](bed& b) { reader(b, b.x, b.y, 0); }, [=](bed& b) { reader(b, b.y, b.x, 2); }});
}

outcomes two_plus_two_writes(order o, order fence = rlx) {
  return all(0, true,
             {[=](bed& b) {
                b.x.store(1, o);
                if (fence != rlx) explorer::fence(fence);
                b.y.store(2, o);
              },
              [=](bed& b) {
                b.y.store(1, o);
                if (fence != rlx) explorer::fence(fence);
                b.x.store(2, o);
              }});
}

outcomes write_to_read_causality(order store_x, order load_x, order store_y, order load_y) {
  return all(3, false,
             {[=](bed& b) { b.x.store(1, store_x); },
              [=](bed& b) {
                b.r[0] = b.x.load(load_x);
                b.y.store(1, store_y);
              },
              [=](bed& b) {
                b.r[1] = b.y.load(load_y);
                b.r[2] = b.x.load(rlx);
              }});
}

outcomes s_shape(order store_y, order load_y, order fence1 = rlx, order fence2 = rlx) {
  return all(1, true,
             {[=](bed& b) {
                b.x.store(2, rlx);
                if (fence1 != rlx) explorer::fence(fence1);
                b.y.store(1, store_y);
              },
              [=](bed& b) {
                b.r[0] = b.y.load(load_y);
                if (fence2 != rlx) explorer::fence(fence2);
                b.x.store(1, rlx);
              }});
}

outcomes r_shape(order store, order load, order fence = rlx) {
  return all(1, true,
             {[=](bed& b) {
                b.x.store(1, store);
                if (fence != rlx) explorer::fence(fence);
                b.y.store(1, store);
              },
              [=](bed& b) {
                b.y.store(2, store);
                if (fence != rlx) explorer::fence(fence);
                b.r[0] = b.x.load(load);
              }});
}

outcomes read_to_write_causality(order store, order load, order fence = rlx) {
  return all(3, false,
             {[=](bed& b) { b.x.store(1, store); },
              [=](bed& b) {
                b.r[0] = b.x.load(load);
                if (fence != rlx) explorer::fence(fence);
                b.r[1] = b.y.load(load);
              },
              [=](bed& b) {
                b.y.store(1, store);
                if (fence != rlx) explorer::fence(fence);
                b.r[2] = b.x.load(load);
              }});
}

// What each thread does between its store and its load.
outcomes asymmetric_store_buffering(void (*first)(explorer::place), void (*second)(explorer::place)) {
  return all(2, false,
             {[=](bed& b) {
                b.x.store(1, rlx);
                if (first != nullptr) first({});
                b.r[0] = b.y.load(rlx);
              },
              [=](bed& b) {
                b.y.store(1, rlx);
                if (second != nullptr) second({});
                b.r[1] = b.x.load(rlx);
              }});
}

}  // namespace

TEST_CASE("store buffering is forbidden by seq_cst on all four accesses only") {
  CHECK(store_buffering({rlx, rlx, rlx, rlx}) == any_two);
  CHECK(store_buffering({rel, acq, rel, acq}) == any_two);
  CHECK(store_buffering({sc, sc, sc, sc}) == without(any_two, "00"));
  CHECK(store_buffering({rel, sc, sc, sc}) == any_two);
  CHECK(store_buffering({sc, acq, sc, sc}) == any_two);
  CHECK(store_buffering({sc, sc, rel, sc}) == any_two);
  CHECK(store_buffering({sc, sc, sc, acq}) == any_two);
}

TEST_CASE("store buffering is forbidden by a seq_cst fence on each side") {
  const orders4 relaxed{rlx, rlx, rlx, rlx};
  CHECK(store_buffering(relaxed, sc, sc) == without(any_two, "00"));
  CHECK(store_buffering(relaxed, ar, ar) == any_two);
  CHECK(store_buffering(relaxed, sc, ar) == any_two);
  CHECK(store_buffering(relaxed, sc) == any_two);
  CHECK(store_buffering({sc, sc, rlx, rlx}, rlx, sc) == without(any_two, "00"));
  CHECK(store_buffering({sc, acq, rlx, rlx}, rlx, sc) == any_two);
}

TEST_CASE("store buffering through one RMW location: the later RMW sees the earlier") {
  const auto found = all(2, false,
                         {[](bed& b) {
                            b.x.store(1, rlx);
                            b.r[0] = b.y.fetch_add(1, ar);
                          },
                          [](bed& b) {
                            b.r[1] = b.y.fetch_add(1, ar) == 1 ? 2 : 0;
                            b.r[1] += b.x.load(rlx);
                          }});
  CHECK(found == outcomes{"03", "10", "11"});
}

TEST_CASE("message passing needs a release and an acquire, as orders or as fences") {
  CHECK(message_passing({rlx, rel, acq, rlx}) == without(any_two, "10"));
  CHECK(message_passing({rlx, rlx, acq, rlx}) == any_two);
  CHECK(message_passing({rlx, rel, rlx, rlx}) == any_two);
  CHECK(message_passing({rel, rlx, rlx, acq}) == any_two);
  CHECK(message_passing({sc, sc, sc, sc}) == without(any_two, "10"));
  const orders4 relaxed{rlx, rlx, rlx, rlx};
  CHECK(message_passing(relaxed, rel, acq) == without(any_two, "10"));
  CHECK(message_passing(relaxed, ar, ar) == without(any_two, "10"));
  CHECK(message_passing(relaxed, sc, sc) == without(any_two, "10"));
  CHECK(message_passing(relaxed, acq, rel) == any_two);
  CHECK(message_passing(relaxed, rel) == any_two);
  CHECK(message_passing(relaxed, rlx, acq) == any_two);
  CHECK(message_passing({rlx, rel, rlx, rlx}, rlx, acq) == without(any_two, "10"));
  CHECK(message_passing({rlx, rlx, acq, rlx}, rel, rlx) == without(any_two, "10"));
}

TEST_CASE("independent readers agree on the order of independent writes under seq_cst only") {
  CHECK(iriw(rlx, rlx).size() == 16);
  CHECK(iriw(rel, acq).size() == 16);
  CHECK(iriw(sc, acq).size() == 16);
  CHECK(iriw(rlx, rlx, ar).size() == 16);
  const auto with_accesses = iriw(sc, sc);
  CHECK(with_accesses.size() == 15);
  CHECK_FALSE(has(with_accesses, "1010"));
  const auto with_fences = iriw(rlx, rlx, sc);
  CHECK(with_fences.size() == 15);
  CHECK_FALSE(has(with_fences, "1010"));
}

TEST_CASE("2+2W: both first stores may come last in modification order, unless seq_cst") {
  const outcomes every{"|11", "|12", "|21", "|22"};
  CHECK(two_plus_two_writes(rlx) == every);
  CHECK(two_plus_two_writes(rel) == every);
  CHECK(two_plus_two_writes(rlx, ar) == every);
  CHECK(two_plus_two_writes(sc) == without(every, "|11"));
  CHECK(two_plus_two_writes(rlx, sc) == without(every, "|11"));
}

TEST_CASE("WRC: causality goes through a third thread with release and acquire on the way") {
  CHECK(has(write_to_read_causality(rlx, rlx, rlx, rlx), "110"));
  CHECK(has(write_to_read_causality(rel, acq, rlx, acq), "110"));
  CHECK(has(write_to_read_causality(rel, acq, rel, rlx), "110"));
  for (const auto& found : {write_to_read_causality(rel, acq, rel, acq), write_to_read_causality(rlx, rlx, rel, acq)}) {
    CHECK(found.size() == 7);
    CHECK_FALSE(has(found, "110"));
  }
}

TEST_CASE("S: a store after an acquire is not overtaken by one before the release") {
  const outcomes every{"0|11", "0|21", "1|11", "1|21"};
  CHECK(s_shape(rlx, rlx) == every);
  CHECK(s_shape(rel, rlx) == every);
  CHECK(s_shape(rlx, acq) == every);
  CHECK(s_shape(rel, acq) == without(every, "1|21"));
  CHECK(s_shape(rlx, rlx, rel, acq) == without(every, "1|21"));
  CHECK(s_shape(rlx, rlx, sc, sc) == without(every, "1|21"));
  CHECK(s_shape(rlx, rlx, sc, rlx) == every);
}

TEST_CASE("R: a store and a later load on the other side need seq_cst") {
  const outcomes every{"0|11", "0|12", "1|11", "1|12"};
  CHECK(r_shape(rlx, rlx) == every);
  CHECK(r_shape(rel, acq) == every);
  CHECK(r_shape(rlx, rlx, ar) == every);
  CHECK(r_shape(sc, sc) == without(every, "0|12"));
  CHECK(r_shape(rlx, rlx, sc) == without(every, "0|12"));
}

TEST_CASE("RWC: a reader and a writer agree with a third thread under seq_cst only") {
  CHECK(has(read_to_write_causality(rlx, rlx), "100"));
  CHECK(has(read_to_write_causality(rel, acq), "100"));
  CHECK(has(read_to_write_causality(rlx, rlx, ar), "100"));
  CHECK(has(read_to_write_causality(sc, acq), "100"));
  CHECK(read_to_write_causality(sc, sc).size() == 7);
  CHECK_FALSE(has(read_to_write_causality(sc, sc), "100"));
  CHECK_FALSE(has(read_to_write_causality(rlx, rlx, sc), "100"));
}

TEST_CASE("Z6.U: seq_cst accesses do not order what a mere release store came between") {
  const auto run_with = [](order store_y) {
    return all(3, false,
               {[=](bed& b) {
                  b.x.store(1, sc);
                  b.y.store(1, store_y);
                },
                [](bed& b) {
                  b.r[0] = b.y.fetch_add(1, sc);
                  b.r[1] = b.y.load(rlx);
                },
                [](bed& b) {
                  b.y.store(3, sc);
                  b.r[2] = b.x.load(sc);
                }});
  };
  CHECK(has(run_with(rel), "130"));  // allowed since C++20, not in C++11
  CHECK_FALSE(has(run_with(sc), "130"));
}

TEST_CASE("seq_cst operations of two threads are ordered by a release and acquire between them") {
  const auto run_with = [](order store, order load) {
    return run(3, false,
               {[=](bed& b) {
                  b.x.store(1, sc);
                  b.z.store(1, store);
                },
                [=](bed& b) {
                  b.r[0] = b.z.load(load);
                  b.r[1] = b.y.load(sc);
                },
                [](bed& b) {
                  b.y.store(1, sc);
                  b.r[2] = b.x.load(sc);
                }});
  };
  CHECK_FALSE(has(run_with(rel, acq), "100"));
  CHECK(has(run_with(rlx, acq), "100"));
  CHECK(has(run_with(rel, rlx), "100"));
}

TEST_CASE("coherence: reads of one atomic never go back") {
  const auto reader = [](std::size_t at) {
    return [at](bed& b) {
      b.r[at] = b.x.load(rlx);
      b.r[at + 1] = b.x.load(rlx);
    };
  };
  const auto found =
      run(4, false, {[](bed& b) { b.x.store(1, rlx); }, [](bed& b) { b.x.store(2, rlx); }, reader(0), reader(2)});
  CHECK(has(found, "1212"));
  CHECK(has(found, "2121"));
  CHECK_FALSE(has(found, "1221"));
  CHECK_FALSE(has(found, "2112"));
  CHECK(std::none_of(found.begin(), found.end(),
                     [](const std::string& o) { return o.substr(0, 2) == "10" || o.substr(0, 2) == "20"; }));
}

TEST_CASE("coherence: a thread's own stores stay in order and are seen by it") {
  CHECK(all(0, true, {[](bed& b) {
              b.x.store(1, rlx);
              b.x.store(2, rlx);
            }}) == outcomes{"|20"});
  CHECK(all(1, true,
            {[](bed& b) {
               b.x.store(1, rlx);
               b.r[0] = b.x.load(rlx);
             },
             [](bed& b) { b.x.store(2, rlx); }}) == outcomes{"1|10", "1|20", "2|20"});
}

TEST_CASE("coherence: a load does not see a later store of its own thread") {
  CHECK(all(1, true,
            {[](bed& b) {
               b.r[0] = b.x.load(rlx);
               b.x.store(1, rlx);
             },
             [](bed& b) { b.x.store(2, rlx); }}) == outcomes{"0|10", "0|20", "2|10"});
}

TEST_CASE("load buffering is not modelled, as in RC11") {
  CHECK(all(2, false,
            {[](bed& b) {
               b.r[0] = b.x.load(rlx);
               b.y.store(1, rlx);
             },
             [](bed& b) {
               b.r[1] = b.y.load(rlx);
               b.x.store(1, rlx);
             }}) == without(any_two, "11"));
}

TEST_CASE("a release sequence goes on through an RMW of any order") {
  for (order o : {rlx, acq, rel, ar}) {
    const auto found = all(2, false,
                           {[](bed& b) {
                              b.x.store(1, rlx);
                              b.y.store(1, rel);
                            },
                            [o](bed& b) { b.y.fetch_add(2, o); },
                            [](bed& b) {
                              b.r[0] = b.y.load(acq);
                              b.r[1] = b.x.load(rlx);
                            }});
    CHECK(found == outcomes{"00", "01", "11", "20", "21", "31"});
  }
}

TEST_CASE("a release sequence goes on through a relaxed exchange and compare_exchange") {
  for (bool swap : {false, true}) {
    const auto found = all(3, false,
                           {[](bed& b) {
                              b.x.store(1, rlx);
                              b.y.store(1, rel);
                            },
                            [swap](bed& b) {
                              int one = 1;
                              if (swap)
                                b.r[2] = b.y.exchange(3, rlx);
                              else
                                b.r[2] = b.y.compare_exchange_strong(one, 3, rlx);
                            },
                            [](bed& b) {
                              b.r[0] = b.y.load(acq);
                              b.r[1] = b.x.load(rlx);
                            }});
    CHECK(has(found, "311"));
    CHECK_FALSE(has(found, "301"));
  }
}

TEST_CASE("a release sequence ends at a store, even of the same thread") {
  CHECK(has(all(2, false,
                {[](bed& b) {
                   b.x.store(1, rlx);
                   b.y.store(1, rel);
                   b.y.store(2, rlx);
                 },
                 [](bed& b) {
                   b.r[0] = b.y.load(acq);
                   b.r[1] = b.x.load(rlx);
                 }}),
            "20"));
}

TEST_CASE("RMWs of one atomic never read the same message") {
  CHECK(all(3, true,
            {[](bed& b) { b.r[0] = b.x.fetch_add(1, rlx); }, [](bed& b) { b.r[1] = b.x.fetch_add(1, rlx); },
             [](bed& b) { b.r[2] = b.x.fetch_add(1, rlx); }}) ==
        outcomes{"012|30", "021|30", "102|30", "120|30", "201|30", "210|30"});
}

TEST_CASE("a store may go in front of a message another thread read, never between an RMW pair") {
  const auto found = all(2, true,
                         {[](bed& b) { b.r[0] = b.x.fetch_add(1, rlx); },
                          [](bed& b) {
                            b.x.store(5, rlx);
                            b.r[1] = b.x.load(rlx);
                          }});
  CHECK(found == outcomes{"05|50", "55|60", "56|60"});
}

TEST_CASE("a failed compare_exchange has the failure order, a successful one the success order") {
  const auto run_cas = [](int expected, order success, order failure) {
    return all(3, false,
               {[](bed& b) {
                  b.x.store(1, rlx);
                  b.y.store(1, rel);
                },
                [=](bed& b) {
                  int seen = expected;
                  b.r[0] = b.y.compare_exchange_strong(seen, 7, success, failure);
                  b.r[1] = seen;
                  b.r[2] = b.x.load(rlx);
                }});
  };
  CHECK(has(run_cas(5, acq, rlx), "010"));
  CHECK_FALSE(has(run_cas(5, rlx, acq), "010"));
  CHECK(has(run_cas(1, rlx, acq), "110"));
  CHECK_FALSE(has(run_cas(1, acq, rlx), "110"));
}

TEST_CASE("a weak compare_exchange fails spuriously as often as the options allow") {
  const std::vector<code> program{[](bed& b) {
    for (int i = 0; i < 2; ++i) {
      int zero = 0;
      b.r[0] += b.x.compare_exchange_weak(zero, 0, rlx) ? 0 : 1;
      b.r[1] += b.x.compare_exchange_strong(zero, 0, rlx) ? 0 : 1;
    }
  }};
  explorer::options how;
  CHECK(run(2, false, program, how) == outcomes{"00"});
  how.spurious_weak_cas = 1;
  CHECK(run(2, false, program, how) == outcomes{"00", "10"});
  how.spurious_weak_cas = 2;
  CHECK(run(2, false, program, how) == outcomes{"00", "10", "20"});
}

TEST_CASE("asymmetric barriers: store buffering needs a heavy one on one side and one on the other") {
  const auto light = explorer::light_barrier, heavy = explorer::heavy_barrier;
  CHECK(asymmetric_store_buffering(light, heavy) == without(any_two, "00"));
  CHECK(asymmetric_store_buffering(heavy, heavy) == without(any_two, "00"));
  CHECK(asymmetric_store_buffering(light, light) == any_two);
  CHECK(asymmetric_store_buffering(light, nullptr) == any_two);
  CHECK(asymmetric_store_buffering(nullptr, heavy) == any_two);
}

TEST_CASE("asymmetric barriers: a heavy one does not order two light ones") {
  const auto found = all(2, false,
                         {[](bed& b) {
                            b.x.store(1, rlx);
                            explorer::light_barrier();
                            b.r[0] = b.y.load(rlx);
                          },
                          [](bed& b) {
                            b.y.store(1, rlx);
                            explorer::light_barrier();
                            b.r[1] = b.x.load(rlx);
                          },
                          [](bed&) { explorer::heavy_barrier(); }});
  CHECK(found == any_two);
}

TEST_CASE("asymmetric barriers order what may be read, and make nothing happen before") {
  explorer::options how;
  const auto r = explorer::explore(how, [](explorer::execution& e) {
    struct shared {
      explorer::plain<int> data{0};
      variable flag{0};
    };
    auto& s = e.make<shared>();
    e.thread([&s] {
      s.data.write(1);
      explorer::light_barrier();
      s.flag.store(1, rlx);
    });
    e.thread([&s] {
      explorer::heavy_barrier();
      if (s.flag.load(rlx) == 1) s.data.read();
    });
  });
  CHECK_MESSAGE(r.message.find("data race") != std::string::npos, r.text());
}
