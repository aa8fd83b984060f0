// SPDX-License-Identifier: MIT
#pragma once

// Threads that start together and run a counted number of steps each. More of them than cores, so that every one of
// them is interrupted in the middle of something.

#include <cstddef>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include "covered.hpp"

namespace stress {

inline constexpr unsigned nr_threads = 8;

#if defined(__SANITIZE_THREAD__)
inline constexpr bool slow = true;
#elif defined(__has_feature)
inline constexpr bool slow = __has_feature(thread_sanitizer);
#else
inline constexpr bool slow = false;
#endif

/// Steps of one thread, fewer where each is slow.
constexpr unsigned steps(unsigned plain) {
  return slow ? plain / 4 : plain;
}

class random {
 public:
  explicit random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}

  std::size_t below(std::size_t n) {
    ++drawn_;
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>(state_ >> 16) % n;
  }
  bool once_in(std::size_t n) { return below(n) == 0; }
  [[nodiscard]] std::uint64_t drawn() const { return drawn_; }

 private:
  std::uint64_t state_;
  std::uint64_t drawn_ = 0;
};

/// Calls `work(index, random)` once in each of n threads.
template <class Work>
void crew(unsigned n, Work work) {
  std::latch start(n);
  std::vector<std::uint64_t> drawn(n);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i != n; ++i)
    threads.emplace_back([&, i] {
      random choices(i + 1);
      start.arrive_and_wait();
      work(i, choices);
      drawn[i] = choices.drawn();
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::uint64_t each : drawn) support::cover("choices of threads", each);
}

}  // namespace stress
