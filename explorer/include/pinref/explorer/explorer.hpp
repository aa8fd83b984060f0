// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// explore: a model checker for small concurrent programs on C++20 atomics.
///
/// It runs a program once for each way its accesses can interleave and for each value the memory model lets them read,
/// and stops at the first execution that fails. explorer/README.md says what is covered, and what is not.
///
/// When not to use it: for whole programs. A few threads with a few accesses each are what it is made for.
///
/// Example:
///
///     auto r = explorer::explore({}, [](explorer::execution& x) {
///       auto& word = x.make<explorer::atomic<int>>(1);
///       x.name(word, "word");
///       x.thread([&] { word.fetch_add(1, std::memory_order_acquire); });
///       x.thread([&] { word.fetch_sub(1, std::memory_order_release); });
///       x.join();
///       x.check(word.load(std::memory_order_relaxed) == 1, "the count is kept");
///     });
///     if (r.failed) std::puts(r.text().c_str());

#include <memory>
#include <new>
#include <utility>

#include "pinref/explorer/atomic.hpp"

namespace explorer {

/// Ends a spin: the thread goes on only after something was stored, or when nobody else can go on.
inline void pause() noexcept {
  engine::current().pause();
}

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

/// Is told of every exploration when it ends, for statistics.
inline void (*when_explored)(const options& how, const result& what) = nullptr;

inline result explore(const options& how, const std::function<void(execution&)>& body) {
  const auto e = std::make_unique<engine>(how);
  execution x(*e);
  result r = e->run([&] { body(x); });
  if (when_explored != nullptr) when_explored(how, r);
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
