#include <doctest/doctest.h>

#include "hooked_sync.hpp"
#include "layouts.hpp"

// The races behind the branch, each played out by one thread: the hook runs between two atomic operations of a call.

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;
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
                   Layout, pinref::bias64, pinref::bias32, pinref::split, support::bias8) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.reset();
  // Step 0 is the subtract, step 1 the CAS from zero.
  hooked_sync::interleave([&](int step) {
    if (step == 1) CHECK(ref.try_get() == take_result::taken);
  });
  CHECK(ref.put() == release_result::released);
  hooked_sync::hook = nullptr;
  CHECK(ref.count() == 1);
  CHECK(ref.put() == release_result::last);
}

TEST_CASE_TEMPLATE("zero to dead: of two releasers that both saw zero exactly one is the last", Layout, pinref::bias64,
                   pinref::bias32, pinref::split, support::bias8) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.reset();
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
    hooked_ref<layout> ref{layout::of(1, 2097151)};
    const layout before = ref.snapshot();
    hooked_sync::interleave([&](int step) {
      if (step == 1) CHECK(ref.try_pin() == take_result::overflow);
    });
    CHECK(ref.try_pin() == take_result::overflow);
    CHECK(ref.snapshot() == before);
  }
  SUBCASE("an unpin in between makes room: the add stands and the take succeeds") {
    hooked_ref<layout> ref{layout::of(1, 2097151)};
    hooked_sync::interleave([&](int step) {
      if (step == 1) CHECK(ref.unpin(2) == release_result::released);
    });
    CHECK(ref.try_pin() == take_result::taken);
    CHECK(ref.snapshot() == layout::of(1, 2097150));
  }
}

TEST_CASE_TEMPLATE("a take that met a dead word counts in the life that begins before it is given back", Layout,
                   pinref::bias64, pinref::bias32, support::bias8) {
  quiet at_end;
  hooked_ref<Layout> ref;
  // Step 0 is the add, step 1 the give-back.
  SUBCASE("a get") {
    hooked_sync::interleave([&](int step) {
      if (step == 1) ref.reset(5);
    });
    CHECK(ref.try_get() == take_result::taken);
    CHECK(ref.snapshot() == Layout::of(6));
  }
  SUBCASE("a pin") {
    hooked_sync::interleave([&](int step) {
      if (step == 1) ref.reset(1);
    });
    CHECK(ref.try_pin() == take_result::taken);
    CHECK(ref.snapshot() == Layout::of(1, 1));
  }
  SUBCASE("a get, in a life that has come and gone: it is given back to the dead") {
    hooked_sync::interleave([&](int step) {
      if (step != 1) return;
      ref.reset(1);
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
    if (step == 1) ref.reset(5);
  });
  CHECK(ref.put() == release_result::released);
  // One reference short: the price of releasing what one does not hold. checked_ref finds it.
  CHECK(ref.count() == 4);
}

TEST_CASE_TEMPLATE("put_sole by the only owner is one operation, by one of several an ordinary put", Layout,
                   pinref::bias64, pinref::bias32, pinref::split) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.reset();
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  CHECK(ref.put_sole() == release_result::last);
  CHECK(operations == 1);
  ref.reset(2);
  CHECK(ref.put_sole() == release_result::released);
  hooked_sync::hook = nullptr;
  CHECK(ref.count() == 1);
}

TEST_CASE_TEMPLATE("a refused scanner get is no read-modify-write at all", Layout, pinref::bias64, pinref::bias32,
                   pinref::split) {
  quiet at_end;
  hooked_ref<Layout> ref;
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  CHECK(ref.try_get_if_alive() == take_result::dead);
  CHECK(operations == 0);
  CHECK(ref.try_get() == take_result::dead);
  CHECK(operations == 2);
}

TEST_CASE_TEMPLATE("take and release of a live page are one operation each, two for split pins", Layout, pinref::bias64,
                   pinref::bias32, pinref::split) {
  quiet at_end;
  hooked_ref<Layout> ref;
  ref.reset();
  int operations = 0;
  hooked_sync::interleave([&](int) { ++operations; });
  REQUIRE(ref.try_get() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  CHECK(operations == 2);
  operations = 0;
  REQUIRE(ref.try_pin(100) == take_result::taken);
  REQUIRE(ref.unpin(100) == release_result::released);
  CHECK(operations == (std::is_same_v<Layout, pinref::split> ? 4 : 2));
}
