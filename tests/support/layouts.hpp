// SPDX-License-Identifier: MIT
#pragma once

// The layouts every behaviour is shown on: the three users choose from, and words small enough to visit every state.

#include <concepts>
#include <cstdint>
#include <memory>
#include <ostream>
#include <type_traits>

#include "pinref/gup/gup_result.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/holder.hpp"

namespace pinref {

/// An enum of the library by its name.
template <class Enum>
requires std::is_enum_v<Enum> && requires(Enum value) {
  { to_string(value) } -> std::same_as<const char*>;
}
std::ostream& operator<<(std::ostream& out, Enum value) {
  return out << to_string(value);
}

inline std::ostream& operator<<(std::ostream& out, const gup_result& result) {
  return out << result.count << " " << result.reason;
}

}  // namespace pinref

namespace support {

// One taker at a time: in a single-threaded test no other noise is in flight.
using bias8 = pinref::bias_layout<std::uint8_t, 3, 1>;           // bias 8: pins and references overlap
using bias16_exact = pinref::bias_layout<std::uint16_t, 8, 15>;  // bias 256: references have half of the word
using split8 = pinref::split_layout<std::uint8_t, 1>;

// Puts a word nobody uses into any state.
template <class Ref>
void set_state(Ref& ref, typename Ref::layout state) {
  std::destroy_at(&ref);
  std::construct_at(&ref, state);
}

// A live page with as many holders as its word may count.
template <class Layout>
constexpr Layout full() {
  return Layout::live(Layout::zones::max_holders);
}

// What one pin counts for.
template <class Layout>
constexpr std::uint64_t pin_weight() {
  if constexpr (requires { Layout::pin_bias; })
    return Layout::pin_bias;
  else
    return 1;
}

}  // namespace support

#define ALL_LAYOUTS pinref::bias64, pinref::bias32, pinref::split32
#define SMALL_BIAS_LAYOUTS support::bias8, support::bias16_exact
