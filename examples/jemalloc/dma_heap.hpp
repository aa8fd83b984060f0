// SPDX-License-Identifier: MIT
#pragma once

// A jemalloc arena whose memory devices write to. Its pages lie in one range of addresses, and what is known about each
// lies outside of it, found by the index: memory that is a base and an index.
//
// Two words for each page answer two questions. An allocation is held by the application, by one reference until it is
// freed, and by transfers, by pins: the last of them gives it to dallocx. The memory behind it is held by the heap, by
// one reference for ever, and by registrations: only what nobody else holds may be purged. An allocation under a
// registration is reused freely; memory under one is never taken away.

#include <jemalloc/jemalloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "pinref/pinref.hpp"
#include "support/direct_file.hpp"

namespace examples::jemalloc {

class dma_heap;

/// A page as part of an allocation, which is a compound page. Dead while jemalloc has it.
struct allocated_page {
  pinref::page_ref<> ref;
  std::atomic<allocated_page*> head{this};
  std::atomic<std::uint32_t> nr_pages{1};
  dma_heap* home = nullptr;
};

/// The memory behind a page.
struct backing_page {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  void free_page() noexcept {}  // the heap never puts its own reference
  std::uint64_t frame_number() noexcept { return reinterpret_cast<std::uintptr_t>(this) / sizeof(backing_page); }
  backing_page& nth_page(std::size_t i) noexcept { return this[i]; }
};
static_assert(pinref::numbered_page<backing_page> && pinref::freeable_page<backing_page>);

}  // namespace examples::jemalloc

template <>
struct pinref::page_traits<examples::jemalloc::allocated_page> {
  using page = examples::jemalloc::allocated_page;

  static auto& ref(page& p) noexcept { return p.ref; }
  static page& head(page& p) noexcept { return *p.head.load(std::memory_order_relaxed); }
  static std::size_t nr_pages(page& head) noexcept { return head.nr_pages.load(std::memory_order_relaxed); }
  static void set_head(page& p, page& head) noexcept { p.head.store(&head, std::memory_order_relaxed); }
  static void set_nr_pages(page& head, std::size_t n) noexcept {
    head.nr_pages.store(static_cast<std::uint32_t>(n), std::memory_order_relaxed);
  }
  static std::uint64_t frame_number(page& p) noexcept { return reinterpret_cast<std::uintptr_t>(&p) / sizeof(page); }
  static page& nth_page(page& p, std::size_t i) noexcept { return (&p)[i]; }
  static void free_page(page& head) noexcept;
};
static_assert(pinref::composable_page<examples::jemalloc::allocated_page>);

namespace examples::jemalloc {

/// What keeps an allocation where it is while a device writes to it. The others are for the controls.
enum class keep {
  pinned,   ///< freed by its last holder
  refused,  ///< freed at once; the hooks do not let go of memory that is pinned
  nothing,
};

/// What the hooks do about memory that others hold.
enum class purging { asks, blind };

/// n pages of memory behind allocations: referenced by a registration, or pinned. Released when it goes.
template <pinref::hold Mode>
class backing_hold {
 public:
  backing_hold() = default;
  backing_hold(backing_page& first, std::size_t n) noexcept {
    const pinref::gup_result done =
        Mode == pinref::hold::pin ? pinref::pin_page_range(first, n) : pinref::get_page_range(first, n);
    if (done.ok()) first_ = &first, n_ = n;
  }
  backing_hold(backing_hold&& other) noexcept : first_(std::exchange(other.first_, nullptr)), n_(other.n_) {}
  backing_hold& operator=(backing_hold&& other) noexcept {
    if (this != &other) {
      reset();
      first_ = std::exchange(other.first_, nullptr);
      n_ = other.n_;
    }
    return *this;
  }
  ~backing_hold() { reset(); }

  [[nodiscard]] backing_hold share() const noexcept {
    return first_ != nullptr ? backing_hold{*first_, n_} : backing_hold{};
  }
  void reset() noexcept {
    backing_page* const first = std::exchange(first_, nullptr);
    if (first == nullptr) return;
    if constexpr (Mode == pinref::hold::pin)
      (void)pinref::unpin_user_page_range(first, n_);
    else
      (void)pinref::put_page_range(*first, n_);
  }

 private:
  backing_page* first_ = nullptr;
  std::size_t n_ = 0;
};

/// What a transfer keeps: the allocation; with `keep::refused` the memory behind it, for the hooks to see.
struct transfer_hold {
  pinref::page_pin<allocated_page> allocation;
  backing_hold<pinref::hold::pin> backing;

  [[nodiscard]] transfer_hold share() const noexcept { return {allocation.share(), backing.share()}; }
  void reset() noexcept {
    allocation.reset();
    backing.reset();
  }
  /// Is it certain that nobody else gets the memory?
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(allocation); }
};

class dma_heap {
 public:
  static constexpr std::size_t page_size = 4096;

  /// With `at_once` what is free is purged at once, else only when asked for.
  dma_heap(keep how, purging purge, bool at_once) : how_(how), purging_(purge) {
    for (std::size_t i = 0; i != nr_pages; ++i) pages_[i].home = this;
    void* const memory =
        ::mmap(nullptr, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw cannot_run("no addresses for the heap");
    mapped_ = static_cast<std::byte*>(memory);
    memory_ = mapped_ + (alignment - reinterpret_cast<std::uintptr_t>(mapped_) % alignment);

    const extent_hooks_t* const table = &hooks_.table;
    std::size_t length = sizeof arena_;
    check(::mallctl("arenas.create", &arena_, &length, const_cast<extent_hooks_t**>(&table), sizeof table));
    length = sizeof cache_;
    check(::mallctl("tcache.create", &cache_, &length, nullptr, 0));
    ssize_t decay = at_once ? 0 : -1;
    check(::mallctl(of_arena("dirty_decay_ms").c_str(), nullptr, nullptr, &decay, sizeof decay));
  }
  dma_heap(const dma_heap&) = delete;
  dma_heap& operator=(const dma_heap&) = delete;
  /// Precondition: nothing is allocated, and nobody holds anything.
  ~dma_heap() {
    (void)::mallctl("tcache.destroy", nullptr, nullptr, &cache_, sizeof cache_);
    (void)::mallctl(of_arena("destroy").c_str(), nullptr, nullptr, nullptr, 0);
    ::munmap(mapped_, size + alignment);
  }

  /// Whole pages.
  [[nodiscard]] std::byte* allocate(std::size_t bytes) {
    void* const memory = ::mallocx(bytes, MALLOCX_ALIGN(page_size) | MALLOCX_ARENA(arena_) | cache_for(bytes));
    if (memory == nullptr) throw cannot_run("the heap is full");
    // Its pages were dead, so nobody has them and nobody could take them.
    if (how_ == keep::pinned) pinref::make_compound_page(pages_[index_of(memory)], bytes / page_size);
    return static_cast<std::byte*>(memory);
  }
  void deallocate(std::byte* memory, std::size_t bytes) noexcept {
    if (how_ == keep::pinned)
      (void)pinref::put_page(pages_[index_of(memory)]);
    else
      ::dallocx(memory, cache_for(bytes));
  }

  /// For the time of a transfer. Precondition: the memory was allocated.
  [[nodiscard]] transfer_hold hold_for_transfer(std::byte* memory) noexcept {
    if (how_ == keep::pinned) return {pinref::page_pin<allocated_page>::try_pin(pages_[index_of(memory)]), {}};
    if (how_ == keep::refused) return {{}, {backing_[index_of(memory)], ::sallocx(memory, 0) / page_size}};
    return {};
  }
  /// For the time of a registration, of whatever addresses of the heap.
  [[nodiscard]] backing_hold<pinref::hold::reference> hold_for_device(std::byte* first, std::size_t bytes) noexcept {
    return {backing_[index_of(first)], bytes / page_size};
  }

  /// Allocations that somebody holds.
  [[nodiscard]] std::size_t nr_held() const noexcept {
    return static_cast<std::size_t>(
        std::count_if(pages_.get(), pages_.get() + nr_pages,
                      [](const allocated_page& page) { return page.ref.snapshot().zone() != pinref::zone::dead; }));
  }

  /// Gives the system back what is free, as far as the hooks let it.
  void purge() {
    check(::mallctl("tcache.flush", nullptr, nullptr, &cache_, sizeof cache_));
    check(::mallctl(of_arena("purge").c_str(), nullptr, nullptr, nullptr, 0));
  }

  /// The last release: wherever it happens, its thread may call dallocx.
  void free_allocation(allocated_page& head) noexcept {
    using traits = pinref::page_traits<allocated_page>;
    for (std::size_t i = traits::nr_pages(head); i-- > 1;) traits::set_head((&head)[i], (&head)[i]);
    traits::set_nr_pages(head, 1);
    // The cache is the application's.
    ::dallocx(memory_ + static_cast<std::size_t>(&head - pages_.get()) * page_size, MALLOCX_TCACHE_NONE);
  }

 private:
  static constexpr std::size_t size = std::size_t{1} << 28;
  static constexpr std::size_t alignment = std::size_t{1} << 21;
  static constexpr std::size_t nr_pages = size / page_size;

  // jemalloc passes the table back, and behind it stands whose it is.
  struct hooks {
    extent_hooks_t table;
    dma_heap* home;
  };
  static dma_heap& home_of(extent_hooks_t* table) noexcept { return *reinterpret_cast<hooks*>(table)->home; }

  // May be refused: null.
  static void* alloc(extent_hooks_t* table, void* wanted, std::size_t bytes, std::size_t aligned, bool* zero,
                     bool* commit, unsigned) noexcept {
    dma_heap& self = home_of(table);
    const std::lock_guard guard{self.growing_};
    const std::size_t start = (self.used_ + aligned - 1) / aligned * aligned;
    if (wanted != nullptr || aligned > alignment || start + bytes > size) return nullptr;
    self.used_ = start + bytes;
    *zero = *commit = true;
    return self.memory_ + start;
  }
  // Refused: the addresses are the heap's for good.
  static bool dalloc(extent_hooks_t*, void*, std::size_t, bool, unsigned) noexcept { return true; }
  // May be refused. Whoever has the memory under a registration has the very frames: what is purged comes back as
  // others. Nobody can register what is frozen.
  static bool purge_forced(extent_hooks_t* table, void* extent, std::size_t, std::size_t offset, std::size_t bytes,
                           unsigned) noexcept {
    dma_heap& self = home_of(table);
    std::byte* const start = static_cast<std::byte*>(extent) + offset;
    backing_page& first = self.backing_[self.index_of(start)];
    if (self.purging_ == purging::blind) return ::madvise(start, bytes, MADV_DONTNEED) != 0;
    if (!pinref::freeze_page_range(first, bytes / page_size)) return true;
    const bool failed = ::madvise(start, bytes, MADV_DONTNEED) != 0;
    pinref::thaw_page_range(first, bytes / page_size);
    return failed;
  }
  // Must not be refused.
  static bool split(extent_hooks_t*, void*, std::size_t, std::size_t, std::size_t, bool, unsigned) noexcept {
    return false;
  }
  // May be refused, to no avail.
  static bool merge(extent_hooks_t* table, void* a, std::size_t size_a, void*, std::size_t size_b, bool,
                    unsigned) noexcept {
    dma_heap& self = home_of(table);
    return self.how_ == keep::refused &&
           pinref::any_dma_pinned(self.backing_[self.index_of(a)], (size_a + size_b) / page_size);
  }

  [[nodiscard]] std::size_t index_of(const void* memory) const noexcept {
    return static_cast<std::size_t>(static_cast<const std::byte*>(memory) - memory_) / page_size;
  }
  // Large ones that are aligned are put into a cache, but never taken from it.
  [[nodiscard]] int cache_for(std::size_t bytes) const noexcept {
    return bytes <= 2 * page_size ? MALLOCX_TCACHE(cache_) : MALLOCX_TCACHE_NONE;
  }
  [[nodiscard]] std::string of_arena(const char* what) const { return "arena." + std::to_string(arena_) + "." + what; }
  static void check(int error) {
    if (error != 0) throw std::system_error(error, std::generic_category(), "mallctl");
  }

  keep how_;
  purging purging_;
  std::unique_ptr<allocated_page[]> pages_ = std::make_unique<allocated_page[]>(nr_pages);
  std::unique_ptr<backing_page[]> backing_ = std::make_unique<backing_page[]>(nr_pages);
  std::byte* mapped_ = nullptr;
  std::byte* memory_ = nullptr;
  std::mutex growing_;
  std::size_t used_ = 0;
  hooks hooks_{{alloc, dalloc, nullptr, nullptr, nullptr, nullptr, purge_forced, split, merge}, this};
  unsigned arena_ = 0;
  unsigned cache_ = 0;
};

}  // namespace examples::jemalloc

inline void pinref::page_traits<examples::jemalloc::allocated_page>::free_page(page& head) noexcept {
  head.home->free_allocation(head);
}
