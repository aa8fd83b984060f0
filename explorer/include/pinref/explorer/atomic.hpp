// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The objects a program under test shares: atomic<T> in place of std::atomic<T>, plain<T> for data that must be
/// protected, ghost<T> for the test's own notes.
///
/// When not to use it: outside an exploration; atomics have no value there.
///
/// Example:
///
///     auto& flag = x.make<explorer::atomic<bool>>(false);
///     auto& data = x.make<explorer::plain<int>>(0);
///     x.thread([&] { data.write(1), flag.store(true, std::memory_order_release); });
///     x.thread([&] { if (flag.load(std::memory_order_acquire)) explorer::check(data.read() == 1, "passed on"); });

#include <type_traits>

#include "pinref/explorer/scheduler.hpp"

namespace explorer {

/// std::atomic<T> on the modelled memory. Each operation is one step. The place of the call comes
/// by itself and names the site in traces and in order rules.
template <class T>
class alignas(sizeof(T) < alignof(cell_id) ? alignof(cell_id) : sizeof(T)) atomic {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T> || std::is_pointer_v<T>);
  using order = std::memory_order;
  static constexpr order sc = std::memory_order_seq_cst;

 public:
  using value_type = T;
  static constexpr bool is_always_lock_free = true;

  atomic() noexcept : atomic(T{}) {}
  atomic(T value) noexcept : id_(engine::current().state().create(this, true, bits(value))) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  ~atomic() {
    if (engine::running()) engine::current().state().destroy(self());
  }

  bool is_lock_free() const noexcept { return true; }

  T load(order o = sc, place at = {}) const noexcept {
    engine& e = engine::current();
    return value(e.step().load(self(), e.effective(op::load, o, self(), at)));
  }
  void store(T desired, order o = sc, place at = {}) noexcept {
    engine& e = engine::current();
    e.step().store(self(), bits(desired), e.effective(op::store, o, self(), at));
    e.wrote(true);
  }
  T exchange(T desired, order o = sc, place at = {}) noexcept {
    return change([desired](std::uint64_t) { return bits(desired); }, o, at);
  }
  T fetch_add(T n, order o = sc, place at = {}) noexcept requires(std::is_integral_v<T>) {
    return change([n](std::uint64_t old) { return old + bits(n); }, o, at);
  }
  T fetch_sub(T n, order o = sc, place at = {}) noexcept requires(std::is_integral_v<T>) {
    return change([n](std::uint64_t old) { return old - bits(n); }, o, at);
  }
  T fetch_or(T mask, order o = sc, place at = {}) noexcept requires(std::is_integral_v<T>) {
    return change([mask](std::uint64_t old) { return old | bits(mask); }, o, at);
  }
  T fetch_and(T mask, order o = sc, place at = {}) noexcept requires(std::is_integral_v<T>) {
    return change([mask](std::uint64_t old) { return old & bits(mask); }, o, at);
  }

  bool compare_exchange_weak(T& expected, T desired, order success, order failure, place at = {}) noexcept {
    return compare(expected, desired, true, success, failure, at);
  }
  bool compare_exchange_weak(T& expected, T desired, order o = sc, place at = {}) noexcept {
    return compare(expected, desired, true, o, load_part(o), at);
  }
  bool compare_exchange_strong(T& expected, T desired, order success, order failure, place at = {}) noexcept {
    return compare(expected, desired, false, success, failure, at);
  }
  bool compare_exchange_strong(T& expected, T desired, order o = sc, place at = {}) noexcept {
    return compare(expected, desired, false, o, load_part(o), at);
  }

  /// Sleeps while the newest value is `old`, as a futex does; only a notify wakes it.
  void wait(T old, order o = sc, place at = {}) const noexcept { sleep(old, o, false, at); }
  /// The same, but may time out at any moment: then it returns false.
  bool timed_wait(T old, order o = sc, place at = {}) const noexcept { return sleep(old, o, true, at); }
  void notify_one() const noexcept { engine::current().notify(self(), false); }
  void notify_all() const noexcept { engine::current().notify(self(), true); }

  /// To sleep on while the bits of `mask` are those of `value`.
  engine::sleeping_place place_to_sleep(T value, std::uint64_t mask = ~std::uint64_t{0}) const noexcept {
    return {self(), mask, bits(value) & mask};
  }

 private:
  static constexpr unsigned unused_bits = 64 - 8 * sizeof(T);

  static std::uint64_t narrow(std::uint64_t v) noexcept { return v << unused_bits >> unused_bits; }
  static std::uint64_t bits(T v) noexcept {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<std::uintptr_t>(v);
    else
      return narrow(static_cast<std::uint64_t>(v));
  }
  static T value(std::uint64_t v) noexcept {
    if constexpr (std::is_pointer_v<T>)
      return reinterpret_cast<T>(static_cast<std::uintptr_t>(v));
    else
      return static_cast<T>(v);
  }

  static constexpr order load_part(order o) {
    if (o == std::memory_order_acq_rel) return std::memory_order_acquire;
    if (o == std::memory_order_release) return std::memory_order_relaxed;
    return o;
  }

  object self() const noexcept { return {id_, this}; }

  template <class Change>
  T change(Change next, order o, place at) noexcept {
    engine& e = engine::current();
    const auto step = [&](std::uint64_t old) { return narrow(next(old)); };
    const std::uint64_t old = e.step().rmw(self(), step, e.effective(op::rmw, o, self(), at));
    e.wrote(step(old) != old);
    return value(old);
  }

  bool compare(T& expected, T desired, bool weak, order success, order failure, place at) noexcept {
    engine& e = engine::current();
    memory& m = e.step();
    std::uint64_t old = bits(expected);
    const site won = e.effective(op::cas, success, self(), at);
    const site lost = e.effective(op::cas_fail, failure, self(), at);
    const bool done = m.compare_exchange(self(), old, bits(desired), weak, won, lost);
    if (done)
      e.wrote(expected != desired);
    else
      expected = value(old);
    return done;
  }

  bool sleep(T old, order o, bool timed, place at) const noexcept {
    engine& e = engine::current();
    return e.wait(self(), bits(old), e.effective(op::wait, o, self(), at), timed);
  }

  cell_id id_;
};

inline void fence(std::memory_order order, place at = {}) noexcept {
  engine& e = engine::current();
  e.step().fence(e.effective(op::fence, order, {no_cell, nullptr}, at));
}

/// Costs the real program nothing: a compiler barrier. See memory::light_barrier.
inline void light_barrier(place at = {}) noexcept {
  engine& e = engine::current();
  e.step().light_barrier(e.effective(op::light, std::memory_order_relaxed, {no_cell, nullptr}, at));
}

/// What orders every thread's light barriers: membarrier(2) in the real program.
inline void heavy_barrier(place at = {}) noexcept {
  engine& e = engine::current();
  e.step().heavy_barrier(e.effective(op::heavy, std::memory_order_relaxed, {no_cell, nullptr}, at));
}

/// Data without atomicity: every two conflicting accesses must be ordered by happens-before, and
/// none may come after destroy(). An access is checked, but is no step of its own.
template <class T>
class plain {
 public:
  plain() : plain(T{}) {}
  explicit plain(T value) : value_(std::move(value)), id_(engine::current().state().create(this, false, 0)) {}
  plain(const plain&) = delete;
  plain& operator=(const plain&) = delete;
  ~plain() {
    if (engine::running() && engine::current().state().is_live({id_, this})) destroy();
  }

  const T& read() const {
    engine::current().state().plain({id_, this}, op::read);
    return value_;
  }
  void write(T value) {
    engine::current().state().plain({id_, this}, op::write);
    value_ = std::move(value);
  }
  /// What free() would do to it. The storage stays, so that a late access is found, not felt.
  void destroy() { engine::current().state().destroy({id_, this}); }

 private:
  T value_;
  cell_id id_;
};

/// A note of the test that several threads write, or that one reads while another writes: it is
/// part of the state that pruning compares, but not of the memory model, and orders nothing.
template <class T>
class ghost {
 public:
  explicit ghost(T value = T{}) : value_(value) { publish(); }
  ghost(const ghost&) = delete;
  ghost& operator=(const ghost&) = delete;

  T get() const {
    engine::current().state().remember(version_);
    return value_;
  }
  void set(T value) {
    value_ = value;
    publish();
  }
  void add(T n) { set(static_cast<T>(get() + n)); }

 private:
  void publish() {
    memory& m = engine::current().state();
    version_ = mix(version_, m.history());
    m.remember(version_);
  }

  T value_;
  std::uint64_t version_ = 0;
};

}  // namespace explorer
