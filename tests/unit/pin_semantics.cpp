#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#include "entry_points.hpp"
#include "foreign_host.hpp"
#include "hooked_sync.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "remember_misuse.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::protection;
using pinref::release_result;
using pinref::take_result;
using support::foreign_space;
using support::kind;
using support::last_misuse;
using support::misuses;
using support::remember;

TEST_CASE_TEMPLATE("A1.5 a release with the wrong call is diagnosed where it is made, by every release call", Layout,
                   ALL_LAYOUTS) {
  using ref = pinref::checked_ref<pinref::page_ref<Layout>, remember>;
  using kind_of = pinref::misuse_kind;
  foreign_space<ref> space(1);
  auto& page = space.map(0);
  support::foreign_page<ref>* one[] = {&page};
  misuses = 0;
  const auto found = [](kind_of kind, unsigned line) {
    return last_misuse.kind == kind && last_misuse.where.line == line &&
           std::string_view{last_misuse.where.file} == __FILE__ && std::exchange(misuses, 0) == 1;
  };

  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  REQUIRE(page.ref.put() == release_result::released);
  // Two pins are left, and no reference.
  CHECK((pinref::put_page(page) == release_result::underflow && found(kind_of::put_of_a_pin, __LINE__)));
  CHECK((pinref::release_pages(one, 1).reason == gup_error::underflow && found(kind_of::put_of_a_pin, __LINE__)));
  CHECK((pinref::get_page(page) == take_result::taken && misuses == 0));
  REQUIRE(pinref::unpin_user_folio(page, 2).count == 2);
  // One reference is left, and no pin.
  CHECK((pinref::unpin_user_page(page) == release_result::underflow && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((!pinref::unpin_user_pages(one, 1).ok() && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((!pinref::unpin_user_page_range(&page, 1).ok() && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((!pinref::unpin_user_folio(page, 1).ok() && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((pinref::add_pin(page) == take_result::dead && found(kind_of::add_pin_to_an_unpinned_page, __LINE__)));
  const unsigned reset_line = __LINE__ + 1;
  page.ref.reset();
  CHECK(found(kind_of::reset_of_a_live_page, reset_line));
  CHECK((pinref::put_page(page, 2) == release_result::underflow && found(kind_of::over_release, __LINE__)));
  CHECK(page.freed == 0);
  CHECK(pinref::put_page(page) == release_result::last);
  CHECK(page.freed == 1);
  CHECK((pinref::put_page(page) == release_result::underflow && found(kind_of::use_after_death, __LINE__)));
  CHECK((pinref::get_page(page) == take_result::dead && found(kind_of::use_after_death, __LINE__)));
  CHECK(misuses == 0);
}

TEST_CASE_TEMPLATE("A1.5 in a release build the wrong call may leak the page and never frees it early", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(1);
  auto& page = space.map(0);
  SUBCASE("put on a pin") {
    REQUIRE(pinref::try_pin_page(page) == take_result::taken);
    REQUIRE(pinref::put_page(page) == release_result::released);
    (void)pinref::put_page(page);
    if constexpr (!std::is_same_v<Layout, pinref::split>) CHECK(page.freed == 0);
    (void)pinref::unpin_user_page(page);
    CHECK(page.freed <= 1);
  }
  SUBCASE("unpin on a reference") {
    CHECK(pinref::unpin_user_page(page) == release_result::underflow);
    CHECK(page.freed == 0);
    CHECK(page.ref.snapshot() == Layout::of(1));
  }
}

TEST_CASE_TEMPLATE("add_pin pins an already pinned page once more, and is released like every other pin", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(5);
  for (auto* page : {&space.map(0), &space.map(1, 4)}) {
    REQUIRE(pinref::try_pin_page(*page) == take_result::taken);
    CHECK(pinref::add_pin(*page) == take_result::taken);
    CHECK(pinref::add_pin(*page, 5) == take_result::taken);
    CHECK(pinref::page_pin_count(*page) == 7);
    CHECK(pinref::unpin_user_folio(*page, 7).count == 7);
    CHECK(page->ref.snapshot() == Layout::of(1));
  }
  auto& zero = space.map(0, 1, kind::immortal);
  CHECK(pinref::add_pin(zero) == take_result::taken);
  CHECK(zero.ref.snapshot() == Layout::of(1));
  auto& full = space.map(0);
  support::set_state(full.ref, support::full<Layout>());
  const Layout before = full.ref.snapshot();
  CHECK(pinref::add_pin(full) == take_result::overflow);
  CHECK(full.ref.snapshot() == before);
}

TEST_CASE_TEMPLATE("fault_in_user_pages makes pages present and holds none", Layout, ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  pinref::basic_frame_arena<ref> arena{2};
  pinref::basic_page_table<ref> space{arena, 0, 1024};
  REQUIRE(space.map(0, 8, protection::read_write));
  REQUIRE(space.map(8 * 4096, 4, protection::read));
  CHECK(pinref::fault_in_user_pages(space, 0, 8, foll::write | foll::nofault) == gup_result{0, gup_error::not_mapped});
  CHECK(pinref::fault_in_user_pages(space, 0, 8, foll::write | foll::fast_only) ==
        gup_result{0, gup_error::would_block});
  CHECK(pinref::fault_in_user_pages(space, 0, 12, foll::write) == gup_result{8, gup_error::no_permission});
  CHECK(pinref::fault_in_user_pages(space, 0, 13, foll::none) == gup_result{12, gup_error::not_mapped});
  CHECK(arena.nr_free() == arena.nr_frames() - 12);
  pinref::basic_frame<ref>* pages[12];
  CHECK(pinref::get_user_pages_fast(space, 0, 12, foll::fast_only, pages).count == 12);
  for (auto* page : pages) CHECK(page->ref().snapshot() == Layout::of(2));
  CHECK(pinref::release_pages(pages, 12).count == 12);
  CHECK(pinref::fault_in_user_pages(space, 4, 1, foll::none) == gup_result{0, gup_error::misaligned});
  CHECK(pinref::fault_in_user_pages(space, 0, 0, foll::none) == gup_result{0, gup_error::no_pages});
  auto* huge = arena.allocate_compound();
  REQUIRE(space.map(512 * 4096, 512, protection::read_write));
  REQUIRE(space.map_page(512 * 4096, *huge, protection::read_write));
  CHECK(pinref::fault_in_user_pages(space, 600 * 4096, 424, foll::write) == gup_result{424, gup_error::none});
}

TEST_CASE("foll::force reads and writes what the protection refuses, and changes nothing for the others") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 4};
  REQUIRE(space.map(0, 2, protection::read));
  pinref::frame_arena::frame* pages[2];
  CHECK(pinref::pin_user_pages_fast(space, 0, 2, foll::write, pages).reason == gup_error::no_permission);
  CHECK(pinref::pin_user_pages_fast(space, 0, 2, foll::write | foll::force, pages) == gup_result{2, gup_error::none});
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 2, true).count == 2);
  CHECK(pinref::pin_user_pages_fast(space, 0, 2, foll::write, pages).reason == gup_error::no_permission);
  CHECK(pinref::pin_user_pages_fast(space, 0x2000, 1, foll::force, pages).reason == gup_error::not_mapped);
}

namespace {

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
        spare.ref.reset();
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
static_assert(pinref::interrupting_space<moving_space> && pinref::relocating_space<moving_space>);

}  // namespace

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
      if (slot.mapped != nullptr) CHECK(slot.mapped->ref.snapshot() == pinref::bias64::of(1));
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
                  (entry.pins ? Layout::of(1, count) : Layout::of(static_cast<typename Layout::word_type>(1 + count))));
          }
          support::release(pages, done.count, entry.pins);
          for (std::size_t i = 0; i != n; ++i) CHECK(space.pages[i].ref.snapshot() == before[i]);
        }
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
      for (std::size_t i = 0; i != 8; ++i) CHECK(space.pages[i].ref.snapshot() == pinref::bias64::of(1));
      for (auto* page : pages) CHECK(page == nullptr);
    }
}
