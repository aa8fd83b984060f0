// SPDX-License-Identifier: MIT
#pragma once

// A mimalloc heap whose memory devices write to: in an arena of its own, so that what is known about an allocation lies
// outside of it, found by the index of its first page.
//
// mimalloc does not say when it gives memory out again, and has no hook that could be asked. It has one callback, for
// the whole process: "now would be a good time to free what you have put off".

#include <mimalloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "pinref/parts/deferred_list.hpp"
#include "pinref/pinref.hpp"
#include "support/direct_file.hpp"

namespace examples::mimalloc {

class dma_heap;

/// An allocation. Dead while mimalloc has the memory.
struct allocation {
  pinref::page_ref<> ref;
  pinref::list_link link;
  dma_heap* home = nullptr;
  void free_page() noexcept;
};
static_assert(pinref::freeable_page<allocation>);

/// What mimalloc may do with free memory of the arena.
enum class purging { never, when_it_likes };

class dma_heap {
 public:
  static constexpr std::size_t page_size = 4096;
  using hold = pinref::page_pin<allocation>;

  dma_heap(bool pins, purging purge) : pins_(pins) {
    void* const memory =
        ::mmap(nullptr, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw cannot_run("no addresses for the heap");
    const auto misfit = reinterpret_cast<std::uintptr_t>(memory) % alignment;
    memory_ = static_cast<std::byte*>(memory) + (alignment - misfit);
    // Memory that is said to be committed and of large pages is never purged. There is no finer say.
    const bool fixed = purge == purging::never;
    mi_arena_id_t arena{};
    if (!::mi_manage_os_memory_ex(memory_, size, fixed, fixed, true, -1, true, &arena))
      throw cannot_run("mimalloc takes no memory of others");
    heap_ = ::mi_heap_new_in_arena(arena);
    for (std::size_t i = 0; i != nr_pages; ++i) allocations_[i].home = this;
    ::mi_register_deferred_free(&dma_heap::good_time_to_free, this);
  }
  dma_heap(const dma_heap&) = delete;
  dma_heap& operator=(const dma_heap&) = delete;
  /// Precondition: nothing is allocated, and nobody holds anything. The arena stays mimalloc's: it gives none back.
  ~dma_heap() {
    drain();
    ::mi_register_deferred_free(nullptr, nullptr);
    ::mi_heap_delete(heap_);
  }

  /// Whole pages. By the thread that made the heap.
  [[nodiscard]] std::byte* allocate(std::size_t bytes) {
    void* const memory = ::mi_heap_malloc_aligned(heap_, bytes, page_size);
    if (memory == nullptr) throw cannot_run("the heap is full");
    if (pins_) allocations_[index_of(memory)].ref.init();
    return static_cast<std::byte*>(memory);
  }
  void deallocate(std::byte* memory, std::size_t) noexcept {
    if (pins_)
      (void)pinref::put_page(allocations_[index_of(memory)]);
    else
      ::mi_free(memory);
  }
  /// Precondition: the memory was allocated.
  [[nodiscard]] hold hold_for_transfer(std::byte* memory) noexcept {
    return pins_ ? hold::try_pin(allocations_[index_of(memory)]) : hold{};
  }

  /// Allocations that mimalloc has not got back.
  [[nodiscard]] std::size_t nr_held() noexcept {
    drain();
    return static_cast<std::size_t>(
        std::count_if(allocations_.get(), allocations_.get() + nr_pages,
                      [](const allocation& each) { return each.ref.snapshot().zone() != pinref::zone::dead; }));
  }

  /// For the time of a registration: there is nothing to do in an arena that is never purged.
  [[nodiscard]] int hold_for_device(std::byte*, std::size_t) noexcept { return 0; }
  void purge() noexcept {
    ::mi_heap_collect(heap_, true);
    ::mi_collect(true);
  }

  /// The last release may be inside mimalloc, by way of a destructor or the callback: nothing here allocates or locks.
  void put_off(allocation& gone) noexcept { dead_.push(gone); }
  void drain() noexcept {
    (void)dead_.drain([this](allocation& gone) {
      ::mi_free(memory_ + static_cast<std::size_t>(&gone - allocations_.get()) * page_size);
    });
  }

 private:
  static constexpr std::size_t size = std::size_t{1} << 28;
  static constexpr std::size_t alignment = std::size_t{1} << 26;
  static constexpr std::size_t nr_pages = size / page_size;

  // Called by mimalloc on any thread that allocates, now and then, and by mi_collect.
  static void good_time_to_free(bool, unsigned long long, void* self) noexcept {
    static_cast<dma_heap*>(self)->drain();
  }

  [[nodiscard]] std::size_t index_of(const void* memory) const noexcept {
    return static_cast<std::size_t>(static_cast<const std::byte*>(memory) - memory_) / page_size;
  }

  bool pins_;
  std::unique_ptr<allocation[]> allocations_ = std::make_unique<allocation[]>(nr_pages);
  std::byte* memory_ = nullptr;
  mi_heap_t* heap_ = nullptr;
  pinref::deferred_list<allocation, &allocation::link> dead_;
};

inline void allocation::free_page() noexcept {
  home->put_off(*this);
}

}  // namespace examples::mimalloc
