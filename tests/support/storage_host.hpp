// SPDX-License-Identifier: MIT
#pragma once

// Two hosts with everything protocols/ asks of a page, and one object that maps pages of either: the default host,
// whose frames carry the marks of copy-on-write in their reference word, and a foreign one with packed descriptors.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "layouts.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/page/page.hpp"
#include "pinref/parts/share_count.hpp"
#include "pinref/protocols/layout_break.hpp"

namespace support {

// What copy-on-write, the mapcount scheme and the owner of a page keep beside the word.
struct page_marks {
  bool exclusive = true;
  bool resident = false;
  std::size_t idled = 0;
  std::size_t mapcount = 0;
  pinref::share_count<> users;
};

template <class Layout>
struct marked_ref : pinref::page_ref<Layout> {
  using pinref::page_ref<Layout>::page_ref;
  page_marks marks;
};

// The default host.
template <class Layout>
struct embedded {
  using layout = Layout;
  using page = pinref::basic_frame<marked_ref<Layout>>;

  page& small() { return *arena.allocate(); }
  page& compound() { return *arena.allocate_compound(); }
  static page& nth(page& p, std::size_t i) { return (&p)[i]; }
  static page_marks& marks(page& head) { return head.ref().marks; }
  static bool locked(page& head) {
    if (!head.try_lock()) return true;
    head.unlock();
    return false;
  }
  std::size_t nr_free() const { return arena.nr_free(); }

  pinref::basic_frame_arena<marked_ref<Layout>> arena{3};
};

template <class Layout>
struct packed_page {
  pinref::page_ref<Layout> ref;
  page_marks marks;
  std::uint16_t from_head = 0;  // how many descriptors behind its head it stands
  std::uint16_t pages = 1;      // of a head
  std::uint16_t freed = 0;
  bool locked = false;
  bool dirty = false;
  bool immortal = false;
  bool longterm = true;
  std::function<void()> unlocked;  // called when the page lock has been given back
};

// Its compound pages have four pages.
template <class Layout>
struct foreign {
  using layout = Layout;
  using page = packed_page<Layout>;
  static constexpr std::size_t size = 64;

  page& small() { return make(1); }
  page& compound() { return make(4); }
  page& device() {
    page& p = make(1);
    p.marks.resident = true;
    p.longterm = false;
    return p;
  }
  static page& nth(page& p, std::size_t i) { return *(&p + i); }
  static page_marks& marks(page& head) { return head.marks; }
  static bool locked(page& head) { return head.locked; }
  std::size_t nr_free() const {
    std::size_t n = size - used;
    for (std::size_t i = 0; i != used; ++i)
      if (const page& head = pages[i]; head.from_head == 0 && head.freed != 0) n += head.pages;
    return n;
  }

  page& make(std::uint16_t n) {
    page& head = pages[used];
    for (std::uint16_t i = 0; i != n; ++i) pages[used++].from_head = i;
    head.pages = n;
    head.ref.init();
    return head;
  }

  std::unique_ptr<page[]> pages{new page[size]};
  std::size_t used = 0;
};

// A reference to a page in an object, as a page-table entry is one.
template <class Page>
struct object_entry {
  void lock() {
    CHECK_FALSE(locked);
    locked = true;
  }
  void unlock() {
    CHECK(locked);
    locked = false;
  }
  bool maps(Page& page) const {
    CHECK(locked);
    return mapped == &page;
  }
  bool writable() const { return may_write; }
  bool write_protect() {
    unlocked_protects += !locked;
    may_write = false;
    return std::exchange(written, false);
  }
  void make_writable() { may_write = true; }

  Page* mapped = nullptr;
  bool may_write = false;
  bool written = false;
  bool locked = false;
  int unlocked_protects = 0;  // write protections without the entry's lock
};

// Pages by index, and entries that map them.
template <class Page>
struct mapped_object {
  using entry = object_entry<Page>;

  explicit mapped_object(std::size_t n = 8) : pages(n) {}

  // The object takes over a reference of the page.
  Page& put_in(std::size_t index, Page& page) {
    pages[index] = &page;
    return page;
  }
  // The new mapping holds a reference of its own.
  entry& map(Page& head, bool writable = true) {
    REQUIRE(pinref::get_page(head) == pinref::take_result::taken);
    entry& fresh = entries.emplace_back();
    fresh.mapped = &head;
    fresh.may_write = writable;
    return fresh;
  }
  void unmap(entry& old) {
    if (old.mapped == nullptr) return;
    Page& page = *std::exchange(old.mapped, nullptr);
    (void)pinref::put_page(page);
  }

  // The reverse map, for writeback.
  bool truncated(Page& page) const {
    for (Page* each : pages)
      if (each == &page) return false;
    return true;
  }
  template <class Visit>
  void for_each_mapping(Page&, Visit visit) {
    for (entry& each : entries) visit(each);
  }

  // The object, for layout breaks.
  void unmap(std::size_t first, std::size_t last) noexcept {
    CHECK_FALSE(gate.is_open());
    for (std::size_t i = first; i <= last; ++i)
      for (entry& each : entries)
        if (each.mapped != nullptr && each.mapped == pages[i]) unmap(each);
  }
  Page* busy_in(std::size_t first, std::size_t last) noexcept {
    CHECK_FALSE(gate.is_open());
    ++scans;
    most_at_once = last - first + 1 > most_at_once ? last - first + 1 : most_at_once;
    if (before_scan) before_scan();
    for (std::size_t i = first; i <= last; ++i)
      if (pages[i] != nullptr && !pinref::page_idle(*pages[i])) return pages[i];
    return nullptr;
  }

  std::deque<Page*> pages;
  std::deque<entry> entries;
  pinref::layout_gate<> gate;
  std::size_t scans = 0;
  std::size_t most_at_once = 0;
  std::function<void()> before_scan;
};

}  // namespace support

template <class Layout>
struct pinref::page_traits<pinref::basic_frame<support::marked_ref<Layout>>> {
  using page = basic_frame<support::marked_ref<Layout>>;

  static support::marked_ref<Layout>& ref(page& p) noexcept { return p.ref(); }
  static page& head(page& p) noexcept { return p.head(); }
  static void set_head(page& p, page& head) noexcept { p.set_head(head); }
  static std::size_t nr_pages(page& head) noexcept { return head.nr_pages(); }
  static void set_nr_pages(page& head, std::size_t n) noexcept { head.set_nr_pages(n); }
  static std::uint64_t frame_number(page& p) noexcept { return p.arena().frame_number(p); }
  static page& nth_page(page& p, std::size_t i) noexcept { return (&p)[i]; }
  static void lock(page& head) noexcept { head.lock(); }
  static bool try_lock(page& head) noexcept { return head.try_lock(); }
  static void unlock(page& head) noexcept { head.unlock(); }
  static bool dirty(page& head) noexcept { return head.dirty(); }
  static void set_dirty(page& head) noexcept { head.set_dirty(); }
  static bool clear_dirty(page& head) noexcept { return head.clear_dirty(); }
  static bool exclusive(page& head) noexcept { return head.ref().marks.exclusive; }
  static void set_exclusive(page& head, bool mark) noexcept { head.ref().marks.exclusive = mark; }
  static pinref::share_count<>& share_count(page& head) noexcept { return head.ref().marks.users; }
  static std::size_t mapcount(page& head) noexcept { return head.ref().marks.mapcount; }
  static bool resident(page& head) noexcept { return head.ref().marks.resident; }
  static void on_idle(page& head) noexcept { ++head.ref().marks.idled; }
  static void free_page(page& head) noexcept { head.arena().free_page(head); }
};

template <class Layout>
struct pinref::page_traits<support::packed_page<Layout>> {
  using page = support::packed_page<Layout>;

  static pinref::page_ref<Layout>& ref(page& p) noexcept { return p.ref; }
  static page& head(page& p) noexcept { return *(&p - p.from_head); }
  static std::size_t nr_pages(page& head) noexcept { return head.pages; }
  static std::uint64_t frame_number(page& p) noexcept { return reinterpret_cast<std::uintptr_t>(&p) / sizeof(page); }
  static page& nth_page(page& p, std::size_t i) noexcept { return *(&p + i); }
  static void lock(page& head) noexcept {
    CHECK_FALSE(head.locked);
    head.locked = true;
  }
  static void unlock(page& head) noexcept {
    CHECK(head.locked);
    head.locked = false;
    if (head.unlocked) head.unlocked();
  }
  static bool dirty(page& head) noexcept { return head.dirty; }
  static void set_dirty(page& head) noexcept { head.dirty = true; }
  static bool clear_dirty(page& head) noexcept { return std::exchange(head.dirty, false); }
  static bool exclusive(page& head) noexcept { return head.marks.exclusive; }
  static void set_exclusive(page& head, bool mark) noexcept { head.marks.exclusive = mark; }
  static pinref::share_count<>& share_count(page& head) noexcept { return head.marks.users; }
  static std::size_t mapcount(page& head) noexcept { return head.marks.mapcount; }
  static bool immortal(page& head) noexcept { return head.immortal; }
  static bool resident(page& head) noexcept { return head.marks.resident; }
  static void on_idle(page& head) noexcept { ++head.marks.idled; }
  static bool longterm_pinnable(page& head) noexcept { return head.longterm; }
  static void free_page(page& head) noexcept { ++head.freed; }
};

#define FOREIGN_HOSTS \
  support::foreign<pinref::bias64>, support::foreign<pinref::bias32>, support::foreign<pinref::split32>
#define ALL_HOSTS                                                                                           \
  support::embedded<pinref::bias64>, support::embedded<pinref::bias32>, support::embedded<pinref::split32>, \
      FOREIGN_HOSTS
