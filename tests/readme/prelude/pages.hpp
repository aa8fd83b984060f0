// SPDX-License-Identifier: MIT
#pragma once

// A host: frames, a table of them, an object and its mappings.

#include <chrono>
#include <mutex>
#include <span>
#include <system_error>

#include "common.hpp"

struct frame {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  std::atomic<bool> is_dirty{false};
  bool is_kept = false;
  std::mutex mutex;

  void free_page() noexcept {}
  void lock() noexcept { mutex.lock(); }
  bool try_lock() noexcept { return mutex.try_lock(); }
  void unlock() noexcept { mutex.unlock(); }
  bool dirty() noexcept { return is_dirty.load(std::memory_order_relaxed); }
  void set_dirty() noexcept { is_dirty.store(true, std::memory_order_release); }
  bool clear_dirty() noexcept { return is_dirty.exchange(false, std::memory_order_acquire); }
  bool exclusive() noexcept { return true; }
  void set_exclusive(bool) noexcept {}
  bool resident() noexcept { return is_kept; }
  void on_idle() noexcept {}
  std::uintptr_t frame_number() noexcept { return reinterpret_cast<std::uintptr_t>(this) / sizeof *this; }
  frame& nth_page(std::size_t i) noexcept { return this[i]; }
};
static_assert(pinref::freeable_page<frame> && pinref::trylockable_page<frame> && pinref::cleanable_page<frame> &&
              pinref::exclusive_page<frame> && pinref::idle_page<frame> && pinref::numbered_page<frame>);

inline constexpr std::size_t nr_frames = 64;

// Each frame at an address of its own, always present.
struct table {
  using page = frame;
  static constexpr std::size_t page_size = 4096;

  frame* frames;

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < nr_frames * page_size; }
  pinref::mapping<frame> lookup(std::uintptr_t address, pinref::foll) const noexcept {
    return {&frames[address / page_size], 0};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<frame>&) const noexcept { return true; }
  template <class Use>
  pinref::gup_error fault_in(std::uintptr_t address, pinref::foll flags, Use use) noexcept {
    return use(lookup(address, flags));
  }
};

// One extent for all of it.
struct arena_space {
  using page = frame;
  struct extent {
    frame* page = nullptr;
    std::uintptr_t first = 0, last = 0;
    unsigned key = 0;
  };

  frame* frames;

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < nr_frames * table::page_size; }
  extent lookup(const pinref::extent_request&) const noexcept {
    return {frames, 0, nr_frames * table::page_size - 1, 7};
  }
  bool recheck(const pinref::extent_request&, const extent&) const noexcept { return true; }
  template <class Use>
  pinref::gup_error fault_in(const pinref::extent_request& want, Use use) noexcept {
    return use(lookup(want));
  }
};
template <class... What>
void post(const What&...) {}

struct file {
  using page = frame;
  static constexpr std::size_t page_size = 4096;

  frame* frames;

  std::uint64_t size() const noexcept { return nr_frames * page_size; }
  frame* find(std::uint64_t index) const noexcept { return &frames[index]; }
  pinref::gup_error allocate(std::uint64_t) noexcept { return pinref::gup_error::no_memory; }
  void unmap(std::size_t, std::size_t) noexcept {}
  frame* busy_in(std::size_t first, std::size_t last) noexcept {
    for (; first <= last; ++first)
      if (!pinref::page_idle(frames[first])) return &frames[first];
    return nullptr;
  }
};

struct table_entry {
  bool lets_write = true;

  void lock() {}
  void unlock() {}
  bool maps(frame&) { return true; }
  bool writable() { return lets_write; }
  bool write_protect() { return std::exchange(lets_write, false); }
  void make_writable() { lets_write = true; }
};
struct all_mappings {
  using entry = table_entry;

  bool truncated(frame&) { return false; }
  template <class Visit>
  void for_each_mapping(frame&, Visit visit) {
    table_entry one;
    visit(one);
  }
};

inline bool write_block(frame&) {
  return true;
}
inline bool write_copy(frame&) {
  return true;
}
inline void copy_page(frame&) {}
inline void queue_for_writeback(frame&) {}
inline void free_blocks(std::size_t, std::size_t) {}

struct page_scene {
  frame frames[nr_frames];
  frame& page = frames[0];
  frame* pages[4] = {};
  table space{frames};
  file object{frames};
  arena_space arenas{frames};
  table_entry entry;
  all_mappings mappings;
  pinref::pin_owner<frame, std::mutex> connection{nr_frames};
  std::uintptr_t start = 4 * table::page_size;
  std::size_t n = 4, first = 4, last = 7;

  bool is_clean() const {
    for (const frame& each : frames)
      if (each.ref.pins() != 0 || each.ref.references() > 1) return false;
    return true;
  }
};
