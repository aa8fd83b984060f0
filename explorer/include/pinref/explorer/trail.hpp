// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The decisions of one execution: enumerated depth first, drawn at random, or replayed.
///
/// When not to use it: by itself. It belongs to the engine.
///
/// Example:
///
///     explorer::trail decisions;
///     do run([&](unsigned ways) { return decisions.choose(ways); });
///     while (decisions.advance());

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace explorer {

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Decision 0 is always the plain one: go on with this thread, read the newest, append.
class trail {
 public:
  unsigned choose(unsigned count) {
    if (count <= 1) return 0;
    if (next_ == nodes_.size()) nodes_.push_back({random_ ? draw(count) : 0, count});
    node& here = nodes_[next_++];
    if (here.count == 0) here = {std::min(here.taken, count - 1), count};
    diverged_ = diverged_ || here.count != count;
    return std::min(here.taken, count - 1);
  }

  /// True past the decisions that only repeat an earlier execution.
  bool fresh() const { return next_ == nodes_.size(); }
  /// True when a repeated decision had another number of ways: the program is not deterministic.
  bool diverged() const { return diverged_; }

  void start_walk(std::uint64_t seed) {
    random_ = true;
    state_ = seed;
    nodes_.clear();
    next_ = 0;
  }

  /// Moves to the next execution in depth-first order; false when there is none.
  bool advance() {
    nodes_.resize(next_);
    while (!nodes_.empty() && nodes_.back().taken + 1 >= nodes_.back().count) nodes_.pop_back();
    if (nodes_.empty()) return false;
    ++nodes_.back().taken;
    next_ = 0;
    return true;
  }

  /// Decisions separated by dots, an empty one meaning 0; trailing zeros are left out.
  std::string text() const {
    std::string out;
    std::size_t last = next_;
    while (last > 0 && nodes_[last - 1].taken == 0) --last;
    for (std::size_t i = 0; i < last; ++i) {
      if (nodes_[i].taken != 0) out += std::to_string(nodes_[i].taken);
      if (i + 1 < last) out += '.';
    }
    return out;
  }

  void parse(const char* text) {
    nodes_.assign(1, {0, 0});
    for (; *text != '\0'; ++text) {
      if (*text == '.')
        nodes_.push_back({0, 0});
      else
        nodes_.back().taken = nodes_.back().taken * 10 + static_cast<unsigned>(*text - '0');
    }
    next_ = 0;
  }

 private:
  struct node {
    unsigned taken;
    unsigned count;
  };

  // Half of the draws take the plain way, so that a walk gets somewhere between two surprises.
  unsigned draw(unsigned count) {
    state_ = mix(state_, 1);
    return (state_ & 1) != 0 ? 0 : static_cast<unsigned>((state_ >> 8) % count);
  }

  std::vector<node> nodes_;
  std::size_t next_ = 0;
  bool diverged_ = false;
  bool random_ = false;
  std::uint64_t state_ = 0;
};

}  // namespace explorer
