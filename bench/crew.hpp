// SPDX-License-Identifier: MIT
#pragma once

// Threads that run one slice of work together, each pinned to a core of its own.

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace bench {

inline void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// One CPU of every core this process may run on: two hardware threads of one core would not contend for a cache line.
inline std::vector<int> find_cores() {
  std::vector<int> found;
  std::set<std::string> seen;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return found;
  for (int cpu = 0; cpu != CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(static_cast<unsigned>(cpu), &allowed)) continue;
    std::string core = "cpu" + std::to_string(cpu);
    std::ifstream siblings{"/sys/devices/system/cpu/" + core + "/topology/thread_siblings_list"};
    std::getline(siblings, core);
    if (seen.insert(core).second) found.push_back(cpu);
  }
  return found;
}

/// Found before any thread is pinned.
inline const std::vector<int> cores = find_cores();

inline void run_on(int cpu) {
  cpu_set_t only;
  CPU_ZERO(&only);
  CPU_SET(static_cast<unsigned>(cpu), &only);
  sched_setaffinity(0, sizeof only, &only);
}

/// All threads leave within a cache miss of each other; nobody sleeps.
class spin_barrier {
 public:
  explicit spin_barrier(unsigned threads) : threads_(threads) {}

  void wait() noexcept {
    const unsigned phase = phase_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.store(phase + 1, std::memory_order_release);
    } else {
      while (phase_.load(std::memory_order_acquire) == phase) pause();
    }
  }

 private:
  unsigned threads_;
  alignas(128) std::atomic<unsigned> arrived_{0};
  alignas(128) std::atomic<unsigned> phase_{0};
};

/// Something to measure: `run(work, thread, ops)` does `ops` operations, each worth `items`.
struct contender {
  void* work;
  void (*run)(void* work, unsigned thread, std::size_t ops);
  double items;
  bool background;          // only thread 0 is counted, the others keep going until it is done
  bool sleeps;              // it may put a thread to sleep, which is no disturbance then
  std::size_t ops = 1;      // in one chunk
  std::size_t chunks = 64;  // of a slice: threads take them from a common counter, so that all are busy until the end
};

template <class Work>
[[nodiscard]] contender contender_of(Work& work, double items = 1) {
  constexpr bool background = requires {
    requires Work::background;
  };
  constexpr bool sleeps = requires {
    requires Work::sleeps;
  };
  return {&work, [](void* w, unsigned thread, std::size_t ops) { (*static_cast<Work*>(w))(thread, ops); }, items,
          background, sleeps};
}

struct slice {
  double seconds;
  bool clean;  // no thread was preempted, all ran all the time
};

class crew {
 public:
  /// Thread 0 is the caller. Precondition: `threads` is at most the number of cores.
  explicit crew(unsigned threads) : barrier_(threads), parts_(threads) {
    run_on(cores[0]);
    for (unsigned thread = 1; thread != threads; ++thread)
      helpers_.emplace_back([this, thread] {
        run_on(cores[thread]);
        for (barrier_.wait(); who_ != nullptr; barrier_.wait()) take_part(thread);
      });
  }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew() {
    who_ = nullptr;
    barrier_.wait();
    for (std::thread& helper : helpers_) helper.join();
  }

  [[nodiscard]] slice run(const contender& who) {
    who_ = &who;
    next_.store(0, std::memory_order_relaxed);
    barrier_.wait();
    take_part(0);
    part whole = parts_[0];
    part common = parts_[0];
    for (const part& each : parts_) {
      whole.preempted |= each.preempted;
      whole = {std::min(whole.begin, each.begin), std::max(whole.end, each.end), whole.preempted};
      common = {std::max(common.begin, each.begin), std::min(common.end, each.end), false};
    }
    return {seconds(whole), !whole.preempted && seconds(common) > 0.85 * seconds(whole)};
  }

 private:
  using clock = std::chrono::steady_clock;
  struct alignas(128) part {
    clock::time_point begin, end;
    bool preempted = false;
  };

  static double seconds(const part& p) { return std::chrono::duration<double>(p.end - p.begin).count(); }

  static long preemptions(const contender& who) {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw + (who.sleeps ? 0 : usage.ru_nvcsw);
  }

  void take_part(unsigned thread) {
    const contender& who = *who_;
    const long before = preemptions(who);
    barrier_.wait();
    const auto begin = clock::now();
    if (who.background && thread != 0)
      while (next_.load(std::memory_order_relaxed) < who.chunks) who.run(who.work, thread, who.ops);
    else
      while (next_.fetch_add(1, std::memory_order_relaxed) < who.chunks) who.run(who.work, thread, who.ops);
    const auto end = clock::now();
    parts_[thread] = {begin, end, preemptions(who) != before};
    barrier_.wait();
  }

  spin_barrier barrier_;
  const contender* who_ = nullptr;
  std::vector<part> parts_;
  std::vector<std::thread> helpers_;
  alignas(128) std::atomic<std::size_t> next_{0};
};

}  // namespace bench
