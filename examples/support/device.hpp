// SPDX-License-Identifier: MIT
#pragma once

// A device that delivers blocks from a file of its own into memory it is given, by real direct I/O.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "block.hpp"
#include "direct_file.hpp"
#include "engine.hpp"

namespace examples {

/// What devices deliver: blocks number 0 to numbers - 1, each in versions 1 to versions.
class source {
 public:
  source(const std::string& directory, std::uint32_t numbers, std::uint32_t versions)
      : file_(directory), numbers_(numbers), versions_(versions) {
    const auto blocks = std::make_unique<block[]>(numbers);
    for (std::uint32_t version = 1; version <= versions; ++version) {
      for (std::uint32_t number = 0; number != numbers; ++number) fill(blocks[number], number, version);
      file_.write({blocks.get(), numbers}, place(0, version));
    }
  }

  [[nodiscard]] const direct_file& file() const noexcept { return file_; }
  [[nodiscard]] std::uint32_t versions() const noexcept { return versions_; }
  [[nodiscard]] std::uint32_t place(std::uint32_t number, std::uint32_t version) const noexcept {
    return (version - 1) * numbers_ + number;
  }

 private:
  direct_file file_;
  std::uint32_t numbers_;
  std::uint32_t versions_;
};

/// One device. It has io_uring where that is allowed. For use by one thread.
class device {
 public:
  explicit device(const source& from)
      : from_(from), engine_(make_engine("uring", from.file().fd(), nullptr, 0, require_whole)) {}

  /// Starts a delivery. The memory must stay what it is until `finish`.
  void start(std::uint32_t number, std::uint32_t version, block& into) {
    engine_->submit({direction::read, from_.place(number, version), 0, &into});
  }
  /// Waits until all deliveries have arrived.
  void finish() { engine_->drain(); }

  [[nodiscard]] const char* engine_name() const noexcept { return engine_->name(); }

 private:
  const source& from_;
  std::unique_ptr<engine> engine_;
};

/// Copies a block that a device may be writing to. Whatever it copies, the thread sanitizer need not see: the device is
/// no thread, and its owner has been asked.
__attribute__((no_sanitize("thread"))) inline void copy_under_device(block& to, const block& from) noexcept {
  const volatile std::uint64_t* const in = reinterpret_cast<const std::uint64_t*>(&from);
  std::uint64_t* const out = reinterpret_cast<std::uint64_t*>(&to);
  for (std::size_t i = 0; i != sizeof(block) / sizeof(std::uint64_t); ++i) out[i] = in[i];
}

}  // namespace examples
