// SPDX-License-Identifier: MIT
#pragma once

// One reference word in plain integers: what the documentation says every call answers. No bits, no zones, no atomics.

#include <algorithm>

#include "pinref/word/holder.hpp"

namespace fuzz {

using number = unsigned long long;

/// What a layout promises. All in references, but for `most_pins`.
struct word_rules {
  long long limit;         // the largest sum that fits
  long long bias;          // what a pin is worth; 0 where pins have a word of their own
  bool exact;              // pins are told from references
  number most_references;  // in one call
  number most_pins;        // in one call
};

// Of a word of b bits, without the h of a host, for t takers: sums up to 2^(b-h-1), at most 2^(b-h-4) / (t+1) in one
// call.
inline constexpr word_rules bias8_rules{128, 8, false, 8, 1};
inline constexpr word_rules bias16_exact_rules{32768, 256, true, 256, 1};
inline constexpr word_rules bias16_host_rules{8192, 128, true, 128, 1};
inline constexpr word_rules split8_rules{128, 0, true, 8, 8};
inline constexpr word_rules bias32_rules{2147483648, 1024, false, 524288, 512};

class word_model {
 public:
  using take_result = pinref::take_result;
  using release_result = pinref::release_result;

  explicit constexpr word_model(word_rules rules) noexcept : rules_(rules) {}

  [[nodiscard]] bool alive() const noexcept { return alive_; }
  [[nodiscard]] const word_rules& rules() const noexcept { return rules_; }

  [[nodiscard]] number most(bool pin) const noexcept { return pin ? rules_.most_pins : rules_.most_references; }

  take_result take(number n, bool pin) noexcept {
    if (n > most(pin)) return take_result::overflow;
    if (!alive_) return take_result::dead;
    const long long worth = static_cast<long long>(n) * (pin ? pin_worth() : 1);
    if (holders_ + worth > rules_.limit) return take_result::overflow;
    holders_ += worth;
    (pin ? own_pins_ : own_references_) += static_cast<long long>(n);
    if (pin) acquired_ += n;
    // More pins than holders: references were put that nobody had.
    if (split() && own_pins_ >= rules_.limit) pins_certain_ = false;
    return take_result::taken;
  }

  release_result release(number n, bool pin, pinref::owner_ref owner) noexcept {
    if (n > most(pin)) return release_result::underflow;
    const auto count = static_cast<long long>(n);
    const long long worth = count * (pin ? pin_worth() : 1);
    if (!alive_) return n == 0 ? release_result::released : release_result::underflow;
    if (split() && pin && split_pins() < count) return release_result::underflow;
    if (worth > holders_) {
      // Only after a reference was put that nobody had: the pin count of its own has gone down by then.
      if (split() && pin) pins_certain_ = false;
      return release_result::underflow;
    }
    long long& own = pin ? own_pins_ : own_references_;
    if (count > own) honest_ = false;
    own -= count;
    if (pin) released_ += n;
    holders_ -= worth;
    if (holders_ == 0 && n != 0) {
      alive_ = false;
      return release_result::last;
    }
    const bool idle = owner == pinref::owner_ref::resident && holders_ == 1;
    return idle ? release_result::idle : release_result::released;
  }

  bool freeze(number n) noexcept {
    if (n == 0 || !alive_ || holders_ != static_cast<long long>(n)) return false;
    if (split() && split_pins() != 0) return false;
    alive_ = false;
    return true;
  }

  /// init or unfreeze.
  void begin(number n) noexcept {
    alive_ = true;
    honest_ = true;
    pins_certain_ = true;
    holders_ = own_references_ = static_cast<long long>(n);
    own_pins_ = 0;
  }

  /// Nobody holds it any more, whoever did.
  void bury() noexcept {
    released_ += static_cast<number>(pins());
    alive_ = false;
  }

  /// What the word shows: the sum cut into pins and references as the layout promises.
  [[nodiscard]] long long pins() const noexcept {
    if (!alive_) return 0;
    if (split()) return split_pins();
    return (holders_ + (rules_.exact ? rules_.bias / 2 : 0)) / rules_.bias;
  }
  [[nodiscard]] long long references() const noexcept { return alive_ ? holders_ - pins() * pin_worth() : 0; }

  /// What a release of several steps may ask for: pins, or holders of any kind.
  [[nodiscard]] number held(bool pin) const noexcept {
    return static_cast<number>(!alive_ ? 0 : pin ? std::max(pins(), 0LL) : holders_);
  }

  /// What was taken and not released, whatever the word can show of it. Means something while `honest`.
  [[nodiscard]] long long own_references() const noexcept { return own_references_; }
  [[nodiscard]] long long own_pins() const noexcept { return own_pins_; }
  /// Nobody has released in this life what he did not hold.
  [[nodiscard]] bool honest() const noexcept { return honest_; }
  [[nodiscard]] bool pins_certain() const noexcept { return pins_certain_; }

  /// Pins over all lives.
  [[nodiscard]] number acquired() const noexcept { return acquired_; }
  [[nodiscard]] number released() const noexcept { return released_; }

 private:
  [[nodiscard]] bool split() const noexcept { return rules_.bias == 0; }
  [[nodiscard]] long long pin_worth() const noexcept { return split() ? 1 : rules_.bias; }
  // In a word of their own pins are counted as pins, whatever has been put.
  [[nodiscard]] long long split_pins() const noexcept { return own_pins_; }

  word_rules rules_;
  bool alive_ = false;
  bool honest_ = true;
  bool pins_certain_ = true;
  long long holders_ = 0;
  long long own_references_ = 0;
  long long own_pins_ = 0;
  number acquired_ = 0;
  number released_ = 0;
};

}  // namespace fuzz
