// SPDX-License-Identifier: MIT
#pragma once

// Which page comes next.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pages.hpp"

namespace bench {

/// Keys that all come equally often.
template <std::size_t N>
class uniform {
 public:
  void seed(std::uint64_t from) { numbers_.seed(from); }
  [[nodiscard]] BENCH_INLINE std::size_t next() noexcept { return numbers_.next() % N; }

 private:
  stream numbers_;
};

/// Keys by Zipf's law with the exponent of YCSB, drawn once: of 4096 keys the most frequent one is every 9th, of a
/// million every 15th. Frequent keys are not neighbours.
template <std::size_t N>
class alignas(128) zipf {
 public:
  void seed(std::uint64_t from) {
    static const std::vector<std::uint32_t> drawn = draw();
    drawn_ = drawn.data();
    at_ = from * 0x9e3779b97f4a7c15u % nr_drawn;  // far from the other threads
  }
  [[nodiscard]] BENCH_INLINE std::size_t next() noexcept { return drawn_[at_++ % nr_drawn]; }

 private:
  static constexpr std::size_t nr_drawn = std::size_t{1} << 20;

  static std::vector<std::uint32_t> draw() {
    std::vector<double> up_to(N);
    double sum = 0;
    for (std::size_t rank = 0; rank != N; ++rank) up_to[rank] = sum += std::pow(double(rank + 1), -0.99);
    stream numbers;
    numbers.seed(5);
    std::vector<std::uint32_t> keys(nr_drawn);
    for (std::uint32_t& key : keys) {
      const double which = sum * double(numbers.next()) / double(std::uint64_t{1} << 31);
      const auto rank = static_cast<std::size_t>(std::upper_bound(up_to.begin(), up_to.end(), which) - up_to.begin());
      key = static_cast<std::uint32_t>(std::min(rank, N - 1) * 0x9e3779b1u % N);
    }
    return keys;
  }

  const std::uint32_t* drawn_ = nullptr;
  std::size_t at_ = 0;
};

}  // namespace bench
