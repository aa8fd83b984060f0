// A deterministic explorer of weak-memory executions; docs/explorer.md explains it.
//
//   auto r = explorer::explore({}, [](explorer::execution& x) {
//     auto& word = x.make<explorer::atomic<int>>(1);
//     x.name(word, "word");
//     x.thread([&] { word.fetch_add(1, std::memory_order_acquire); });
//     x.thread([&] { word.fetch_sub(1, std::memory_order_release); });
//     x.join();
//     x.check(word.load(std::memory_order_relaxed) == 1, "the count is kept");
//   });
//   CHECK_MESSAGE(!r.failed, r.text());
#pragma once

#include <new>

#include "../covered.hpp"
#include "atomic.hpp"
#include "sync.hpp"

namespace explorer {

/// Fails the exploration when false. For the body and for threads.
inline void check(bool holds, const char* what) {
  if (!holds) engine::current().fail(what);
}

/// The number of the running thread; the body is 0.
inline unsigned self() {
  return engine::current().self();
}

/// Names an object, and all atomics and plain data inside it, in traces and for order rules.
template <class T>
void name(const T& object, const char* name) {
  engine::current().name(&object, sizeof object, name);
}

/// Runs the destructor of an object from execution::make() now. Its storage is not reused.
template <class T>
void destroy(T& object) {
  engine::current().destroy(&object);
}

/// One execution, as its body sees it. The body runs as thread 0, once per execution.
class execution {
 public:
  /// An object that lives until the end of the execution, at the same address in each.
  template <class T, class... Args>
  T& make(Args&&... args) {
    void* at = engine_.allocate(sizeof(T), alignof(T), [](void* p) { static_cast<T*>(p)->~T(); });
    return *::new (at) T(std::forward<Args>(args)...);
  }

  template <class Body>
  void thread(Body body) {
    engine_.start(std::move(body));
  }

  /// Waits for all threads; also done at the end of the body.
  void join() { engine_.join(); }

  template <class T>
  void name(const T& object, const char* text) {
    explorer::name(object, text);
  }
  void check(bool holds, const char* what) { explorer::check(holds, what); }

  /// How this execution ended; result::outcomes collects what executions that count ended with.
  void outcome(std::string text) { engine_.outcome(std::move(text)); }

 private:
  friend result explore(const options&, const std::function<void(execution&)>&);
  explicit execution(engine& e) : engine_(e) {}

  engine& engine_;
};

inline result explore(const options& how, const std::function<void(execution&)>& body) {
  const auto e = std::make_unique<engine>(how);
  execution x(*e);
  result r = e->run([&] { body(x); });
  // A program with other orders than its own is a mutant: whoever made it counts it.
  if (how.orders) return r;
  support::cover(r.failed ? "broken programs caught" : r.exhausted ? "programs seen in full" : "programs walked", 1);
  support::cover(how.random_walks != 0 ? "random schedules" : "executions", r.executions);
  support::cover("states", r.states);
  return r;
}

/// Weakens each memory order that the program runs by one step, one at a time, and names those
/// weakenings that no execution fails under ("rmw acq ref.hpp:57 -> rlx"). For a program whose
/// orders are all needed, and all tested, the answer is empty.
inline std::vector<std::string> survivors(options how, const std::function<void(execution&)>& body) {
  std::vector<std::string> out;
  for (const site& s : explore(how, body).sites) {
    for (std::memory_order to : weaker(s)) {
      how.orders = at_site(s, to);
      if (!explore(how, body).failed) out.push_back(text(s) + " -> " + text(to));
    }
  }
  return out;
}

}  // namespace explorer
