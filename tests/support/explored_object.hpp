// SPDX-License-Identifier: MIT
#pragma once

// Pages with everything protocols/ asks, an entry with a lock, and an address space that maps one page by it, on the
// explorer.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "explored_sync.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/page/page.hpp"
#include "pinref/parts/share_count.hpp"
#include "pinref/parts/write_protect_seq.hpp"
#include "pinref/protocols/layout_break.hpp"

namespace support {

// Its waiters sleep, so a lock that is never given up is a deadlock, and spinning adds no executions.
using explored_lock = pinref::detail::sleeping_lock<explored_sync>;

// `Numbered` pages have neighbours by frame number: none but themselves.
template <class Ref, bool Numbered = false>
struct object_page {
  Ref ref;
  explorer::plain<int> data{0};
  explored_lock lock;
  explorer::atomic<std::uint32_t> dirty{0};
  explorer::atomic<bool> exclusive{true};
  explorer::atomic<std::uint64_t> mapcount{0};
  pinref::share_count<typename Ref::sync> users;
  bool resident = false;
  explorer::ghost<int> freed{0};
};

// A reference to a page, as a page-table entry is one. It may be read without its lock.
template <class Page>
struct explored_entry {
  static constexpr std::uint32_t present = 1, may_write = 2, was_written = 4;

  explicit explored_entry(Page* page, std::uint32_t initially = present | may_write) : mapped(page), word(initially) {}

  void lock() { guard.lock(); }
  void unlock() { guard.unlock(); }
  [[nodiscard]] std::uint32_t look() const { return word.load(std::memory_order_relaxed); }
  [[nodiscard]] bool maps(Page& page) const { return mapped == &page && (look() & present) != 0; }
  [[nodiscard]] bool writable() const { return (look() & may_write) != 0; }
  bool write_protect() { return (word.fetch_and(present, std::memory_order_relaxed) & was_written) != 0; }
  void make_writable(bool written = false) {
    word.fetch_or(may_write | (written ? was_written : 0), std::memory_order_relaxed);
  }
  void clear() { word.store(0, std::memory_order_relaxed); }

  Page* mapped;
  explored_lock guard;
  explorer::atomic<std::uint32_t> word;
};

// One address, one entry, one page. What a fault may do is up to the test.
template <class Ref>
struct object_space {
  using page = object_page<Ref>;
  using entry = explored_entry<page>;
  static constexpr std::size_t page_size = 1;

  explicit object_space(std::uint32_t initially = entry::present | entry::may_write) : at(&only, initially) {}

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last == 0; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t, pinref::foll flags) const noexcept {
    const std::uint32_t needed = entry::present | (pinref::has(flags, pinref::foll::write) ? entry::may_write : 0);
    const std::uint32_t seen = at.look();
    if ((seen & needed) != needed) return {};
    return {at.mapped, seen};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>& seen) const noexcept {
    return at.look() == seen.token;
  }
  // Makes the entry writable under the page lock, so that a page that is written out stays as it is, and notes that it
  // will be written. A careless host does neither: it leaves the dirty bit to the devices.
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t, pinref::foll flags, Use use) noexcept {
    at.lock();
    const bool refault = pinref::has(flags, pinref::foll::write) && !at.writable();
    if (refault) {
      at.unlock();
      if (!careless) only.lock.lock();
      at.lock();
      ++refaults;
      at.make_writable(!careless);
    }
    const pinref::gup_error done = use(pinref::mapping<page>{at.mapped, at.look()});
    at.unlock();
    if (refault && !careless) only.lock.unlock();
    return done;
  }

  // The reverse map.
  [[nodiscard]] bool truncated(page&) const { return false; }
  template <class Visit>
  void for_each_mapping(page&, Visit visit) {
    visit(at);
  }

  page only;
  entry at;
  bool careless = false;
  int refaults = 0;  // of the one thread that pins, read when it is done
};

template <class Space>
Space& make_object(explorer::execution& x, std::uint32_t initially = Space::entry::present | Space::entry::may_write) {
  auto& s = x.make<Space>(initially);
  x.name(s.at, "entry");
  x.name(s.only, "page");
  x.name(s.only.ref, "word");
  x.name(s.only.data, "data");
  x.name(s.only.dirty, "dirty");
  x.name(s.only.exclusive, "exclusive");
  s.only.ref.init();
  return s;
}

}  // namespace support

template <class Ref, bool Numbered>
struct pinref::page_traits<support::object_page<Ref, Numbered>> {
  using page = support::object_page<Ref, Numbered>;

  static Ref& ref(page& p) noexcept { return p.ref; }
  static std::uint64_t frame_number(page&) noexcept requires(Numbered) { return 0; }
  static page& nth_page(page& p, std::size_t) noexcept requires(Numbered) { return p; }
  static void lock(page& p) noexcept { p.lock.lock(); }
  static void unlock(page& p) noexcept { p.lock.unlock(); }
  static bool dirty(page& p) noexcept { return p.dirty.load(std::memory_order_relaxed) != 0; }
  static void set_dirty(page& p) noexcept { p.dirty.store(1, std::memory_order_release); }
  static bool clear_dirty(page& p) noexcept { return p.dirty.exchange(0, std::memory_order_acquire) != 0; }
  static bool exclusive(page& p) noexcept { return p.exclusive.load(std::memory_order_relaxed); }
  static void set_exclusive(page& p, bool mark) noexcept { p.exclusive.store(mark, std::memory_order_relaxed); }
  static auto& share_count(page& p) noexcept { return p.users; }
  static std::uint64_t mapcount(page& p) noexcept { return p.mapcount.load(std::memory_order_relaxed); }
  static bool resident(page& p) noexcept { return p.resident; }
  static void on_idle(page&) noexcept {}
  static void free_page(page& p) noexcept {
    p.freed.add(1);
    p.data.destroy();
  }
};
