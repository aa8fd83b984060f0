// SPDX-License-Identifier: MIT
#pragma once

// A protocol of the library as small programs for the explorer. Each must hold in every execution, and each is run
// again by order_mutation.cpp, with one memory order of the library weakened at a time.

#include <doctest/doctest.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "explored_sync.hpp"
#include "layouts.hpp"

namespace support {

using program = std::function<void(explorer::execution&)>;

struct protocol {
  const char* text;
  std::vector<program> programs;
};

inline std::vector<protocol>& protocols() {
  static std::vector<protocol> all;
  return all;
}

struct registered {
  registered(const char* text, std::vector<program> programs) { protocols().push_back({text, std::move(programs)}); }
};

inline void holds(const std::vector<program>& programs) {
  for (std::size_t i = 0; i != programs.size(); ++i) {
    CAPTURE(i);
    const auto r = explorer::explore({.max_executions = 1'500'000}, programs[i]);
    CHECK_MESSAGE(!r.failed, r.text());
    CHECK_MESSAGE(r.exhausted, "too big to see every execution");
  }
}

// Part of the message of a failure. An empty one would be part of every message: it does not compile.
struct failure {
  consteval failure(const char* part) : text(part) {
    if (*part == '\0') any_failure_at_all();
  }
  static void any_failure_at_all();  // no constant expression

  const char* text;
};

// A broken variant: some execution must fail, for this reason. `-s` shows its trace.
inline void caught(failure why, const program& broken, explorer::options how = {}) {
  const auto r = explorer::explore(how, broken);
  CHECK_MESSAGE((r.failed && r.message.find(why.text) != std::string::npos), r.text());
}

// 8 bits, with room for three threads inside a take: a pin counts 4, 128 holders fit.
using tiny = pinref::bias_layout<std::uint8_t, 2, 3>;
using tiny_split = pinref::split_layout<std::uint8_t, 3>;

template <class Layout, class Sync = explored_sync>
using ref_of = pinref::page_ref<Layout, Sync>;

constexpr auto taken = pinref::take_result::taken;
constexpr auto last = pinref::release_result::last;

// What a page holds: read by its holders, freed once by the last of them.
struct freed_once {
  void use() const { data.read(); }
  // The release of a holder, and the free it may owe.
  void released(pinref::release_result result) {
    explorer::check(result != pinref::release_result::underflow, "a rightful release is not refused");
    if (result == last) free();
  }
  void free() {
    explorer::check(freed.get() == 0, "freed once");
    freed.add(1);
    data.destroy();
  }

  explorer::plain<int> data{1};
  explorer::ghost<int> freed{0};
};

}  // namespace support

// A sentence, then the programs that must hold: PROTOCOL("...", program<layout>, ...)
#define PROTOCOL(text, ...)                                                           \
  static const support::registered DOCTEST_ANONYMOUS(protocol_){text, {__VA_ARGS__}}; \
  TEST_CASE(text) {                                                                   \
    support::holds({__VA_ARGS__});                                                    \
  }
