// SPDX-License-Identifier: MIT
#pragma once

// A file descriptor that closes itself, and what to do when the system refuses what it never should.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace kernel {

// Without this step nothing that follows would mean anything.
inline void require(bool done, const char* step) {
  if (done) return;
  std::perror(step);
  std::abort();
}

class descriptor {
 public:
  explicit descriptor(int fd = -1) : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace kernel
