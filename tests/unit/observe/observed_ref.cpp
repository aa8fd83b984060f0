// SPDX-License-Identifier: MIT

// What counts and checks holders beside the word: what is refused is in no book, and what idle means is left to the
// word.

#include <doctest/doctest.h>

#include "all_pins.hpp"
#include "layouts.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::release_result;
using pinref::take_result;

namespace {

template <class Layout>
using accounted = support::accounted<pinref::page_ref<Layout>>;
template <class Layout>
using both = support::accounted<pinref::checked_ref<pinref::page_ref<Layout>, support::remember>>;

}  // namespace

TEST_CASE_TEMPLATE("a page is idle at the caller's level, whatever is kept beside its word", Ref,
                   accounted<pinref::bias64>, accounted<pinref::split32>,
                   pinref::checked_ref<pinref::page_ref<pinref::bias64>>,
                   pinref::checked_ref<pinref::page_ref<pinref::split32>>, both<pinref::bias64>,
                   both<pinref::split32>) {
  Ref ref;
  ref.init();
  REQUIRE(ref.try_pin(2) == take_result::taken);
  CHECK(ref.unpin(2, pinref::owner_ref::resident) == release_result::idle);
  REQUIRE(ref.try_get(2) == take_result::taken);
  CHECK(ref.put(2, pinref::owner_ref::resident) == release_result::idle);
  REQUIRE(ref.try_get() == take_result::taken);
  CHECK(ref.put_sole(pinref::owner_ref::resident) == release_result::idle);
  CHECK(ref.put_sole() == release_result::last);
}

TEST_CASE_TEMPLATE("pins are accounted by the page, and refused ones not at all", Ref, accounted<pinref::bias64>,
                   accounted<pinref::split32>, both<pinref::bias64>, both<pinref::split32>) {
  Ref ref;
  const pinref::pin_totals before = support::all_pins.totals();
  const auto acquired = [&] { return support::all_pins.totals().acquired - before.acquired; };
  const auto released = [&] { return support::all_pins.totals().released - before.released; };
  CHECK(ref.try_pin(3) == take_result::dead);
  CHECK(acquired() == 0);
  ref.init();
  REQUIRE(ref.try_pin(3) == take_result::taken);
  REQUIRE(ref.add_pin(4) == take_result::taken);
  REQUIRE(ref.get() == take_result::taken);
  CHECK(acquired() == 7);
  CHECK(ref.unpin(8) == release_result::underflow);
  CHECK(released() == 0);
  CHECK(ref.unpin(5) == release_result::released);
  CHECK(ref.put(2) == release_result::released);
  CHECK(released() == 5);
  CHECK(ref.unpin(2) == release_result::last);
  CHECK(acquired() == 7);
  CHECK(released() == 7);
}

TEST_CASE_TEMPLATE("a take that is refused is in no book", Layout, ALL_LAYOUTS) {
  pinref::checked_ref<pinref::page_ref<Layout>, support::remember> ref;
  const int misuses = support::misuses;
  // Dead: nothing is held afterwards, so a life may begin.
  CHECK(ref.try_get() == take_result::dead);
  CHECK(ref.try_get_if_alive() == take_result::dead);
  CHECK(ref.try_pin() == take_result::dead);
  ref.init();
  CHECK(support::misuses == misuses);
  CHECK(ref.put() == release_result::last);
  CHECK(support::misuses == misuses);
  // A misuse is reported once, and the call goes no further.
  CHECK(ref.get() == take_result::dead);
  CHECK(ref.add_pin() == take_result::dead);
  CHECK(support::misuses == misuses + 2);
  CHECK(ref.snapshot() == Layout{});
}
