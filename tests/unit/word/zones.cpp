// SPDX-License-Identifier: MIT

#include "pinref/word/zones.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "small_words.hpp"

using pinref::owner_ref;
using pinref::release_result;
using pinref::take_result;
using pinref::zone;
using pinref::zones;

TEST_CASE("every 8-bit word is in the zone its value says, and counts what that says") {
  using z = zones<std::uint8_t, 1>;
  for (unsigned w = 0; w != 256; ++w) {
    CAPTURE(w);
    const auto word = static_cast<std::uint8_t>(w);
    CHECK(z::troubled(word) == (w >= 128));
    CHECK(z::zone_of(word) == (w < 128 || w == 255 ? zone::alive
                               : w < 144           ? zone::overflow
                               : w < 152           ? zone::underflow
                               : w < 176           ? zone::watched
                               : w < 200           ? zone::frozen
                               : w < 232           ? zone::dead
                                                   : zone::underflow));
    const bool unknown = (w >= 144 && w < 152) || (w >= 232 && w < 255);
    CHECK(z::holders(word) == (w == 255 ? 0 : unknown ? 128 : w < 144 ? w + 1 : w >= 152 && w < 176 ? w - 152 : 0));
  }
  CHECK((z::frozen == 184 && z::dead == 216));
}

// All takers at once, each with the most that one call may take, stay in the zone that the word was in.
template <class Z>
void has_room_for_all_takers() {
  using word = typename Z::word_type;
  constexpr auto most = static_cast<word>(Z::takers * Z::delta(Z::max_delta));
  static_assert(most / Z::delta(Z::max_delta) == Z::takers, "does not wrap");
  static_assert(Z::zone_of(static_cast<word>(Z::dead + most)) == zone::dead);
  static_assert(Z::zone_of(static_cast<word>(Z::frozen + most)) == zone::frozen);
  static_assert(Z::zone_of(static_cast<word>(Z::live(Z::max_holders) + most)) == zone::overflow);
  static_assert(Z::zone_of(static_cast<word>(Z::watched + Z::delta(Z::watch_limit - 1) + most)) == zone::watched);
  // And as much is missing.
  static_assert(Z::zone_of(static_cast<word>(Z::live(0) - most)) == zone::underflow);
  static_assert(Z::zone_of(static_cast<word>(Z::dead - most)) == zone::dead);
}

TEST_CASE("all adds that may be in flight fit into a zone, above the dead value and above the fullest words") {
  has_room_for_all_takers<zones<std::uint8_t, 1>>();
  has_room_for_all_takers<zones<std::uint8_t, 3>>();
  has_room_for_all_takers<zones<std::uint16_t, 1>>();
  has_room_for_all_takers<zones<std::uint16_t, 511>>();
  has_room_for_all_takers<zones<std::uint32_t>>();
  has_room_for_all_takers<zones<std::uint64_t>>();
  has_room_for_all_takers<zones<std::uint8_t, 1, 2>>();
  has_room_for_all_takers<zones<std::uint8_t, 1, 0, 3>>();
  has_room_for_all_takers<zones<std::uint16_t, 7, 3, 2>>();
  has_room_for_all_takers<zones<std::uint32_t, 511, 8, 5>>();
  has_room_for_all_takers<zones<std::uint64_t, 511, 12, 3>>();
  CHECK(zones<std::uint64_t>::takers == 511);
  CHECK(zones<std::uint64_t>::slack == std::uint64_t{1} << 60);
  CHECK(zones<std::uint32_t>::slack == 1u << 28);
}

// Where neither is asked for, the bits of a host and further claimants cost nothing.
static_assert(zones<std::uint64_t>::unit == 1 && zones<std::uint64_t>::host_mask == 0);
static_assert(zones<std::uint64_t>::nobody == ~std::uint64_t{0} && zones<std::uint64_t>::claimants == 0);
static_assert(zones<std::uint64_t>::frozen == zones<std::uint64_t>::at(23));
static_assert(zones<std::uint64_t>::max_delta == (std::uint64_t{1} << 60) / 512);

namespace {

using support::oracle_of_zones;
using support::small_word;

// What a slow path is told to do.
struct outcome {
  int result;
  unsigned word;
  bool wakes = false;
  friend bool operator==(const outcome&, const outcome&) = default;
};
std::ostream& operator<<(std::ostream& out, const outcome& o) {
  return out << o.result << " " << o.word << (o.wakes ? " wakes" : "");
}

constexpr int number_of(take_result result) {
  return static_cast<int>(result);
}
constexpr int number_of(release_result result) {
  return static_cast<int>(result);
}

// The functions of one `zones` for numbers of any width, so that the walks below are compiled once for all of them.
struct any_zones {
  small_word w;
  std::string name;
  unsigned takers, host_bits, claimants, unit, third, slack, max_delta, max_holders, watch_limit, watching, dead;
  unsigned frozen_begin, dead_begin;
  zone (*zone_of)(unsigned word);
  bool (*troubled)(unsigned word);
  unsigned (*holders)(unsigned word);
  bool (*can_be_watched)(unsigned word);
  unsigned (*unwatched)(unsigned word);
  unsigned (*frozen_by)(unsigned who);
  unsigned (*claimant_of)(unsigned word);
  unsigned (*centre_of)(zone where, unsigned word);
  outcome (*after_take)(unsigned now, unsigned n);
  outcome (*after_release)(unsigned now, unsigned n, unsigned quiet, owner_ref owner);
  outcome (*releasing)(unsigned now, unsigned n, unsigned quiet, owner_ref owner, unsigned set, unsigned clear);

  [[nodiscard]] unsigned in_place(int word, unsigned host) const {
    return static_cast<unsigned>(word) << host_bits | host;
  }
  [[nodiscard]] unsigned host_of(unsigned word) const { return word & (unit - 1); }
  [[nodiscard]] unsigned wrapped(unsigned word) const {
    return word & ((static_cast<unsigned>(w.values) << host_bits) - 1);
  }
};

template <class Z>
any_zones any() {
  using word = typename Z::word_type;
  return {
      oracle_of_zones<Z>,
      std::to_string(Z::bits) + " bits, " + std::to_string(Z::takers) + " takers, " + std::to_string(Z::host_bits) +
          " bits of the host, " + std::to_string(Z::claimants + 1) + " claimants",
      Z::takers,
      Z::host_bits,
      Z::claimants,
      Z::unit,
      Z::third,
      Z::slack,
      Z::max_delta,
      Z::max_holders,
      Z::watch_limit,
      Z::watching,
      Z::dead,
      Z::frozen_begin,
      Z::dead_begin,
      [](unsigned at) { return Z::zone_of(static_cast<word>(at)); },
      [](unsigned at) { return Z::troubled(static_cast<word>(at)); },
      [](unsigned at) -> unsigned { return Z::holders(static_cast<word>(at)); },
      [](unsigned at) { return Z::can_be_watched(static_cast<word>(at)); },
      [](unsigned at) -> unsigned { return Z::unwatched(static_cast<word>(at)); },
      [](unsigned who) -> unsigned { return Z::frozen_by(who); },
      [](unsigned at) { return Z::claimant_of(static_cast<word>(at)); },
      [](zone where, unsigned at) -> unsigned { return Z::centre_of(where, static_cast<word>(at)); },
      [](unsigned now, unsigned n) {
        const auto step = Z::after_take(static_cast<word>(now), Z::delta(static_cast<word>(n)));
        return outcome{number_of(step.result), step.next, step.wakes};
      },
      [](unsigned now, unsigned n, unsigned quiet, owner_ref owner) {
        const auto step =
            Z::after_release(static_cast<word>(now), Z::delta(static_cast<word>(n)), static_cast<word>(quiet), owner);
        return outcome{number_of(step.result), step.next, step.wakes};
      },
      [](unsigned now, unsigned n, unsigned quiet, owner_ref owner, unsigned set, unsigned clear) {
        const pinref::host_change<word> change{static_cast<word>(set), static_cast<word>(clear)};
        const auto step =
            Z::releasing(static_cast<word>(now), static_cast<word>(n), static_cast<word>(quiet), owner, change);
        return outcome{number_of(step.result), step.next, step.wakes};
      },
  };
}

// All that a word of 8 bits has room for: at most so many takers, bits of the host and claimants.
template <unsigned Takers = 1, unsigned HostBits = 0, unsigned Claimants = 0>
void add_8_bit_zones(std::vector<any_zones>& to) {
  if constexpr (2 * ((8 / (Claimants + 1)) >> HostBits) / (Takers + 1) != 0)
    to.push_back(any<zones<std::uint8_t, Takers, HostBits, Claimants>>());
  if constexpr (Claimants != 4)
    add_8_bit_zones<Takers, HostBits, Claimants + 1>(to);
  else if constexpr (HostBits != 2)
    add_8_bit_zones<Takers, HostBits + 1, 0>(to);
  else if constexpr (Takers != 8)
    add_8_bit_zones<Takers + 1, 0, 0>(to);
}
std::vector<any_zones> all_8_bit_zones() {
  std::vector<any_zones> all;
  add_8_bit_zones(all);
  return all;
}
std::vector<any_zones> some_16_bit_zones() {
  return {any<zones<std::uint16_t, 511>>(), any<zones<std::uint16_t, 3, 0, 2>>(), any<zones<std::uint16_t, 7, 5>>(),
          any<zones<std::uint16_t, 2, 8, 1>>(), any<zones<std::uint16_t, 1, 10>>()};
}

// What zones.hpp says of a word, in holders and without the bits of the host; of any word, whoever else is inside a
// call.

int centre_expected(const small_word& w, int now) {
  return w.zone_of(now) == zone::dead ? w.dead : w.frozen_by(w.claimant_of(now));
}

struct expected {
  int result;
  int word;
  bool wakes = false;
};

expected take_expected(const small_word& w, int now, int added) {
  const int taken = number_of(take_result::taken), dead = number_of(take_result::dead);
  const int without = (now + w.values - added) % w.values;
  switch (w.zone_of(now)) {
    case zone::alive:
      return {taken, now};
    case zone::watched: {
      const int holders = now - w.watched;
      return holders < w.watch_limit ? expected{taken, now} : expected{taken, w.live(holders), true};
    }
    case zone::overflow:
      return {number_of(take_result::overflow), without};
    case zone::underflow:
      return {dead, without};
    default:
      return {dead, without < centre_expected(w, now) ? centre_expected(w, now) : without};
  }
}

expected release_expected(const small_word& w, int now, int removed, int quiet, owner_ref owner) {
  const int released = number_of(release_result::released), underflow = number_of(release_result::underflow);
  const int last = number_of(release_result::last);
  const int with = (now + removed) % w.values;
  switch (w.zone_of(now)) {
    case zone::alive:
      return now == w.nobody ? expected{last, w.dead} : expected{released, now};
    case zone::watched: {
      const int left = now - w.watched;
      if (left >= quiet)
        return {owner == owner_ref::resident && left == 1 ? number_of(release_result::idle) : released, now};
      if (left == 0) return {last, w.dead, true};
      const bool idle = owner == owner_ref::resident && left == 1;
      return {idle ? number_of(release_result::idle) : released, w.live(left), true};
    }
    case zone::overflow:
      return {released, now};
    case zone::underflow:
      return {underflow, with};
    default:
      if (now >= centre_expected(w, now)) return {released, now};
      return {underflow, with < centre_expected(w, now) ? with : centre_expected(w, now)};
  }
}

// A release in one exchange: the host's bits may change with it.
expected one_exchange_expected(const small_word& w, int now, int n, int quiet, owner_ref owner, bool bits_change) {
  const zone found = w.zone_of(now);
  const bool counts = found == zone::alive || found == zone::watched || found == zone::overflow;
  const int left = w.holders_of(now) - n;
  if (!counts || left < 0) return {number_of(release_result::underflow), now};
  const bool watched = found == zone::watched;
  if (left == 0) return {number_of(release_result::last), w.dead, watched};
  const bool idle = owner == owner_ref::resident && left == 1;
  const bool wakes = watched && (left < quiet || bits_change);
  return {number_of(idle ? release_result::idle : release_result::released),
          watched && !wakes ? w.watched + left : w.live(left), wakes};
}

// Counted as an assertion only where it fails: there are too many that do not.
void agree(const outcome& step, const outcome& wanted) {
  if (!(step == wanted)) REQUIRE(step == wanted);
}

// Every word, in every zone, beside these bits of the host, with every number of every step. Every function is asked
// about each.
void walk_every_word(const any_zones& z, const std::vector<unsigned>& hosts) {
  const small_word& w = z.w;
  CAPTURE(z.name);
  REQUIRE(static_cast<int>(z.max_delta) == w.max_delta);
  REQUIRE(static_cast<int>(z.max_holders) == w.most_holders);
  REQUIRE(static_cast<int>(z.watch_limit) == w.watch_limit);
  for (unsigned who = 0; who <= z.claimants; ++who)
    REQUIRE(z.frozen_by(who) == z.in_place(w.frozen_by(static_cast<int>(who)), 0));

  for (int word = 0; word != w.values; ++word) {
    CAPTURE(word);
    for (const unsigned host : hosts) {
      CAPTURE(host);
      const unsigned now = z.in_place(word, host);
      const zone found = w.zone_of(word);
      REQUIRE(z.zone_of(now) == found);
      REQUIRE(z.troubled(now) == (2 * word >= w.values));
      REQUIRE(static_cast<int>(z.holders(now)) == w.holders_of(word));
      REQUIRE(z.can_be_watched(now) == (found == zone::alive && w.holders_of(word) < w.watch_limit));
      if (z.can_be_watched(now)) {
        const unsigned marked = z.wrapped(now + z.watching);
        REQUIRE(marked == z.in_place(w.watched + w.holders_of(word), host));
        REQUIRE(z.unwatched(marked) == now);
      }
      if (found == zone::frozen) REQUIRE(static_cast<int>(z.claimant_of(now)) == w.claimant_of(word));
      if (found == zone::frozen || found == zone::dead)
        REQUIRE(z.centre_of(found, now) == z.in_place(centre_expected(w, word), host));

      const auto in_place = [&](const expected& e) { return outcome{e.result, z.in_place(e.word, host), e.wakes}; };
      for (const int n : w.deltas()) {
        if (n == 0) continue;
        CAPTURE(n);
        const auto count = static_cast<unsigned>(n);
        agree(z.after_take(now, count), in_place(take_expected(w, word, n)));
        for (const int quiet : {1, 4, w.values - 1})
          for (const owner_ref owner : {owner_ref::counted, owner_ref::resident}) {
            const auto enough = static_cast<unsigned>(quiet);
            agree(z.after_release(now, count, enough, owner), in_place(release_expected(w, word, n, quiet, owner)));
            for (const auto& [set, clear] : {std::pair{0u, 0u}, {1u, 0u}, {0u, ~0u}, {2u, ~0u}}) {
              const unsigned all = z.unit - 1, after = (host & ~clear) | (set & all);
              const expected e = one_exchange_expected(w, word, n, quiet, owner, after != host);
              const bool held = e.result != number_of(release_result::underflow);
              agree(z.releasing(now, count, enough, owner, set & all, clear),
                    {e.result, z.in_place(e.word, held ? after : host), e.wakes});
            }
          }
      }
    }
  }
}

}  // namespace

TEST_CASE("every 8-bit word, however it is divided: what it says, and what a slow path makes of it") {
  int walked = 0;
  for (const any_zones& z : all_8_bit_zones()) {
    std::vector<unsigned> hosts;
    for (unsigned host = 0; host != z.unit; ++host) hosts.push_back(host);
    walk_every_word(z, hosts);
    ++walked;
  }
  CHECK(walked == 38);
}

TEST_CASE("every 16-bit word, divided in a few ways: what it says, and what a slow path makes of it") {
  for (const any_zones& z : some_16_bit_zones()) {
    std::vector<unsigned> hosts{0};
    if (z.host_bits != 0) hosts = {0, 1, z.unit - 1};
    walk_every_word(z, hosts);
  }
}

TEST_CASE("parts of the frozen zone do not touch, and each has its claimant") {
  for (const any_zones& z : all_8_bit_zones()) {
    CAPTURE(z.name);
    std::set<unsigned> found;
    unsigned before = 0;
    for (unsigned word = z.frozen_begin; word != z.dead_begin; ++word) {
      const unsigned who = z.claimant_of(word);
      REQUIRE(who >= before);
      REQUIRE(who <= z.claimants);
      before = who;
      found.insert(who);
    }
    REQUIRE(found.size() == z.claimants + 1);
    // Room below a claim for what is wrongly released, and above it for all takers together.
    for (unsigned who = 0; who <= z.claimants; ++who) {
      REQUIRE(z.claimant_of(z.frozen_by(who) - z.third) == who);
      REQUIRE(z.claimant_of(z.frozen_by(who) + z.slack - 1) == who);
      REQUIRE(z.takers * z.max_delta * z.unit < z.slack);
    }
  }
}

namespace {

// A thread inside a take or a release: about to add, about to look at what its add has made of the word, or through.
enum class phase : unsigned char { before, between, after };

struct call {
  bool takes;
  unsigned n;
};

// All orders in which the calls may add and then settle, from a word at rest that is dead or frozen. `visit(word)` sees
// every word on the way; every answer is a refusal, or `released` of a release that had been given back before.
template <class Visit>
void interleave(const any_zones& z, unsigned from, const std::vector<call>& calls, Visit visit) {
  using state = std::pair<unsigned, std::vector<phase>>;
  std::set<state> seen;
  std::vector<state> open{{from, std::vector<phase>(calls.size(), phase::before)}};
  bool ended = false;
  while (!open.empty()) {
    const auto [word, phases] = open.back();
    open.pop_back();
    if (!seen.insert({word, phases}).second) continue;
    visit(word);
    bool last = true;
    for (std::size_t i = 0; i != calls.size(); ++i) {
      if (phases[i] == phase::after) continue;
      last = false;
      state next{word, phases};
      if (phases[i] == phase::before) {
        const unsigned delta = calls[i].n * z.unit;
        next.first = z.wrapped(calls[i].takes ? word + delta : word - delta);
        next.second[i] = phase::between;
      } else {
        const outcome step =
            calls[i].takes ? z.after_take(word, calls[i].n) : z.after_release(word, calls[i].n, 1, owner_ref::resident);
        if (calls[i].takes)
          REQUIRE(step.result == number_of(take_result::dead));
        else
          REQUIRE((step.result == number_of(release_result::underflow) ||
                   step.result == number_of(release_result::released)));
        REQUIRE_FALSE(step.wakes);
        next.first = step.word;
        next.second[i] = phase::after;
      }
      open.push_back(next);
    }
    if (last) {
      // Whatever was wrong, it has not added up.
      REQUIRE(word == from);
      ended = true;
    }
  }
  REQUIRE(ended);
}

// As many takers as there may be at once, each with the most that one call takes or with one holder, beside no, one or
// two releases of what nobody holds, of together no more than there is room for below the word.
template <class Call>
void with_all_takers(const any_zones& z, Call call_with) {
  const unsigned most = z.max_delta, room = z.third / z.unit;
  const std::vector<std::vector<unsigned>> wrong = {{}, {1}, {most}, {room}, {1, room - 1}, {room / 2, room / 2}};
  for (unsigned large = 0; large <= z.takers; ++large)
    for (const std::vector<unsigned>& releases : wrong) {
      std::vector<call> calls;
      for (unsigned i = 0; i != z.takers; ++i) calls.push_back({true, i < large ? most : 1});
      bool possible = true;
      for (const unsigned n : releases) {
        possible = possible && n != 0 && n <= most;
        calls.push_back({false, n});
      }
      if (possible) call_with(calls);
    }
}

}  // namespace

TEST_CASE("a frozen word keeps its claimant and the host's bits, whoever takes and whatever is wrongly released") {
  std::vector<any_zones> all = all_8_bit_zones();
  all.push_back(any<zones<std::uint16_t, 4, 3, 2>>());
  for (const any_zones& z : all) {
    if (z.takers > 4) continue;
    CAPTURE(z.name);
    with_all_takers(z, [&](const std::vector<call>& calls) {
      for (unsigned who = 0; who <= z.claimants; ++who)
        for (const unsigned host : {0u, z.unit - 1})
          interleave(z, z.frozen_by(who) | host, calls, [&](unsigned word) {
            REQUIRE(z.zone_of(word) == zone::frozen);
            REQUIRE(z.claimant_of(word) == who);
            REQUIRE(z.host_of(word) == host);
          });
    });
  }
}

TEST_CASE("a dead word stays dead with the host's bits, whoever takes and whatever is wrongly released") {
  for (const any_zones& z : all_8_bit_zones()) {
    if (z.takers > 4) continue;
    CAPTURE(z.name);
    with_all_takers(z, [&](const std::vector<call>& calls) {
      for (const unsigned host : {0u, z.unit - 1})
        interleave(z, z.dead | host, calls, [&](unsigned word) {
          REQUIRE(z.zone_of(word) == zone::dead);
          REQUIRE(z.host_of(word) == host);
        });
    });
  }
}
