// SPDX-License-Identifier: MIT

// Functions of known cost, so that budgets.py is known to count: each is what a fast path must not become.

#include <atomic>

using word = std::atomic<long>;

// codegen: locked=0 branches=0 loads=0
extern "C" long check_nothing(long n) {
  return n + 1;
}

// codegen: locked=0 branches=0 loads=1
extern "C" long check_load(word& a) {
  return a.load(std::memory_order_acquire);
}

// codegen: locked=2 branches=0 loads=0
extern "C" void check_two_locked(word& a, word& b) {
  a.fetch_add(1, std::memory_order_acquire);
  b.fetch_add(1, std::memory_order_acquire);
}

// codegen: locked=1 fetches=1 branches=0 loads=0
extern "C" long check_fetch(word& a, long n) {
  return a.fetch_add(n, std::memory_order_acquire);
}

// xchg locks without the prefix.
// codegen: locked=1 fetches=1 branches=0 loads=0
extern "C" long check_exchange(word& a) {
  return a.exchange(0, std::memory_order_acq_rel);
}

// codegen: locked=1 fetches=0 branches=1 loads=1
extern "C" bool check_load_first(word& a) {
  if (a.load(std::memory_order_relaxed) < 0) [[unlikely]]
    return false;
  a.fetch_add(1, std::memory_order_acquire);
  return true;
}

// codegen: locked=1 fetches=1 loads=1
extern "C" bool check_compare_and_swap(word& a) {
  long now = a.load(std::memory_order_relaxed);
  do {
    if (now < 0) [[unlikely]]
      return false;
  } while (!a.compare_exchange_weak(now, now + 1, std::memory_order_acquire, std::memory_order_relaxed));
  return true;
}
