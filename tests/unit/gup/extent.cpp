// SPDX-License-Identifier: MIT

// Ranges of bytes in objects of any length: one add for each object, and what comes out is what was looked at twice.

#include "pinref/gup/extent.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "pinref/gup/release.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
#include "pinref/handles/pinned_range.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/page/page.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;

namespace {

struct object {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  bool is_exclusive = true, may_last = true, is_dirty = false, locked_by_another = false, counts_for_nobody = false;
  int freed = 0;

  void free_page() noexcept { ++freed; }
  [[nodiscard]] bool immortal() const noexcept { return counts_for_nobody; }
  [[nodiscard]] bool longterm_pinnable() const noexcept { return may_last; }
  [[nodiscard]] bool exclusive() const noexcept { return is_exclusive; }
  void set_exclusive(bool to) noexcept { is_exclusive = to; }
  void lock() noexcept {}
  void unlock() noexcept {}
  [[nodiscard]] bool try_lock() const noexcept { return !locked_by_another; }
  [[nodiscard]] bool dirty() const noexcept { return is_dirty; }
  void set_dirty() noexcept { is_dirty = true; }
};
static_assert(pinref::freeable_page<object> && pinref::exclusive_page<object> && pinref::longterm_page<object>);

/// Entries beside each other, each of one object; what is missing is faulted in.
struct test_space {
  using page = object;
  struct extent {
    object* page = nullptr;
    std::uintptr_t first = 0, last = 0;
    int key = 0;
  };

  std::vector<extent> entries;
  std::vector<pinref::extent_request> faults;
  std::uintptr_t low = 1000, high = UINTPTR_MAX;
  std::function<void()> before_recheck, in_fault;
  std::function<gup_error(const pinref::extent_request&)> refuse;
  std::function<extent()> lies;  // what a look-up finds instead
  bool present = true;
  gup_error in_the_end = gup_error::none;
  int broken = 0, interruptions = 0, calls_use = 1;

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return low <= first && last <= high;
  }
  [[nodiscard]] extent at(std::uintptr_t address) const noexcept {
    for (const extent& each : entries)
      if (each.first <= address && address <= each.last) return each;
    return {};
  }
  [[nodiscard]] extent lookup(const pinref::extent_request& want) const noexcept {
    if (lies) return lies();
    return present ? at(want.at) : extent{};
  }
  [[nodiscard]] bool recheck(const pinref::extent_request& want, const extent& seen) noexcept {
    if (before_recheck) before_recheck();
    return at(want.at).key == seen.key;
  }
  template <class Use>
  [[nodiscard]] gup_error fault_in(const pinref::extent_request& want, Use use) noexcept {
    faults.push_back(want);
    if (in_fault) in_fault();
    if (refuse)
      if (const gup_error reason = refuse(want); reason != gup_error::none) return reason;
    gup_error reason = gup_error::none;
    for (int i = 0; i != calls_use; ++i) reason = use(at(want.at));
    return reason == gup_error::none ? in_the_end : reason;
  }
  void broken_mapping(std::uintptr_t) noexcept { ++broken; }
  [[nodiscard]] bool interrupted() noexcept { return ++interruptions > 1; }
};
static_assert(pinref::extent_space<test_space> && pinref::diagnosing_space<test_space>);
static_assert(pinref::interrupting_space<test_space>);

struct fixture {
  object objects[3];
  test_space space;
  object* held[4] = {};
  pinref::extent_part<test_space::extent> parts[4];

  // [1000, 1999], [2000, 2009], [2010, to the end].
  fixture() {
    space.entries = {{&objects[0], 1000, 1999, 1}, {&objects[1], 2000, 2009, 2}, {&objects[2], 2010, UINTPTR_MAX, 3}};
  }
  gup_result pin(std::uintptr_t start, std::size_t length, foll flags = foll::none) {
    return pinref::pin_extents(space, start, length, flags, held, parts);
  }
  void check_idle() {
    for (object& each : objects) CHECK(each.ref.snapshot() == pinref::bias64::live(1));
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "one object is one add, whatever the length, and its mapping comes out") {
  REQUIRE(pin(1500, 137, foll::write) == gup_result{1, gup_error::none});
  CHECK(held[0] == &objects[0]);
  CHECK(parts[0].extent.key == 1);
  CHECK(parts[0].offset == 500);
  CHECK(parts[0].length == 137);
  CHECK(objects[0].ref.snapshot() == pinref::bias64::live(1, 1));
  CHECK(space.faults.empty());
  CHECK(pinref::unpin_user_page(*held[0]) == pinref::release_result::released);

  REQUIRE(pinref::get_extents(space, 1999, 1, foll::none, held, parts) == gup_result{1, gup_error::none});
  CHECK(objects[0].ref.snapshot() == pinref::bias64::live(2));
  CHECK(pinref::release_pages(held, 1).ok());
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "a range over several objects comes out in parts that add up") {
  for (const foll flags : {foll::none, foll::all, foll::fast_only}) {
    REQUIRE(pin(1990, 1000, flags) == gup_result{3, gup_error::none});
    std::uintptr_t at = 1990;
    for (int i = 0; i != 3; ++i) {
      CHECK(held[i] == &objects[i]);
      CHECK(parts[i].extent.first + parts[i].offset == at);
      at += parts[i].length;
      CHECK(objects[i].ref.pins() == 1);
    }
    CHECK(at == 2990);
    CHECK(parts[1].length == 10);
    CHECK(pinref::unpin_user_pages(held, 3).ok());
    check_idle();
  }
  // To the last byte of all.
  REQUIRE(pin(2005, UINTPTR_MAX - 2004) == gup_result{2, gup_error::none});
  CHECK(parts[1].length == UINTPTR_MAX - 2009);
  CHECK(pinref::unpin_user_pages(held, 2).ok());
}

TEST_CASE_FIXTURE(fixture, "the slow path learns the whole request, and where it stands") {
  space.present = false;
  REQUIRE(pin(1990, 25, foll::write).count == 3);
  REQUIRE(space.faults.size() == 3);
  const std::uintptr_t at[] = {1990, 2000, 2010};
  for (std::size_t i = 0; i != 3; ++i) {
    CHECK(space.faults[i].first == 1990);
    CHECK(space.faults[i].last == 2014);
    CHECK(space.faults[i].at == at[i]);
    CHECK(space.faults[i].flags == (foll::write | foll::pin));
  }
  CHECK(pinref::unpin_user_pages(held, 3).ok());
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "what cannot be held ends the call: partly held, or with foll::all not at all") {
  space.refuse = [](const pinref::extent_request& want) {
    return want.at >= 2010 ? gup_error::no_permission : gup_error::none;
  };
  space.present = false;
  CHECK(pin(1990, 1000) == gup_result{2, gup_error::no_permission});
  CHECK(pinref::unpin_user_pages(held, 2).ok());
  check_idle();
  CHECK(pin(1990, 1000, foll::all) == gup_result{0, gup_error::no_permission});
  CHECK(held[0] == nullptr);
  CHECK(held[1] == nullptr);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "more parts than there is room for") {
  CHECK(pinref::pin_extents(space, 1990, 1000, foll::none, std::span{held, 2}, parts) ==
        gup_result{2, gup_error::too_many_pages});
  CHECK(pinref::unpin_user_pages(held, 2).ok());
  CHECK(pinref::pin_extents(space, 1990, 1000, foll::all, held, std::span{parts, 1}) ==
        gup_result{0, gup_error::too_many_pages});
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "bad input is named, and nothing is touched") {
  CHECK(pin(1500, 0) == gup_result{0, gup_error::no_pages});
  CHECK(pin(1500, UINTPTR_MAX - 1000) == gup_result{0, gup_error::address_overflow});
  CHECK(pin(UINTPTR_MAX, 2) == gup_result{0, gup_error::address_overflow});
  CHECK(pin(999, 10) == gup_result{0, gup_error::out_of_range});
  CHECK(pin(1500, 1, foll::pin) == gup_result{0, gup_error::bad_flags});
  CHECK(pinref::get_extents(space, 1500, 1, foll::longterm, held, parts).reason == gup_error::bad_flags);
  CHECK(pinref::pin_extents(space, 1500, 1, foll::none, std::span<object*>{}, parts).reason == gup_error::null_pages);
  CHECK(space.faults.empty());
  CHECK(held[0] == nullptr);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "an entry that changes after the take is given back and left to the slow path") {
  space.before_recheck = [&] {
    space.before_recheck = nullptr;
    space.entries[0] = {&objects[1], 1000, 1999, 7};
  };
  REQUIRE(pin(1500, 10).count == 1);
  CHECK(held[0] == &objects[1]);
  CHECK(parts[0].extent.key == 7);
  CHECK(pinref::unpin_user_pages(held, 1).ok());
  check_idle();

  space.before_recheck = [&] { ++space.entries[0].key; };
  CHECK(pin(1500, 10, foll::fast_only) == gup_result{0, gup_error::would_block});
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "a dead object is left to the slow path, which may present another") {
  REQUIRE(objects[0].ref.freeze(1));
  CHECK(pin(1500, 10) == gup_result{0, gup_error::broken_mapping});
  CHECK(space.broken == 1);
  space.in_fault = [&] { space.entries[0].page = &objects[1]; };
  REQUIRE(pin(1500, 10).count == 1);
  CHECK(held[0] == &objects[1]);
  CHECK(pinref::unpin_user_pages(held, 1).ok());
}

TEST_CASE_FIXTURE(fixture, "a space that presents nothing, something else, or twice, is told, and nothing stays held") {
  space.present = false;
  SUBCASE("nothing") {
    space.entries[0].page = nullptr;
  }
  SUBCASE("elsewhere") {
    space.in_fault = [&] { space.entries[0] = {&objects[0], 5000, 6000, 1}; };
  }
  SUBCASE("twice") {
    space.calls_use = 2;
  }
  SUBCASE("not at all") {
    space.calls_use = 0;
  }
  CHECK(pin(1500, 10) == gup_result{0, gup_error::broken_mapping});
  CHECK(space.broken >= 1);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "a host that takes an object back after it was used has it given back") {
  space.present = false;
  space.in_the_end = gup_error::busy;
  CHECK(pin(1500, 10) == gup_result{0, gup_error::busy});
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "longterm, shared objects, giving up, and full words end as they do for pages") {
  objects[0].may_last = false;
  CHECK(pin(1500, 10, foll::longterm) == gup_result{0, gup_error::not_longterm});
  CHECK(pin(1500, 10).count == 1);
  CHECK(pinref::unpin_user_pages(held, 1).ok());
  objects[0].is_exclusive = false;
  CHECK(pin(1500, 10) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::get_extents(space, 1500, 10, foll::none, held, parts).count == 1);
  CHECK(pinref::release_pages(held, 1).ok());
  objects[0].is_exclusive = true;
  check_idle();

  space.present = false;
  space.interruptions = 0;
  CHECK(pin(1990, 1000, foll::interruptible) == gup_result{1, gup_error::interrupted});
  CHECK(pinref::unpin_user_pages(held, 1).ok());

  std::vector<std::size_t> taken;
  while (objects[0].ref.try_pin(pinref::page_ref<>::max_pins_at_once) == pinref::take_result::taken)
    taken.push_back(pinref::page_ref<>::max_pins_at_once);
  for (std::size_t n = pinref::page_ref<>::max_pins_at_once; n != 0; n /= 2)
    while (objects[0].ref.try_pin(n) == pinref::take_result::taken) taken.push_back(n);
  CHECK(pin(1500, 10) == gup_result{0, gup_error::overflow});
  for (const std::size_t n : taken) (void)objects[0].ref.unpin(n);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "objects are released as pages are: dirty, by a handle, by an owner") {
  REQUIRE(pin(1990, 1000).count == 3);
  CHECK(pinref::unpin_user_pages_dirty_lock(held, 3, true).ok());
  for (object& each : objects) CHECK(each.is_dirty);
  check_idle();

  REQUIRE(pin(1990, 1000).count == 3);
  {
    auto pins = pinref::pinned_range<object>::adopt(std::span{held, 3});
    CHECK(pins.size() == 3);
  }
  check_idle();

  pinref::pin_owner<object, std::mutex> owner{4};
  pinref::pin_request request{owner};
  CHECK(request.pin_extents(space, 1990, 1000, foll::write, held, parts) == gup_result{3, gup_error::none});
  CHECK(owner.live() == 3);
  CHECK(parts[2].extent.key == 3);
  CHECK(request.pin_extents(space, 1990, 1000, foll::write, held, parts).reason == gup_error::busy);
  pinref::pin_request second{owner};
  object* more[2];
  CHECK(second.pin_extents(space, 1990, 1000, foll::write, more, parts).reason == gup_error::limit_exceeded);
  CHECK(owner.unpin_all().count == 3);
  CHECK(owner.live() == 0);
  CHECK(second.pin_extents(space, 1990, 1000, foll::all, more, parts) == gup_result{0, gup_error::too_many_pages});
  CHECK(owner.live() == 0);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "what a device wrote to is released dirty later, where locks may be taken") {
  pinref::pin_owner<object, std::mutex> owner{4};
  {
    pinref::pin_request request{owner};
    REQUIRE(request.pin_extents(space, 1990, 1000, foll::write, held, parts).ok());
    objects[1].locked_by_another = true;
    CHECK(request.unpin_dirty_deferred().ok());
    CHECK_FALSE(objects[1].is_dirty);
    CHECK(pinref::page_dma_pinned(objects[1]));
    objects[1].locked_by_another = false;
    CHECK(owner.drain().ok());
  }
  for (object& each : objects) CHECK(each.is_dirty);
  CHECK(owner.live() == 0);
  check_idle();
}

namespace {

pinref::pin_accounts<>& the_accounts() {
  static pinref::pin_accounts<> all;
  return all;
}
struct find_accounts {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return the_accounts(); }
};
struct counted_object {
  pinref::accounted_ref<pinref::page_ref<>, find_accounts> ref;

  counted_object() { ref.init(1); }
  void free_page() noexcept {}
};

/// One object for everything, or for everything but what another thread has taken away.
struct counted_space {
  struct extent {
    counted_object* page = nullptr;
    std::uintptr_t first = 0, last = UINTPTR_MAX;
  };
  using page = counted_object;

  counted_object& all;
  int rechecks_that_fail = 0;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t) const noexcept { return true; }
  [[nodiscard]] extent lookup(const pinref::extent_request&) const noexcept { return {&all}; }
  [[nodiscard]] bool recheck(const pinref::extent_request&, const extent&) noexcept {
    return rechecks_that_fail-- <= 0;
  }
  template <class Use>
  [[nodiscard]] gup_error fault_in(const pinref::extent_request&, Use use) noexcept {
    return use({&all});
  }
};

}  // namespace

TEST_CASE("an extent is one pin in the books, and what is given back is in them, too") {
  counted_object all;
  counted_space space{all};
  counted_object* held = nullptr;
  pinref::extent_part<counted_space::extent> part;
  const auto before = the_accounts().totals();
  REQUIRE(pinref::pin_extents(space, 1, 1 << 20, foll::none, {&held, 1}, {&part, 1}).ok());
  CHECK(the_accounts().totals().acquired - before.acquired == 1);
  CHECK(the_accounts().totals().released == before.released);
  CHECK(pinref::unpin_user_page(*held) == pinref::release_result::released);
  CHECK(the_accounts().totals().released - before.released == 1);

  space.rechecks_that_fail = 1;
  REQUIRE(pinref::pin_extents(space, 1, 1 << 20, foll::none, {&held, 1}, {&part, 1}).ok());
  CHECK(the_accounts().totals().acquired - before.acquired == 3);
  CHECK(the_accounts().totals().released - before.released == 2);
  CHECK(pinref::unpin_user_page(*held) == pinref::release_result::released);
}

TEST_CASE_FIXTURE(fixture, "what is pinned for long stays, where the object says that it may") {
  REQUIRE(pin(1500, 10, foll::longterm) == gup_result{1, gup_error::none});
  CHECK(space.faults.empty());
  CHECK(pinref::unpin_user_page(*held[0]) == pinref::release_result::released);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "an immortal object is exclusive to nobody, and is pinned without being counted") {
  objects[0].counts_for_nobody = true;
  objects[0].is_exclusive = false;
  REQUIRE(pin(1500, 10) == gup_result{1, gup_error::none});
  CHECK(space.faults.empty());
  CHECK(space.broken == 0);
  check_idle();
}

TEST_CASE_FIXTURE(fixture, "a look-up that finds an object elsewhere is not believed") {
  for (const bool below : {false, true}) {
    CAPTURE(below);
    space.lies = [this, below] {
      auto elsewhere = space.entries[below ? 0 : 2];
      elsewhere.key = space.entries[1].key;
      return elsewhere;
    };
    REQUIRE(pin(2005, 1) == gup_result{1, gup_error::none});
    CHECK(held[0] == &objects[1]);
    CHECK(parts[0].offset == 5);
    CHECK(pinref::unpin_user_page(*held[0]) == pinref::release_result::released);
    check_idle();
  }
}
