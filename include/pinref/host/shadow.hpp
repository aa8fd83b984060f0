// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// shadow: a reference word for every page of the process's own addresses, for hosts that own no frames.
///
/// A library that moves the memory of its callers has no descriptors to count in, and the memory may be unmapped under
/// the count. The shadow's words stand elsewhere and stay: a table of two levels, 2 MiB of words for each GiB in which
/// one was asked for. It is an address space in which every address is mapped, to its own word, for good.
///
/// A word has one reference, the owner's of the memory. Memory is taken away by closing its range, which is refused
/// while a page of it is held.
///
/// When not to use it: to learn that memory goes away. Nothing here is told of munmap: the allocator must ask, or a
/// hook tell (docs/rdma.md). And for memory with descriptors: their words are nearer.
///
/// Example:
///
///     static pinref::shadow<> words;
///     pinref::shadow<>::page* pages[16];
///     const auto done = pinref::pin_user_pages_fast(words, address, pinref::foll::write, pages);
///     if (!done.ok()) give_up(to_string(done.reason));
///     start_dma();
///     if (!pinref::unpin_user_pages(pages, done.count).ok()) give_up("somebody has released our pins");
///     // ... in the allocator, before it gives memory back:
///     if (words.close(address, length) != pinref::gup_error::none) return keep_it(address, length);
///     unmap(address, length);
///     words.open(address, length);
///
/// Errors: of pins `busy` in a closed range, no_memory if there is none for the words, out_of_range beyond the
/// addresses; of `close` besides no_pages, address_overflow, and `busy` if a page in the range is held or closed.
/// Memory order: as the words'.
/// Progress: a look-up is wait-free; the first pin in a GiB asks for memory; `close` and `open` take a step for each
/// page.
/// Source: the shadow memory of AddressSanitizer; SPDK's spdk_mem_map.

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/gup/address_space.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/page/page.hpp"
#include "pinref/page/page_members.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"

namespace pinref::inline v0_1 {

/// Where a shadow has its words: memory full of zeros, or null. It is given back when the shadow goes.
struct shadow_memory {
  /// Zeros, on a page boundary; or null.
  void* (*map)(std::size_t bytes) noexcept = [](std::size_t bytes) noexcept -> void* {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? nullptr : at;
  };
  /// Gives them back.
  void (*unmap)(void* at, std::size_t bytes) noexcept = [](void* at, std::size_t bytes) noexcept {
    ::munmap(at, bytes);
  };
};

/// `AddressBits`: the addresses of a process, on most 64-bit machines 47. `LeafBits`: of one piece of the table.
template <class Ref, unsigned AddressBits, unsigned LeafBits, unsigned PageBits>
class shadow {
 public:
  /// The word of a page.
  struct page {
    Ref ref;  ///< its word
    /// The owner's reference goes only by closing the range.
    void free_page() noexcept {}
  };
  /// Bytes that one word counts for.
  static constexpr std::size_t page_size = std::size_t{1} << PageBits;
  static_assert(PageBits < LeafBits && LeafBits < AddressBits && AddressBits <= 8 * sizeof(std::uintptr_t));
  static_assert(typename Ref::layout{0} == Ref::layout::live(1), "pinref: words of a shadow start as zeros");

  /// A shadow without words yet.
  explicit shadow(const shadow_memory& memory = {}) noexcept : memory_(memory) {}
  shadow(const shadow&) = delete;
  shadow& operator=(const shadow&) = delete;
  /// Precondition: nobody holds a page.
  ~shadow() {
    for (auto& each : leaves_)
      if (page* const leaf = each.load(std::memory_order_relaxed)) memory_.unmap(leaf, leaf_bytes);
  }

  /// See address_space.
  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first <= last && last <= highest;
  }
  /// See address_space.
  [[nodiscard]] mapping<page> lookup(std::uintptr_t address, foll) const noexcept {
    // (K12) pairs with (K13): acquire, so that the words are seen as zeros, or as they were changed since.
    page* const leaf = leaves_[address >> LeafBits].load(std::memory_order_acquire);
    return {leaf == nullptr ? nullptr : &leaf[place_in_leaf(address)], 0, 1};
  }
  /// An address has the same word for ever.
  [[nodiscard]] bool recheck(std::uintptr_t, const mapping<page>&) const noexcept { return true; }
  /// Makes words for the address if there are none. May block where the memory comes from.
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t address, foll flags, Use use) noexcept {
    if (!make_leaf(address)) return gup_error::no_memory;
    const gup_error reason = use(lookup(address, flags));
    // Only a closed word refuses.
    return reason == gup_error::broken_mapping ? gup_error::busy : reason;
  }

  /// Takes the pages of these bytes away from everybody, if nobody holds one; else none. They are refused until they
  /// are opened.
  [[nodiscard("memory that is not closed may be in use")]] gup_error close(std::uintptr_t start,
                                                                           std::size_t length) noexcept {
    gup_error reason = check(start, length);
    if (reason != gup_error::none) return reason;
    const std::uintptr_t end = start + (length - 1);
    std::uintptr_t at = start;
    for (;; at = next(at)) {
      if (!make_leaf(at))
        reason = gup_error::no_memory;
      else if (!lookup(at, foll::none).page->ref.freeze(1))
        reason = gup_error::busy;
      if (reason != gup_error::none || is_last(at, end)) break;
    }
    if (reason != gup_error::none && at != start) open_pages(start, at - 1);
    return reason;
  }
  /// Ends a close of the same range, by the caller that closed it.
  void open(std::uintptr_t start, std::size_t length) noexcept {
    if (check(start, length) == gup_error::none) open_pages(start, start + (length - 1));
  }

  /// May a transfer be touching one of these bytes? False is decisive for each page as of page_dma_pinned.
  [[nodiscard]] bool dma_pinned(std::uintptr_t start, std::size_t length) noexcept {
    bool pinned = false;
    for_each_word(start, length, [&](page& each) noexcept {
      pinned = pinref::page_dma_pinned(each);
      return !pinned;
    });
    return pinned;
  }
  /// Sleeps until each page of the range was unpinned at some instant. Pins may come again: `close` decides. May block.
  template <cancels_waits<typename Ref::sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_unpinned(std::uintptr_t start, std::size_t length,
                                                const deadline& until = deadline::never(),
                                                const Canceller& stop = {}) noexcept {
    wait_result over = wait_result::reached;
    for_each_word(start, length, [&](page& each) noexcept {
      over = pinref::wait_until_unpinned(each, until, stop);
      return over == wait_result::reached;
    });
    return over;
  }

 private:
  static constexpr std::uintptr_t highest = UINTPTR_MAX >> (8 * sizeof(std::uintptr_t) - AddressBits);
  static constexpr std::size_t words_in_leaf = std::size_t{1} << (LeafBits - PageBits);
  static constexpr std::size_t leaf_bytes = words_in_leaf * sizeof(page);

  [[nodiscard]] static std::size_t place_in_leaf(std::uintptr_t address) noexcept {
    return static_cast<std::size_t>(address >> PageBits) % words_in_leaf;
  }
  /// The first byte of the page behind.
  [[nodiscard]] static std::uintptr_t next(std::uintptr_t at) noexcept { return (at | (page_size - 1)) + 1; }
  [[nodiscard]] static bool is_last(std::uintptr_t at, std::uintptr_t end) noexcept {
    return (at | (page_size - 1)) >= end;
  }
  [[nodiscard]] gup_error check(std::uintptr_t start, std::size_t length) const noexcept {
    if (length == 0) return gup_error::no_pages;
    if (length - 1 > UINTPTR_MAX - start) return gup_error::address_overflow;
    return contains(start, start + (length - 1)) ? gup_error::none : gup_error::out_of_range;
  }

  [[nodiscard]] bool make_leaf(std::uintptr_t address) noexcept {
    auto& slot = leaves_[address >> LeafBits];
    page* seen = slot.load(std::memory_order_relaxed);
    if (seen != nullptr) return true;
    // Zeros are live words with one reference.
    auto* const fresh = static_cast<page*>(memory_.map(leaf_bytes));
    if (fresh == nullptr) return false;
    // (K13) pairs with (K12): release, so that the words are seen as zeros.
    if (!slot.compare_exchange_strong(seen, fresh, std::memory_order_release, std::memory_order_relaxed))
      memory_.unmap(fresh, leaf_bytes);
    return true;
  }
  void open_pages(std::uintptr_t first, std::uintptr_t last) noexcept {
    for (std::uintptr_t at = first;; at = next(at)) {
      lookup(at, foll::none).page->ref.unfreeze(1);
      if (is_last(at, last)) return;
    }
  }
  /// Calls `visit(word)` for each page that has a word, until it returns false.
  template <class Visit>
  void for_each_word(std::uintptr_t start, std::size_t length, Visit visit) noexcept {
    if (check(start, length) != gup_error::none) return;
    const std::uintptr_t end = start + (length - 1);
    for (std::uintptr_t at = start;; at = next(at)) {
      page* const word = lookup(at, foll::none).page;
      if ((word != nullptr && !visit(*word)) || is_last(at, end)) return;
    }
  }

  const shadow_memory memory_;
  typename Ref::sync::template atomic<page*> leaves_[std::size_t{1} << (AddressBits - LeafBits)] = {};
};

}  // namespace pinref::inline v0_1
