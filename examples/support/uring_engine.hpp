// SPDX-License-Identifier: MIT
#pragma once

// io_uring: one ring, submitted to by everybody under a mutex, reaped by one thread.

#include <liburing.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "block.hpp"
#include "engine.hpp"

namespace examples {

class uring_engine final : public engine {
 public:
  /// Throws std::system_error where the system refuses the ring. Registration of the memory may be refused, too, most
  /// often by RLIMIT_MEMLOCK; then it does without.
  uring_engine(int fd, void* memory, std::size_t size, bool registered, completion done)
      : fd_(fd), done_(std::move(done)) {
    if (const int error = ::io_uring_queue_init(depth, &ring_, 0); error < 0)
      throw std::system_error(-error, std::generic_category(), "io_uring");
    if (registered) {
      const iovec all{memory, size};
      const int error = ::io_uring_register_buffers(&ring_, &all, 1);
      registered_ = error == 0;
      if (!registered_) std::fprintf(stderr, "registering the pool: %s; going on without\n", std::strerror(-error));
    }
    for (std::uint32_t i = depth; i-- != 0;) free_.push_back(i);
    reaper_ = std::thread([this] { reap(); });
  }
  uring_engine(const uring_engine&) = delete;
  uring_engine& operator=(const uring_engine&) = delete;
  ~uring_engine() override {
    drain();
    {
      const std::lock_guard guard{mutex_};
      io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
      ::io_uring_prep_nop(entry);
      start(entry, stop);
    }
    reaper_.join();
    if (registered_) ::io_uring_unregister_buffers(&ring_);
    ::io_uring_queue_exit(&ring_);
  }

  void submit(const transfer& job) override {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this] { return !free_.empty(); });
    const std::uint32_t index = free_.back();
    free_.pop_back();
    under_way_[index] = job;
    prepare_and_start(job, index);
  }
  void drain() override {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this] { return free_.size() == depth; });
  }
  [[nodiscard]] const char* name() const noexcept override { return registered_ ? "io_uring, registered" : "io_uring"; }
  [[nodiscard]] bool registered() const noexcept override { return registered_; }

 private:
  static constexpr std::uint64_t stop = depth;

  [[noreturn]] static void give_up(int error) {
    std::fprintf(stderr, "io_uring: %s\n", std::strerror(-error));
    std::_Exit(2);
  }

  // Every entry is submitted at once, so one is always free.
  void prepare_and_start(const transfer& job, std::uint64_t index) {
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    const std::uint64_t offset = job.block * sizeof(block);
    if (job.way == direction::read && registered_)
      ::io_uring_prep_read_fixed(entry, fd_, job.memory, sizeof(block), offset, 0);
    else if (job.way == direction::read)
      ::io_uring_prep_read(entry, fd_, job.memory, sizeof(block), offset);
    else if (registered_)
      ::io_uring_prep_write_fixed(entry, fd_, job.memory, sizeof(block), offset, 0);
    else
      ::io_uring_prep_write(entry, fd_, job.memory, sizeof(block), offset);
    start(entry, index);
  }

  void start(io_uring_sqe* entry, std::uint64_t index) {
    ::io_uring_sqe_set_data64(entry, index);
    int result = 0;
    do result = ::io_uring_submit(&ring_);
    while (result == -EINTR || result == -EAGAIN || result == -EBUSY);
    if (result < 0) give_up(result);
  }

  void reap() {
    struct finished {
      std::uint64_t index;
      long result;
      transfer job;
    };
    for (bool more = true; more;) {
      io_uring_cqe* first = nullptr;
      if (const int error = ::io_uring_wait_cqe(&ring_, &first); error == -EINTR)
        continue;
      else if (error < 0)
        give_up(error);

      std::array<io_uring_cqe*, 16> entries{};
      std::vector<finished> batch;
      const unsigned n = ::io_uring_peek_batch_cqe(&ring_, entries.data(), entries.size());
      for (unsigned i = 0; i != n; ++i)
        if (entries[i]->user_data == stop)
          more = false;
        else
          batch.push_back({entries[i]->user_data, entries[i]->res, {}});
      ::io_uring_cq_advance(&ring_, n);

      {
        // The table is read under the mutex it was written under: whatever a submitter did before, this thread sees.
        const std::lock_guard guard{mutex_};
        for (finished& one : batch) one.job = under_way_[one.index];
      }
      for (const finished& one : batch) done_(one.job, one.result);
      {
        const std::lock_guard guard{mutex_};
        for (const finished& one : batch) free_.push_back(static_cast<std::uint32_t>(one.index));
      }
      changed_.notify_all();
    }
  }

  int fd_;
  bool registered_ = false;
  completion done_;
  io_uring ring_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<transfer, depth> under_way_{};
  std::vector<std::uint32_t> free_;  // indices into under_way_
  std::thread reaper_;
};

}  // namespace examples
