// SPDX-License-Identifier: MIT

#include "pinref/protocols/layout_break.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "storage_host.hpp"

using pinref::break_layout;
using pinref::break_result;
using pinref::deadline;
using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;

namespace {

// What the object keeps of its page when nothing maps it: nothing, or the one reference of a resident page. So a page
// that is not resident is a page of the object only while it is mapped.
template <class Host>
struct blocks {
  using page = typename Host::page;

  // Page i of the object, mapped once. A resident one keeps the object's reference.
  page& add(std::size_t i, page& fresh) {
    object.put_in(i, fresh);
    object.map(fresh);
    if (Host::marks(fresh).resident) return fresh;
    CHECK(pinref::put_page(fresh) == release_result::released);
    return fresh;
  }

  break_result take_away(std::size_t first, std::size_t last,
                         const pinref::break_options<pinref::std_sync>& options = {}) {
    const auto then = [this] {
      CHECK_FALSE(object.gate.is_open());
      ++taken_away;
    };
    taken_away = 0;
    const break_result done = break_layout(object, object.gate, first, last, then, options);
    CHECK(object.gate.is_open());
    CHECK(taken_away == (done == break_result::broken ? 1 : 0));
    return done;
  }

  Host host;
  support::mapped_object<page> object{40};
  int taken_away = 0;
};

template <class Page>
bool somebody_waits(Page& page) {
  return pinref::page_traits<Page>::ref(page).snapshot().zone() == pinref::zone::watched;
}

}  // namespace

TEST_CASE_TEMPLATE("a range that nobody holds is unmapped and taken away with the gate closed", Host, ALL_HOSTS) {
  blocks<Host> b;
  auto& small = b.add(1, b.host.small());
  auto& big = b.add(2, b.host.compound());
  auto& beyond = b.add(3, b.host.small());
  const std::size_t before = b.host.nr_free();
  CHECK(b.take_away(1, 2) == break_result::broken);
  CHECK(pinref::get_page_unless_zero(small) == take_result::dead);
  CHECK(pinref::get_page_unless_zero(big) == take_result::dead);
  CHECK(b.host.nr_free() > before + 1);
  CHECK(pinref::page_references(beyond) == 1);
  CHECK(b.take_away(5, 4) == break_result::broken);
  CHECK(b.take_away(0, 0) == break_result::broken);
}

TEST_CASE_TEMPLATE("A4.2: a page that is pinned and was unmapped by its owner is still found busy", Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    blocks<Host> b;
    auto& page = b.add(1, compound ? b.host.compound() : b.host.small());
    auto& pinned = compound ? b.host.nth(page, 3) : page;
    REQUIRE(pinref::try_pin_page(pinned) == take_result::taken);
    b.object.unmap(b.object.entries.front());
    CHECK_FALSE(pinref::page_idle(pinned));
    CHECK(b.take_away(0, 3, {.until = deadline::passed()}) == break_result::busy);
    CHECK(pinref::page_pins(page) == 1);
    CHECK(pinref::unpin_user_page(pinned) == release_result::last);
    CHECK(b.take_away(0, 3, {.until = deadline::passed()}) == break_result::broken);
  }
}

TEST_CASE_TEMPLATE(
    "A4.5: without time it is busy, a deadline timed_out, a canceller given_up; with none of them it always waits",
    Host, ALL_HOSTS) {
  blocks<Host> b;
  auto& page = b.add(1, b.host.small());
  REQUIRE(pinref::try_pin_page(page) == take_result::taken);
  pinref::wait_canceller<> stop;
  CHECK(b.take_away(0, 3, {.until = deadline::passed()}) == break_result::busy);
  // Tried again with the same outcome: nothing is left behind.
  CHECK(b.take_away(0, 3, {.until = deadline::passed()}) == break_result::busy);
  CHECK(b.take_away(0, 3, {.until = deadline::in_nanoseconds(1'000'000)}) == break_result::timed_out);
  stop.cancel();
  CHECK(b.take_away(0, 3, {.stop = &stop}) == break_result::given_up);
  CHECK(pinref::page_pins(page) == 1);

  std::thread device([&] {
    while (!somebody_waits(page)) std::this_thread::yield();
    CHECK(pinref::unpin_user_page(page) == release_result::last);
  });
  CHECK(b.take_away(0, 3) == break_result::broken);
  device.join();
}

TEST_CASE_TEMPLATE("a wait ends when the last holder goes, and the scan begins again where it stopped", Host,
                   ALL_HOSTS) {
  blocks<Host> b;
  auto& first = b.add(2, b.host.small());
  auto& second = b.add(35, b.host.small());
  REQUIRE(pinref::try_pin_page(first) == take_result::taken);
  REQUIRE(pinref::get_page_unless_zero(second) == take_result::taken);
  std::thread holders([&] {
    const auto leave = [&](auto& page, auto release) {
      while (!somebody_waits(page)) std::this_thread::yield();
      CHECK_FALSE(b.object.gate.is_open());
      CHECK(release(page) == release_result::last);
    };
    leave(first, [](auto& page) { return pinref::unpin_user_page(page); });
    leave(second, [](auto& page) { return pinref::put_page(page); });
  });
  SUBCASE("in batches of the default size") {
    CHECK(b.take_away(0, 39) == break_result::broken);
    CHECK(b.object.most_at_once == 16);
    CHECK(b.object.scans == 5);
  }
  SUBCASE("one at a time") {
    CHECK(b.take_away(0, 39, {.batch = 1}) == break_result::broken);
    CHECK(b.object.most_at_once == 1);
    CHECK(b.object.scans == 42);
  }
  SUBCASE("all at once") {
    CHECK(b.take_away(0, 39, {.batch = 1000}) == break_result::broken);
    CHECK(b.object.scans == 3);
  }
  holders.join();
}

namespace {

// One page, at address 0 of a space and at index 0 of an object.
template <class Page>
struct space_of_one {
  using page = Page;
  static constexpr std::size_t page_size = 4096;

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < page_size; }
  pinref::mapping<page> lookup(std::uintptr_t, foll) const noexcept { return {&only}; }
  bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    return use(pinref::mapping<page>{&only});
  }
  std::uint64_t size() const noexcept { return page_size; }
  page* find(std::uint64_t) noexcept { return &only; }
  gup_error allocate(std::uint64_t) noexcept { return gup_error::busy; }

  page& only;
};

}  // namespace

TEST_CASE_TEMPLATE("A4.6: a longterm pin of a layout page is refused as unsupported, and the count is as it was", Host,
                   FOREIGN_HOSTS) {
  Host host;
  auto& page = host.device();
  space_of_one<typename Host::page> space{page};
  typename Host::page* pages[1] = {};
  std::size_t offset = 0;
  const gup_result refused{0, gup_error::not_longterm};
  CHECK(pinref::to_errno(gup_error::not_longterm) == EOPNOTSUPP);
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::longterm | foll::write, pages) == refused);
  CHECK(pinref::pin_user_pages(space, 0, 1, foll::longterm | foll::write, pages) == refused);
  CHECK(pinref::pin_object_folios(space, 0, 4095, pages, 1, offset) == refused);
  CHECK(page.ref.snapshot() == Host::layout::live(1));
  CHECK(pages[0] == nullptr);
  // A short one is not.
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write, pages).ok());
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
  CHECK(pinref::page_idle(page));
}

TEST_CASE_TEMPLATE("A4.7: a device page is idle at exactly one reference, whatever mix of holders leaves", Host,
                   FOREIGN_HOSTS) {
  for (const bool pins_first : {false, true}) {
    blocks<Host> b;
    auto& page = b.add(1, b.host.device());
    REQUIRE(pinref::try_pin_page(page, 3) == take_result::taken);
    REQUIRE(pinref::get_page_unless_zero(page) == take_result::taken);
    CHECK(page.ref.snapshot() == Host::layout::live(3, 3));
    CHECK(b.take_away(1, 1, {.until = deadline::passed()}) == break_result::busy);
    CHECK(page.ref.snapshot() == Host::layout::live(2, 3));
    const auto put = [&] { return pinref::put_page(page); };
    const auto unpin = [&] { return pinref::unpin_user_folio(page, 3) == gup_result{3, gup_error::none}; };
    if (pins_first) {
      CHECK(unpin());
      CHECK_FALSE(pinref::page_idle(page));
      CHECK(put() == release_result::idle);
    } else {
      CHECK(put() == release_result::released);
      CHECK_FALSE(pinref::page_idle(page));
      CHECK(b.take_away(1, 1, {.until = deadline::passed()}) == break_result::busy);
      CHECK(unpin());
    }
    CHECK(page.marks.idled == 1);
    CHECK(pinref::page_idle(page));
    CHECK(page.ref.snapshot() == Host::layout::live(1));
    CHECK(b.take_away(1, 1, {.until = deadline::passed()}) == break_result::broken);
    CHECK(page.freed == 0);
  }
}

TEST_CASE_TEMPLATE("a page that stays its object's is busy while it is held, and taken away alive", Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    blocks<Host> b;
    auto& fresh = compound ? b.host.compound() : b.host.small();
    Host::marks(fresh).resident = true;
    auto& page = b.add(1, fresh);
    REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
    CHECK(b.take_away(0, 3, {.until = deadline::passed()}) == break_result::busy);
    std::thread device([&] {
      while (!somebody_waits(page)) std::this_thread::yield();
      CHECK(pinref::unpin_user_folio(page, 2) == gup_result{2, gup_error::none});
    });
    CHECK(b.take_away(0, 3) == break_result::broken);
    device.join();
    CHECK(Host::marks(page).idled == 1);
    CHECK(pinref::page_references(page) == 1);
    CHECK(pinref::page_idle(page));
    CHECK(pinref::put_page(page) == release_result::last);
  }
}

TEST_CASE("a range may end with the last index there is, and each index is asked once") {
  using page = support::embedded<pinref::bias64>::page;
  struct vast {
    void unmap(std::size_t, std::size_t) noexcept {}
    page* busy_in(std::size_t first, std::size_t last) noexcept {
      REQUIRE(asked.size() < 4);
      asked.push_back({first, last});
      return nullptr;
    }
    std::vector<std::pair<std::size_t, std::size_t>> asked;
  } object;
  pinref::layout_gate<> gate;
  constexpr std::size_t end = ~std::size_t{0};
  CHECK(break_layout(object, gate, end - 32, end, [] {}) == break_result::broken);
  CHECK(object.asked ==
        std::vector<std::pair<std::size_t, std::size_t>>{{end - 32, end - 17}, {end - 16, end - 1}, {end, end}});
}
