// The explorer as pinref's Sync parameter.
#pragma once

#include "atomic.hpp"

struct explorer_sync {
  template <class T>
  using atomic = explorer::atomic<T>;

  /// Lets this thread go on only after something was stored, or when nobody else can go on.
  static void pause() noexcept { explorer::engine::current().pause(); }

  template <class T>
  static void wait(const atomic<T>& a, std::type_identity_t<T> old, std::memory_order order,
                   explorer::place at = {}) noexcept {
    a.wait(old, order, at);
  }

  /// The deadline is not looked at: passing it is one of the ways to go on.
  template <class T, class Deadline>
  static bool wait_until(const atomic<T>& a, std::type_identity_t<T> old, std::memory_order order, const Deadline&,
                         explorer::place at = {}) noexcept {
    return a.timed_wait(old, order, at);
  }

  template <class T>
  static void notify_one(atomic<T>& a) noexcept {
    a.notify_one();
  }
  template <class T>
  static void notify_all(atomic<T>& a) noexcept {
    a.notify_all();
  }
};
