#pragma once

// The layouts every behaviour is shown on: the three users choose from, and words small enough to visit every state.

#include <cstdint>
#include <memory>
#include <ostream>

#include "pinref/gup/result.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/split_ref.hpp"
#include "pinref/word/result.hpp"

namespace pinref {

inline std::ostream& operator<<(std::ostream& out, take_result result) {
  switch (result) {
    case take_result::taken:
      return out << "taken";
    case take_result::dead:
      return out << "dead";
    case take_result::overflow:
      return out << "overflow";
  }
  return out << "?";
}

inline std::ostream& operator<<(std::ostream& out, release_result result) {
  switch (result) {
    case release_result::released:
      return out << "released";
    case release_result::idle:
      return out << "idle";
    case release_result::last:
      return out << "last";
    case release_result::underflow:
      return out << "underflow";
  }
  return out << "?";
}

inline std::ostream& operator<<(std::ostream& out, wait_result result) {
  switch (result) {
    case wait_result::reached:
      return out << "reached";
    case wait_result::timed_out:
      return out << "timed_out";
    case wait_result::given_up:
      return out << "given_up";
  }
  return out << "?";
}

inline std::ostream& operator<<(std::ostream& out, gup_error error) {
  return out << to_string(error);
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
  return Layout::of(Layout::zones::max_holders);
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

#define ALL_LAYOUTS pinref::bias64, pinref::bias32, pinref::split
#define SMALL_BIAS_LAYOUTS support::bias8, support::bias16_exact
