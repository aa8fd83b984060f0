// SPDX-License-Identifier: MIT
#pragma once

// A host small enough for the explorer: pages with data, a lock and a dirty bit, and a space of a few entries. What
// happens to a page that dies is up to the test.

#include <cstdint>
#include <functional>

#include "explored_sync.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/page/page.hpp"

namespace support {

template <class Ref, bool Compound = false>
struct explored_page {
  using sync = typename Ref::sync;
  template <class T>
  using atomic = typename sync::template atomic<T>;

  static constexpr bool compound = Compound;

  Ref ref;
  explorer::plain<int> data{1};
  atomic<explored_page*> head_is{nullptr};  // null: itself
  atomic<std::uint32_t> locked{0};
  atomic<std::uint32_t> dirty{0};
  explorer::ghost<int> freed{0};
  std::function<void()> on_free;

  [[nodiscard]] bool try_lock() noexcept { return locked.exchange(1, std::memory_order_acquire) == 0; }
  void lock() noexcept {
    while (!try_lock()) locked.wait(1, std::memory_order_relaxed);
  }
  void unlock() noexcept {
    locked.store(0, std::memory_order_release);
    locked.notify_one();
  }
};

// An entry is the number of its page in `pages`, from 1 on, and whether it may be written.
template <class Ref, bool Compound = false>
struct explored_space {
  using page = explored_page<Ref, Compound>;
  static constexpr std::size_t page_size = 1;
  static constexpr std::uint32_t writable = 1;

  [[nodiscard]] static constexpr std::uint32_t entry_of(std::size_t page_index, bool may_write = true) {
    return static_cast<std::uint32_t>((page_index + 1) << 1 | (may_write ? writable : 0));
  }

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t end) const noexcept { return end < 2; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, pinref::foll flags) noexcept {
    const std::uint32_t entry = entries[address].load(std::memory_order_relaxed);
    if (entry == 0 || (pinref::has(flags, pinref::foll::write) && (entry & writable) == 0)) return {};
    return {&pages[(entry >> 1) - 1], entry, 1};
  }
  [[nodiscard]] bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) noexcept {
    return entries[address].load(std::memory_order_relaxed) == seen.token;
  }
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) noexcept {
    return pinref::gup_error::not_mapped;
  }

  page pages[2];
  typename Ref::sync::template atomic<std::uint32_t> entries[2];
};

template <class Space>
Space& make_space(explorer::execution& x) {
  auto& s = x.make<Space>();
  x.name(s.pages[0], "page0");
  x.name(s.pages[0].ref, "word0");
  x.name(s.pages[0].data, "data0");
  x.name(s.pages[1], "page1");
  x.name(s.pages[1].ref, "word1");
  x.name(s.pages[1].data, "data1");
  x.name(s.entries[0], "entry0");
  x.name(s.entries[1], "entry1");
  return s;
}

}  // namespace support

template <class Ref, bool Compound>
struct pinref::page_traits<support::explored_page<Ref, Compound>> {
  using page = support::explored_page<Ref, Compound>;

  static Ref& ref(page& p) noexcept { return p.ref; }
  static page& head(page& p) noexcept requires(Compound) {
    page* const head = p.head_is.load(std::memory_order_relaxed);
    return head != nullptr ? *head : p;
  }
  static std::size_t nr_pages(page&) noexcept requires(Compound) { return 1; }
  static void lock(page& p) noexcept { p.lock(); }
  static bool try_lock(page& p) noexcept { return p.try_lock(); }
  static void unlock(page& p) noexcept { p.unlock(); }
  static bool dirty(page& p) noexcept { return p.dirty.load(std::memory_order_relaxed) != 0; }
  static void set_dirty(page& p) noexcept { p.dirty.store(1, std::memory_order_release); }
  static void free_page(page& p) noexcept {
    p.freed.add(1);
    if (p.on_free) p.on_free();
  }
};
