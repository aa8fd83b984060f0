// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>

namespace examples::buffer_pool {

/// One line on stderr that is written over; where that is no terminal, a new one now and then.
class progress {
 public:
  explicit progress(const char* what) : what_(what) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() {
    if (shown_ && terminal_) std::fputc('\n', stderr);
  }

  void show(std::uint64_t done, std::uint64_t total, const char* unit) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds{terminal_ ? 500 : 2000}) return;
    last_ = now;
    shown_ = true;
    std::fprintf(stderr, "%s%s: %" PRIu64 " of %" PRIu64 " %s%s", terminal_ ? "\r" : "", what_, done, total, unit,
                 terminal_ ? "  " : "\n");
  }

 private:
  const char* what_;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace examples::buffer_pool
