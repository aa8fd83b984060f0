// SPDX-License-Identifier: MIT
#pragma once

// For tests in which threads sleep.

#include <time.h>

#include <cstdint>
#include <thread>

#include "pinref/word/zones.hpp"

namespace support {

// A limit for what must not take long at all, so that a lost wake-up is a failure and no hang.
inline constexpr std::int64_t long_time = 60'000'000'000;

template <class Ref>
void until_watched(const Ref& ref) {
  while (ref.snapshot().zone() != pinref::zone::watched) std::this_thread::yield();
}

// Nanoseconds that this thread has run.
inline std::int64_t time_of_this_thread() {
  ::timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace support
