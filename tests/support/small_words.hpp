// SPDX-License-Identifier: MIT
#pragma once

// What a word of few bits does, in plain integers: the oracle for words small enough to visit every state.

#include <concepts>
#include <cstdint>
#include <vector>

#include "layouts.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/zones.hpp"

namespace support {

// A word counted in holders, without the bits of a host below them. Its borders are the thirty-seconds that zones.hpp
// draws, its claims those of the picture there.
struct small_word {
  int values, takers, claimants = 0;
  int part = values / 32;
  int most_holders = 16 * part, overflow_end = 18 * part, watched = 19 * part, watched_end = 22 * part;
  int frozen_begin = 22 * part, dead_begin = 25 * part, dead = 27 * part, dead_end = 29 * part;
  int watch_limit = part, nobody = values - 1;
  int third = part / (claimants + 1), slack = 2 * third;
  int max_delta = slack / (takers + 1);

  [[nodiscard]] pinref::zone zone_of(int word) const {
    using pinref::zone;
    if (word < most_holders || word == nobody) return zone::alive;
    if (word < overflow_end) return zone::overflow;
    if (word < watched) return zone::underflow;
    if (word < watched_end) return zone::watched;
    if (word < dead_begin) return zone::frozen;
    return word < dead_end ? zone::dead : zone::underflow;
  }
  [[nodiscard]] int frozen_by(int who) const { return frozen_begin + third + 3 * third * who; }
  // Who claimed a word that is frozen: the last has what division leaves over.
  [[nodiscard]] int claimant_of(int word) const {
    int who = 0;
    while (who != claimants && word >= frozen_begin + 3 * third * (who + 1)) ++who;
    return who;
  }
  [[nodiscard]] int live(int holders) const { return (holders + nobody) % values; }
  // Of an underflow as many as there can be.
  [[nodiscard]] int holders_of(int word) const {
    switch (zone_of(word)) {
      case pinref::zone::alive:
      case pinref::zone::overflow:
        return (word + 1) % values;
      case pinref::zone::watched:
        return word - watched;
      case pinref::zone::underflow:
        return most_holders;
      case pinref::zone::frozen:
      case pinref::zone::dead:
        break;
    }
    return 0;
  }
  // Is nobody else inside a call?
  [[nodiscard]] bool at_rest(int word) const {
    switch (zone_of(word)) {
      case pinref::zone::alive:
        return word != nobody;
      case pinref::zone::overflow:
        return true;
      case pinref::zone::watched:
        return word < watched + watch_limit;
      case pinref::zone::frozen:
        return word == frozen_by(claimant_of(word));
      case pinref::zone::dead:
        return word == dead;
      case pinref::zone::underflow:
        break;
    }
    return false;
  }
  // All numbers for one call if they are few, else the ends.
  [[nodiscard]] std::vector<int> deltas() const {
    std::vector<int> all;
    for (int n = 0; n <= max_delta; ++n)
      if (n < 4 || n > max_delta - 3 || max_delta < 16) all.push_back(n);
    return all;
  }
};

template <class Zones>
constexpr small_word oracle_of_zones{1 << (Zones::bits - Zones::host_bits), static_cast<int>(Zones::takers),
                                     static_cast<int>(Zones::claimants)};
template <class Layout>
constexpr small_word oracle_of = oracle_of_zones<typename Layout::zones>;

// What a call answers, and the word it leaves.
template <class Result>
struct answer {
  Result result;
  int word;
  friend bool operator==(const answer&, const answer&) = default;
};

// Of a word at rest.
inline answer<pinref::take_result> take_of(const small_word& w, int word, int delta) {
  using pinref::take_result;
  const int holders = w.holders_of(word) + delta;
  switch (w.zone_of(word)) {
    case pinref::zone::alive:
      if (holders > w.most_holders) return {take_result::overflow, word};
      return {take_result::taken, w.live(holders)};
    case pinref::zone::watched:
      return {take_result::taken, holders < w.watch_limit ? w.watched + holders : w.live(holders)};
    case pinref::zone::overflow:
      return {take_result::overflow, word};
    default:
      return {take_result::dead, word};
  }
}

// Of a word at rest. `quiet`: a release that leaves fewer holders ends the watch.
inline answer<pinref::release_result> release_of(const small_word& w, int word, int delta, pinref::owner_ref owner,
                                                 int quiet) {
  using pinref::release_result;
  const bool resident = owner == pinref::owner_ref::resident;
  const int held = w.holders_of(word);
  const pinref::zone zone = w.zone_of(word);
  const bool counts = zone == pinref::zone::alive || zone == pinref::zone::watched;
  if (delta == 0) return {counts && resident && held == 1 ? release_result::idle : release_result::released, word};
  if (zone == pinref::zone::dead || zone == pinref::zone::frozen) return {release_result::underflow, word};
  if (zone == pinref::zone::overflow) return {release_result::released, word - delta};
  const int left = held - delta;
  if (left < 0) return {release_result::underflow, word};
  if (left == 0) return {release_result::last, w.dead};
  const bool stays_watched = zone == pinref::zone::watched && left >= quiet;
  return {resident && left == 1 ? release_result::idle : release_result::released,
          stays_watched ? w.watched + left : w.live(left)};
}

// Small layouts with bits of the host below the holders, and with several claimants.
using bias8_host = pinref::bias_layout<std::uint8_t, 1, 1, 1, 1>;
using bias8_wide_host = pinref::bias_layout<std::uint8_t, 1, 1, 2>;
using bias16_host = pinref::bias_layout<std::uint16_t, 5, 2, 3, 2>;

// The word of a layout that counts what `word` says, beside the host's bits.
template <class Layout>
constexpr typename Layout::word_type with_host(int word, int host) {
  return static_cast<typename Layout::word_type>(word << Layout::zones::host_bits | host);
}
// Every pattern of the host's bits if they are few.
template <class Layout>
std::vector<int> host_patterns() {
  constexpr int all = 1 << Layout::zones::host_bits;
  std::vector<int> some;
  for (int host = 0; host != all; ++host)
    if (all <= 4 || host == 0 || host == all - 1 || host == all / 2 + 1) some.push_back(host);
  return some;
}

}  // namespace support

#define SMALL_LAYOUTS_WITH_A_HOST support::bias8_host, support::bias8_wide_host, support::bias16_host
