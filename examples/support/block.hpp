// SPDX-License-Identifier: MIT
#pragma once

// What a block looks like on disk: its number, a version, a checksum over all of it, and words that follow from the
// two.

#include <array>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace examples {

struct alignas(4096) block {
  std::uint64_t number;
  std::uint64_t version;
  std::uint64_t checksum;
  std::array<std::uint64_t, 509> payload;
};
static_assert(sizeof(block) == 4096);

/// Over everything but itself. Each step is a bijection of its lane, so no change of a single word goes unseen.
[[nodiscard]] inline std::uint64_t checksum_of(const block& b) noexcept {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
  std::array<std::uint64_t, 4> lanes{b.number * odd, b.version * odd, 3, 4};
  for (std::size_t i = 0; i != b.payload.size(); ++i) lanes[i % 4] = (lanes[i % 4] ^ b.payload[i]) * odd;
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : lanes) sum = (sum ^ lane ^ (lane >> 29)) * odd;
  return sum;
}

inline void fill(block& b, std::uint64_t number, std::uint64_t version) noexcept {
  b.number = number;
  b.version = version;
  const std::uint64_t start = (number << 32) + version * 0xd1342543de82ef95;
  for (std::size_t i = 0; i != b.payload.size(); ++i) b.payload[i] = start + i * 0x2545f4914f6cdd1d;
  b.checksum = checksum_of(b);
}

/// Empty if the block is what it should be, else what is wrong with it.
[[nodiscard]] inline std::string find_fault(const block& b, std::uint64_t number, std::uint64_t version) {
  std::array<char, 160> text{};
  if (b.checksum != checksum_of(b))
    std::snprintf(text.data(), text.size(), "block %" PRIu64 ": its checksum does not match its content", number);
  else if (b.number != number)
    std::snprintf(text.data(), text.size(), "block %" PRIu64 ": holds the data of block %" PRIu64, number, b.number);
  else if (b.version != version)
    std::snprintf(text.data(), text.size(), "block %" PRIu64 ": version %" PRIu64 " where %" PRIu64 " was written",
                  number, b.version, version);
  return text.data();
}

}  // namespace examples
