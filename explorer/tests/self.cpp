// SPDX-License-Identifier: MIT

// The explorer on small hand-written words: each known-bad protocol must be caught, each known-good
// one must pass exhaustively. Then the explorer's own machinery.
#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "pinref/explorer/explorer.hpp"

namespace {

using explorer::execution;
using explorer::options;

constexpr auto rlx = std::memory_order_relaxed;
constexpr auto acq = std::memory_order_acquire;
constexpr auto rel = std::memory_order_release;
constexpr auto ar = std::memory_order_acq_rel;
constexpr auto sc = std::memory_order_seq_cst;
using order = std::memory_order;

using word = explorer::atomic<std::uint64_t>;

constexpr std::uint64_t dead = std::uint64_t{1} << 63;
constexpr std::uint64_t waiters = std::uint64_t{1} << 62;
constexpr std::uint64_t pin = std::uint64_t{1} << 32;
constexpr std::uint64_t pin_mask = waiters - pin;

using program = std::function<void(execution&)>;

void passes(const program& p, options how = {}) {
  const auto r = explorer::explore(how, p);
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK(r.exhausted);
}

void fails(const program& p, const std::string& why, options how = {}) {
  const auto r = explorer::explore(how, p);
  CHECK_MESSAGE(r.failed, "not caught: " << why);
  CHECK_MESSAGE(r.message.find(why) != std::string::npos, r.text());
  how.replay = r.trail.c_str();
  const auto again = explorer::explore(how, p);
  CHECK(again.executions == 1);
  CHECK(again.message == r.message);
  CHECK(again.trace == r.trace);
}

// P1: the reference count that is never raised from zero.
struct p1 {
  order get_load = rlx, get = rlx, put = rel;
  bool fence = true;
  bool blind = false;
  bool published = false;  // through the word, while the other thread looks

  void operator()(execution& x) const {
    struct object {
      explorer::plain<int> box{1};
      word count{0};
    };
    auto& o = x.make<object>();
    x.name(o.count, "count");
    x.name(o.box, "box");
    const auto drop = [&o, *this] {
      if (o.count.fetch_sub(1, put) != 1) return;
      if (fence) explorer::fence(acq);
      o.box.destroy();
    };
    if (!published) o.count.store(1, rlx);
    x.thread([&o, drop, *this] {
      if (published) {
        o.box.write(2);
        o.count.store(1, rel);
      }
      o.box.read();
      drop();
    });
    for (int i = 0; i < 2; ++i) {
      x.thread([&o, drop, *this] {
        std::uint64_t old = o.count.load(get_load);
        if (blind) {
          o.count.fetch_add(1, sc);
        } else {
          do {
            if (old == 0) return;
          } while (!o.count.compare_exchange_weak(old, old + 1, get, rlx));
        }
        o.box.read();
        drop();
      });
    }
  }
};

// P2: add first, look afterwards; zero is made dead by one compare_exchange.
struct p2 {
  order get = rlx, put = rel, kill = acq;
  enum { strong, weak, none, store } how = strong;

  void operator()(execution& x) const {
    struct object {
      explorer::plain<int> box{1};
      word w{1};
      explorer::ghost<int> freed{0};
    };
    auto& o = x.make<object>();
    x.name(o.w, "word");
    x.name(o.box, "box");
    const auto drop = [&o, *this](std::uint64_t n) {
      if (o.w.fetch_sub(n, put) != n) return;
      std::uint64_t zero = 0;
      bool won = true;
      if (how == strong) won = o.w.compare_exchange_strong(zero, dead, kill, rlx);
      if (how == weak) won = o.w.compare_exchange_weak(zero, dead, kill, rlx);
      if (how == store) o.w.store(dead, kill == acq ? rel : kill);
      if (!won) return;
      o.box.destroy();
      o.freed.add(1);
    };
    x.thread([drop] { drop(1); });
    for (std::uint64_t n : {std::uint64_t{1}, pin}) {
      x.thread([&o, drop, n, *this] {
        if ((o.w.fetch_add(n, get) & dead) != 0) return;
        o.box.read();
        drop(n);
      });
    }
    x.join();
    x.check(o.freed.get() == 1, "freed exactly once");
    if (how != none) x.check((o.w.load(rlx) & dead) != 0, "ends dead");
  }
};

// P3: freeze, change the object alone, thaw; against takes that may fail.
struct p3 {
  order get = acq, put = rel, freeze = acq, thaw = rel, kill = acq;
  bool undo = false;
  bool thaw_adds = false;

  void operator()(execution& x) const {
    struct object {
      explorer::plain<int> box{1};
      word w{1};
      explorer::ghost<int> freed{0};
    };
    auto& o = x.make<object>();
    x.name(o.w, "word");
    x.name(o.box, "box");
    const auto drop = [&o, *this](std::uint64_t n) {
      const std::uint64_t old = o.w.fetch_sub(n, put);
      x_check((old & dead) == 0, "no foreign put on a frozen word");
      if (old != n) return;
      std::uint64_t zero = 0;
      if (!o.w.compare_exchange_strong(zero, dead, kill, rlx)) return;
      o.box.destroy();
      o.freed.add(1);
    };
    x.thread([&o, drop, *this] {
      std::uint64_t one = 1;
      if (o.w.compare_exchange_strong(one, dead, freeze, rlx)) {
        o.box.write(2);
        if (thaw_adds)
          o.w.fetch_add(1 - dead, sc);
        else
          o.w.store(1, thaw);
      }
      drop(1);
    });
    for (std::uint64_t n : {std::uint64_t{1}, pin}) {
      x.thread([&o, drop, n, *this] {
        if ((o.w.fetch_add(n, get) & dead) != 0) {
          if (undo) o.w.fetch_sub(n, rlx);
          return;
        }
        o.box.read();
        drop(n);
      });
    }
    x.join();
    x.check(o.freed.get() == 1, "freed exactly once");
    x.check((o.w.load(rlx) & dead) != 0, "ends dead");
  }

  static void x_check(bool holds, const char* what) { explorer::check(holds, what); }
};

// P5: pin, then look at the entry again; against write-protect, then ask "pinned?".
struct p5 {
  order pin_order = acq, entry_load = rlx, protect = rlx, ask = rel;
  bool ask_by_rmw = true;
  order pin_fence = rlx, ask_fence = rlx;

  void operator()(execution& x) const {
    auto& w = x.make<word>(1u);
    auto& entry = x.make<explorer::atomic<bool>>(true);
    x.name(w, "word");
    x.name(entry, "entry");
    bool proceeds = false;
    bool pinned = true;
    x.thread([&, *this] {
      w.fetch_add(pin, pin_order);
      if (pin_fence != rlx) explorer::fence(pin_fence);
      proceeds = entry.load(entry_load);
    });
    x.thread([&, *this] {
      entry.store(false, protect);
      if (ask_fence != rlx) explorer::fence(ask_fence);
      pinned = ((ask_by_rmw ? w.fetch_or(0, ask) : w.load(ask)) & pin_mask) != 0;
    });
    x.join();
    x.check(!(proceeds && !pinned), "not both: writable for the device, and unpinned");
  }
};

// P7: wait until unpinned. A bit in the word says that someone waits on `event`.
struct p7 {
  order unpin = rel, event_load = acq, set_bit = acq, bump = rel;
  bool notify = true;
  bool bit_first = false;
  bool clear_last = false;
  bool repin = true;  // another thread pins and unpins in between

  void operator()(execution& x) const {
    auto& w = x.make<word>(pin);
    auto& event = x.make<explorer::atomic<std::uint32_t>>(0u);
    auto& data = x.make<explorer::plain<int>>(0);
    x.name(w, "word");
    x.name(event, "event");
    x.name(data, "data");
    const auto drop = [&, *this] {
      const std::uint64_t old = w.fetch_sub(pin, unpin);
      if ((old & pin_mask) != pin || (old & waiters) == 0) return;
      if (!clear_last) w.fetch_and(~waiters, rlx);
      event.fetch_add(1, bump);
      if (clear_last) w.fetch_and(~waiters, rlx);
      if (notify) event.notify_all();
    };
    x.thread([&, drop] {
      data.write(1);
      drop();
    });
    x.thread([&, *this] {
      for (;;) {
        std::uint32_t seen = bit_first ? 0 : event.load(event_load);
        std::uint64_t old = w.load(acq);
        while ((old & pin_mask) != 0 && (old & waiters) == 0) {
          if (w.compare_exchange_strong(old, old | waiters, set_bit)) break;
        }
        if ((old & pin_mask) == 0) break;
        if (bit_first) seen = event.load(event_load);
        event.wait(seen, rlx);
      }
      if (!repin) data.read();
    });
    if (repin) {
      x.thread([&, drop] {
        w.fetch_add(pin, acq);
        drop();
      });
    }
  }
};

}  // namespace

TEST_CASE("P1: a count that takes and drops by compare_exchange") {
  passes(p1{});
  passes(p1{.put = ar, .fence = false});
  fails(p1{.fence = false}, "data race");
  fails(p1{.put = rlx}, "data race");
  fails(p1{.put = acq, .fence = false}, "data race");
  fails(p1{.blind = true}, "destroy");
  passes(p1{.get = acq, .published = true});
  passes(p1{.get_load = acq, .published = true});
  fails(p1{.published = true}, "data race");
}

TEST_CASE("P2: the acquire belongs on the compare_exchange that kills") {
  passes(p2{});
  fails(p2{.kill = rlx}, "data race");
  fails(p2{.put = ar, .kill = rlx}, "data race");
  fails(p2{.put = rlx}, "data race");
  fails(p2{.put = acq}, "data race");
}

TEST_CASE("P2: zero must be decided by one strong compare_exchange") {
  fails(p2{.get = sc, .put = sc, .how = p2::none}, "destroy");
  fails(p2{.get = sc, .put = sc, .kill = sc, .how = p2::store}, "destroy");
  passes(p2{.how = p2::weak});
  fails(p2{.how = p2::weak}, "freed exactly once", {.spurious_weak_cas = 1});
}

TEST_CASE("P3: freeze, change alone, thaw") {
  passes(p3{});
  fails(p3{.get = rlx}, "data race");
  fails(p3{.freeze = rlx}, "data race");
  fails(p3{.freeze = rel}, "data race");
  fails(p3{.thaw = rlx}, "data race");
  fails(p3{.kill = rlx}, "data race");
  fails(p3{.put = rlx}, "data race");
}

TEST_CASE("P3: a failed take leaves its noise, and thawing overwrites it") {
  fails(p3{.get = sc, .put = sc, .freeze = sc, .thaw = sc, .kill = sc, .undo = true}, "(T");
  fails(p3{.thaw_adds = true}, "(T");
}

TEST_CASE("P5: asking by load fails, asking by read-modify-write passes") {
  passes(p5{});
  fails(p5{.pin_order = rlx}, "not both");
  fails(p5{.ask = acq}, "not both");
  fails(p5{.pin_order = ar, .entry_load = acq, .protect = rel, .ask = acq, .ask_by_rmw = false}, "not both");
}

TEST_CASE("P5: asking by load passes when both sides pay for seq_cst") {
  const p5 by_load{.ask = rlx, .ask_by_rmw = false};
  p5 fences = by_load;
  fences.pin_fence = fences.ask_fence = sc;
  passes(fences);
  fences.ask_fence = ar;
  fails(fences, "not both");
  p5 accesses{.pin_order = sc, .entry_load = sc, .protect = sc, .ask = sc};
  accesses.ask_by_rmw = false;
  passes(accesses);
  p5 mixed = accesses;
  mixed.protect = mixed.ask = rlx;
  mixed.ask_fence = sc;
  passes(mixed);
  for (order p5::*one : {&p5::pin_order, &p5::entry_load, &p5::protect, &p5::ask}) {
    p5 weaker = accesses;
    weaker.*one = one == &p5::pin_order ? ar : one == &p5::protect ? rel : acq;
    fails(weaker, "not both");
  }
}

TEST_CASE("P7: a waiter is woken by the last unpin, whatever comes between") {
  passes(p7{});
  passes(p7{.repin = false});
  fails(p7{.notify = false}, "lost wake-up");
  fails(p7{.bit_first = true}, "lost wake-up");
  fails(p7{.clear_last = true}, "lost wake-up");
  fails(p7{.bump = rlx}, "lost wake-up");
  fails(p7{.unpin = rlx, .repin = false}, "data race");
  fails(p7{.set_bit = rlx, .repin = false}, "data race");
}

TEST_CASE("every order of a minimal protocol is needed, and an order too strong is pointed out") {
  CHECK(explorer::survivors({}, p2{}).empty());
  CHECK(explorer::survivors({}, p3{}).empty());
  CHECK(explorer::survivors({}, p5{}).empty());
  const auto needless = explorer::survivors({}, p2{.get = acq});
  REQUIRE(needless.size() == 1);
  CHECK(needless[0].find("rmw acq self.cpp:") == 0);
  CHECK(needless[0].find(" -> rlx") != std::string::npos);
}

TEST_CASE("orders are replaced at run time by kind and by location") {
  fails(p5{}, "not both", {.orders = explorer::weaken(explorer::op::rmw, rel, rlx)});
  fails(p5{}, "not both", {.orders = explorer::weaken(explorer::op::rmw, acq, rlx, "word")});
  passes(p5{}, {.orders = explorer::weaken(explorer::op::rmw, acq, rlx, "entry")});
}

TEST_CASE("a trace names threads, locations, orders, values and stale reads") {
  const auto r = explorer::explore({}, p5{.ask = acq, .ask_by_rmw = false});
  CHECK(r.trace.find("T1  rmw     word          acq  read 1") != std::string::npos);
  CHECK(r.trace.find("write 0x100000001") != std::string::npos);
  CHECK(r.trace.find("T2  load    word          acq  read 1 STALE") != std::string::npos);
  CHECK(r.trace.find("self.cpp:") != std::string::npos);
}

TEST_CASE("random walks find a bug, and the walk can be replayed and repeated") {
  const options how{.random_walks = 10000, .seed = 7};
  const p2 bad{.kill = rlx};
  fails(bad, "data race", how);
  CHECK(explorer::explore(how, bad).trail == explorer::explore(how, bad).trail);
  const auto good = explorer::explore({.random_walks = 500}, p2{});
  CHECK_FALSE(good.failed);
  CHECK(good.executions == 500);
  CHECK_FALSE(good.exhausted);
}

TEST_CASE("pruning changes how much is run and not what is found") {
  for (const program& p : {program(p2{}), program(p5{}), program(p7{.repin = false})}) {
    const auto pruned = explorer::explore({}, p);
    const auto full = explorer::explore({.prune = false}, p);
    CHECK_FALSE(full.failed);
    CHECK(full.exhausted);
    CHECK(pruned.executions <= full.executions);
    CHECK(pruned.states > 0);
  }
}

TEST_CASE("a preemption bound leaves executions out, and a limit ends the search") {
  passes(p2{.put = ar, .kill = rlx}, {.preemption_bound = 0});
  fails(p2{.put = ar, .kill = rlx}, "data race", {.preemption_bound = 2});
  const auto r = explorer::explore({.max_executions = 3}, p2{});
  CHECK(r.executions == 3);
  CHECK_FALSE(r.exhausted);
}

TEST_CASE("plain data: two reads are no race, a read and a write are") {
  const auto with = [](bool write, bool ordered) {
    return [=](execution& x) {
      auto& data = x.make<explorer::plain<int>>(1);
      auto& flag = x.make<explorer::atomic<bool>>(false);
      x.thread([&, write, ordered] {
        if (write)
          data.write(2);
        else
          data.read();
        if (ordered) flag.store(true, rel);
      });
      x.thread([&, ordered] {
        if (!ordered || flag.load(acq)) data.read();
      });
    };
  };
  passes(with(false, false));
  passes(with(true, true));
  fails(with(true, false), "data race");
}

TEST_CASE("an object made in one thread is reached by release and acquire only") {
  const auto publish = [](order store, order load) {
    return [=](execution& x) {
      auto& slot = x.make<explorer::atomic<word*>>(nullptr);
      x.thread([&x, &slot, store] { slot.store(&x.make<word>(7u), store); });
      x.thread([&slot, load] {
        if (word* w = slot.load(load)) explorer::check(w->load(rlx) == 7, "initialised");
      });
    };
  };
  passes(publish(rel, acq));
  fails(publish(rlx, acq), "data race with the write or construction");
  fails(publish(rel, rlx), "data race with the write or construction");
}

TEST_CASE("an atomic must not be used after, or destroyed during, another thread's use") {
  fails(
      [](execution& x) {
        auto& w = x.make<word>(0u);
        x.thread([&w] { w.fetch_add(1, ar); });
        x.thread([&w] { explorer::destroy(w); });
      },
      "(T");
  fails(
      [](execution& x) {
        auto& w = x.make<word>(0u);
        explorer::destroy(w);
        w.load(rlx);
      },
      "use after destroy");
  passes([](execution& x) {
    auto& w = x.make<word>(2u);
    for (int i = 0; i < 2; ++i) {
      x.thread([&w] {
        if (w.fetch_sub(1, ar) == 1) explorer::destroy(w);
      });
    }
  });
}

TEST_CASE("a spin with pause ends, and one that nobody ends is a deadlock") {
  const auto spin = [](bool set) {
    return [set](execution& x) {
      auto& flag = x.make<explorer::atomic<int>>(0);
      x.thread([&flag, set] { flag.store(set ? 1 : 0, rlx); });
      for (int i = 0; i < 2; ++i) {
        x.thread([&flag] {
          while (flag.load(rlx) == 0) explorer::pause();
        });
      }
    };
  };
  passes(spin(true));
  fails(spin(false), "deadlock");
  fails(
      [](execution& x) {
        auto& flag = x.make<explorer::atomic<int>>(0);
        while (flag.load(rlx) == 0) {
        }
      },
      "without pause");
}

TEST_CASE("a lock made of exchange, pause and store keeps two threads apart") {
  const auto locked = [](order take, order give) {
    return [=](execution& x) {
      auto& lock = x.make<explorer::atomic<bool>>(false);
      auto& data = x.make<explorer::plain<int>>(0);
      for (int i = 0; i < 3; ++i) {
        x.thread([&, take, give] {
          while (lock.exchange(true, take)) explorer::pause();
          data.write(data.read() + 1);
          lock.store(false, give);
        });
      }
      x.join();
      x.check(data.read() == 3, "all counted");
    };
  };
  passes(locked(acq, rel));
  fails(locked(rlx, rel), "data race");
  fails(locked(acq, rlx), "data race");
}

TEST_CASE("notify_one wakes one waiter, notify_all wakes all, a timed wait may give up") {
  const auto waiting = [](bool all, bool timed) {
    return [=](execution& x) {
      auto& a = x.make<explorer::atomic<int>>(0);
      for (int i = 0; i < 2; ++i) {
        x.thread([&a, timed] {
          if (timed)
            a.timed_wait(0, acq);
          else
            a.wait(0, acq);
          if (!timed) explorer::check(a.load(rlx) == 1, "woken by the change");
        });
      }
      x.thread([&a, all] {
        a.store(1, rel);
        if (all)
          a.notify_all();
        else
          a.notify_one();
      });
    };
  };
  passes(waiting(true, false));
  fails(waiting(false, false), "lost wake-up");
  passes(waiting(false, true));
  std::set<bool> results;
  passes([&](execution& x) {
    auto& a = x.make<explorer::atomic<int>>(0);
    x.thread([&] { results.insert(a.timed_wait(0, acq)); });
    x.thread([&] {
      a.store(1, rel);
      a.notify_all();
    });
  });
  CHECK(results.size() == 2);
}

TEST_CASE("pruned executions unwind their threads") {
  int alive = 0;
  struct counted {
    explicit counted(int& n) : count(n) { ++count; }
    ~counted() { --count; }
    int& count;
    std::unique_ptr<int> heap = std::make_unique<int>(1);
  };
  const auto r = explorer::explore({}, [&](execution& x) {
    auto& w = x.make<word>(0u);
    auto& made = x.make<counted>(alive);
    CHECK(&made.count == &alive);
    for (int i = 0; i < 3; ++i) {
      x.thread([&] {
        const counted local(alive);
        w.load(rlx);
        w.load(rlx);
      });
    }
  });
  CHECK(r.exhausted);
  CHECK(r.pruned > 0);
  CHECK(alive == 0);
}

TEST_CASE("a ghost is part of the state that pruning compares") {
  // Without the ghost in the state, the order of the two notes would be forgotten at the end.
  const auto r = explorer::explore({}, [](execution& x) {
    auto& a = x.make<word>(0u);
    auto& b = x.make<word>(0u);
    auto& last = x.make<explorer::ghost<int>>(0);
    x.thread([&] {
      a.store(1, rlx);
      last.set(1);
    });
    x.thread([&] {
      b.store(1, rlx);
      last.set(2);
    });
    x.join();
    x.outcome(std::to_string(last.get()));
  });
  CHECK(r.outcomes == std::set<std::string>{"1", "2"});
  const auto read_early = explorer::explore({}, [](execution& x) {
    auto& a = x.make<word>(0u);
    auto& b = x.make<word>(0u);
    auto& note = x.make<explorer::ghost<int>>(0);
    int seen = 0;
    x.thread([&] {
      a.store(1, rlx);
      note.set(1);
    });
    x.thread([&] {
      b.load(rlx);
      seen = note.get();
      b.load(rlx);
    });
    x.join();
    x.outcome(std::to_string(seen));
  });
  CHECK(read_early.outcomes == std::set<std::string>{"0", "1"});
}

TEST_CASE("what a thread throws fails the exploration, and so does a test that is not repeatable") {
  fails([](execution& x) { x.thread([] { throw std::runtime_error("oh"); }); }, "threw: oh");
  int runs = 0;
  const auto r = explorer::explore({.prune = false}, [&](execution& x) {
    auto& w = x.make<word>(0u);
    ++runs;
    for (int i = 0; i < (runs == 2 ? 3 : 2); ++i) x.thread([&] { w.fetch_add(1, rlx); });
  });
  CHECK(r.failed);
  CHECK(r.message.find("run again") != std::string::npos);
}

TEST_CASE("all kinds of values keep their width and sign") {
  enum class colour : std::uint8_t { red, blue };
  passes([](execution& x) {
    auto& i8 = x.make<explorer::atomic<std::int8_t>>(std::int8_t{-1});
    x.check(i8.fetch_sub(127, rlx) == -1, "int8 old");
    x.check(i8.load(rlx) == -128, "int8 sum");
    auto& u16 = x.make<explorer::atomic<std::uint16_t>>(std::uint16_t{0xffff});
    x.check(u16.fetch_add(2, rlx) == 0xffff && u16.load(rlx) == 1, "uint16 wraps");
    auto& i32 = x.make<explorer::atomic<std::int32_t>>(-5);
    x.check(i32.fetch_and(-2, rlx) == -5 && i32.fetch_or(1, rlx) == -6, "int32 bits");
    auto& i64 = x.make<explorer::atomic<std::int64_t>>(INT64_MIN);
    x.check(i64.fetch_sub(1, rlx) == INT64_MIN && i64.load(rlx) == INT64_MAX, "int64 wraps");
    auto& e = x.make<explorer::atomic<colour>>(colour::red);
    x.check(e.exchange(colour::blue, rlx) == colour::red, "enum");
    auto& p = x.make<explorer::atomic<const char*>>(nullptr);
    const char* none = nullptr;
    x.check(p.compare_exchange_strong(none, "a") && *p.load() == 'a', "pointer");
    x.check(!p.compare_exchange_strong(none, "b") && *none == 'a', "expected is updated");
  });
  static_assert(explorer::atomic<bool>::is_always_lock_free);
  static_assert(sizeof(explorer::atomic<std::uint64_t>) == 8);
  static_assert(sizeof(explorer::atomic<std::uint32_t>) == 4);
}
