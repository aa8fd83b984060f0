// SPDX-License-Identifier: MIT
#pragma once

// What moves blocks between disk and frames: asynchronous, with a bounded queue. Whoever submits must keep the frame
// from being reused until the completion; that is what pins are for.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "block.hpp"

namespace examples {

enum class direction : std::uint8_t { read, write };

/// One block between the disk and one frame.
struct transfer {
  direction way;
  std::uint32_t block;
  std::uint32_t frame;
  void* memory;
};

/// The completion of a transfer that must not fail; ends the program if it has.
inline void require_whole(const transfer& job, long result) {
  if (result == static_cast<long>(sizeof(block))) return;
  std::fprintf(stderr, "block %u: %s\n", job.block,
               result < 0 ? std::strerror(static_cast<int>(-result)) : "cut short");
  std::_Exit(2);
}

class engine {
 public:
  static constexpr std::size_t depth = 64;
  /// Told once for every transfer, on a thread of the engine: bytes moved or a negative errno.
  using completion = std::function<void(const transfer&, long)>;

  virtual ~engine() = default;

  /// Waits for room in the queue, then starts the transfer.
  virtual void submit(const transfer& job) = 0;
  /// Waits until nothing is under way and every completion has been told.
  virtual void drain() = 0;
  [[nodiscard]] virtual const char* name() const noexcept = 0;
  /// Does the kernel hold all frames from the start, instead of each one for the time of a transfer?
  [[nodiscard]] virtual bool registered() const noexcept { return false; }
};

/// The best engine this machine allows, from `wanted` on: registered, uring, plain. Says on stderr what is refused.
[[nodiscard]] std::unique_ptr<engine> make_engine(const std::string& wanted, int fd, void* memory, std::size_t size,
                                                  engine::completion done);

}  // namespace examples
