// SPDX-License-Identifier: MIT

// The races behind the branch, each played out by one thread: the hook runs between two atomic operations of a call.
// And claims of several claimants, which page_ref does not make.

#include "pinref/word/zoned_word.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <type_traits>

#include "hooked_sync.hpp"
#include "layouts.hpp"
#include "small_words.hpp"

using pinref::owner_ref;
using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;
using pinref::zone;
using pinref::zoned_word;
using pinref::zones;
using support::hooked_sync;

namespace {

template <class Layout>
using hooked_ref = page_ref<Layout, hooked_sync>;

struct quiet {
  ~quiet() { hooked_sync::hook = nullptr; }
};

}  // namespace

TEST_CASE("takes that are not given back bring an 8-bit word back to life; given back they never do") {
  page_ref<support::bias8> ref;
  for (int i = 0; i != 100000; ++i) {
    REQUIRE(ref.try_get() == take_result::dead);
    REQUIRE(ref.try_pin() == take_result::dead);
    REQUIRE(ref.put() == release_result::underflow);
    REQUIRE(ref.snapshot() == support::bias8{});
  }

  std::uint8_t left_there = support::bias8::zones::dead;
  int failed = 0;
  while (support::bias8::zones::troubled(++left_there)) ++failed;
  CHECK(failed == 39);
}

TEST_CASE_TEMPLATE("zero to dead: a get between the last put and its CAS revives the page, and its put frees it",
                   Layout, pinref::bias64, pinref::bias32, pinref::split32, support::bias8) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.init();
  // Step 0 is the subtract, step 1 the CAS from zero.
  hooked_sync::interleave([&](int step) {
    if (step == 1) CHECK(ref.try_get() == take_result::taken);
  });
  CHECK(ref.put() == release_result::released);
  hooked_sync::hook = nullptr;
  CHECK(ref.references() == 1);
  CHECK(ref.put() == release_result::last);
}

TEST_CASE_TEMPLATE("zero to dead: of two releasers that both saw zero exactly one is the last", Layout, pinref::bias64,
                   pinref::bias32, pinref::split32, support::bias8) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.init();
  release_result other{};
  hooked_sync::interleave([&](int step) {
    if (step != 1) return;
    REQUIRE(ref.try_get() == take_result::taken);
    other = ref.put();
  });
  const release_result mine = ref.put();
  CHECK(other == release_result::last);
  CHECK(mine == release_result::released);
}

TEST_CASE("overflow: the give-back is exact while others come and go, and stands down when room appears") {
  quiet at_end;
  using layout = pinref::bias32;
  SUBCASE("another refused taker in between") {
    hooked_ref<layout> ref{layout::live(1, 2097151)};
    const layout before = ref.snapshot();
    hooked_sync::interleave([&](int step) {
      if (step == 1) CHECK(ref.try_pin() == take_result::overflow);
    });
    CHECK(ref.try_pin() == take_result::overflow);
    CHECK(ref.snapshot() == before);
  }
  SUBCASE("an unpin in between makes room: the add stands and the take succeeds") {
    hooked_ref<layout> ref{layout::live(1, 2097151)};
    hooked_sync::interleave([&](int step) {
      if (step == 1) CHECK(ref.unpin(2) == release_result::released);
    });
    CHECK(ref.try_pin() == take_result::taken);
    CHECK(ref.snapshot() == layout::live(1, 2097150));
  }
}

TEST_CASE_TEMPLATE("a take that met a dead word counts in the life that begins before it is given back", Layout,
                   pinref::bias64, pinref::bias32, support::bias8) {
  quiet at_end;
  hooked_ref<Layout> ref;
  // Step 0 is the add, step 1 the give-back.
  SUBCASE("a get") {
    hooked_sync::interleave([&](int step) {
      if (step == 1) ref.init(5);
    });
    CHECK(ref.try_get() == take_result::taken);
    CHECK(ref.snapshot() == Layout::live(6));
  }
  SUBCASE("a pin") {
    hooked_sync::interleave([&](int step) {
      if (step == 1) ref.init(1);
    });
    CHECK(ref.try_pin() == take_result::taken);
    CHECK(ref.snapshot() == Layout::live(1, 1));
  }
  SUBCASE("a get, in a life that has come and gone: it is given back to the dead") {
    hooked_sync::interleave([&](int step) {
      if (step != 1) return;
      ref.init(1);
      // The take under way holds the new life open, so its owner is not the last.
      CHECK(ref.put() == release_result::released);
    });
    CHECK(ref.try_get() == take_result::taken);
    CHECK(ref.put() == release_result::last);
  }
}

TEST_CASE("an underflow on a dead word that lives again in between gives nothing back to the new life") {
  quiet at_end;
  using layout = support::bias8;
  hooked_ref<layout> ref;
  hooked_sync::interleave([&](int step) {
    if (step == 1) ref.init(5);
  });
  CHECK(ref.put() == release_result::released);
  // One reference short: the price of releasing what one does not hold. checked_ref finds it.
  CHECK(ref.references() == 4);
}

TEST_CASE_TEMPLATE("put_sole by the only owner is one operation, by one of several an ordinary put", Layout,
                   pinref::bias64, pinref::bias32, pinref::split32) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.init();
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  CHECK(ref.put_sole() == release_result::last);
  CHECK(operations == 1);
  ref.init(2);
  CHECK(ref.put_sole() == release_result::released);
  hooked_sync::hook = nullptr;
  CHECK(ref.references() == 1);
}

TEST_CASE_TEMPLATE("a refused scanner get is no read-modify-write at all", Layout, pinref::bias64, pinref::bias32,
                   pinref::split32) {
  quiet at_end;
  hooked_ref<Layout> ref;
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  CHECK(ref.try_get_if_alive() == take_result::dead);
  CHECK(operations == 0);
  CHECK(ref.try_get() == take_result::dead);
  CHECK(operations == 2);
}

TEST_CASE_TEMPLATE("a wait whose time is over before it begins is no read-modify-write at all", Layout, pinref::bias64,
                   pinref::bias32, pinref::split32) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  CHECK(ref.wait_until_unpinned(pinref::deadline::passed()) == pinref::wait_result::timed_out);
  CHECK(ref.wait_until_idle(1, pinref::deadline::passed()) == pinref::wait_result::timed_out);
  pinref::wait_canceller<hooked_sync> stop;
  stop.cancel();
  CHECK(ref.wait_until_unpinned(pinref::deadline::never(), stop) == pinref::wait_result::given_up);
  CHECK(operations == 0);
}

TEST_CASE_TEMPLATE("take and release of a live page are one operation each, two for split pins", Layout, pinref::bias64,
                   pinref::bias32, pinref::split32) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.init();
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  REQUIRE(ref.try_get() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  CHECK(operations == 2);
  operations = 0;
  REQUIRE(ref.try_pin(100) == take_result::taken);
  REQUIRE(ref.unpin(100) == release_result::released);
  CHECK(operations == (std::is_same_v<Layout, pinref::split32> ? 4 : 2));
}

namespace {

using plain_zones = zones<std::uint8_t, 1>;
using shared_zones = zones<std::uint8_t, 1, 1, 1>;
using claimed_zones = zones<std::uint8_t, 1, 0, 3>;
using wide_zones = zones<std::uint32_t, 3, 5, 6>;

template <class Zones>
using plain_word = zoned_word<Zones, 1, pinref::std_sync>;

}  // namespace

TEST_CASE_TEMPLATE("each claimant freezes a word as its own, beside the bits of the host, and begins its next life",
                   Zones, plain_zones, shared_zones, claimed_zones, wide_zones) {
  using word_type = typename Zones::word_type;
  const support::small_word& w = support::oracle_of_zones<Zones>;
  for (unsigned who = 0; who <= Zones::claimants; ++who)
    for (const word_type host : {word_type{0}, Zones::host_mask})
      for (const int n : {1, 2, w.watch_limit}) {
        CAPTURE(who);
        CAPTURE(n);
        const auto holders = static_cast<word_type>(n);
        const word_type claim = static_cast<word_type>(Zones::frozen_by(who) | host);
        const auto frozen = [&](auto check) {
          plain_word<Zones> word{static_cast<word_type>(Zones::live(holders) | host)};
          CHECK_FALSE(word.freeze(static_cast<word_type>(holders + 1), who));
          REQUIRE(word.freeze(holders, who));
          REQUIRE(word.load() == claim);
          check(word);
        };
        frozen([&](auto& word) {
          CHECK_FALSE(word.freeze(holders, who));
          CHECK(word.take(1) == take_result::dead);
          CHECK(word.take_held(Zones::max_delta) == take_result::dead);
          CHECK(word.take_if_alive(1) == take_result::dead);
          CHECK(word.release(1, owner_ref::counted) == release_result::underflow);
          CHECK(word.release_sole(owner_ref::counted) == release_result::underflow);
          CHECK(word.load() == claim);
        });
        // Whether it is guessed right what the word was, or not.
        for (const zone guessed : {zone::frozen, zone::dead}) {
          frozen([&](auto& word) {
            word.start(3, guessed, who);
            CHECK(word.load() == (Zones::live(3) | host));
          });
          plain_word<Zones> dead{static_cast<word_type>(Zones::dead | host)};
          dead.start(3, guessed, who);
          CHECK(dead.load() == (Zones::live(3) | host));
        }
        frozen([&](auto& word) {
          word.bury();
          CHECK(word.load() == (Zones::dead | host));
        });
      }
}

TEST_CASE_TEMPLATE("takes that are under way when a claim ends count in the life it begins, whoever claimed", Zones,
                   plain_zones, shared_zones, claimed_zones, wide_zones) {
  using word_type = typename Zones::word_type;
  for (unsigned who = 0; who <= Zones::claimants; ++who)
    for (word_type in_flight = 0; in_flight <= Zones::max_delta; ++in_flight)
      for (const zone guessed : {zone::frozen, zone::dead}) {
        if (in_flight > 4 && in_flight < Zones::max_delta - 4) continue;
        const word_type host = Zones::host_mask;
        const auto claim = static_cast<word_type>((Zones::frozen_by(who) | host) + Zones::delta(in_flight));
        plain_word<Zones> begun{claim}, buried{claim};
        begun.start(2, guessed, who);
        REQUIRE(begun.load() == (Zones::live(static_cast<word_type>(2 + in_flight)) | host));
        buried.bury();
        REQUIRE(buried.load() == ((Zones::dead | host) + Zones::delta(in_flight)));
      }
}

TEST_CASE("the bits of the host that change while a word is claimed or released are kept as they are then") {
  quiet at_end;
  using layout = pinref::bias_layout<std::uint32_t, 8, 15, 3>;
  hooked_ref<layout> ref;
  ref.init();
  const auto meanwhile = [&](auto change) {
    hooked_sync::interleave([change](int step) {
      if (step == 0) change();
    });
  };
  meanwhile([&] { ref.set_host_bits(5); });
  CHECK(ref.freeze(1));
  CHECK(ref.host_bits() == 5);
  ref.unfreeze(1);
  meanwhile([&] { ref.clear_host_bits(4); });
  CHECK_FALSE(ref.freeze_if(1, 4, 4));
  CHECK(ref.host_bits() == 1);
  // What another has taken meanwhile is counted, and what it has set stays beside what is changed here.
  meanwhile([&] {
    REQUIRE(ref.get() == take_result::taken);
    ref.set_host_bits(4);
  });
  CHECK(ref.put_and_change({.set = 2, .clear = 1}) == release_result::released);
  CHECK(ref.host_bits() == 6);
  CHECK(ref.references() == 1);
  meanwhile([&] { ref.set_host_bits(1); });
  CHECK(ref.put_sole() == release_result::last);
  hooked_sync::hook = nullptr;
  CHECK(ref.host_bits() == 7);
  CHECK(ref.snapshot().zone() == zone::dead);
}
