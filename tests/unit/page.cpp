// One page of a compound page, and one whose word wants to know the caller: every call means the head, and the host
// hears of it as of any other page.

#include "pinref/page/page.hpp"

#include <doctest/doctest.h>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::release_result;
using pinref::take_result;
using support::foreign_space;
using support::kind;

TEST_CASE_TEMPLATE("more pins and references of a tail, and every question about it, are its head's", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(4);
  auto& head = space.map(0, 4);
  auto& tail = space.pages[3];
  REQUIRE(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::add_pin(tail, 2) == take_result::taken);
  CHECK(pinref::get_page(tail, 3) == take_result::taken);
  CHECK(head.ref.snapshot() == Layout::of(4, 3));
  CHECK(tail.ref.snapshot() == Layout{});
  CHECK(pinref::page_pin_count(tail) == pinref::page_pin_count(head));
  CHECK(pinref::page_ref_count(tail) == pinref::page_ref_count(head));
  CHECK(pinref::page_dma_pinned(tail));
  CHECK(pinref::page_dma_pinned_hint(tail));
  CHECK(pinref::unpin_user_folio(tail, 3).ok());
  CHECK_FALSE(pinref::page_dma_pinned_hint(tail));
  CHECK(pinref::put_page(tail, 4) == release_result::last);
  CHECK(head.freed == 1);
}

TEST_CASE_TEMPLATE("a compound page whose head is immortal is never counted, by whichever page it is taken", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(4);
  auto& head = space.map(0, 4, kind::immortal);
  auto& tail = space.pages[2];
  CHECK(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::try_get_page(tail) == take_result::taken);
  CHECK(pinref::add_pin(tail) == take_result::taken);
  CHECK(pinref::get_page(tail) == take_result::taken);
  CHECK(head.ref.snapshot() == Layout::of(1));
  for (int i = 0; i != 8; ++i) CHECK(pinref::put_page(tail) == release_result::released);
  for (int i = 0; i != 8; ++i) CHECK(pinref::unpin_user_page(tail) == release_result::released);
  CHECK(head.ref.snapshot() == Layout::of(1));
  CHECK(head.freed == 0);
}

TEST_CASE_TEMPLATE("the host hears that a page is idle, also from a word that wants to know who released it", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::checked_ref<pinref::page_ref<Layout>, support::remember>> space(1);
  auto& device = space.map(0, 1, kind::device);
  const int misuses = support::misuses;
  REQUIRE(pinref::try_pin_page(device) == take_result::taken);
  CHECK(pinref::unpin_user_page(device) == release_result::idle);
  CHECK(device.idled == 1);
  REQUIRE(pinref::try_get_page(device) == take_result::taken);
  CHECK(pinref::put_page(device) == release_result::idle);
  CHECK(device.idled == 2);
  REQUIRE(pinref::try_get_page(device) == take_result::taken);
  CHECK(device.ref.put_sole(1) == release_result::idle);
  CHECK(pinref::put_page(device) == release_result::last);
  CHECK(device.freed == 1);
  CHECK(support::misuses == misuses);
}
