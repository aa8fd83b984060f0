// SPDX-License-Identifier: MIT

// The explorer against a second opinion: on random straight-line programs it must find exactly the outcomes that the
// axioms of C++20 allow, without load buffering.

#include "axiomatic.hpp"

#include <doctest/doctest.h>

namespace {

using namespace axiomatic;

class generator {
 public:
  generator(std::uint64_t seed, int seq_cst_percent) : state_(seed), seq_cst_percent_(seq_cst_percent) {}

  program next() {
    const int threads = 2 + below(3);
    const int count = threads + below(8 - threads);
    program p(static_cast<std::size_t>(threads));
    int value = 1;
    for (int n = 0; n < count; ++n) {
      instruction i{kind::load, pick({rlx, acq}), pick({rlx, acq}), below(2), value, below(value)};
      const int what = below(12);
      if (what >= 4) i.k = what < 8 ? kind::store : what < 9 ? kind::exchange : what < 10 ? kind::cas : kind::fence;
      if (i.k == kind::store) i.o = pick({rlx, rel});
      if (i.k == kind::exchange || i.k == kind::cas) i.o = pick({rlx, acq, rel, ar});
      if (i.k == kind::fence) i.o = pick({acq, rel, ar});
      if (i.k != kind::load && i.k != kind::fence) ++value;
      p[static_cast<std::size_t>(n < threads ? n : below(threads))].push_back(i);
    }
    return p;
  }

  // Message passing with everything optional: uniform programs hardly ever meet a fence or a release sequence.
  program passing() {
    program p(below(2) == 0 ? 2 : 3);
    const auto fence = [this](std::vector<instruction>& thread) {
      if (below(2) == 0) thread.push_back({kind::fence, pick({acq, rel, ar}), rlx, 0, 0, 0});
    };
    p[0].push_back({kind::store, pick({rlx, rel}), rlx, 0, 1, 0});
    fence(p[0]);
    p[0].push_back({below(2) == 0 ? kind::store : kind::exchange, pick({rlx, rel}), rlx, 1, 2, 0});
    p[1].push_back({below(2) == 0 ? kind::load : kind::exchange, pick({rlx, acq}), rlx, 1, 3, 0});
    fence(p[1]);
    p[1].push_back({below(2) == 0 ? kind::load : kind::store, pick({rlx}), rlx, 0, 4, 0});
    if (p.size() == 3) {
      p[2].push_back({below(2) == 0 ? kind::exchange : kind::cas, pick({rlx, acq, rel, ar}), rlx, 1, 5, 2});
      if (below(2) == 0) p[2].push_back({kind::store, pick({rlx, rel}), rlx, 1, 6, 0});
    }
    return p;
  }

 private:
  int below(int n) {
    state_ = explorer::mix(state_, 7);
    return static_cast<int>((state_ >> 11) % static_cast<unsigned>(n));
  }
  order pick(std::vector<order> from) {
    return below(100) < seq_cst_percent_ ? sc : from[static_cast<std::size_t>(below(static_cast<int>(from.size())))];
  }

  std::uint64_t state_;
  int seq_cst_percent_;
};

std::string text(const program& p) {
  static constexpr const char* names[] = {"load", "store", "exchange", "cas", "fence"};
  std::string out;
  for (const auto& thread : p) {
    out += "\n ";
    for (const instruction& i : thread) {
      out += std::string(" ") + names[static_cast<int>(i.k)] + (i.k == kind::fence ? "" : i.location ? " y" : " x");
      out += " " + std::to_string(i.expected) + "/" + std::to_string(i.value) + " " + explorer::text(i.o) + ",";
    }
  }
  return out;
}

}  // namespace

TEST_CASE("random programs have exactly the outcomes of the axiomatic model") {
  for (const int seq_cst_percent : {0, 25, 75, 100}) {
    CAPTURE(seq_cst_percent);
    generator random(static_cast<std::uint64_t>(seq_cst_percent) + 1, seq_cst_percent);
    for (int n = 0; n < 300; ++n) {
      const program p = n % 2 == 0 ? random.next() : random.passing();
      CAPTURE(text(p));
      const auto expected = model(p, axioms::explorer).outcomes();
      CHECK(explored(p, true) == expected);
      CHECK(explored(p, false) == expected);
    }
  }
}
