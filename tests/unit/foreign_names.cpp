// SPDX-License-Identifier: MIT

// A host in whose own namespace every function name of the library is taken. Argument-dependent look-up of any of them
// there does not compile, so the library calls its own.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "pinref/gup/errc.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/pinref.hpp"

namespace foreign {

struct sync : pinref::hot_sync {};
struct plain_page;

// Looking one of the names up here is a mistake, whichever function would be chosen then.
template <class Argument, class... More>
struct found_by_look_up {
  static_assert(sizeof(Argument) == 0, "a function of the host's was considered");
  using type = void;
};
template <class... Arguments>
using forbidden = typename found_by_look_up<Arguments...>::type;

#define FOREIGN(name)                           \
  void name(plain_page&) = delete;              \
  template <class... Arguments>                 \
  forbidden<Arguments...> name(Arguments&&...); \
  template <auto, class... Arguments>           \
  forbidden<Arguments...> name(Arguments&&...); \
  template <auto, auto, class... Arguments>     \
  forbidden<Arguments...> name(Arguments&&...)

FOREIGN(add_pin);
FOREIGN(any_dma_pinned);
FOREIGN(break_layout);
FOREIGN(broken_mapping);
FOREIGN(calling_thread);
FOREIGN(can_reuse);
FOREIGN(can_reuse_locked);
FOREIGN(check_call);
FOREIGN(check_flags);
FOREIGN(check_range);
FOREIGN(check_space);
FOREIGN(check_traits);
FOREIGN(compound_head);
FOREIGN(copy_in);
FOREIGN(copy_out);
FOREIGN(dirty_locked);
FOREIGN(drop);
FOREIGN(drop_head);
FOREIGN(drop_pages);
FOREIGN(drop_run);
FOREIGN(expected_ref_count);
FOREIGN(extent_covers);
FOREIGN(extent_part_of);
FOREIGN(extent_refusal);
FOREIGN(fault_in_extent);
FOREIGN(fault_in_user_pages);
FOREIGN(find_death);
FOREIGN(for_each_frame_run);
FOREIGN(for_each_member);
FOREIGN(for_each_place);
FOREIGN(for_each_quarantined);
FOREIGN(for_each_record);
FOREIGN(for_each_record_at);
FOREIGN(for_each_record_of);
FOREIGN(for_each_run);
FOREIGN(fork_page);
FOREIGN(freeze_page_range);
FOREIGN(get_extents);
FOREIGN(get_page);
FOREIGN(get_page_range);
FOREIGN(get_page_unless_zero);
FOREIGN(get_user_pages);
FOREIGN(get_user_pages_fast);
FOREIGN(gup);
FOREIGN(gup_fast);
FOREIGN(gup_one);
FOREIGN(gup_one_slow);
FOREIGN(hand_on);
FOREIGN(has);
FOREIGN(has_ended);
FOREIGN(head_of);
FOREIGN(hold_extents);
FOREIGN(holds);
FOREIGN(idle_level);
FOREIGN(is_there);
FOREIGN(longterm_pinnable);
FOREIGN(look_at);
FOREIGN(make_compound_page);
FOREIGN(may_block);
FOREIGN(member_at);
FOREIGN(migrate_page);
FOREIGN(monotonic_now);
FOREIGN(name_space_of_pids);
FOREIGN(next_of_range);
FOREIGN(notify_host);
FOREIGN(owned_by);
FOREIGN(owner_of);
FOREIGN(page_dma_pinned);
FOREIGN(page_dma_pinned_hint);
FOREIGN(page_idle);
FOREIGN(page_immortal);
FOREIGN(page_mkclean);
FOREIGN(page_needs_cow_for_dma);
FOREIGN(page_pins);
FOREIGN(page_references);
FOREIGN(pin_extents);
FOREIGN(pin_object_folios);
FOREIGN(pin_page_range);
FOREIGN(pin_user_pages);
FOREIGN(pin_user_pages_fast);
FOREIGN(put_page);
FOREIGN(put_page_range);
FOREIGN(reclaim_page);
FOREIGN(recover);
FOREIGN(release_pages);
FOREIGN(report_holders);
FOREIGN(run_length);
FOREIGN(set_dirty);
FOREIGN(settle);
FOREIGN(slow_step);
FOREIGN(smaller);
FOREIGN(split_compound_page);
FOREIGN(start_of_process);
FOREIGN(state_under_lock);
FOREIGN(take);
FOREIGN(take_held);
FOREIGN(take_range);
FOREIGN(thaw_page_range);
FOREIGN(to_errc);
FOREIGN(to_errno);
FOREIGN(to_string);
FOREIGN(too_many);
FOREIGN(try_extent);
FOREIGN(try_pin_page);
FOREIGN(unpin_range);
FOREIGN(unpin_user_folio);
FOREIGN(unpin_user_folio_dirty_lock);
FOREIGN(unpin_user_page);
FOREIGN(unpin_user_page_range);
FOREIGN(unpin_user_page_range_dirty_lock);
FOREIGN(unpin_user_pages);
FOREIGN(unpin_user_pages_dirty_lock);
FOREIGN(void_pins);
FOREIGN(wait_until_idle);
FOREIGN(wait_until_unpinned);
FOREIGN(walk_extents);
FOREIGN(while_each_run);
FOREIGN(writeback_page);

// What every page of this host has beside its word.
template <class Ref>
struct page {
  page() { ref.init(); }

  Ref ref;
  pinref::share_count<sync> users;
  std::uint64_t mappings = 0;
  page* its_head = this;
  std::size_t length = 1;
  bool locked = false;
  bool is_dirty = false;
  bool own = true;
  int freed = 0;
  int idled = 0;
};

struct plain_page : page<pinref::page_ref<pinref::bias64, sync>> {};
struct hot_page : page<pinref::hot_ref<pinref::bias64, sync>> {};
struct small_page : page<pinref::page_ref<pinref::bias32, sync>> {};
struct split_page : page<pinref::page_ref<pinref::split32, sync>> {};
struct report {
  void operator()(const pinref::misuse&) const noexcept { FAIL("misuse"); }
};
struct checked_page : page<pinref::checked_ref<pinref::page_ref<pinref::bias64, sync>, report>> {};
inline constinit pinref::pin_accounts<> accounts;
struct find_accounts {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return accounts; }
};
struct counted_page : page<pinref::accounted_ref<pinref::page_ref<pinref::bias64, sync>, find_accounts>> {};

template <class Page>
struct traits {
  static auto& ref(Page& p) noexcept { return p.ref; }
  static Page& head(Page& p) noexcept { return static_cast<Page&>(*p.its_head); }
  static std::size_t nr_pages(Page& p) noexcept { return p.length; }
  static void set_head(Page& p, Page& head) noexcept { p.its_head = &head; }
  static void set_nr_pages(Page& head, std::size_t n) noexcept { head.length = n; }
  static std::uint64_t frame_number(Page& p) noexcept { return reinterpret_cast<std::uintptr_t>(&p) / sizeof(Page); }
  static Page& nth_page(Page& p, std::size_t i) noexcept { return *(&p + i); }
  static void lock(Page& p) noexcept { p.locked = true; }
  static bool try_lock(Page& p) noexcept { return !std::exchange(p.locked, true); }
  static void unlock(Page& p) noexcept { p.locked = false; }
  static bool dirty(Page& p) noexcept { return p.is_dirty; }
  static void set_dirty(Page& p) noexcept { p.is_dirty = true; }
  static bool clear_dirty(Page& p) noexcept { return std::exchange(p.is_dirty, false); }
  static bool resident(Page&) noexcept { return true; }
  static void on_idle(Page& p) noexcept { ++p.idled; }
  static bool immortal(Page&) noexcept { return false; }
  static bool longterm_pinnable(Page&) noexcept { return true; }
  static bool exclusive(Page& p) noexcept { return p.own; }
  static void set_exclusive(Page& p, bool mark) noexcept { p.own = mark; }
  static void free_page(Page& p) noexcept { ++p.freed; }
  static auto& share_count(Page& p) noexcept { return p.users; }
  static std::uint64_t mapcount(Page& p) noexcept { return p.mappings; }
};

// A space, an object mapped nowhere, an object with a layout and a reverse map in one: four pages at address 0.
template <class Page>
struct space {
  using page = Page;
  static constexpr std::size_t page_size = 4096;

  struct entry {
    void lock() noexcept {}
    void unlock() noexcept {}
    bool maps(page&) const noexcept { return true; }
    bool writable() const noexcept { return true; }
    bool write_protect() noexcept { return true; }
    void make_writable() noexcept {}
  };

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < 4 * page_size; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, pinref::foll) noexcept {
    if (!present) return {};
    return {&pages[address / page_size]};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t address, pinref::foll, Use use) noexcept {
    return use(pinref::mapping<page>{&pages[address / page_size]});
  }
  void prefetch(std::uintptr_t) noexcept {}
  void broken_mapping(std::uintptr_t) noexcept {}
  [[nodiscard]] pinref::gup_error relocate(std::uintptr_t, std::size_t) noexcept { return pinref::gup_error::none; }
  [[nodiscard]] auto& fork_seq() noexcept { return seq; }
  [[nodiscard]] bool interrupted() noexcept { return false; }

  [[nodiscard]] std::uint64_t size() const noexcept { return 4 * page_size; }
  [[nodiscard]] page* find(std::uint64_t index) noexcept { return &pages[index]; }
  [[nodiscard]] pinref::gup_error allocate(std::uint64_t) noexcept { return pinref::gup_error::no_memory; }

  void unmap(std::size_t, std::size_t) noexcept {}
  [[nodiscard]] page* busy_in(std::size_t, std::size_t) noexcept { return nullptr; }

  [[nodiscard]] bool truncated(page&) const noexcept { return false; }
  template <class Visit>
  void for_each_mapping(page&, Visit visit) noexcept {
    entry only;
    visit(only);
  }

  page pages[4];
  pinref::write_protect_seq<sync> seq;
  bool present = true;
};

struct mutex {
  void lock() noexcept {}
  void unlock() noexcept {}
};

}  // namespace foreign

template <>
struct pinref::page_traits<foreign::plain_page> : foreign::traits<foreign::plain_page> {};
template <>
struct pinref::page_traits<foreign::hot_page> : foreign::traits<foreign::hot_page> {};
template <>
struct pinref::page_traits<foreign::small_page> : foreign::traits<foreign::small_page> {};
template <>
struct pinref::page_traits<foreign::split_page> : foreign::traits<foreign::split_page> {};
template <>
struct pinref::page_traits<foreign::checked_page> : foreign::traits<foreign::checked_page> {};
template <>
struct pinref::page_traits<foreign::counted_page> : foreign::traits<foreign::counted_page> {};

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;

#define ALL_FOREIGN_PAGES                                                                                  \
  foreign::plain_page, foreign::hot_page, foreign::small_page, foreign::split_page, foreign::checked_page, \
      foreign::counted_page

TEST_CASE_TEMPLATE("a host that has all names itself: one page", Page, ALL_FOREIGN_PAGES) {
  Page tail, page;
  tail.its_head = &page;
  CHECK(&pinref::compound_head(tail) == &page);
  CHECK_FALSE(pinref::page_immortal(tail));
  CHECK(pinref::get_page(tail) == take_result::taken);
  CHECK(pinref::get_page_unless_zero(tail) == take_result::taken);
  CHECK(pinref::try_pin_page(tail) == take_result::taken);
  CHECK(pinref::add_pin(tail) == take_result::taken);
  CHECK(pinref::page_references(tail) == 3);
  CHECK(pinref::page_pins(tail) == 2);
  CHECK(pinref::page_dma_pinned(tail));
  CHECK(pinref::page_dma_pinned_hint(tail));
  CHECK_FALSE(pinref::page_idle(tail));
  CHECK(pinref::wait_until_unpinned(tail, pinref::deadline::passed()) == pinref::wait_result::timed_out);
  CHECK(pinref::wait_until_idle(tail, pinref::deadline::passed()) == pinref::wait_result::timed_out);
  CHECK(pinref::unpin_user_page(tail) == release_result::released);
  CHECK(pinref::unpin_user_page(tail) == release_result::released);
  {
    auto reference = pinref::page_ptr<Page>::get_page_unless_zero(tail);
    auto more = pinref::page_ptr<Page>::get_page(tail);
    auto pin = pinref::page_pin<Page>::try_pin(tail);
    auto another = pinref::page_pin<Page, pinref::on_release::dirty>::add_pin(tail);
    CHECK(reference);
    CHECK(more);
    CHECK(another);
    CHECK(pinref::page_pins(tail) == 2);
    pin.reset();
  }
  CHECK(page.is_dirty);
  CHECK(pinref::put_page(tail, 2) == release_result::idle);
  CHECK(page.idled == 1);
  CHECK(pinref::put_page(tail) == release_result::last);
  CHECK(page.freed == 1);
}

TEST_CASE_TEMPLATE("a host that has all names itself: ranges", Page, ALL_FOREIGN_PAGES) {
  foreign::space<Page> space;
  Page* pages[4] = {};
  for (const bool present : {true, false}) {
    space.present = present;
    CHECK(pinref::fault_in_user_pages(space, 0, 4, foll::write).count == 4);
    CHECK(pinref::get_user_pages(space, 0, 4, foll::write, pages).count == 4);
    CHECK(pinref::release_pages(pages, 4).count == 4);
    CHECK(pinref::get_user_pages_fast(space, 0, 4, foll::write, pages).count == 4);
    CHECK(pinref::release_pages(pages, 4).count == 4);
    CHECK(pinref::pin_user_pages(space, 0, 4, foll::longterm | foll::interruptible, pages).count == 4);
    CHECK(pinref::unpin_user_pages(pages, 4).count == 4);
    CHECK(pinref::pin_user_pages_fast(space, 0, 4, foll::longterm | foll::all, pages).count == 4);
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, 4, true).count == 4);
    CHECK(pinref::get_user_pages(space, 0, foll::write, pages).count == 4);
    CHECK(pinref::release_pages(pages).count == 4);
    CHECK(pinref::get_user_pages_fast(space, 0, foll::write, pages).count == 4);
    CHECK(pinref::release_pages(pages).count == 4);
    CHECK(pinref::pin_user_pages(space, 0, foll::none, pages).count == 4);
    CHECK(pinref::unpin_user_pages(pages).count == 4);
    CHECK(pinref::pin_user_pages_fast(space, 0, foll::none, pages).count == 4);
    CHECK(pinref::unpin_user_pages_dirty_lock(pages, true).count == 4);
  }
  REQUIRE(pinref::pin_user_pages_fast(space, 0, 4, foll::none, pages).count == 4);
  CHECK(pinref::unpin_user_page_range(pages[0], 1).count == 1);
  CHECK(pinref::unpin_user_page_range_dirty_lock(pages[1], 1, true).count == 1);
  CHECK(pinref::unpin_user_folio(*pages[2], 1).count == 1);
  CHECK(pinref::unpin_user_folio_dirty_lock(*pages[3], 1).count == 1);
  {
    REQUIRE(pinref::pin_user_pages_fast(space, 0, 4, foll::none, pages).count == 4);
    auto range = pinref::pinned_range<Page, pinref::on_release::dirty>::adopt({pages, 4});
    CHECK(range.unpin_front(1).count == 1);
    CHECK(range.unpin_back(1).count == 1);
  }
  {
    pinref::pin_owner<Page, foreign::mutex> owner;
    pinref::pin_request request{owner};
    CHECK(request.pin_user_pages(space, 0, foll::write, {pages, 4}).count == 4);
    CHECK(request.unpin().count == 4);
    CHECK(request.pin_user_pages_fast(space, 0, foll::write, {pages, 4}).count == 4);
    CHECK(request.unpin_dirty_lock().count == 4);
    CHECK(request.pin_user_pages_fast(space, 0, foll::write, {pages, 4}).count == 4);
    CHECK(request.unpin_dirty_deferred() == gup_result{4, gup_error::none});
    CHECK(owner.unpin_all().count == 0);
    CHECK(owner.unpin_all_dirty_lock().count == 0);
  }
  {
    const auto [pins, done] = pinref::pinned_range<Page>::pin_user_pages(space, 0, foll::write, pages);
    CHECK(pinref::to_errc(done.reason) == std::errc{});
    CHECK(pins.size() == 4);
    CHECK(pinref::pinned_range<Page>::pin_user_pages_fast(space, 0, foll::write, pages).done.ok());
    const auto pin = pinref::page_pin<Page>::add_pin(*pages[0]);
    CHECK(pin == pin.share());
    const auto reference = pinref::page_ptr<Page>::get_page(*pages[0]);
    CHECK(reference == reference.share());
  }
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(space, 1, 3 * 4096, pages, 4, offset).count == 4);
  CHECK(pinref::unpin_user_pages(pages, 4).count == 4);
  CHECK(pinref::pin_object_folios(space, 1, 3 * 4096, pages, offset).count == 4);
  CHECK(pinref::unpin_user_pages(pages).count == 4);
  for (Page& each : space.pages) CHECK(pinref::page_idle(each));
}

TEST_CASE_TEMPLATE("a host that has all names itself: descriptors in a row", Page, ALL_FOREIGN_PAGES) {
  Page pages[4];
  CHECK(pinref::get_page_range(pages[0], 4).count == 4);
  CHECK(pinref::put_page_range(pages[0], 4).count == 4);
  CHECK(pinref::pin_page_range(pages[0], 4).count == 4);
  CHECK(pinref::any_dma_pinned(pages[0], 4));
  CHECK(pinref::unpin_user_page_range(&pages[0], 4).count == 4);
  CHECK(pinref::freeze_page_range(pages[0], 4));
  pinref::thaw_page_range(pages[0], 4);
  CHECK(pinref::freeze_page_range(pages[0], 4));
  pinref::make_compound_page(pages[0], 4);
  CHECK(&pinref::compound_head(pages[3]) == &pages[0]);
  REQUIRE(pages[0].ref.freeze(1));
  pinref::split_compound_page(pages[0]);
  for (Page& each : pages) {
    CHECK(&pinref::compound_head(each) == &each);
    CHECK(pinref::page_idle(each));
  }
}

TEST_CASE_TEMPLATE("a host that has all names itself: what to do about a pinned page", Page, ALL_FOREIGN_PAGES) {
  foreign::space<Page> space;
  Page& page = space.pages[0];
  const auto nothing = [](auto&...) noexcept {};
  page.users.map();
  CHECK(pinref::can_reuse<pinref::reuse_rule::sole_user>(page));
  CHECK(pinref::can_reuse<pinref::reuse_rule::sole_reference>(page));
  CHECK(pinref::can_reuse<pinref::reuse_rule::exclusive_mark>(page));
  CHECK(pinref::can_reuse_locked(page, nothing));
  CHECK_FALSE(pinref::page_needs_cow_for_dma(page, 1));
  typename foreign::space<Page>::entry entry;
  CHECK(pinref::fork_page(page, entry, 1, nothing) == pinref::fork_result::shared);

  bool written = false;
  CHECK(pinref::page_mkclean(page, space, written) == pinref::mkclean_result::clean);
  CHECK(pinref::page_mkclean(page, space, written, pinref::pins_by_mapcount{}) == pinref::mkclean_result::clean);
  const auto write = [](Page&, bool) noexcept { return true; };
  CHECK(pinref::writeback_page(page, space, pinref::if_pinned::wait, write) == pinref::writeback_result::written);

  pinref::layout_gate<foreign::sync> gate;
  CHECK(pinref::break_layout(space, gate, 0, 3, [] {}) == pinref::break_result::broken);

  CHECK(pinref::reclaim_page(page, 1) == pinref::reclaim_result::reclaimed);
  page.ref.unfreeze(1);
  REQUIRE(space.pages[1].ref.freeze(1));
  CHECK(pinref::migrate_page(page, space.pages[1], 1, nothing) == pinref::migrate_result::migrated);
}

TEST_CASE("a host that has all names itself: hot pages") {
  using ref = pinref::hot_ref<pinref::bias64, foreign::sync>;
  static pinref::hot_threads threads;
  static ref::slots counts{threads};
  foreign::hot_page page;
  (void)page.ref.make_hot(counts);
  CHECK(pinref::try_pin_page(page) == take_result::taken);
  CHECK(pinref::page_dma_pinned(page));
  CHECK(pinref::unpin_user_page(page) == release_result::released);
  CHECK(page.ref.make_exact() == release_result::released);
}

TEST_CASE("a host that has all names itself: arena and page table over its Sync") {
  using ref = pinref::page_ref<pinref::bias64, foreign::sync>;
  pinref::basic_frame_arena<ref> arena{1};
  pinref::basic_page_table<ref> table{arena, 0, 4};
  REQUIRE(table.map(0, 4, pinref::protection::read_write));
  pinref::basic_frame<ref>* pages[4] = {};
  CHECK(pinref::pin_user_pages_fast(table, 0, 4, foll::write, pages).count == 4);
  table.write_protect(0);
  table.unmap(0, 4);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 4, true).count == 4);
  CHECK(arena.nr_free() == arena.nr_frames());
}
