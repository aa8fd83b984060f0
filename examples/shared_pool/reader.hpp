// SPDX-License-Identifier: MIT
#pragma once

// Reads blocks from the disk into frames, many at a time: by io_uring where there is one, else one after the other.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "support/block.hpp"

#if defined(PINREF_HAS_LIBURING)
#include <liburing.h>
#endif

namespace examples::shared_pool {

class reader {
 public:
  reader(int file, unsigned depth) : file_(file) {
#if defined(PINREF_HAS_LIBURING)
    has_ring_ = ::io_uring_queue_init(depth, &ring_, 0) == 0;
#else
    (void)depth;
#endif
  }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  /// Can anything be under way when the process is killed?
  [[nodiscard]] bool asynchronous() const {
    return has_ring_;
  }

  void read(std::uint32_t number, block* into) {
#if defined(PINREF_HAS_LIBURING)
    if (has_ring_) {
      io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
      ::io_uring_prep_read(entry, file_, into, sizeof(block), std::uint64_t{number} * sizeof(block));
      ::io_uring_sqe_set_data64(entry, number);
      return;
    }
#endif
    const ssize_t bytes = ::pread(file_, into, sizeof(block), static_cast<off_t>(number) * off_t{sizeof(block)});
    done_.push_back({number, static_cast<long>(bytes)});
  }
  void submit() {
#if defined(PINREF_HAS_LIBURING)
    if (has_ring_) (void)::io_uring_submit(&ring_);
#endif
  }
  /// Waits for one read at least, and calls `each(number, bytes)`.
  template <class Each>
  void wait(Each each) {
#if defined(PINREF_HAS_LIBURING)
    if (has_ring_) {
      io_uring_cqe* done = nullptr;
      if (::io_uring_wait_cqe(&ring_, &done) != 0) return;
      const auto number = ::io_uring_cqe_get_data64(done);
      const long bytes = done->res;
      ::io_uring_cqe_seen(&ring_, done);
      return each(number, bytes);
    }
#endif
    for (const auto& [number, bytes] : std::exchange(done_, {})) each(number, bytes);
  }

 private:
  int file_;
  bool has_ring_ = false;
  std::vector<std::pair<std::uint64_t, long>> done_;
#if defined(PINREF_HAS_LIBURING)
  io_uring ring_{};
#endif
};

}  // namespace examples::shared_pool
