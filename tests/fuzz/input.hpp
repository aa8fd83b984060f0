// SPDX-License-Identifier: MIT
#pragma once

// The bytes of one fuzz input, read as choices. What lies behind the end reads as zero.

#include <cstddef>
#include <cstdint>
#include <span>

namespace fuzz {

class input {
 public:
  explicit input(std::span<const std::uint8_t> bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }

  std::size_t byte() noexcept {
    if (bytes_.empty()) return 0;
    const std::size_t first = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return first;
  }

  /// One of 0 .. n - 1; n is at most 256.
  std::size_t below(std::size_t n) noexcept { return byte() % n; }

  /// True about once in n times, never on an exhausted input.
  bool once_in(std::size_t n) noexcept { return byte() % n == n - 1; }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace fuzz
