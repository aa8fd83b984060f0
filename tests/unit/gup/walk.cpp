// SPDX-License-Identifier: MIT

// What a call does at each page: what it takes, looks at again, gives back and leaves to the host.

#include "pinref/gup/walk.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "entry_points.hpp"
#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;
using support::entry_points;
using support::foreign_space;
using support::held_on;
using support::kind;
using support::release;

namespace {

// A page of a file: a device may read it for long, not write to it.
struct file_page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
};

struct file_space {
  using page = file_page;
  static constexpr std::size_t page_size = 4096;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < page_size; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t, foll) noexcept { return {&only}; }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    return use(pinref::mapping<page>{&only});
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return page_size; }
  [[nodiscard]] page* find(std::uint64_t) noexcept { return &only; }
  [[nodiscard]] gup_error allocate(std::uint64_t) noexcept { return gup_error::no_memory; }

  page only;
};

// A compound page of four, which copy-on-write may share.
struct run_page {
  pinref::page_ref<> ref;
  std::size_t from_head = 0;
  bool exclusive = false;
  bool immortal = false;
};

struct sharing_space {
  using page = run_page;
  static constexpr std::size_t page_size = 4096;

  sharing_space() {
    for (std::size_t i = 0; i != 4; ++i) pages[i].from_head = i;
    pages[0].ref.init();
  }
  bool contains(std::uintptr_t, std::uintptr_t) const noexcept { return true; }
  pinref::mapping<page> lookup(std::uintptr_t at, foll) noexcept {
    const std::size_t i = at / page_size;
    return {&pages[i], 0, 4 - i};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<page>&) noexcept { return true; }
  template <class Use>
  gup_error fault_in(std::uintptr_t at, foll flags, Use use) noexcept {
    return use(lookup(at, flags));
  }
  void broken_mapping(std::uintptr_t) noexcept { ++broken; }

  page pages[4];
  int broken = 0;
};

// Presents as stable what a test tells it to; finds nothing without.
struct presenting_space : sharing_space {
  pinref::mapping<page> lookup(std::uintptr_t, foll) noexcept { return {}; }
  template <class Use>
  gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    return use(presented);
  }

  pinref::mapping<page> presented;
};

// Always told to give up.
struct interrupted_space : foreign_space<pinref::page_ref<>> {
  using foreign_space::foreign_space;
  bool interrupted() noexcept {
    ++asked;
    return true;
  }
  int asked = 0;
};

// A foreign space that can be interrupted and can move pages that are not for long.
struct moving_space : foreign_space<pinref::page_ref<>> {
  using foreign_space::foreign_space;

  bool interrupted() noexcept { return interrupt_after-- == 0; }

  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t at, foll flags) noexcept {
    ++lookups;
    return foreign_space::lookup(at, flags);
  }

  gup_error relocate(std::uintptr_t start, std::size_t n) noexcept {
    ++relocations;
    pages_to_move = n;
    for (std::size_t i = 0; i != slots.size(); ++i) {
      if (slots[i].mapped == nullptr) continue;
      CHECK_FALSE(pinref::page_dma_pinned(*slots[i].mapped));
    }
    if (refuse_relocation || relocations == refuse_at) return gup_error::no_memory;
    const std::size_t first = (start - base) / page_size;
    for (std::size_t i = first; i != first + n; ++i)
      if (slots[i].mapped->is == kind::transient_only && !stubborn) {
        // Moved to the spare descriptor at the far end.
        page& spare = pages[slots.size() - 1 - i];
        spare.ref.init();
        slots[i].mapped = &spare;
      }
    return gup_error::none;
  }

  int interrupt_after = -1;
  int lookups = 0;
  int relocations = 0;
  std::size_t pages_to_move = 0;  // of the last relocation
  int refuse_at = 0;              // this relocation fails
  bool refuse_relocation = false;
  bool stubborn = false;
};

}  // namespace

static_assert(pinref::interrupting_space<moving_space> && pinref::relocating_space<moving_space>);

template <>
struct pinref::page_traits<file_page> {
  static auto& ref(file_page& p) noexcept { return p.ref; }
  static bool immortal(file_page&) noexcept { return false; }
  static bool longterm_pinnable(file_page&, foll flags) noexcept {
    CHECK(has(flags, foll::longterm | foll::pin));
    return !has(flags, foll::write);
  }
  static void free_page(file_page&) noexcept {}
};

template <>
struct pinref::page_traits<run_page> {
  static auto& ref(run_page& p) noexcept { return p.ref; }
  static run_page& head(run_page& p) noexcept { return *(&p - p.from_head); }
  static std::size_t nr_pages(run_page&) noexcept { return 4; }
  static std::uint64_t frame_number(run_page& p) noexcept { return p.from_head; }
  static run_page& nth_page(run_page& p, std::size_t i) noexcept { return *(&p + i); }
  static bool immortal(run_page& head) noexcept { return head.immortal; }
  static bool exclusive(run_page& head) noexcept { return head.exclusive; }
  static void set_exclusive(run_page& head, bool mark) noexcept { head.exclusive = mark; }
  static void free_page(run_page&) noexcept {}
};

TEST_CASE_TEMPLATE("a mapping that changes under the fast path is given back in the same mode and faulted in", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.fast) continue;
    CAPTURE(entry.name);
    space_type space(2);
    page& old = space.map(0);
    page& fresh = space.map(1);
    page* pages[1] = {};
    space.before_recheck = [&](std::size_t) {
      // Seen in the word the caller holds it in, and only there.
      CHECK(held_on(old, entry.pins) == 1);
      CHECK(held_on(old, !entry.pins) == 0);
      space.slots[0] = space.slots[1];
      CHECK(pinref::put_page(old) == release_result::released);
    };
    CHECK(entry.call(space, space.address(0), 1, foll::none, pages) == gup_result{1, gup_error::none});
    CHECK(pages[0] == &fresh);
    CHECK(held_on(fresh, entry.pins) == 1);
    // The caller was the old page's last holder.
    CHECK(old.freed == 1);
    CHECK(space.faults == 1);
    release(pages, 1, entry.pins);
  }
}

TEST_CASE_TEMPLATE("a dead page in the fast path is nobody's fault: it is looked up again", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  typename space_type::page* pages[1] = {};
  space_type space(2);
  auto& dying = space.map(0);
  space.map(1);
  REQUIRE(pinref::put_page(dying) == release_result::last);
  space.refuse_fault = [&](std::size_t) {
    space.slots[0] = space.slots[1];
    return false;
  };
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::none, pages) == gup_result{1, gup_error::none});
  CHECK(pages[0] == &space.pages[1]);
  CHECK(space.broken == 0);
  release(pages, 1, true);
}

TEST_CASE(
    "a fast call asks for the pages ahead of it, in order and none outside its range; a slow call asks for none") {
  using space_type = foreign_space<pinref::page_ref<>>;
  constexpr std::size_t n = pinref::prefetch_distance + 3;
  space_type space(n + 2);
  for (std::size_t i = 0; i != n + 2; ++i) space.map(i);
  space_type::page* pages[n] = {};
  REQUIRE(pinref::pin_user_pages_fast(space, space.address(1), n, foll::none, pages).ok());
  release(pages, n, true);
  CHECK(space.prefetched == std::vector<std::size_t>{n - 2, n - 1, n});

  space.prefetched.clear();
  REQUIRE(pinref::pin_user_pages(space, space.address(1), n, foll::none, pages).ok());
  release(pages, n, true);
  REQUIRE(pinref::pin_user_pages_fast(space, space.address(1), pinref::prefetch_distance, foll::none, pages).ok());
  release(pages, pinref::prefetch_distance, true);
  CHECK(space.prefetched.empty());
}

TEST_CASE_TEMPLATE("A2.1: a failure at the k-th page of n, for every k, leaves exactly k held and others' pages alone",
                   Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  constexpr std::size_t n = 9;
  for (const auto& entry : entry_points<space_type>())
    for (bool all : {false, true})
      for (std::size_t k = 0; k <= n; ++k)
        for (int way = 0; way != 3; ++way) {
          CAPTURE(entry.name);
          CAPTURE(all);
          CAPTURE(k);
          CAPTURE(way);
          space_type space(n + 1);
          for (std::size_t i = 0; i <= n; ++i) space.map(i);
          // An earlier call holds every page once, in both modes.
          page* earlier[n] = {};
          REQUIRE(pinref::pin_user_pages_fast(space, space.address(0), n, foll::none, earlier).ok());
          REQUIRE(pinref::get_user_pages_fast(space, space.address(0), n, foll::none, earlier).ok());

          gup_error expected = gup_error::none;
          if (k != n) switch (way) {
              case 0:  // the mapping goes, seen by the recheck of the fast path or by the fault
                space.before_recheck = [&space, k](std::size_t i) {
                  if (i == k) space.slots[k].mapped = nullptr;
                };
                space.refuse_fault = [&space, k](std::size_t i) {
                  if (i == k) space.slots[k].mapped = nullptr;
                  return false;
                };
                expected = gup_error::not_mapped;
                break;
              case 1:  // the fault fails
                space.no_fast_path = true;
                space.refuse_fault = [k](std::size_t i) { return i == k; };
                expected = gup_error::no_memory;
                break;
              case 2:  // the word is full
                support::set_state(space.pages[k].ref, support::full<Layout>());
                expected = gup_error::overflow;
                break;
            }
          page* pages[n] = {};
          const gup_result done = entry.call(space, space.address(0), n, all ? foll::all : foll::none, pages);
          const std::size_t held = all && k != n ? 0 : k;
          CHECK(done == gup_result{held, expected});
          for (std::size_t i = 0; i != n; ++i) {
            CAPTURE(i);
            if (i == k && way == 2) {
              CHECK(space.pages[i].ref.snapshot() == support::full<Layout>());
              continue;
            }
            const bool mine = i < held;
            CHECK(space.pages[i].ref.snapshot() ==
                  Layout::live(static_cast<typename Layout::word_type>(2 + (mine && !entry.pins)),
                               static_cast<typename Layout::word_type>(1 + (mine && entry.pins))));
          }
          release(pages, held, entry.pins);
        }
}

TEST_CASE_TEMPLATE(
    "A2.2: where the take cannot fail but does, small, compound and device pages give one error and one diagnostic",
    Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  for (const auto& entry : entry_points<space_type>())
    for (kind is : {kind::ordinary, kind::device})
      for (std::size_t pages_in_it : {1u, 4u}) {
        CAPTURE(entry.name);
        space_type space(8);
        space.map(0);
        auto& broken = space.map(1, pages_in_it, is);
        REQUIRE(broken.ref.freeze(1));
        typename space_type::page* pages[8] = {};
        const gup_result done = entry.call(space, space.address(0), 1 + pages_in_it, foll::none, pages);
        CHECK(done == gup_result{1, gup_error::broken_mapping});
        CHECK(to_errno(done.reason) == EFAULT);
        CHECK(space.broken == 1);
        CHECK(broken.ref.snapshot().zone() == pinref::zone::frozen);
        CHECK(broken.freed == 0);
        release(pages, 1, entry.pins);
      }
}

TEST_CASE_TEMPLATE("A2.6: a step of 512 pages that does not fit is not held in part", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(513);
  space.map(0);
  page& head = space.map(1, 512);
  // Room for one more holder of either kind, not for 512.
  for (const auto& entry : entry_points<space_type>()) {
    CAPTURE(entry.name);
    const auto room = static_cast<typename Layout::word_type>(entry.pins ? support::pin_weight<Layout>() : 1);
    support::set_state(head.ref,
                       Layout::live(static_cast<typename Layout::word_type>(Layout::zones::max_holders - room)));
    const Layout before = head.ref.snapshot();
    page* pages[513] = {};
    CHECK(entry.call(space, space.address(0), 513, foll::none, pages) == gup_result{1, gup_error::overflow});
    CHECK(head.ref.snapshot() == before);
    CHECK(pages[1] == nullptr);
    release(pages, 1, entry.pins);
    support::set_state(head.ref, Layout::live(1));
    CHECK(entry.call(space, space.address(0), 513, foll::none, pages) == gup_result{513, gup_error::none});
    release(pages, 513, entry.pins);
  }
}

TEST_CASE_TEMPLATE(
    "a fault at the k-th step, for every step of every call, leaves what the result says and nothing else", Layout,
    ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  constexpr std::size_t n = 13;
  enum class step { take, recheck, fault };
  for (step which : {step::take, step::recheck, step::fault})
    for (const auto& entry : support::entry_points<space_type>())
      for (bool all : {false, true})
        for (std::size_t k = 0; k <= n; ++k) {
          CAPTURE(entry.name);
          CAPTURE(all);
          CAPTURE(k);
          space_type space(n);
          // A mixed range: small, compound, small, compound.
          space.map(0);
          space.map(1, 4);
          space.map(5);
          space.map(6);
          space.map(7, 6);
          const std::size_t head_of[n] = {0, 1, 1, 1, 1, 5, 6, 7, 7, 7, 7, 7, 7};
          if (k != n) {
            if (which == step::take) support::set_state(space.pages[head_of[k]].ref, support::full<Layout>());
            // A mapping that goes between take and recheck, for good.
            if (which == step::recheck)
              space.before_recheck = [&space, k, &head_of](std::size_t i) {
                if (i == head_of[k]) space.slots[i].mapped = nullptr;
              };
            if (which == step::recheck || which == step::fault)
              space.refuse_fault = [k, &head_of](std::size_t i) { return i == head_of[k]; };
            if (which == step::fault) space.no_fast_path = true;
          }
          std::vector<Layout> before;
          for (std::size_t i = 0; i != n; ++i) before.push_back(space.pages[i].ref.snapshot());

          page* pages[n] = {};
          const gup_result done = entry.call(space, space.address(0), n, all ? foll::all : foll::none, pages);
          CHECK(done.ok() == (k == n));
          CHECK(done.count == (k == n ? n : all ? 0 : head_of[k]));
          for (std::size_t i = 0; i != done.count; ++i) CHECK(pages[i] == &space.pages[i]);
          // Every head has exactly what the result says is held on it.
          for (std::size_t head : {0u, 1u, 5u, 6u, 7u}) {
            std::size_t held = 0;
            for (std::size_t i = 0; i != done.count; ++i) held += head_of[i] == head;
            if (held == 0) {
              CHECK(space.pages[head].ref.snapshot() == before[head]);
              continue;
            }
            const auto count = static_cast<typename Layout::word_type>(held);
            CHECK(space.pages[head].ref.snapshot() ==
                  (entry.pins ? Layout::live(1, count)
                              : Layout::live(static_cast<typename Layout::word_type>(1 + count))));
          }
          support::release(pages, done.count, entry.pins);
          for (std::size_t i = 0; i != n; ++i) CHECK(space.pages[i].ref.snapshot() == before[i]);
        }
}

TEST_CASE_TEMPLATE("a page not for long is refused to foll::longterm only, and keeps its count", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  using page = typename space_type::page;
  space_type space(3);
  space.map(0);
  space.map(1, 2, kind::transient_only);
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.pins) continue;
    page* pages[3] = {};
    CHECK(entry.call(space, space.address(0), 3, foll::longterm, pages) == gup_result{1, gup_error::not_longterm});
    CHECK(space.pages[1].ref.snapshot() == Layout::live(1));
    release(pages, 1, true);
    CHECK(entry.call(space, space.address(0), 3, foll::none, pages) == gup_result{3, gup_error::none});
    release(pages, 3, true);
  }
}

TEST_CASE("a host may refuse a page to long pins by the flags of the call") {
  file_space space;
  file_page* pages[1] = {};
  for (const auto& entry : entry_points<file_space>()) {
    if (!entry.pins) continue;
    CHECK(entry.call(space, 0, 1, foll::longterm | foll::write, pages) == gup_result{0, gup_error::not_longterm});
    CHECK(entry.call(space, 0, 1, foll::write, pages).ok());
    CHECK(pinref::unpin_user_pages(pages, 1).ok());
    CHECK(entry.call(space, 0, 1, foll::longterm, pages).ok());
    CHECK(pinref::unpin_user_pages(pages, 1).ok());
  }
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(space, 0, 1, pages, 1, offset).ok());
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
  CHECK(space.only.ref.snapshot() == pinref::bias64::live(1));
}

TEST_CASE_TEMPLATE("an immortal page is not read for long: who reads it would never see what replaces it", Layout,
                   ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  typename space_type::page* pages[1] = {};
  space_type space(1);
  space.map(0, 1, kind::immortal);
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.pins) continue;
    CAPTURE(entry.name);
    CHECK(entry.call(space, space.address(0), 1, foll::longterm, pages) == gup_result{0, gup_error::not_longterm});
    CHECK(entry.call(space, space.address(0), 1, foll::none, pages) == gup_result{1, gup_error::none});
    // Memory that is written to is nobody's zero page.
    CHECK(entry.call(space, space.address(0), 1, foll::longterm | foll::write, pages).ok());
  }
}

TEST_CASE("a host that says nothing of long pins allows them") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 1};
  REQUIRE(space.map(0, 1, pinref::protection::read_write));
  pinref::page_table::page* page = nullptr;
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write | foll::longterm, &page).ok());
  CHECK(pinref::unpin_user_pages(&page, 1).ok());
}

TEST_CASE_TEMPLATE("whether a page may be held for long is asked of its head", Layout, ALL_LAYOUTS) {
  using space_type = foreign_space<pinref::page_ref<Layout>>;
  space_type space(4);
  auto& head = space.map(0, 4, kind::transient_only);
  typename space_type::page* pages[2] = {};
  for (const auto& entry : entry_points<space_type>()) {
    if (!entry.pins) continue;
    CAPTURE(entry.name);
    CHECK(entry.call(space, space.address(2), 2, foll::longterm, pages) == gup_result{0, gup_error::not_longterm});
    CHECK(head.ref.snapshot() == Layout::live(1));
  }
}

TEST_CASE("a shared compound page that the host presents for a pin is given back with all that was taken of it") {
  sharing_space space;
  run_page* pages[4] = {};
  CHECK(pinref::pin_user_pages(space, 4096, 3, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::pin_user_pages_fast(space, 4096, 3, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(space.broken == 3);
  CHECK(space.pages[0].ref.snapshot() == pinref::bias64::live(1));
  space.pages[0].exclusive = true;
  CHECK(pinref::pin_user_pages(space, 4096, 3, foll::none, pages) == gup_result{3, gup_error::none});
  CHECK(space.pages[0].ref.snapshot() == pinref::bias64::live(1, 3));
  CHECK(space.broken == 3);
}

TEST_CASE("the mark of a compound page is its head's") {
  sharing_space space;
  run_page* pages[1] = {};
  for (const bool exclusive : {false, true})
    for (const auto& entry : entry_points<sharing_space>()) {
      if (!entry.pins) continue;
      space.pages[0].exclusive = exclusive;
      space.pages[1].exclusive = !exclusive;
      CHECK(entry.call(space, sharing_space::page_size, 1, foll::none, pages).ok() == exclusive);
      if (exclusive) CHECK(pinref::unpin_user_pages(pages, 1).ok());
      CHECK(space.pages[0].ref.snapshot() == pinref::bias64::live(1));
    }
}

TEST_CASE("an immortal page is pinned though it is shared") {
  sharing_space space;
  space.pages[0].immortal = true;
  run_page* pages[1] = {};
  for (const auto& entry : entry_points<sharing_space>()) {
    CHECK(entry.call(space, sharing_space::page_size, 1, foll::none, pages) == gup_result{1, gup_error::none});
    CHECK(space.pages[0].ref.snapshot() == pinref::bias64::live(1));
  }
  CHECK(space.broken == 0);
}

TEST_CASE("foll::interruptible asks before each slow step; what is held so far is kept, or with foll::all given back") {
  moving_space space(8);
  space.demand = true;
  space.map(0);
  moving_space::page* pages[8] = {};
  space.interrupt_after = 2;
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 6, foll::interruptible, pages) ==
        gup_result{3, gup_error::interrupted});
  support::release(pages, 3, true);
  space.interrupt_after = 0;
  CHECK(pinref::pin_user_pages(space, space.address(0), 6, foll::interruptible | foll::all, pages) ==
        gup_result{0, gup_error::interrupted});
  space.interrupt_after = 0;
  CHECK(pinref::pin_user_pages(space, space.address(0), 6, foll::none, pages).count == 6);
  support::release(pages, 6, true);
  space.interrupt_after = 1;
  CHECK(pinref::fault_in_user_pages(space, space.address(0), 8, foll::interruptible) ==
        gup_result{7, gup_error::interrupted});
}

TEST_CASE("a call that never blocks does not ask whether to give up") {
  interrupted_space space(1);
  interrupted_space::page* pages[1] = {};
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::fast_only | foll::interruptible, pages) ==
        gup_result{0, gup_error::would_block});
  CHECK(space.asked == 0);
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::interruptible, pages) ==
        gup_result{0, gup_error::interrupted});
  CHECK(space.asked == 1);
}

TEST_CASE("longterm pins relocate pages that are not for long, with no pin of the call held meanwhile") {
  for (bool fast : {false, true}) {
    moving_space space(16);
    for (std::size_t i = 0; i != 8; ++i) space.map(i, 1, i % 3 == 1 ? kind::transient_only : kind::ordinary);
    moving_space::page* pages[8] = {};
    const auto pin = [&](foll flags) {
      return fast ? pinref::pin_user_pages_fast(space, space.address(0), 8, flags, pages)
                  : pinref::pin_user_pages(space, space.address(0), 8, flags, pages);
    };
    SUBCASE("moved once, pinned again") {
      CHECK(pin(foll::longterm | foll::write) == gup_result{8, gup_error::none});
      CHECK(space.relocations == 1);
      CHECK(space.pages_to_move == 8);
      // The slow call takes the slow way again.
      CHECK(space.lookups == (fast ? 16 : 0));
      for (auto* page : pages) CHECK(page->is != kind::transient_only);
      support::release(pages, 8, true);
    }
    SUBCASE("a short pin moves nothing") {
      CHECK(pin(foll::write) == gup_result{8, gup_error::none});
      CHECK(space.relocations == 0);
      support::release(pages, 8, true);
    }
    SUBCASE("a page that will not move: a bounded number of tries, then no pin is held") {
      space.stubborn = true;
      CHECK(pin(foll::longterm) == gup_result{0, gup_error::not_longterm});
      CHECK(space.relocations == pinref::max_relocations);
    }
    SUBCASE("a relocation is a slow step: not entered by fast_only, nor when the space is interrupted") {
      if (fast) CHECK(pin(foll::longterm | foll::fast_only) == gup_result{0, gup_error::would_block});
      space.interrupt_after = 0;
      if (fast) CHECK(pin(foll::longterm | foll::interruptible) == gup_result{0, gup_error::interrupted});
      CHECK(space.relocations == 0);
    }
    SUBCASE("a hole stops it as it stops any call: the pages before it are held, moved; with foll::all none") {
      (void)pinref::put_page(space.pages[6]);
      space.slots[6].mapped = nullptr;
      CHECK(pin(foll::longterm) == gup_result{6, gup_error::not_mapped});
      CHECK(space.relocations == 1);
      CHECK(space.pages_to_move == 6);
      support::release(pages, 6, true);
      CHECK(pinref::put_page(*space.slots[4].mapped) == release_result::last);
      space.map(4, 1, kind::transient_only);
      CHECK(pin(foll::longterm | foll::all) == gup_result{0, gup_error::not_mapped});
      CHECK(space.relocations == 2);
    }
    SUBCASE("a relocation that fails gives its reason, and no pin is held") {
      space.refuse_relocation = true;
      CHECK(pin(foll::longterm) == gup_result{0, gup_error::no_memory});
      CHECK(space.relocations == 1);
    }
    for (const auto& slot : space.slots)
      if (slot.mapped != nullptr) CHECK(slot.mapped->ref.snapshot() == pinref::bias64::live(1));
  }
}

TEST_CASE("a page asked for alone is relocated for a longterm pin, as one of many is") {
  moving_space space(16);
  space.map(0, 1, kind::transient_only);
  moving_space::page* page = nullptr;
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::longterm | foll::fast_only, &page) ==
        gup_result{0, gup_error::would_block});
  CHECK(page == nullptr);
  CHECK(pinref::pin_user_pages_fast(space, space.address(0), 1, foll::longterm, &page) ==
        gup_result{1, gup_error::none});
  CHECK(space.relocations == 1);
  REQUIRE(page != nullptr);
  CHECK(page->is != kind::transient_only);
  support::release(&page, 1, true);
}

TEST_CASE("a relocation that fails at the k-th try, for every k, leaves no pin of the call and every count as it was") {
  for (bool fast : {false, true})
    for (unsigned k = 1; k <= pinref::max_relocations; ++k) {
      CAPTURE(k);
      moving_space space(16);
      for (std::size_t i = 0; i != 8; ++i) space.map(i, 1, i == k - 1 ? kind::transient_only : kind::ordinary);
      // Nothing moves until the k-th try, which fails.
      space.stubborn = true;
      space.refuse_at = static_cast<int>(k);
      moving_space::page* pages[8] = {};
      const gup_result done = fast ? pinref::pin_user_pages_fast(space, space.address(0), 8, foll::longterm, pages)
                                   : pinref::pin_user_pages(space, space.address(0), 8, foll::longterm, pages);
      CHECK(done == gup_result{0, gup_error::no_memory});
      CHECK(space.relocations == static_cast<int>(k));
      for (std::size_t i = 0; i != 8; ++i) CHECK(space.pages[i].ref.snapshot() == pinref::bias64::live(1));
      for (auto* page : pages) CHECK(page == nullptr);
    }
}

TEST_CASE("a host that presents no page as stable, or a run of none, has a broken mapping, and nothing is touched") {
  presenting_space space;
  space.pages[0].exclusive = true;
  run_page* out = nullptr;
  SUBCASE("no page") {
    space.presented = {nullptr, 0, 1};
  }
  SUBCASE("a run of none") {
    space.presented = {&space.pages[0], 0, 0};
  }
  for (const bool fast : {false, true}) {
    CAPTURE(fast);
    CHECK((fast ? pinref::pin_user_pages_fast(space, 0, 1, foll::none, &out)
                : pinref::pin_user_pages(space, 0, 1, foll::none, &out)) == gup_result{0, gup_error::broken_mapping});
    CHECK(out == nullptr);
  }
  CHECK(space.broken == 2);
  CHECK(space.pages[0].ref.snapshot() == pinref::bias64::live(1));
}
