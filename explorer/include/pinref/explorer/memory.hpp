// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The weak memory: for each atomic its messages in modification order, for each thread and each message a view of
/// them, and beside it the happens-before detector of races and dead objects.
///
/// It is a view machine, as the models without load buffering have them: a thread reads any message its view does not
/// forbid, a store goes anywhere in modification order above that view, an RMW goes right behind the message it reads.
/// seq_cst acts as acquire and release here; seq_cst.hpp adds the rest.
///
/// When not to use it: by itself. The atomics of atomic.hpp are made of it.
///
/// Example:
///
///     std::uint64_t seen = memory.load(object, site);            // asks the engine which message to read
///
/// Source: Kang, Hur, Lahav, Vafeiadis and Dreyer, "A Promising Semantics for Relaxed-Memory Concurrency", without the
/// promises.

#include <array>
#include <vector>

#include "pinref/explorer/options.hpp"
#include "pinref/explorer/trail.hpp"

namespace explorer {

inline constexpr std::size_t max_threads = 8;  // the body of the test is thread 0
inline constexpr std::size_t max_cells = 128;  // atomics and plain objects of one execution

using cell_id = std::uint32_t;
inline constexpr cell_id no_cell = ~cell_id{0};

inline bool acquires(std::memory_order o) {
  return o != std::memory_order_relaxed && o != std::memory_order_release;
}
inline bool releases(std::memory_order o) {
  return o == std::memory_order_release || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}

using vector_clock = std::array<std::uint16_t, max_threads>;

struct view {
  std::array<std::uint16_t, max_cells> seen{};  // the oldest message that may still be read
  vector_clock clock{};                         // the events that happened before
};

struct message {
  std::uint64_t value;
  std::uint32_t event;  // that wrote it
  bool attached;        // written by an RMW: nothing comes between it and the message before it
  view released;        // what a reader with acquire gets
};

/// An atomic (with messages) or a plain object (without).
struct cell {
  const void* address = nullptr;
  bool alive = false;
  bool is_atomic = false;
  std::uint8_t writer = 0;       // last writer of plain data, creator, or destroyer
  std::uint16_t written = 0;     // its epoch
  vector_clock accessed{};       // last read of plain data, or any access to an atomic
  std::uint64_t key = 0;         // names the cell independently of the interleaving
  std::uint64_t order_hash = 0;  // of the modification order
  std::vector<message> messages{};
};

struct event {
  op kind;
  std::uint8_t thread;
  std::uint16_t number;  // within the thread
  std::memory_order order;
  bool stale = false;
  bool reads = false;
  bool writes = false;
  cell_id where = no_cell;
  std::uint32_t source = 0;  // the event that wrote what was read
  std::uint64_t got = 0;
  std::uint64_t put = 0;
  vector_clock clock{};
  place at{nullptr, 0};
};

/// An object of the program, as its own handle knows it. A cell of another address means that the
/// handle is gone or never was.
struct object {
  cell_id id;
  const void* address;
};

class memory {
 public:
  explicit memory(host& scheduler) : host_(scheduler) { cells_.resize(max_cells); }

  void reset(std::size_t max_events, unsigned spurious_failures) {
    max_events_ = std::min<std::size_t>(max_events, 60000);  // clocks and ranks have 16 bits
    used_ = 0;
    self_ = 0;
    events_.clear();
    threads_ = {};
    state_ = 0;
    seq_cst_ = 0;
    spurious_ = spurious_failures;
    heavy_ = {};
    barriers_ = 0;
  }

  /// The thread that everything below is done by.
  unsigned self() const { return self_; }
  void run(unsigned t) { self_ = t; }

  cell_id create(const void* address, bool is_atomic, std::uint64_t value) {
    if (used_ == max_cells) host_.fail("more than max_cells objects in one execution");
    const cell_id id = used_++;
    cell& c = cells_[id];
    event& e = log(op::init, id);
    c.address = address;
    c.alive = true;
    c.is_atomic = is_atomic;
    c.writer = e.thread;
    c.written = e.number;
    c.accessed = {};
    c.key = mix(me().history, self_);
    c.order_hash = 0;
    c.messages.clear();
    if (is_atomic) {
      e.writes = true;
      e.put = value;
      put(e, 0, view{}, false);
    }
    commit(e);
    return id;
  }

  void destroy(object o) {
    event& e = log(op::destroy, o.id);
    write_check(e, o);
    cells_[o.id].alive = false;
    commit(e);
  }

  std::uint64_t load(object o, const site& s) {
    event& e = log(s, o.id);
    const cell& c = access(e, o);
    const std::size_t newest = c.messages.size() - 1;
    const std::size_t oldest = oldest_readable(o.id);
    get(e, newest - host_.choose(static_cast<unsigned>(newest - oldest + 1)));
    commit(e);
    return e.got;
  }

  /// What the kernel compares before it lets a thread sleep, and what ends the sleep.
  std::uint64_t load_newest(object o, const site& s) {
    event& e = log(s, o.id);
    get(e, access(e, o).messages.size() - 1);
    commit(e);
    return e.got;
  }

  void store(object o, std::uint64_t value, const site& s) {
    event& e = log(s, o.id);
    const cell& c = access(e, o);
    // Free places are above everything this thread has seen, and not in front of an RMW's message.
    ways_.clear();
    for (std::size_t at = c.messages.size(); at > me().now.seen[o.id]; --at) {
      if (at == c.messages.size() || !c.messages[at].attached) ways_.push_back({at, op::store});
    }
    const std::size_t at = ways_[host_.choose(static_cast<unsigned>(ways_.size()))].rank;
    e.writes = true;
    e.put = value;
    e.stale = at != c.messages.size();
    put(e, at, me().fenced, false);
    commit(e);
  }

  template <class Change>
  std::uint64_t rmw(object o, Change change, const site& s) {
    event& e = log(s, o.id);
    access(e, o);
    ways_.clear();
    for_each_readable(o.id, [&](std::size_t rank, bool taken) {
      if (!taken) ways_.push_back({rank, op::rmw});
    });
    exchange(e, ways_[host_.choose(static_cast<unsigned>(ways_.size()))].rank, change);
    return e.got;
  }

  /// True if exchanged, else `expected` is what was read; the two sites are of the same call.
  bool compare_exchange(object o, std::uint64_t& expected, std::uint64_t desired, bool weak, const site& success,
                        const site& failure) {
    event& e = log(success, o.id);
    const cell& c = access(e, o);
    ways_.clear();
    for_each_readable(o.id, [&](std::size_t rank, bool taken) {
      const bool equal = c.messages[rank].value == expected;
      if (!equal || !taken) ways_.push_back({rank, equal ? op::cas : op::cas_fail});
    });
    if (weak && spurious_ > 0) {
      for_each_readable(o.id, [&](std::size_t rank, bool) {
        if (c.messages[rank].value == expected) ways_.push_back({rank, op::cas_fail});
      });
    }
    const way w = ways_[host_.choose(static_cast<unsigned>(ways_.size()))];
    if (w.kind == op::cas) {
      exchange(e, w.rank, [desired](std::uint64_t) { return desired; });
      return true;
    }
    e.kind = op::cas_fail;
    e.order = failure.order;
    get(e, w.rank);
    if (e.got == expected) --spurious_;
    commit(e);
    expected = e.got;
    return false;
  }

  void fence(const site& s) {
    event& e = log(s, no_cell);
    if (acquires(s.order)) join(me().now, me().pending);
    if (releases(s.order)) me().fenced = me().now;
    commit(e);
  }

  // Asymmetric barriers (P1202; membarrier(2) against a compiler barrier): seq_cst fences of which only pairs of a
  // light and a heavy one are ordered. A heavy one knows what every thread knew at its last light one, and a light one
  // what every heavy one before it knew. Like fences they order what may be read, and make nothing happen before.

  void light_barrier(const site& s) {
    event& e = log(s, no_cell);
    join_seen(me().now, heavy_);
    me().lit = me().now;
    me().lit_at = e.number;
    commit(e);
    remember(barriers_);
  }

  void heavy_barrier(const site& s) {
    event& e = log(s, no_cell);
    for (const thread_views& t : threads_) {
      join_seen(me().now, t.lit);
      barriers_ = mix(barriers_, t.lit_at);
    }
    join_seen(me().now, heavy_);
    join_seen(heavy_, me().now);
    commit(e);
    barriers_ = mix(barriers_, history());
    remember(barriers_);
  }

  /// Reading or writing plain data: not a step, only a check.
  void plain(object o, op kind) {
    event& e = log(kind, o.id);
    if (kind == op::write)
      write_check(e, o);
    else
      access(e, o);
    commit(e);
  }

  /// A step that touches no value: pause, sleep, notify.
  void mark(op kind, object o = {no_cell, nullptr}) {
    event& e = log(kind, o.id);
    if (o.id != no_cell) access(e, o);
    commit(e);
  }

  void start(unsigned child) {
    event& e = log(op::start, no_cell);
    e.put = child;
    commit(e);
    threads_[child].now = me().now;
    threads_[child].history = mix(child, me().history);
  }

  void finish(unsigned children) {
    event& e = log(op::join, no_cell);
    for (unsigned i = 1; i <= children; ++i) join(me().now, threads_[i].now);
    commit(e);
  }

  /// While set, the thread reads nothing but the newest messages (stores become visible at last).
  void read_newest_only(unsigned t, bool on) { threads_[t].newest_only = on; }
  bool reads_newest_only(unsigned t) const { return threads_[t].newest_only; }

  // Test-side state that is not memory, but tells states apart (see ghost).
  std::uint64_t history() const { return threads_[self_].history; }
  void remember(std::uint64_t what) {
    state_ -= mix(self_, me().history);
    me().history = mix(me().history, what);
    state_ += mix(self_, me().history);
  }

  /// Equal for equal execution graphs: what each thread did and read, and every modification order.
  std::uint64_t state() const { return state_; }
  unsigned seq_cst_operations() const { return seq_cst_; }
  const std::vector<event>& events() const { return events_; }
  const cell& at(cell_id id) const { return cells_[id]; }
  cell_id cells() const { return used_; }

  bool is_live(object o) const { return is_there(o) && cells_[o.id].alive; }

 private:
  struct thread_views {
    view now;      // what the thread knows
    view pending;  // what an acquire fence adds: released by messages read relaxed
    view fenced;   // what relaxed stores release: known at the last release fence
    view lit;      // known at the last light barrier
    std::uint16_t lit_at = 0;
    std::uint64_t history = 0;
    bool newest_only = false;
  };

  struct way {
    std::size_t rank;
    op kind;
  };

  void join_seen(view& into, const view& from) const {
    for (cell_id i = 0; i < used_; ++i) into.seen[i] = std::max(into.seen[i], from.seen[i]);
  }

  void join(view& into, const view& from) const {
    join_seen(into, from);
    for (std::size_t i = 0; i < max_threads; ++i) {
      into.clock[i] = std::max(into.clock[i], from.clock[i]);
    }
  }

  thread_views& me() { return threads_[self_]; }

  event& log(const site& s, cell_id id) {
    event e{s.kind, static_cast<std::uint8_t>(self_), ++me().now.clock[self_], s.order};
    e.where = id;
    e.at = s.at;
    events_.push_back(e);
    if (events_.size() > max_events_) {
      host_.fail("more than max_steps steps: a loop without pause(), or a long test");
    }
    return events_.back();
  }
  event& log(op kind, cell_id id) { return log({kind, std::memory_order_relaxed, {nullptr, 0}}, id); }

  void commit(event& e) {
    if (e.order == std::memory_order_seq_cst) ++seq_cst_;
    e.clock = me().now.clock;
    std::uint64_t what = static_cast<std::uint64_t>(e.kind);
    if (e.where != no_cell) what = mix(what, cells_[e.where].key);
    if (e.reads) what = mix(what, name_of(e.source));
    remember(what);
  }

  // Events have the same name in every interleaving of one execution graph.
  std::uint64_t name_of(std::uint32_t index) const {
    return std::uint64_t{events_[index].thread} << 32 | events_[index].number;
  }

  bool is_there(object o) const { return o.id < used_ && cells_[o.id].address == o.address; }

  cell& access(const event& e, object o) {
    if (!is_there(o)) {
      host_.fail("access to an object that is not there (freed, or made outside the execution)");
    }
    cell& c = cells_[o.id];
    if (!c.alive) host_.fail("use after destroy");
    if (c.written > me().now.clock[c.writer]) {
      host_.fail("data race with the write or construction by T" + std::to_string(c.writer));
    }
    c.accessed[self_] = e.number;
    return c;
  }

  void write_check(const event& e, object o) {
    cell& c = access(e, o);
    for (std::size_t other = 0; other < max_threads; ++other) {
      if (c.accessed[other] > me().now.clock[other]) {
        host_.fail("data race with an access by T" + std::to_string(other));
      }
    }
    c.writer = e.thread;
    c.written = e.number;
  }

  std::size_t oldest_readable(cell_id id) const {
    const thread_views& t = threads_[self_];
    return t.newest_only ? cells_[id].messages.size() - 1 : t.now.seen[id];
  }

  template <class Visit>
  void for_each_readable(cell_id id, Visit visit) const {
    const std::vector<message>& all = cells_[id].messages;
    const std::size_t oldest = oldest_readable(id);
    for (std::size_t rank = all.size(); rank-- > oldest;) {
      visit(rank, rank + 1 < all.size() && all[rank + 1].attached);
    }
  }

  void get(event& e, std::size_t rank) {
    const cell& c = cells_[e.where];
    const message& m = c.messages[rank];
    view& now = me().now;
    e.reads = true;
    e.source = m.event;
    e.got = m.value;
    e.stale = rank + 1 < c.messages.size();
    now.seen[e.where] = std::max(now.seen[e.where], static_cast<std::uint16_t>(rank));
    join(acquires(e.order) ? now : me().pending, m.released);
  }

  template <class Change>
  void exchange(event& e, std::size_t rank, Change change) {
    get(e, rank);
    e.writes = true;
    e.put = change(e.got);
    // A release sequence goes on through RMWs (and, since C++20, through nothing else).
    view carried = me().fenced;
    join(carried, cells_[e.where].messages[rank].released);
    put(e, rank + 1, carried, true);
    commit(e);
  }

  void put(const event& e, std::size_t rank, const view& carried, bool attached) {
    cell& c = cells_[e.where];
    view& now = me().now;
    const auto index = static_cast<std::uint32_t>(&e - events_.data());
    if (rank < c.messages.size()) make_room(e.where, rank);
    now.seen[e.where] = static_cast<std::uint16_t>(rank);
    const auto place = c.messages.begin() + static_cast<std::ptrdiff_t>(rank);
    const auto placed = c.messages.insert(place, {e.put, index, attached, carried});
    if (releases(e.order)) join(placed->released, now);

    const std::uint64_t was = c.order_hash;
    if (rank + 1 == c.messages.size()) {
      c.order_hash = mix(was, name_of(index));
    } else {
      c.order_hash = 0;
      for (const message& m : c.messages) c.order_hash = mix(c.order_hash, name_of(m.event));
    }
    state_ += mix(c.key, c.order_hash) - (was == 0 ? 0 : mix(c.key, was));
  }

  // Every view of the cell moves up with the messages that get a higher rank.
  void make_room(cell_id id, std::size_t rank) {
    const auto shift = [id, rank](view& v) {
      if (v.seen[id] >= rank) ++v.seen[id];
    };
    for (thread_views& t : threads_) shift(t.now), shift(t.pending), shift(t.fenced), shift(t.lit);
    shift(heavy_);
    for (cell_id i = 0; i < used_; ++i) {
      for (message& m : cells_[i].messages) shift(m.released);
    }
  }

  host& host_;
  std::vector<cell> cells_;
  cell_id used_ = 0;
  unsigned self_ = 0;
  std::vector<event> events_;
  std::array<thread_views, max_threads> threads_{};
  view heavy_;                  // what the heavy barriers knew
  std::uint64_t barriers_ = 0;  // names their order among the light ones
  std::vector<way> ways_;
  std::uint64_t state_ = 0;
  std::size_t max_events_ = 0;
  unsigned seq_cst_ = 0;
  unsigned spurious_ = 0;
};

}  // namespace explorer
