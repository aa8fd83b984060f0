// SPDX-License-Identifier: MIT
#pragma once

// What a test program covered, to be said in its last lines; tools/test repeats them.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace support {

inline std::vector<std::pair<std::string, std::uint64_t>>& covered() {
  static std::vector<std::pair<std::string, std::uint64_t>> all;
  return all;
}

/// Adds `n` of `what`.
inline void cover(const std::string& what, std::uint64_t n) {
  for (auto& each : covered())
    if (each.first == what) {
      each.second += n;
      return;
    }
  covered().emplace_back(what, n);
}

}  // namespace support
