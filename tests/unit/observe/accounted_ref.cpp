// SPDX-License-Identifier: MIT

#include "pinref/observe/accounted_ref.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <type_traits>
#include <vector>

#include "all_pins.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/ref/hot_ref.hpp"
#include "remember_misuse.hpp"

using pinref::foll;
using pinref::pin_accounts;
using pinref::protection;
using pinref::release_result;
using pinref::take_result;

namespace {

// An arena that keeps accounts. The word stands first in its frame, and the frame knows its arena.
template <class Ref>
struct accounting_arena : pinref::basic_frame_arena<Ref> {
  using pinref::basic_frame_arena<Ref>::basic_frame_arena;
  pin_accounts<> accounts;

  [[nodiscard]] std::uint64_t live() const {
    const pinref::pin_totals now = accounts.totals();
    return now.acquired - now.released;
  }
};

template <template <class> class Word>
struct find_by_frame {
  pin_accounts<>& operator()(const void* word) const noexcept {
    using ref = Word<find_by_frame>;
    auto* const page = static_cast<pinref::basic_frame<ref>*>(const_cast<void*>(word));
    return static_cast<accounting_arena<ref>&>(page->arena()).accounts;
  }
};

// Words that are counted, in every company.
template <class Layout>
struct of {
  template <class Find>
  using plain = pinref::accounted_ref<pinref::page_ref<Layout>, Find>;
};
template <class Find>
using over_checked = pinref::accounted_ref<pinref::checked_ref<pinref::page_ref<>>, Find>;
template <class Find>
using under_checked = pinref::checked_ref<pinref::accounted_ref<pinref::page_ref<>, Find>>;

template <template <class> class Word>
using found = Word<find_by_frame<Word>>;

using word = found<of<pinref::bias64>::plain>;

template <class Derived, class Word>
inline constexpr bool converts = std::is_convertible_v<Derived&, Word&>;

}  // namespace

static_assert(sizeof(word) == 8 && alignof(word) == 8);
static_assert(!converts<word, pinref::page_ref<>>);
static_assert(!converts<found<over_checked>, pinref::checked_ref<pinref::page_ref<>>> &&
              !converts<found<over_checked>, pinref::page_ref<>>);
static_assert(!converts<found<under_checked>, pinref::page_ref<>>);
static_assert(pinref::reference_word<word> && pinref::reference_word<found<over_checked>> &&
              pinref::reference_word<found<under_checked>>);

TEST_CASE_TEMPLATE("each arena has accounts of its own, of words that are counted and checked in either order", Ref,
                   word, found<over_checked>, found<under_checked>) {
  accounting_arena<Ref> arenas[2]{accounting_arena<Ref>{1}, accounting_arena<Ref>{1}};
  pinref::basic_page_table<Ref> first{arenas[0], 0, 4}, second{arenas[1], 0, 4};
  REQUIRE(first.map(0, 4, protection::read_write));
  REQUIRE(second.map(0, 4, protection::read_write));
  pinref::basic_frame<Ref>*pages[4], *other_pages[4];
  REQUIRE(pinref::pin_user_pages_fast(first, 0, 4, foll::write, pages).ok());
  REQUIRE(pinref::pin_user_pages_fast(second, 0, 2, foll::write, other_pages).ok());
  REQUIRE(pinref::add_pin(*pages[0]) == take_result::taken);
  CHECK(arenas[0].live() == 5);
  CHECK(arenas[1].live() == 2);
  CHECK(pinref::unpin_user_page(*pages[0]) == release_result::released);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 4, true).ok());
  CHECK(arenas[0].live() == 0);
  CHECK(arenas[0].accounts.totals().acquired == 5);
  CHECK(arenas[1].live() == 2);
  CHECK(pinref::unpin_user_pages(other_pages, 2).ok());
  CHECK(arenas[1].accounts.totals().released == 2);
}

TEST_CASE_TEMPLATE("accounting: acquired minus released is the live pins, through undo, bulk and refusal", Layout,
                   ALL_LAYOUTS) {
  using ref = found<of<Layout>::template plain>;
  accounting_arena<ref> arena{2};
  pinref::basic_page_table<ref> space{arena, 0, 700};
  REQUIRE(space.map(0, 16, protection::read_write));
  pinref::basic_frame<ref>* pages[32];
  REQUIRE(arena.live() == 0);
  CHECK(pinref::pin_user_pages_fast(space, 0, 20, foll::write, pages).count == 16);
  CHECK(arena.live() == 16);
  CHECK(pinref::get_user_pages_fast(space, 0, 16, foll::write, pages).count == 16);
  CHECK(arena.live() == 16);
  CHECK(pinref::release_pages(pages, 16).count == 16);
  CHECK(pinref::pin_user_pages_fast(space, 0, 20, foll::write | foll::all, pages).count == 0);
  CHECK(arena.live() == 16);
  std::size_t i = 0;
  CHECK(pinref::get_user_pages_fast(space, 0, 16, foll::none, pages).count == 16);
  for (; i != 16; ++i) CHECK(pinref::unpin_user_page(*pages[i]) == release_result::released);
  CHECK(arena.live() == 0);
  CHECK(pages[0]->ref().unpin(5) == release_result::underflow);
  CHECK(arena.live() == 0);
  CHECK(pinref::release_pages(pages, 16).count == 16);
  CHECK(arena.accounts.totals().acquired == arena.accounts.totals().released);
}

TEST_CASE("accounts add up what all threads did, wherever they count") {
  constexpr unsigned nr_threads = 4, rounds = 1000;
  accounting_arena<word> arena{1};
  auto& page = *arena.allocate();
  std::vector<std::thread> threads;
  for (unsigned i = 0; i != nr_threads; ++i)
    threads.emplace_back([&page] {
      for (unsigned round = 0; round != rounds; ++round) {
        CHECK(pinref::try_pin_page(page, 3) == take_result::taken);
        CHECK(pinref::unpin_user_page(page) == release_result::released);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(arena.accounts.totals().acquired == 3 * nr_threads * rounds);
  CHECK(arena.accounts.totals().released == nr_threads * rounds);
  CHECK(page.ref().pins() == 2 * nr_threads * rounds);
}

namespace {

// A page whose accounts are those of whoever has it at the time.
struct lent_page;
struct find_by_owner {
  pin_accounts<>& operator()(const void* of_word) const noexcept;
};
struct lent_page {
  pinref::accounted_ref<pinref::page_ref<>, find_by_owner> ref;
  pin_accounts<>* accounts = nullptr;
  int found = 0;
};
pin_accounts<>& find_by_owner::operator()(const void* of_word) const noexcept {
  auto* const page = static_cast<lent_page*>(const_cast<void*>(of_word));
  CHECK(page->ref.dma_pinned_hint());
  ++page->found;
  return *page->accounts;
}

}  // namespace

TEST_CASE("accounts are looked for while the page is pinned, and only if a pin comes or goes") {
  pin_accounts<> accounts;
  lent_page page;
  page.accounts = &accounts;
  CHECK(page.ref.try_pin() == take_result::dead);
  page.ref.init();
  CHECK(page.ref.get() == take_result::taken);
  CHECK(page.ref.put() == release_result::released);
  CHECK(page.found == 0);
  CHECK(page.ref.try_pin() == take_result::taken);
  CHECK(page.ref.add_pin(2) == take_result::taken);
  CHECK(page.ref.put() == release_result::released);
  CHECK(page.ref.unpin(2) == release_result::released);
  CHECK(page.ref.unpin() == release_result::last);
  CHECK(page.found == 4);
  CHECK(accounts.totals().acquired == 3);
  CHECK(accounts.totals().released == 3);
}

TEST_CASE("a hot page is switched through its wrappers") {
  using hot = pinref::checked_ref<pinref::accounted_ref<pinref::hot_ref<>, find_by_owner>, support::remember>;
  static pinref::hot_threads threads;
  static pinref::hot_ref<>::slots counts{threads};
  hot ref;
  ref.init();
  if (!ref.make_hot(counts)) return;
  CHECK(ref.is_hot());
  CHECK(ref.get() == take_result::taken);
  CHECK(ref.put() == release_result::released);
  CHECK(ref.make_exact() == release_result::released);
  CHECK_FALSE(ref.is_hot());
  CHECK(ref.references() == 1);
}

TEST_CASE_TEMPLATE("the pins of a page that is made dead are released then, and not once more", Ref,
                   support::accounted<pinref::page_ref<>>, support::accounted<pinref::page_ref<pinref::split32>>) {
  Ref ref;
  ref.init();
  REQUIRE(ref.try_pin(3) == take_result::taken);
  REQUIRE(ref.unpin() == release_result::released);
  const pinref::pin_totals before = support::all_pins.totals();
  ref.bury();
  CHECK(support::all_pins.totals().released == before.released + 2);
  ref.bury();
  CHECK(ref.unpin() == release_result::underflow);
  CHECK(support::all_pins.totals().released == before.released + 2);
  CHECK(support::all_pins.totals().acquired == before.acquired);
}
