// SPDX-License-Identifier: MIT

// Hosts without a page_traits of their own: what their pages have as members is what they offer.

#include "pinref/page/page_members.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/page_range.hpp"
#include "pinref/handles/page_handle.hpp"
#include "pinref/page/page.hpp"
#include "pinref/parts/share_count.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;

namespace {

// The least there can be.
struct bare_frame {
  pinref::page_ref<> ref;
};

struct frame {
  pinref::page_ref<> ref;
  void free_page() noexcept { ++freed; }
  int freed = 0;
};

// Everything there can be, behind functions, of a compound page of four.
class full_frame {
 public:
  pinref::page_ref<pinref::bias32>& ref() noexcept { return word_; }
  full_frame& head() noexcept { return *(this - from_head); }
  std::size_t nr_pages() noexcept { return 4; }
  std::uint64_t frame_number() noexcept { return reinterpret_cast<std::uintptr_t>(this) / sizeof(full_frame); }
  full_frame& nth_page(std::size_t i) noexcept { return *(this + i); }
  void lock() noexcept { locked = true; }
  bool try_lock() noexcept { return !std::exchange(locked, true); }
  void unlock() noexcept { locked = false; }
  bool dirty() noexcept { return is_dirty; }
  bool set_dirty() noexcept { return is_dirty = true; }
  bool clear_dirty() noexcept { return std::exchange(is_dirty, false); }
  bool resident() noexcept { return stays; }
  void on_idle() noexcept { ++idled; }
  bool immortal() noexcept { return outside; }
  bool longterm_pinnable(foll flags) noexcept { return !pinref::has(flags, foll::write); }
  bool exclusive() noexcept { return own; }
  void set_exclusive(bool mark) noexcept { own = mark; }
  void free_page() noexcept { ++freed; }
  pinref::share_count<>& share_count() noexcept { return users; }
  std::uint64_t mapcount() noexcept { return 3; }

  std::size_t from_head = 0;
  pinref::share_count<> users;
  bool locked = false, is_dirty = false, stays = false, outside = false, own = true;
  int idled = 0, freed = 0;

 private:
  pinref::page_ref<pinref::bias32> word_;
};

// Which way pages may be held for long is said without the flags.
struct lasting_frame : frame {
  bool longterm_pinnable() noexcept { return lasts; }
  bool lasts = true;
};

// Members of those names that are no functions are the page's own business.
struct frame_with_fields {
  pinref::page_ref<> ref;
  frame_with_fields* head = nullptr;
  bool dirty = false, immortal = false, exclusive = false, resident = false;
  int mapcount = 0;
};

// As the table says, but for a noexcept, a partner or a type.
struct frame_that_may_throw {
  pinref::page_ref<> ref;
  void free_page() {}
};
struct frame_with_half_a_lock {
  pinref::page_ref<> ref;
  void lock() noexcept {}
};
struct frame_of_another_type {
  pinref::page_ref<> ref;
  int dirty() noexcept { return 0; }
  void set_dirty() noexcept {}
};

// A descriptor that is not the host's to change, by traits that take no notice of its members.
struct others_frame {
  pinref::page_ref<> ref;
  void free_page() noexcept { FAIL("a member of the same name that means something else"); }
  int freed = 0;
};

}  // namespace

template <>
struct pinref::page_traits<others_frame> {
  static auto& ref(others_frame& page) noexcept { return page.ref; }
  static void free_page(others_frame& page) noexcept { ++page.freed; }
};

static_assert(pinref::host_page<bare_frame> && !pinref::freeable_page<bare_frame>);
static_assert(pinref::host_page<frame> && pinref::freeable_page<frame>);
static_assert(!pinref::compound_page<frame> && !pinref::numbered_page<frame> && !pinref::lockable_page<frame> &&
              !pinref::trylockable_page<frame> && !pinref::dirty_page<frame> && !pinref::cleanable_page<frame> &&
              !pinref::idle_page<frame> && !pinref::immortal_page<frame> && !pinref::longterm_page<frame> &&
              !pinref::exclusive_page<frame> && !pinref::share_counted_page<frame> && !pinref::mapcounted_page<frame>);
static_assert(pinref::compound_page<full_frame> && pinref::numbered_page<full_frame> &&
              pinref::lockable_page<full_frame> && pinref::trylockable_page<full_frame> &&
              pinref::dirty_page<full_frame> && pinref::cleanable_page<full_frame> && pinref::idle_page<full_frame> &&
              pinref::immortal_page<full_frame> && pinref::longterm_page<full_frame> &&
              pinref::exclusive_page<full_frame> && pinref::freeable_page<full_frame> &&
              pinref::share_counted_page<full_frame> && pinref::mapcounted_page<full_frame>);
static_assert(pinref::longterm_page<lasting_frame> && pinref::freeable_page<lasting_frame>);
static_assert(pinref::host_page<frame_with_fields> && !pinref::compound_page<frame_with_fields> &&
              !pinref::dirty_page<frame_with_fields> && !pinref::immortal_page<frame_with_fields> &&
              !pinref::exclusive_page<frame_with_fields> && !pinref::idle_page<frame_with_fields> &&
              !pinref::mapcounted_page<frame_with_fields>);
// They do not count, and the first call of such a page does not compile: tests/nocompile.
static_assert(!pinref::freeable_page<frame_that_may_throw> && !pinref::lockable_page<frame_with_half_a_lock> &&
              !pinref::dirty_page<frame_of_another_type>);
// A type without a word is no page at all.
static_assert(!pinref::host_page<int> && !pinref::host_page<pinref::page_ref<>>);

namespace {

// Every address maps its page.
template <class Page>
struct space {
  using page = Page;
  static constexpr std::size_t page_size = 4096;

  bool contains(std::uintptr_t, std::uintptr_t last) noexcept { return last < 4 * page_size; }
  pinref::mapping<page> lookup(std::uintptr_t at, foll) noexcept {
    const std::size_t i = at / page_size;
    return {&pages[i], 0, pinref::compound_page<page> ? 4 - i : 1};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<page>&) noexcept { return true; }
  template <class Use>
  gup_error fault_in(std::uintptr_t at, foll flags, Use use) noexcept {
    return use(lookup(at, flags));
  }

  page pages[4];
};

}  // namespace

TEST_CASE("a page that is a word is held, asked about and released") {
  bare_frame page;
  CHECK(pinref::try_pin_page(page) == take_result::dead);
  page.ref.init();
  CHECK(pinref::try_pin_page(page) == take_result::taken);
  CHECK(pinref::get_page(page) == take_result::taken);
  CHECK(pinref::page_references(page) == 2);
  CHECK(pinref::page_dma_pinned(page));
  CHECK(pinref::put_page(page, 2) == release_result::released);
  CHECK(pinref::unpin_user_page(page) == release_result::last);
}

TEST_CASE("a page of three lines is freed by its last release, whichever call that is") {
  space<frame> s;
  for (frame& each : s.pages) each.ref.init();
  frame* pages[4] = {};
  CHECK(pinref::pin_user_pages_fast(s, 0, foll::write, pages) == gup_result{4, gup_error::none});
  for (frame& each : s.pages) pinref::put_page(each);
  CHECK(pinref::unpin_user_pages(pages) == gup_result{4, gup_error::none});
  for (frame& each : s.pages) {
    CHECK(each.freed == 1);
    each.ref.init();
    { auto handle = pinref::page_ptr<frame>::adopt(each); }
    CHECK(each.freed == 2);
  }
}

TEST_CASE("what a page has as functions is used as a page_traits would be") {
  space<full_frame> s;
  for (std::size_t i = 0; i != 4; ++i) s.pages[i].from_head = i;
  full_frame& head = s.pages[0];
  full_frame* pages[4] = {};
  head.ref().init();

  CHECK(&pinref::compound_head(s.pages[3]) == &head);
  CHECK(pinref::pin_user_pages_fast(s, 4096, 3, foll::write, pages) == gup_result{3, gup_error::none});
  CHECK(pages[2] == &s.pages[3]);
  CHECK(pinref::page_pins(s.pages[3]) == 3);
  CHECK(pinref::unpin_user_page_range_dirty_lock(pages[0], 3, true) == gup_result{3, gup_error::none});
  CHECK(head.is_dirty);
  CHECK_FALSE(head.locked);
  // For long to a reader only.
  CHECK(pinref::pin_user_pages(s, 0, 1, foll::write | foll::longterm, pages) == gup_result{0, gup_error::not_longterm});
  CHECK(pinref::pin_user_pages(s, 0, 1, foll::longterm, pages).ok());
  head.stays = true;
  CHECK(pinref::unpin_user_page(s.pages[2]) == release_result::idle);
  CHECK(head.idled == 1);
  CHECK(pinref::page_idle(head));
  // Its space's own no more.
  head.own = false;
  CHECK(pinref::pin_user_pages(s, 0, 1, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(head.idled == 2);
  head.outside = true;
  CHECK(pinref::page_immortal(head));
  CHECK(pinref::try_pin_page(s.pages[1]) == take_result::taken);
  CHECK(head.ref().snapshot() == pinref::bias32::live(1));
  head.outside = false;
  head.stays = false;
  CHECK(pinref::put_page(s.pages[1]) == release_result::last);
  CHECK(head.freed == 1);
}

TEST_CASE("a page may say whether it lasts, and have the rest from a base") {
  space<lasting_frame> s;
  s.pages[0].ref.init();
  lasting_frame* page = nullptr;
  CHECK(pinref::pin_user_pages_fast(s, 0, 1, foll::longterm, &page).ok());
  s.pages[0].lasts = false;
  CHECK(pinref::pin_user_pages_fast(s, 0, 1, foll::longterm, &page) == gup_result{0, gup_error::not_longterm});
  pinref::put_page(s.pages[0]);
  pinref::unpin_user_page(s.pages[0]);
  CHECK(s.pages[0].freed == 1);
}

TEST_CASE("fields are no functions, and a page_traits goes before members") {
  frame_with_fields page;
  page.immortal = page.resident = page.exclusive = true;
  page.ref.init();
  CHECK_FALSE(pinref::page_immortal(page));
  CHECK(&pinref::compound_head(page) == &page);
  CHECK(pinref::try_pin_page(page) == take_result::taken);
  CHECK(pinref::unpin_user_page(page) == release_result::released);
  CHECK(pinref::put_page(page) == release_result::last);

  others_frame others;
  others.ref.init();
  pinref::put_page(others);
  CHECK(others.freed == 1);
}
