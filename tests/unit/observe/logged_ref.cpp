// SPDX-License-Identifier: MIT

// Listed words in every company, and what is paid for them where they are not chosen.

#include "pinref/observe/logged_ref.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <type_traits>

#include "all_pins.hpp"
#include "layouts.hpp"
#include "logged_host.hpp"
#include "pinref/handles/page_handle.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
#include "pinref/handles/pinned_range.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/ref/hot_ref.hpp"
#include "remember_misuse.hpp"

using pinref::hold;
using pinref::release_result;
using pinref::take_result;

namespace {

template <class Ref>
using checked = pinref::checked_ref<Ref, support::remember>;

using plain_word = pinref::page_ref<>;
using over_accounted = support::logged<support::accounted<plain_word>>;
using under_accounted = support::accounted<support::logged<>>;
using under_checked = checked<support::logged<>>;
using over_checked = support::logged<checked<plain_word>>;
using over_hot = support::logged<pinref::hot_ref<>>;

template <class Ref>
struct page {
  Ref ref;
  int freed = 0;
  void free_page() noexcept { ++freed; }
};

template <class Handle>
inline constexpr std::size_t words = sizeof(Handle) / sizeof(void*);

// The handles of other pages are what they were before there was a log.
template <class Ref>
constexpr bool costs_nothing() {
  using p = page<Ref>;
  struct as_request {
    void *owner, *next, *previous, *pages;
    std::size_t count;
    std::uint32_t state;
  };
  return words<pinref::page_ptr<p>> == 2 && words<pinref::page_pin<p>> == 2 && words<pinref::pinned_range<p>> == 2 &&
         sizeof(pinref::pin_request<p, std::mutex>) == sizeof(as_request) &&
         std::is_empty_v<pinref::detail::holder_of<p>>;
}

}  // namespace

static_assert(costs_nothing<plain_word>() && costs_nothing<pinref::page_ref<pinref::split32>>());
static_assert(costs_nothing<support::accounted<plain_word>>() && costs_nothing<checked<plain_word>>());
static_assert(std::is_empty_v<pinref::caller<page<plain_word>>> &&
              std::is_same_v<pinref::caller<page<checked<plain_word>>>, pinref::call_site>);
static_assert(sizeof(support::logged<>) == 8 && sizeof(support::logged<pinref::page_ref<pinref::bias32>>) == 4);
static_assert(sizeof(over_accounted) == 8 && sizeof(under_accounted) == 8);
static_assert(sizeof(over_checked) == sizeof(checked<plain_word>));
static_assert(!std::is_convertible_v<support::logged<>&, plain_word&>);
static_assert(pinref::reference_word<support::logged<>> && !std::is_empty_v<pinref::caller<page<support::logged<>>>>);

TEST_CASE_TEMPLATE("holders are listed in every company, exactly for handles", Ref, support::logged<>, over_accounted,
                   under_accounted, under_checked, over_checked, over_hot,
                   support::logged<pinref::page_ref<pinref::bias32>>,
                   support::logged<pinref::page_ref<pinref::split32>>) {
  support::log_of_a_test<> holders;
  const int misuses = support::misuses;
  const pinref::pin_totals before = support::all_pins.totals();
  page<Ref> p;
  p.ref.init();
  {
    auto pin = pinref::page_pin<page<Ref>>::try_pin(p);
    auto second = pin.share();
    REQUIRE(pinref::try_pin_page(p, 2) == take_result::taken);
    auto held = holders.of(&p.ref);
    REQUIRE(held.size() == 4);
    CHECK(support::candidate(held[0], 1, 1));
    CHECK(support::exactly(held[1], 1));
    CHECK(held[1].where.line == __LINE__ - 7);
    CHECK(support::exactly(held[2], 1));
    CHECK(support::candidate(held[3], 2, 2));
    pinref::unpin_user_page(*second.detach());
    auto adopted = pinref::page_pin<page<Ref>>::adopt(p);
    CHECK(holders.log.leaks(hold::pin) == 3);
    auto reference = pinref::page_ptr<page<Ref>>::get_page(p);
    CHECK(p.ref.put() == release_result::released);
    pinref::unpin_user_page(p);
  }
  CHECK(p.freed == 1);
  CHECK(holders.log.leaks() == 0);
  CHECK(holders.log.unmatched() == 0);
  CHECK(support::misuses == misuses);
  const pinref::pin_totals now = support::all_pins.totals();
  CHECK(now.acquired - before.acquired == now.released - before.released);
}

TEST_CASE("what a checked word refuses is not listed") {
  support::log_of_a_test<> holders;
  under_checked ref;
  const int misuses = support::misuses;
  ref.init();
  ref.init(3);
  CHECK(ref.unpin() == release_result::underflow);
  CHECK(ref.add_pin() == take_result::dead);
  CHECK(support::misuses == misuses + 3);
  REQUIRE(holders.of(&ref).size() == 1);
  CHECK(support::candidate(holders.of(&ref)[0], 1, 1));
  CHECK(ref.put() == release_result::last);
  CHECK(holders.log.leaks() == 0);
  CHECK(holders.log.unmatched() == 0);
}

TEST_CASE("every way to take and release is listed, and a call for none is not") {
  support::log_of_a_test<> holders;
  support::logged<> ref;
  CHECK(ref.try_get() == take_result::dead);
  CHECK(ref.try_pin() == take_result::dead);
  CHECK(holders.all().empty());
  ref.init(2);
  CHECK(ref.get(0) == take_result::taken);
  CHECK(ref.try_get(2) == take_result::taken);
  CHECK(ref.try_get_if_alive() == take_result::taken);
  CHECK(ref.get() == take_result::taken);
  CHECK(ref.try_pin() == take_result::taken);
  CHECK(ref.add_pin(3) == take_result::taken);
  CHECK(holders.log.leaks(hold::reference) == 6);
  CHECK(holders.log.leaks(hold::pin) == 4);
  CHECK(holders.all().size() == 6);
  CHECK(ref.unpin(4) == release_result::released);
  CHECK(ref.put(0) == release_result::released);
  CHECK(ref.put(4) == release_result::released);
  CHECK(ref.put_sole() == release_result::released);
  CHECK(holders.log.leaks() == 1);
  CHECK(ref.put_sole() == release_result::last);
  CHECK(holders.log.leaks() == 0);
}

TEST_CASE("a hot page's holders are listed while it is hot") {
  support::log_of_a_test<> holders;
  static pinref::hot_threads threads;
  static over_hot::counter::slots counts{threads};
  page<over_hot> p;
  p.ref.init();
  if (!p.ref.make_hot(counts)) return;
  auto pin = pinref::page_pin<page<over_hot>>::try_pin(p);
  REQUIRE(holders.pins(&p.ref).size() == 1);
  CHECK(support::exactly(holders.pins(&p.ref)[0], 1));
  CHECK_FALSE(holders.data.poisoned);
  pin.reset();
  CHECK(holders.data.poisoned);
  CHECK(p.ref.make_exact() == release_result::released);
  CHECK(p.ref.put() == release_result::last);
  CHECK(holders.log.leaks() == 0);
}
