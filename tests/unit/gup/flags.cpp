// SPDX-License-Identifier: MIT

#include "pinref/gup/flags.hpp"

#include <doctest/doctest.h>

#include "entry_points.hpp"
#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"

using pinref::check_flags;
using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using support::foreign_space;

namespace {

// The published table, once more in other words: the first row that matches wins.
gup_error published(bool get, bool pin, bool longterm, bool callers_get_or_pin, bool unknown, bool has_pages) {
  if (callers_get_or_pin || unknown) return gup_error::bad_flags;
  if (get && pin) return gup_error::bad_flags;
  if (longterm && !pin) return gup_error::bad_flags;
  if (!get && !pin) return has_pages ? gup_error::bad_flags : gup_error::none;
  return has_pages ? gup_error::none : gup_error::null_pages;
}

constexpr unsigned bit(foll flag) {
  return static_cast<unsigned>(flag);
}

}  // namespace

static_assert(check_flags(foll::write | foll::longterm, foll::pin, true) == gup_error::none);
static_assert(check_flags(foll::longterm, foll::get, true) == gup_error::bad_flags);

TEST_CASE("A1.1: every combination of flags gets the verdict of the published table") {
  int allowed = 0, refused = 0;
  // All known bits and one unknown, as the caller's; get and pin in all combinations, as the call's.
  for (unsigned callers = 0; callers != 1u << 10; ++callers)
    for (unsigned calls = 0; calls != 4; ++calls)
      for (bool has_pages : {false, true}) {
        const bool get = (calls & 1) != 0, pin = (calls & 2) != 0;
        const foll wrapper = (get ? foll::get : foll::none) | (pin ? foll::pin : foll::none);
        const gup_error expected =
            published(get, pin, (callers & bit(foll::longterm)) != 0,
                      (callers & (bit(foll::get) | bit(foll::pin))) != 0, (callers & 1u << 9) != 0, has_pages);
        CAPTURE(callers);
        CAPTURE(calls);
        REQUIRE(check_flags(static_cast<foll>(callers), wrapper, has_pages) == expected);
        ++(expected == gup_error::none ? allowed : refused);
      }
  CHECK(allowed + refused == 8192);
  CHECK(allowed == 128 + 64 + 64);
}

TEST_CASE_TEMPLATE("A1.1: every entry point gives that verdict and a refusal touches neither counts nor output", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  space_type space(2);
  space.map(0);
  space.map(1);
  typename space_type::page* const untouched = &space.pages[1];
  for (unsigned callers = 0; callers != 1u << 10; ++callers) {
    const foll flags = static_cast<foll>(callers);
    CAPTURE(callers);
    for (const auto& entry : support::entry_points<space_type>())
      for (bool has_pages : {false, true}) {
        typename space_type::page* pages[1] = {untouched};
        const gup_error expected = check_flags(flags, entry.pins ? foll::pin : foll::get, has_pages);
        const gup_result done = entry.call(space, space.address(0), 1, flags, has_pages ? pages : nullptr);
        if (expected != gup_error::none) {
          REQUIRE(done == gup_result{0, expected});
          REQUIRE(pages[0] == untouched);
          REQUIRE(space.pages[0].ref.snapshot() == Layout::live(1));
        } else if (done.ok()) {
          support::release(pages, 1, entry.pins);
        } else {
          REQUIRE(done == gup_result{0, gup_error::would_block});
        }
      }
    const gup_result prefault = pinref::fault_in_user_pages(space, space.address(0), 1, flags);
    REQUIRE(prefault.reason == check_flags(flags, foll::none, false));
    REQUIRE(space.pages[0].ref.snapshot() == Layout::live(1));
  }
}
