// SPDX-License-Identifier: MIT
#pragma once

// io_uring as a registration backend: a ring with a table of buffers that is empty at first, and a slot for each
// registration.

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "pinref/gup/gup_result.hpp"
#include "support/registration_error.hpp"

namespace fabric {

/// Throws std::runtime_error where the system has no such ring. Registrations come and go under a mutex, reads are for
/// one thread at a time.
class uring {
 public:
  /// The slot.
  using handle = unsigned;
  static constexpr std::size_t granule = 4096;

  explicit uring(unsigned slots) {
    if (const int error = ::io_uring_queue_init(8, &ring_, 0); error < 0)
      throw std::runtime_error("io_uring: errno " + std::to_string(-error));
    if (const int error = ::io_uring_register_buffers_sparse(&ring_, slots); error < 0) {
      ::io_uring_queue_exit(&ring_);
      throw std::runtime_error("no table of buffers that is empty at first: errno " + std::to_string(-error));
    }
    for (unsigned i = slots; i-- != 0;) free_.push_back(i);
  }
  uring(const uring&) = delete;
  uring& operator=(const uring&) = delete;
  ~uring() { ::io_uring_queue_exit(&ring_); }

  pinref::gup_error register_memory(std::uintptr_t first, std::size_t length, unsigned, unsigned& slot) noexcept {
    const std::lock_guard guard{lock_};
    // The table is full: the cache has to end another registration first.
    if (free_.empty()) return pinref::gup_error::limit_exceeded;
    slot = free_.back();
    const iovec whole{reinterpret_cast<void*>(first), length};
    const int error = -update(slot, whole);
    if (error != 0) return support::registration_error(error);
    free_.pop_back();
    return pinref::gup_error::none;
  }
  // Operations that are under way would keep the pages longer than their slot. None is, for each of them has a pin.
  bool deregister(unsigned& slot) noexcept {
    const std::lock_guard guard{lock_};
    if (update(slot, {nullptr, 0}) != 0) return false;
    free_.push_back(slot);
    return true;
  }
  [[nodiscard]] std::size_t nr_free() const { return free_.size(); }

  /// Starts a read from a file into registered memory.
  void start_read(int fd, void* to, unsigned length, unsigned long long offset, unsigned slot) {
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_read_fixed(entry, fd, to, length, offset, static_cast<int>(slot));
    if (::io_uring_submit(&ring_) != 1) throw std::runtime_error("io_uring_submit");
  }
  /// Waits for one that was started: its bytes, or an error below 0.
  [[nodiscard]] int finish() {
    io_uring_cqe* entry = nullptr;
    int error = 0;
    do error = ::io_uring_wait_cqe(&ring_, &entry);
    while (error == -EINTR);
    if (error < 0) throw std::runtime_error("io_uring_wait_cqe");
    const int result = entry->res;
    ::io_uring_cqe_seen(&ring_, entry);
    return result;
  }

 private:
  int update(unsigned slot, const iovec& to) noexcept {
    const __u64 tag = 0;
    const int changed = ::io_uring_register_buffers_update_tag(&ring_, slot, &to, &tag, 1);
    return changed == 1 ? 0 : changed == 0 ? -EAGAIN : changed;
  }

  io_uring ring_{};
  std::mutex lock_;
  std::vector<unsigned> free_;
};

}  // namespace fabric
