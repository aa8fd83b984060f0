// SPDX-License-Identifier: MIT
#pragma once

// The engine for machines without io_uring: threads that read and write with O_DIRECT.

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <thread>
#include <utility>

#include "block.hpp"
#include "engine.hpp"

namespace examples {

class plain_engine final : public engine {
 public:
  plain_engine(int fd, completion done) : fd_(fd), done_(std::move(done)) {
    for (std::thread& worker : workers_) worker = std::thread([this] { work(); });
  }
  plain_engine(const plain_engine&) = delete;
  plain_engine& operator=(const plain_engine&) = delete;
  ~plain_engine() override {
    drain();
    {
      const std::lock_guard guard{mutex_};
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void submit(const transfer& job) override {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this] { return under_way_ < depth; });
    ++under_way_;
    queue_.push_back(job);
    changed_.notify_all();
  }
  void drain() override {
    std::unique_lock guard{mutex_};
    changed_.wait(guard, [this] { return under_way_ == 0; });
  }
  [[nodiscard]] const char* name() const noexcept override { return "plain O_DIRECT"; }

 private:
  void work() {
    std::unique_lock guard{mutex_};
    for (;;) {
      changed_.wait(guard, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      const transfer job = queue_.front();
      queue_.pop_front();
      guard.unlock();
      const auto offset = static_cast<off_t>(job.block * sizeof(block));
      // Not pread and pwrite: the thread sanitizer must not take this thread for who reads and writes. The disk does.
      const iovec memory{job.memory, sizeof(block)};
      const ssize_t moved =
          job.way == direction::read ? ::preadv2(fd_, &memory, 1, offset, 0) : ::pwritev2(fd_, &memory, 1, offset, 0);
      done_(job, moved < 0 ? -errno : moved);
      guard.lock();
      --under_way_;
      changed_.notify_all();
    }
  }

  int fd_;
  completion done_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<transfer> queue_;
  std::size_t under_way_ = 0;
  bool stop_ = false;
  std::array<std::thread, 8> workers_;
};

}  // namespace examples
