// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// engine: owns the threads of the program under test and every step they take.
///
/// When not to use it: by itself. explorer::explore() makes one for each exploration.
///
/// Example:
///
///     explorer::engine& e = explorer::engine::current();         // for a Sync of one's own
///     e.pause();

#include <cstdio>
#include <exception>
#include <memory_resource>
#include <optional>
#include <unordered_set>
#include <utility>

#include "pinref/explorer/fiber.hpp"
#include "pinref/explorer/memory.hpp"
#include "pinref/explorer/seq_cst.hpp"
#include "pinref/explorer/trace.hpp"

namespace explorer {

class engine final : host {
 public:
  explicit engine(const options& how) : options_(how), memory_(*this) {
    if (how.replay != nullptr) trail_.parse(how.replay);
    active_ = this;
  }
  engine(const engine&) = delete;
  ~engine() { active_ = nullptr; }

  /// The exploration that runs now. Atomics have no value outside one.
  static engine& current() {
    if (active_ == nullptr) {
      std::fputs("explorer: an atomic is used outside of an exploration\n", stderr);
      std::abort();
    }
    return *active_;
  }
  static bool running() { return active_ != nullptr; }

  result run(const std::function<void()>& body) {
    const bool random = options_.random_walks != 0 && options_.replay == nullptr;
    const bool once = options_.replay != nullptr;
    prune_ = options_.prune && !random && !once;
    const std::uint64_t limit = random ? options_.random_walks : options_.max_executions;
    do {
      if (random) trail_.start_walk(mix(options_.seed, result_.executions));
      run_once(body);
      if (result_.failed || once) break;
      if (!random && !trail_.advance()) {
        result_.exhausted = true;
        break;
      }
    } while (limit == 0 || result_.executions < limit);
    result_.states = seen_.size();
    return std::move(result_);
  }

  // For the objects of the program.

  /// A step begins: here another thread may go first.
  memory& step() {
    ++result_.steps;
    if (!std::exchange(threads_[self_].chosen, false)) switch_to(pick());
    return memory_;
  }
  memory& state() { return memory_; }
  unsigned self() const { return self_; }

  /// The site, with the order that the options give it.
  site effective(op kind, std::memory_order order, object o, place at) {
    site s{kind, order, at};
    note_site(s);
    if (options_.orders) {
      const named_range* r = names_.find(o.address);
      s.order = options_.orders(s, r == nullptr ? "" : r->name, self_);
    }
    return s;
  }

  /// After a write. If it changed the value, spinning threads have something new to look at.
  void wrote(bool changed) {
    if (changed) ++writes_;
    memory_.read_newest_only(self_, false);
  }

  void pause() {
    thread& me = threads_[self_];
    memory_.mark(op::pause);
    memory_.read_newest_only(self_, false);
    me.mark = writes_;
    block(status::paused);
    me.chosen = true;
  }

  /// Returns false if it timed out, which a timed wait may do at any moment.
  bool wait(object o, std::uint64_t old, const site& s, bool timed) {
    step();
    while (memory_.load_newest(o, s) == old) {
      enqueue(o);
      if (sleep(o, timed) != slept::woken) return false;
    }
    return true;
  }

  /// A place to sleep on, as a futex is one: a part of an object, and the value it must have.
  struct sleeping_place {
    object where;
    std::uint64_t mask;
    std::uint64_t value;
  };
  enum class slept : std::uint8_t { woken, changed, timed_out };

  /// As futex_waitv(2): the places are compared one after the other, each a step, with the newest value there, and from
  /// then on a notify of one of them is noticed. With all of them as expected the thread sleeps until that.
  slept wait_on(const sleeping_place* places, unsigned count, const site& s, bool timed) {
    thread& me = threads_[self_];
    me.nr_waits = 0;
    me.notified = false;
    for (unsigned i = 0; i != count; ++i) {
      step();
      if ((memory_.load_newest(places[i].where, s) & places[i].mask) != places[i].value) {
        me.nr_waits = 0;
        return std::exchange(me.notified, false) ? slept::woken : slept::changed;
      }
      enqueue(places[i].where);
    }
    return sleep(places[0].where, timed);
  }

  void notify(object o, bool all) {
    step().mark(op::notify, o);
    unsigned waiting[max_threads];
    unsigned count = 0;
    for (unsigned i = 0; i < created_; ++i) {
      const thread& t = threads_[i];
      if (!t.notified && t.waits_on(o.id)) waiting[count++] = i;
    }
    if (count == 0) return;
    if (!all) {
      waiting[0] = waiting[choose(count)];
      count = 1;
    }
    for (unsigned i = 0; i < count; ++i) threads_[waiting[i]].notified = true;
  }

  // For the body of the test.

  void start(std::function<void()> body) {
    if (created_ == max_threads) fail("more than max_threads threads");
    memory_.start(created_);
    threads_[created_] = thread{};
    threads_[created_].is = status::ready;
    threads_[created_++].body = std::move(body);
  }

  void join() {
    if (!others_done()) {
      block(status::joining);
      threads_[self_].chosen = true;
    }
    memory_.finish(created_ - 1);
  }

  void* allocate(std::size_t size, std::size_t alignment, void (*destructor)(void*)) {
    void* at = arena_.allocate(size, alignment);
    made_.push_back({at, destructor});
    return at;
  }

  void destroy(const void* object) {
    for (made& m : made_) {
      if (m.address == object && m.destructor != nullptr) {
        return std::exchange(m.destructor, nullptr)(m.address);
      }
    }
    fail("destroy() of an object that make() did not make, or twice");
  }

  void name(const void* address, std::size_t size, const char* name) { names_.add(address, size, name); }
  void outcome(std::string text) { outcome_ = std::move(text); }

  unsigned choose(unsigned count) override {
    if (draining_) return 0;
    const unsigned taken = trail_.choose(count);
    if (trail_.diverged()) fail("the program does something else when run again the same way");
    return taken;
  }

  // What is on this stack is not unwound, so nothing that owns memory may be left on it.
  [[noreturn]] void fail(std::string what) override {
    conclude(std::move(what));
    fiber::swap(fibers()[self_], host_fiber());
    std::abort();
  }

 private:
  static constexpr unsigned max_waits = 4;
  enum class status : std::uint8_t { ready, paused, asleep, joining, done };

  struct thread {
    status is = status::done;
    bool running = false;  // has a fiber
    bool chosen = false;   // the next step has been granted already
    bool timed = false;
    bool notified = false;
    cell_id waits[max_waits] = {};  // whose notify it notices
    unsigned nr_waits = 0;
    std::uint64_t mark = 0;         // writes_ at the last pause
    std::uint64_t granted = ~0ull;  // writes_ when last let go on without news
    std::function<void()> body{};

    bool waits_on(cell_id id) const {
      for (unsigned i = 0; i != nr_waits; ++i)
        if (waits[i] == id) return true;
      return false;
    }
  };

  struct made {
    void* address;
    void (*destructor)(void*);
  };

  static constexpr unsigned nobody = max_threads;

  // Kept for good, so that a leak checker finds what an abandoned stack still owns.
  static std::array<fiber, max_threads + 1>& fibers() {
    static auto& pool = *new std::array<fiber, max_threads + 1>;
    return pool;
  }
  fiber& host_fiber() { return fibers()[max_threads]; }

  void run_once(const std::function<void()>& body) {
    ++result_.executions;
    memory_.reset(options_.max_steps, options_.spurious_weak_cas);
    names_.clear();
    made_.clear();
    arena_.release();
    outcome_.reset();
    writes_ = 0;
    preemptions_ = 0;
    draining_ = false;
    self_ = 0;
    created_ = 1;
    threads_[0] = thread{};
    threads_[0].is = status::ready;
    threads_[0].chosen = true;
    threads_[0].body = [&] {
      body();
      join();
      while (!made_.empty()) {
        const made last = made_.back();
        made_.pop_back();
        if (last.destructor != nullptr) last.destructor(last.address);
      }
    };
    resume(host_fiber(), 0);
    if (result_.failed || draining_ || threads_[0].is != status::done) return;
    if (!seq_cst_order_exists(memory_)) {
      ++result_.inconsistent;
    } else if (outcome_) {
      result_.outcomes.insert(*outcome_);
    }
  }

  static void run_thread() {
    for (;;) {
      engine& e = *active_;
      const unsigned i = e.self_;
      std::string thrown;
      try {
        e.threads_[i].body();
      } catch (const std::exception& x) {
        thrown = std::string("a thread threw: ") + x.what();
      } catch (...) {
        thrown = "a thread threw";
      }
      if (!thrown.empty()) e.fail(std::move(thrown));
      e.threads_[i].is = status::done;
      const unsigned next = e.pick();
      parked_[i] = true;
      if (next == nobody)
        fiber::swap(fibers()[i], e.host_fiber());
      else
        e.resume(fibers()[i], next);
    }
  }

  void resume(fiber& from, unsigned i) {
    thread& t = threads_[i];
    if (!t.running) {
      t.running = true;
      t.chosen = true;
      if (!parked_[i]) fibers()[i].make(&engine::run_thread);
      parked_[i] = false;
    }
    self_ = i;
    memory_.run(i);
    fiber::swap(from, fibers()[i]);
  }

  void enqueue(object o) {
    thread& me = threads_[self_];
    if (me.nr_waits == max_waits) fail("a thread waits on more than max_waits objects");
    me.waits[me.nr_waits++] = o.id;
  }

  // On what it is enqueued for. A notify since then is not missed.
  slept sleep(object o, bool timed) {
    thread& me = threads_[self_];
    if (!me.notified) {
      memory_.mark(op::sleep, o);
      memory_.read_newest_only(self_, false);
      me.timed = timed;
      block(status::asleep);
    }
    me.nr_waits = 0;
    return std::exchange(me.notified, false) ? slept::woken : slept::timed_out;
  }

  void switch_to(unsigned next) {
    if (next != self_) resume(fibers()[self_], next);
  }

  void block(status why) {
    threads_[self_].is = why;
    switch_to(pick());
    threads_[self_].is = status::ready;
  }

  void conclude(std::string what) {
    if (draining_) return;
    if (!seq_cst_order_exists(memory_)) {
      ++result_.inconsistent;
      return;
    }
    const event* last = memory_.events().empty() ? nullptr : &memory_.events().back();
    result_.failed = true;
    result_.message = what + " (T" + std::to_string(self_);
    if (last != nullptr && last->where < memory_.cells()) {
      result_.message += ", last at " + names_.text(memory_.at(last->where), last->where);
    }
    result_.message += ")";
    result_.trace = trace_text(memory_, names_);
    result_.trail = trail_.text();
  }

  bool others_done() const {
    for (unsigned i = 0; i < created_; ++i) {
      if (i != self_ && threads_[i].is != status::done) return false;
    }
    return true;
  }

  bool enabled(unsigned i) const {
    const thread& t = threads_[i];
    switch (t.is) {
      case status::ready:
        return true;
      case status::paused:
        return t.mark != writes_;
      case status::asleep:
        return t.notified || t.timed;
      case status::joining: {
        for (unsigned j = 1; j < created_; ++j) {
          if (threads_[j].is != status::done) return false;
        }
        return true;
      }
      case status::done:
        return false;
    }
    return false;
  }

  /// Who takes the next step; nobody when all are done.
  unsigned pick() {
    unsigned ready[max_threads];
    unsigned count = 0;
    const bool self_ready = enabled(self_);
    if (self_ready) ready[count++] = self_;
    for (unsigned i = 0; i < created_; ++i) {
      if (i != self_ && enabled(i)) ready[count++] = i;
    }
    bool news = true;
    if (count == 0) {
      // Only spinning threads are left. What they wait for may be there, unseen: stores become
      // visible in the end, so each may look once more, at the newest messages.
      news = false;
      bool all_done = true;
      for (unsigned i = 0; i < created_; ++i) {
        const thread& t = threads_[i];
        if (t.is == status::paused && t.granted != writes_) ready[count++] = i;
        all_done = all_done && t.is == status::done;
      }
      if (all_done) return nobody;
      if (count == 0) fail("deadlock, or a lost wake-up:" + blocked());
    }
    if (prune_ && !draining_ && trail_.fresh() && !seen_.insert(fingerprint()).second) {
      // The rest has been explored. Run it out in the plain way, so that the threads unwind.
      ++result_.pruned;
      draining_ = true;
    }
    const bool bounded =
        self_ready && options_.preemption_bound >= 0 && preemptions_ == options_.preemption_bound && !draining_;
    const unsigned next = ready[choose(bounded ? 1 : count)];
    if (self_ready && next != self_) ++preemptions_;
    if (!news) {
      threads_[next].granted = writes_;
      memory_.read_newest_only(next, true);
    }
    return next;
  }

  std::string blocked() const {
    std::string out;
    for (unsigned i = 0; i < created_; ++i) {
      const thread& t = threads_[i];
      if (t.is == status::paused) out += " T" + std::to_string(i) + " spins,";
      if (t.is == status::asleep) {
        out += " T" + std::to_string(i) + " sleeps on";
        for (unsigned k = 0; k != t.nr_waits; ++k) out += " " + names_.text(memory_.at(t.waits[k]), t.waits[k]);
        out += ",";
      }
    }
    return out;
  }

  std::uint64_t fingerprint() const {
    std::uint64_t h = memory_.state();
    for (unsigned i = 0; i < created_; ++i) {
      const thread& t = threads_[i];
      h = mix(h, static_cast<std::uint64_t>(t.is) << 4 | (enabled(i) ? 8u : 0u) | (t.granted == writes_ ? 4u : 0u) |
                     (t.notified ? 2u : 0u) | (memory_.reads_newest_only(i) ? 1u : 0u));
    }
    if (options_.preemption_bound < 0) return h;
    return mix(mix(h, self_), static_cast<std::uint64_t>(preemptions_));
  }

  void note_site(const site& s) {
    const std::uint64_t h = mix(reinterpret_cast<std::uintptr_t>(s.at.file),
                                static_cast<std::uint64_t>(s.at.line) << 16 | static_cast<std::uint64_t>(s.kind) << 8 |
                                    static_cast<std::uint64_t>(s.order));
    std::uint64_t& slot = noted_[static_cast<std::size_t>(h % noted_.size())];
    if (slot == h) return;
    slot = h;
    for (const site& known : result_.sites) {
      if (known == s) return;
    }
    result_.sites.push_back(s);
  }

  inline static engine* active_ = nullptr;
  inline static std::array<bool, max_threads> parked_{};
  alignas(64) inline static std::array<std::byte, 1 << 16> buffer_{};

  const options options_;
  result result_;
  trail trail_;
  memory memory_;
  names names_;
  std::pmr::monotonic_buffer_resource arena_{buffer_.data(), buffer_.size()};
  std::vector<made> made_;
  std::array<thread, max_threads> threads_{};
  unsigned created_ = 0;
  unsigned self_ = 0;
  bool draining_ = false;
  bool prune_ = false;
  int preemptions_ = 0;
  std::uint64_t writes_ = 0;
  std::optional<std::string> outcome_;
  std::unordered_set<std::uint64_t> seen_;
  std::array<std::uint64_t, 256> noted_{};
};

}  // namespace explorer
