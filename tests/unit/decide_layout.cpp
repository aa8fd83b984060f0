#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "pinref/decide/layout_break.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "storage_host.hpp"
#include "while_waiting.hpp"

using pinref::break_layout;
using pinref::break_result;
using pinref::deadline;
using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;
using pinref::wait_result;

namespace {

// What the object keeps of its page when nothing maps it: nothing, or the one reference of a device page. So a page at
// idle level 0 is a page of the object only while it is mapped.
template <class Host>
struct blocks {
  using page = typename Host::page;

  // Page i of the object, mapped once. `kept` as a device keeps its pages: by a reference that never goes.
  page& add(std::size_t i, page& fresh) {
    object.put_in(i, fresh);
    object.map(fresh);
    if constexpr (requires { fresh.idle_level; })
      if (fresh.idle_level == 1) return fresh;
    CHECK(pinref::put_page(fresh) == release_result::released);
    return fresh;
  }

  template <class Canceller = pinref::never_cancelled>
  break_result take_away(std::size_t first, std::size_t last, const deadline& until = deadline::never(),
                         const Canceller& stop = {}, std::size_t batch = 16) {
    const auto then = [this] {
      CHECK_FALSE(object.gate.open());
      ++taken_away;
    };
    taken_away = 0;
    const break_result done = break_layout(object, object.gate, first, last, then, until, stop, batch);
    CHECK(object.gate.open());
    CHECK(taken_away == (done == break_result::broken ? 1 : 0));
    return done;
  }

  Host host;
  support::mapped_object<page> object{40};
  int taken_away = 0;
};

}  // namespace

TEST_CASE_TEMPLATE("a range that nobody holds is unmapped and taken away with the gate closed", Host, ALL_HOSTS) {
  blocks<Host> b;
  auto& small = b.add(1, b.host.small());
  auto& big = b.add(2, b.host.compound());
  auto& beyond = b.add(3, b.host.small());
  const std::size_t before = b.host.nr_free();
  CHECK(b.take_away(1, 2) == break_result::broken);
  CHECK(pinref::try_get_page(small) == take_result::dead);
  CHECK(pinref::try_get_page(big) == take_result::dead);
  CHECK(b.host.nr_free() > before + 1);
  CHECK(pinref::page_ref_count(beyond) == 1);
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
    CHECK(b.take_away(0, 3, deadline::passed()) == break_result::busy);
    CHECK(pinref::page_pin_count(page) == 1);
    CHECK(pinref::unpin_user_page(pinned) == release_result::last);
    CHECK(b.take_away(0, 3, deadline::passed()) == break_result::broken);
  }
}

TEST_CASE_TEMPLATE(
    "A4.5: without time it is busy, a deadline timed_out, a canceller given_up; with none of them it always waits",
    Host, ALL_HOSTS) {
  blocks<Host> b;
  auto& page = b.add(1, b.host.small());
  REQUIRE(pinref::try_pin_page(page) == take_result::taken);
  pinref::wait_canceller<> stop;
  CHECK(b.take_away(0, 3, deadline::passed()) == break_result::busy);
  // Tried again with the same outcome: nothing is left behind.
  CHECK(b.take_away(0, 3, deadline::passed()) == break_result::busy);
  CHECK(b.take_away(0, 3, deadline::in(1'000'000)) == break_result::timed_out);
  stop.cancel();
  CHECK(b.take_away(0, 3, deadline::never(), stop) == break_result::given_up);
  CHECK(pinref::page_pin_count(page) == 1);

  std::thread device([&] {
    while (pinref::page_traits<typename Host::page>::ref(page).snapshot().zone() != pinref::zone::watched)
      std::this_thread::yield();
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
  REQUIRE(pinref::try_get_page(second) == take_result::taken);
  int asked = 0;
  const support::while_waiting leave([&] {
    ++asked;
    CHECK_FALSE(b.object.gate.open());
    if (asked == 1) CHECK(pinref::unpin_user_page(first) == release_result::last);
    if (asked == 2) CHECK(pinref::put_page(second) == release_result::last);
    return false;
  });
  SUBCASE("in batches of the default size") {
    CHECK(b.take_away(0, 39, deadline::never(), leave) == break_result::broken);
    CHECK(b.object.most_at_once == 16);
    CHECK(b.object.scans == 5);
  }
  SUBCASE("one at a time") {
    CHECK(b.take_away(0, 39, deadline::never(), leave, 1) == break_result::broken);
    CHECK(b.object.most_at_once == 1);
    CHECK(b.object.scans == 42);
  }
  SUBCASE("all at once") {
    CHECK(b.take_away(0, 39, deadline::never(), leave, 1000) == break_result::broken);
    CHECK(b.object.scans == 3);
  }
  CHECK(asked == 2);
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
  CHECK(page.ref.snapshot() == Host::layout::of(1));
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
    REQUIRE(pinref::try_get_page(page) == take_result::taken);
    CHECK(page.ref.snapshot() == Host::layout::of(3, 3));
    CHECK(b.take_away(1, 1, deadline::passed()) == break_result::busy);
    CHECK(page.ref.snapshot() == Host::layout::of(2, 3));
    const auto put = [&] { return pinref::put_page(page); };
    const auto unpin = [&] { return pinref::unpin_user_folio(page, 3) == gup_result{3, gup_error::none}; };
    if (pins_first) {
      CHECK(unpin());
      CHECK_FALSE(pinref::page_idle(page));
      CHECK(put() == release_result::idle);
    } else {
      CHECK(put() == release_result::released);
      CHECK_FALSE(pinref::page_idle(page));
      CHECK(b.take_away(1, 1, deadline::passed()) == break_result::busy);
      CHECK(unpin());
    }
    CHECK(page.idled == 1);
    CHECK(pinref::page_idle(page));
    CHECK(page.ref.snapshot() == Host::layout::of(1));
    CHECK(b.take_away(1, 1, deadline::passed()) == break_result::broken);
    CHECK(page.freed == 0);
  }
}

TEST_CASE("a range may end with the last index there is, and each index is asked once") {
  using page = support::embedded<pinref::bias64>::page;
  struct vast {
    void unmap(std::size_t, std::size_t) {}
    page* busy_in(std::size_t first, std::size_t last) {
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

TEST_CASE("a gate is open until it is closed, as often as it was closed, and lets sleepers through") {
  pinref::layout_gate<> gate;
  CHECK(gate.open());
  CHECK(gate.wait_until_open() == wait_result::reached);
  gate.close();
  gate.close();
  CHECK_FALSE(gate.open());
  CHECK(gate.wait_until_open(deadline::passed()) == wait_result::timed_out);
  CHECK(gate.wait_until_open(deadline::in(1'000'000)) == wait_result::timed_out);
  pinref::wait_canceller<> stop;
  stop.cancel();
  CHECK(gate.wait_until_open(deadline::never(), stop) == wait_result::given_up);
  gate.reopen();
  CHECK_FALSE(gate.open());
  CHECK(gate.wait_until_open(deadline::passed()) == wait_result::timed_out);
  std::atomic<int> through{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i != 3; ++i)
    sleepers.emplace_back([&] {
      CHECK(gate.wait_until_open() == wait_result::reached);
      ++through;
    });
  CHECK(through == 0);
  gate.reopen();
  for (std::thread& each : sleepers) each.join();
  CHECK(through == 3);
  CHECK(gate.wait_until_open(deadline::passed()) == wait_result::reached);
}
