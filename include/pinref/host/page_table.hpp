// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_table: the default host's address space: areas of demand-zero memory and an entry for each page.
///
/// Look-ups read one entry and take no lock. Everything that changes entries holds the table's lock. Each entry holds
/// a reference to its page.
///
/// When not to use it: to describe memory that the program itself runs in. Addresses here are the host's own.
///
/// Example:
///
///     pinref::frame_arena arena{1};
///     pinref::page_table space{arena, 0x100000, 1024};           // 1024 pages from this address on
///     if (!space.map(0x100000, 16, pinref::protection::read_write)) return give_up("outside of the table");
///     pinref::frame_arena::frame* pages[16];
///     const auto pinned = pinref::pin_user_pages_fast(space, 0x100000, pinref::foll::write, pages);
///     if (!pinned.ok()) give_up(to_string(pinned.reason));
///     if (!pinref::unpin_user_pages(pages, pinned.count).ok()) give_up("somebody has released our pins");
///
/// Errors: a table that got no memory is not valid; map and map_page say false; fault_in gives the reason.
/// Memory order: a pin sees a page as it was filled before it was mapped.
/// Progress: look-ups are wait-free; all else takes the table's lock, and may sleep for it.
/// Source: pinref's own; Linux's page tables are what it stands for.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

#include "pinref/gup/address_space.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/page/page.hpp"

namespace pinref::inline v0_1 {

/// What an area allows.
enum class protection : unsigned char {
  none,        ///< no access: there is no area
  read,        ///< reading
  read_write,  ///< reading and writing
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(protection allowed) noexcept {
  switch (allowed) {
    case protection::none:
      return "none";
    case protection::read:
      return "read";
    case protection::read_write:
      return "read_write";
  }
  return "unknown";
}

/// An address space over the frames of an arena. It meets `address_space` and `prefetching_space`.
template <class Ref>
class basic_page_table {
 public:
  /// Where its frames come from, and their descriptor.
  using arena = basic_frame_arena<Ref>;
  using page = basic_frame<Ref>;
  /// Bytes of a page, and pages of a huge one.
  static constexpr std::size_t page_size = arena::frame_size;
  static constexpr std::size_t huge_pages = arena::frames_per_block;

  /// `nr_pages` pages of addresses from `base` on, a multiple of page_size. Check `valid()`: the range may not fit, or
  /// the system refuse the memory.
  basic_page_table(arena& frames, std::uintptr_t base, std::size_t nr_pages) noexcept : arena_(frames), base_(base) {
    // No pages at all are refused here too: one less is more than fits.
    if (base % page_size != 0 || nr_pages - 1 > (UINTPTR_MAX - base) / page_size) return;
    entries_.reset(new (std::nothrow) entry[nr_pages]);
    if (entries_ != nullptr) nr_pages_ = nr_pages;
  }
  basic_page_table(const basic_page_table&) = delete;
  basic_page_table& operator=(const basic_page_table&) = delete;
  ~basic_page_table() { unmap(base_, nr_pages_); }

  /// Has it got its memory?
  [[nodiscard]] bool valid() const noexcept { return entries_ != nullptr; }
  /// Does the table reach over these bytes?
  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first >= base_ && last >= first && (last - base_) / page_size < nr_pages_;
  }

  /// Makes [address, address + n pages) an area of demand-zero memory. Pages mapped there stay, a compound page as a
  /// compound page; narrowing the protection write-protects or hides those in the range. False, and nothing changed, if
  /// the range is empty, leaves the table or is not on a page boundary.
  bool map(std::uintptr_t address, std::size_t n, protection allowed) noexcept {
    if (!covers(address, n)) return false;
    const std::lock_guard guard{lock_};
    for (std::size_t i = index(address), end = i + n; i != end; ++i) {
      entries_[i].allowed = allowed;
      split(i);
      if (allowed != protection::read_write)
        entries_[i].word.fetch_and(allowed == protection::none ? ~(present | writable) : ~writable,
                                   std::memory_order_relaxed);
    }
    return true;
  }

  /// Maps a page the caller has a reference to; the table takes that reference over and drops what was mapped before. A
  /// compound page is mapped whole, `address` being on its boundary. False, and nothing changed, if it does not fit or
  /// the area does not allow it.
  bool map_page(std::uintptr_t address, page& head, protection allowed) noexcept {
    const std::size_t n = head.nr_pages();
    if (!covers(address, n) || index(address) % n != 0 || allowed == protection::none) return false;
    const std::lock_guard guard{lock_};
    const std::size_t first = index(address);
    for (std::size_t i = first; i != first + n; ++i)
      if (entries_[i].allowed < allowed) return false;
    for (std::size_t i = first; i != first + n; ++i) clear(i);
    for (std::size_t i = 0; i != n; ++i) set(first + i, page_traits<page>::nth_page(head, i), allowed, n > 1);
    return true;
  }

  /// Ends the areas in the range and drops their pages. A huge page is unmapped whole if the range touches it. Pins
  /// outlive it.
  void unmap(std::uintptr_t address, std::size_t n) noexcept {
    if (!covers(address, n)) return;
    const std::lock_guard guard{lock_};
    for (std::size_t i = index(address), end = i + n; i != end; ++i) {
      entries_[i].allowed = protection::none;
      clear(i);
    }
  }

  /// Takes the write permission from the entry at an address; the next write faults. Ask page_dma_pinned afterwards.
  void write_protect(std::uintptr_t address) noexcept {
    const std::lock_guard guard{lock_};
    const std::size_t i = index(address);
    split(i);
    entries_[i].word.fetch_and(~writable, std::memory_order_relaxed);
  }

  // The contract of address_space and prefetching_space.

  /// The page at an address, if its entry allows what `flags` ask; without a lock.
  [[nodiscard]] mapping<page> lookup(std::uintptr_t address, foll flags) const noexcept {
    const std::size_t i = index(address);
    // The second look orders what is read of the page.
    const std::uint64_t word = entries_[i].word.load(std::memory_order_relaxed);
    const std::uint64_t needed = pinref::has(flags, foll::write) ? present | writable : present;
    if ((word & needed) != needed) return {};
    return found(i, word);
  }

  /// Is the entry still as the look-up found it? Order: acquire.
  [[nodiscard]] bool recheck(std::uintptr_t address, const mapping<page>& seen) const noexcept {
    // (H5) pairs with (H6): acquire, so that the page is seen filled, also if the same entry mapped the same frame
    // before.
    return entries_[index(address)].word.load(std::memory_order_acquire) == seen.token;
  }

  /// Asks for the descriptor of the page at an address.
  void prefetch(std::uintptr_t address) const noexcept {
    const std::uint64_t word = entries_[index(address)].word.load(std::memory_order_relaxed);
    __builtin_prefetch(&arena_.frame_at(word >> frame_shift), 1);
  }

  /// Makes the page at an address present, and calls `use` with its mapping under the table's lock. May block.
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t address, foll flags, Use use) noexcept {
    const std::lock_guard guard{lock_};
    const std::size_t i = index(address);
    const protection wanted = pinref::has(flags, foll::write) ? protection::read_write : protection::read;
    if (entries_[i].allowed == protection::none) return gup_error::not_mapped;
    if (entries_[i].allowed < wanted && !pinref::has(flags, foll::force)) return gup_error::no_permission;
    if ((entries_[i].word.load(std::memory_order_relaxed) & mapped) == 0) {
      if (pinref::has(flags, foll::nofault)) return gup_error::not_mapped;
      page* const fresh = arena_.allocate();
      if (fresh == nullptr) return gup_error::no_memory;
      std::memset(arena_.data(*fresh), 0, page_size);
      set(i, *fresh, entries_[i].allowed, false);
    } else {
      const bool write = entries_[i].allowed == protection::read_write && wanted == protection::read_write;
      entries_[i].word.fetch_or(write ? present | writable : present, std::memory_order_relaxed);
    }
    return use(found(i, entries_[i].word.load(std::memory_order_relaxed)));
  }

 private:
  static constexpr std::uint64_t mapped = 1;    // there is a page
  static constexpr std::uint64_t present = 2;   // and it may be accessed
  static constexpr std::uint64_t writable = 4;  // and written
  static constexpr std::uint64_t huge = 8;      // and all this is true of the whole compound page
  static constexpr unsigned frame_shift = 12;

  struct entry {
    typename Ref::sync::template atomic<std::uint64_t> word{0};
    protection allowed = protection::none;  // of the area; under the lock
  };

  [[nodiscard]] std::size_t index(std::uintptr_t address) const noexcept { return (address - base_) / page_size; }
  [[nodiscard]] bool covers(std::uintptr_t address, std::size_t n) const noexcept {
    return n != 0 && address % page_size == 0 && address >= base_ && index(address) <= nr_pages_ &&
           n <= nr_pages_ - index(address);
  }

  [[nodiscard]] mapping<page> found(std::size_t i, std::uint64_t word) const noexcept {
    return {&arena_.frame_at(word >> frame_shift), word, (word & huge) != 0 ? huge_pages - i % huge_pages : 1};
  }

  void set(std::size_t i, page& frame, protection allowed, bool is_huge) noexcept {
    const std::uint64_t bits =
        mapped | present | (allowed == protection::read_write ? writable : 0) | (is_huge ? huge : 0);
    // (H6) pairs with (H5): release, because a frame is reused: what it holds now was written after its life began.
    entries_[i].word.store(arena_.frame_number(frame) << frame_shift | bits, std::memory_order_release);
  }

  // Gives each page of a huge page an entry of its own, before one of them is changed. All of them change, so a pin of
  // several pages by one of these entries is noticed by its second look.
  void split(std::size_t i) noexcept {
    if ((entries_[i].word.load(std::memory_order_relaxed) & huge) == 0) return;
    const std::size_t first = i - i % huge_pages;
    for (std::size_t k = first; k != first + huge_pages; ++k)
      entries_[k].word.fetch_and(~huge, std::memory_order_relaxed);
  }

  // Drops the page at an index, a huge one from all its entries.
  void clear(std::size_t i) noexcept {
    const std::uint64_t word = entries_[i].word.load(std::memory_order_relaxed);
    if ((word & mapped) == 0) return;
    const std::size_t n = arena_.frame_at(word >> frame_shift).head().nr_pages();
    const std::size_t first = i - i % n;
    for (std::size_t k = first; k != first + n; ++k) entries_[k].word.store(0, std::memory_order_relaxed);
    (void)pinref::put_page(arena_.frame_at(word >> frame_shift));
  }

  arena& arena_;
  std::uintptr_t base_;
  std::size_t nr_pages_ = 0;
  std::unique_ptr<entry[]> entries_;
  mutable detail::sleeping_lock<typename Ref::sync> lock_;
};

/// A table over frames with the default word.
using page_table = basic_page_table<page_ref<>>;

}  // namespace pinref::inline v0_1
