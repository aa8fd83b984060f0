// The objects a program under test shares: atomic<T> in place of std::atomic<T>, plain<T> for data
// that must be protected, ghost<T> for the test's own notes.
#pragma once

#include <type_traits>

#include "scheduler.hpp"

namespace explorer {

/// std::atomic<T> on the modelled memory. Each operation is one step. The file and line come by
/// themselves and name the site in traces and in order rules.
template <class T>
class alignas(T) atomic {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T> || std::is_pointer_v<T>);

 public:
  using value_type = T;
  static constexpr bool is_always_lock_free = true;

  atomic() noexcept : atomic(T{}) {}
  atomic(T value) noexcept
      : id_(engine::current().state().create(engine::current().self(), this, true, raw(value))) {}
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  ~atomic() {
    if (!engine::running()) return;
    engine::current().state().destroy(engine::current().self(), id_, this);
  }

  bool is_lock_free() const noexcept { return true; }

  T load(std::memory_order order = std::memory_order_seq_cst, const char* file = __builtin_FILE(),
         int line = __builtin_LINE()) const noexcept {
    engine& e = engine::current();
    memory& m = e.step();
    return value(m.load(e.self(), id_, this, e.effective(op::load, order, this, file, line)));
  }

  void store(T desired, std::memory_order order = std::memory_order_seq_cst,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    engine& e = engine::current();
    memory& m = e.step();
    m.store(e.self(), id_, this, raw(desired), e.effective(op::store, order, this, file, line));
    e.wrote(true);
  }

  T exchange(T desired, std::memory_order order = std::memory_order_seq_cst,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept {
    return change([desired](T) { return desired; }, order, file, line);
  }

  T fetch_add(T n, std::memory_order order = std::memory_order_seq_cst,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept
    requires(std::is_integral_v<T>)
  {
    return change([n](T old) { return value(raw(old) + raw(n)); }, order, file, line);
  }

  T fetch_sub(T n, std::memory_order order = std::memory_order_seq_cst,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept
    requires(std::is_integral_v<T>)
  {
    return change([n](T old) { return value(raw(old) - raw(n)); }, order, file, line);
  }

  T fetch_or(T bits, std::memory_order order = std::memory_order_seq_cst,
             const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept
    requires(std::is_integral_v<T>)
  {
    return change([bits](T old) { return value(raw(old) | raw(bits)); }, order, file, line);
  }

  T fetch_and(T bits, std::memory_order order = std::memory_order_seq_cst,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) noexcept
    requires(std::is_integral_v<T>)
  {
    return change([bits](T old) { return value(raw(old) & raw(bits)); }, order, file, line);
  }

  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) noexcept {
    return compare(expected, desired, true, success, failure, file, line);
  }
  bool compare_exchange_weak(T& expected, T desired,
                             std::memory_order order = std::memory_order_seq_cst,
                             const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) noexcept {
    return compare(expected, desired, true, order, load_part(order), file, line);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) noexcept {
    return compare(expected, desired, false, success, failure, file, line);
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst,
                               const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) noexcept {
    return compare(expected, desired, false, order, load_part(order), file, line);
  }

  /// Sleeps while the newest value is `old`, as a futex does; wakes by a notify only.
  void wait(T old, std::memory_order order = std::memory_order_seq_cst,
            const char* file = __builtin_FILE(), int line = __builtin_LINE()) const noexcept {
    engine& e = engine::current();
    e.wait(id_, this, raw(old), e.effective(op::wait, order, this, file, line), false);
  }
  /// The same, but may time out at any moment: then it returns false.
  bool timed_wait(T old, std::memory_order order = std::memory_order_seq_cst,
                  const char* file = __builtin_FILE(), int line = __builtin_LINE()) const noexcept {
    engine& e = engine::current();
    return e.wait(id_, this, raw(old), e.effective(op::wait, order, this, file, line), true);
  }
  void notify_one() noexcept { engine::current().notify(id_, this, false); }
  void notify_all() noexcept { engine::current().notify(id_, this, true); }

 private:
  template <std::size_t Size>
  using unsigned_of = std::conditional_t<
      Size == 1, std::uint8_t,
      std::conditional_t<Size == 2, std::uint16_t,
                         std::conditional_t<Size == 4, std::uint32_t, std::uint64_t>>>;

  static std::uint64_t raw(T v) noexcept {
    if constexpr (std::is_pointer_v<T>) return reinterpret_cast<std::uintptr_t>(v);
    else return static_cast<unsigned_of<sizeof(T)>>(v);
  }
  static T value(std::uint64_t bits) noexcept {
    if constexpr (std::is_pointer_v<T>) return reinterpret_cast<T>(static_cast<std::uintptr_t>(bits));
    else return static_cast<T>(static_cast<unsigned_of<sizeof(T)>>(bits));
  }

  static constexpr std::memory_order load_part(std::memory_order order) {
    if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
    if (order == std::memory_order_release) return std::memory_order_relaxed;
    return order;
  }

  template <class Change>
  T change(Change next, std::memory_order order, const char* file, int line) noexcept {
    engine& e = engine::current();
    memory& m = e.step();
    const std::uint64_t old =
        m.rmw(e.self(), id_, this, [&](std::uint64_t bits) { return raw(next(value(bits))); },
              e.effective(op::rmw, order, this, file, line));
    e.wrote(raw(next(value(old))) != old);
    return value(old);
  }

  bool compare(T& expected, T desired, bool weak, std::memory_order success,
               std::memory_order failure, const char* file, int line) noexcept {
    engine& e = engine::current();
    memory& m = e.step();
    bool done = false;
    const site on_success = e.effective(op::cas, success, this, file, line);
    const site on_failure = e.effective(op::cas_fail, failure, this, file, line);
    const std::uint64_t old = m.compare_exchange(e.self(), id_, this, raw(expected), raw(desired),
                                                 weak, on_success, on_failure, done);
    if (done) e.wrote(expected != desired);
    else expected = value(old);
    return done;
  }

  cell_id id_;
};

inline void fence(std::memory_order order, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) noexcept {
  engine& e = engine::current();
  memory& m = e.step();
  m.fence(e.self(), e.effective(op::fence, order, nullptr, file, line));
}

/// Data without atomicity: every two conflicting accesses must be ordered by happens-before, and
/// none may come after destroy(). An access is checked, but is no step of its own.
template <class T>
class plain {
 public:
  plain() : plain(T{}) {}
  explicit plain(T value)
      : value_(std::move(value)),
        id_(engine::current().state().create(engine::current().self(), this, false, 0)) {}
  plain(const plain&) = delete;
  plain& operator=(const plain&) = delete;
  ~plain() {
    if (engine::running() && engine::current().state().is_live(id_, this)) destroy();
  }

  const T& read() const {
    touch(op::read);
    return value_;
  }
  void write(T value) {
    touch(op::write);
    value_ = std::move(value);
  }
  /// What free() would do to it. The storage stays, so that a late access is found, not felt.
  void destroy() {
    engine& e = engine::current();
    e.state().destroy(e.self(), id_, this);
  }

 private:
  void touch(op kind) const {
    engine& e = engine::current();
    e.state().plain(e.self(), id_, this, kind);
  }

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
  ~ghost() {
    if (engine::running()) engine::current().state().replace_in_state(version_, 0);
  }

  T get() const {
    engine& e = engine::current();
    e.state().remember(e.self(), version_);
    return value_;
  }
  void set(T value) {
    value_ = value;
    publish();
  }
  void add(T n) { set(static_cast<T>(get() + n)); }

 private:
  void publish() {
    engine& e = engine::current();
    const std::uint64_t was = std::exchange(version_, mix(version_, e.state().history(e.self())));
    e.state().replace_in_state(was, version_);
    e.state().remember(e.self(), version_);
  }

  T value_;
  std::uint64_t version_ = 0;
};

}  // namespace explorer
