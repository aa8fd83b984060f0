// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// frame_arena: memory from mmap in frames of 4 KiB and compound pages of 2 MiB, with a free list. The default host's
/// allocator.
///
/// Frames come with one reference and go back to the free list when the last holder, reference or pin, releases them.
///
/// When not to use it: where real memory is managed already. It is a host to start from, to test with, and to read.
///
/// Example:
///
///     pinref::frame_arena arena{4};                              // 4 blocks of 2 MiB
///     if (!arena.valid()) return give_up("the system refused the memory");
///     pinref::frame_arena::frame* const page = arena.allocate();   // one reference
///     if (page == nullptr) return give_up("no frame is free");
///     std::memset(arena.data(*page), 0, arena.frame_size);
///     pinref::put_page(*page);                                   // back on the free list
///
/// Errors: an arena that got no memory is not valid; allocations return null when no frame is free.
/// Memory order: that of the arena's lock; a frame's next owner sees what the last one wrote.
/// Progress: allocations and the release that frees a page take the lock, and may sleep for it.
/// Source: pinref's own; Linux's page allocator is what it stands for.

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

#include "pinref/gup/page_range.hpp"
#include "pinref/host/frame.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "pinref/page/page.hpp"

namespace pinref::inline v0_1 {

/// `Ref` is the reference word of every frame: any layout, any Sync.
template <class Ref>
class basic_frame_arena {
 public:
  /// Its page descriptor.
  using frame = basic_frame<Ref>;
  /// Bytes of a frame, frames of a compound page, and bytes of that.
  static constexpr std::size_t frame_size = 4096;
  static constexpr std::size_t frames_per_block = 512;
  static constexpr std::size_t block_size = frame_size * frames_per_block;

  /// Maps `blocks` blocks of 2 MiB. Check `valid()`: the system may refuse.
  explicit basic_frame_arena(std::size_t blocks) noexcept {
    if (blocks == 0 || blocks > SIZE_MAX / block_size - 1) return;
    // One block more than asked for, so that the first can start on its own boundary.
    mapped_size_ = (blocks + 1) * block_size;
    void* const memory = ::mmap(nullptr, mapped_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    mapped_ = static_cast<std::byte*>(memory);
    frames_.reset(new (std::nothrow) frame[blocks * frames_per_block]);
    blocks_.reset(new (std::nothrow) block[blocks]);
    if (frames_ == nullptr || blocks_ == nullptr) return;
    const auto misfit = reinterpret_cast<std::uintptr_t>(mapped_) % block_size;
    memory_ = mapped_ + (misfit == 0 ? 0 : block_size - misfit);
    nr_frames_ = blocks * frames_per_block;
    for (std::size_t i = nr_frames_; i-- != 0;) {
      frames_[i].arena_ = this;
      push_free(frames_[i]);
    }
  }
  basic_frame_arena(const basic_frame_arena&) = delete;
  basic_frame_arena& operator=(const basic_frame_arena&) = delete;
  /// Precondition: nobody holds a frame, and no device touches one.
  ~basic_frame_arena() {
    if (mapped_ != nullptr) ::munmap(mapped_, mapped_size_);
  }

  /// Has it got its memory?
  [[nodiscard]] bool valid() const noexcept { return memory_ != nullptr; }
  /// How many frames it has.
  [[nodiscard]] std::size_t nr_frames() const noexcept { return nr_frames_; }
  /// How many of them are free, at some instant. May block.
  [[nodiscard]] std::size_t nr_free() const noexcept {
    const std::lock_guard guard{lock_};
    return nr_free_;
  }

  /// A frame with one reference, or null if none is free. Its memory holds what it held. May block.
  [[nodiscard]] frame* allocate() noexcept {
    const std::lock_guard guard{lock_};
    block* const from = partial_ != nullptr ? partial_ : whole_;
    if (from == nullptr) return nullptr;
    unlink(*from);
    frame* const page = from->first_free;
    from->first_free = page->next_free_;
    --from->nr_free;
    link(*from);
    --nr_free_;
    (void)page->clear_dirty();
    page->ref_.init();
    return page;
  }

  /// The head of a compound page of 2 MiB with one reference, or null if no block is free. May block.
  [[nodiscard]] frame* allocate_compound() noexcept {
    const std::lock_guard guard{lock_};
    block* const from = whole_;
    if (from == nullptr) return nullptr;
    unlink(*from);
    from->nr_free = 0;
    from->first_free = nullptr;
    nr_free_ -= frames_per_block;
    frame* const head = &frames_[static_cast<std::size_t>(from - blocks_.get()) * frames_per_block];
    (void)head->clear_dirty();
    pinref::make_compound_page(*head, frames_per_block);
    return head;
  }

  /// The memory of a frame.
  [[nodiscard]] std::byte* data(const frame& page) const noexcept {
    return memory_ + static_cast<std::size_t>(&page - frames_.get()) * frame_size;
  }
  /// The number of a frame, from 0.
  [[nodiscard]] std::uint64_t frame_number(const frame& page) const noexcept {
    return static_cast<std::uint64_t>(&page - frames_.get());
  }
  /// The frame of a number. Precondition: number < nr_frames().
  [[nodiscard]] frame& frame_at(std::uint64_t number) const noexcept {
    return frames_[static_cast<std::size_t>(number)];
  }

  /// Takes back a head page that is dead or frozen. The last release calls it, or a caller that has frozen the page; no
  /// other may.
  void free_page(frame& head) noexcept {
    head.ref_.bury();
    const std::lock_guard guard{lock_};
    const std::size_t pages = head.nr_pages();
    for (std::size_t i = pages; i-- != 0;) {
      frame& page = (&head)[i];
      page.set_head(page);
      page.set_nr_pages(1);
      push_free(page);
    }
  }

 private:
  /// 2 MiB of frames and those of them that are free.
  struct block {
    frame* first_free = nullptr;
    std::size_t nr_free = 0;
    block* next = nullptr;
    block* previous = nullptr;
  };

  void push_free(frame& page) noexcept {
    block& home = blocks_[static_cast<std::size_t>(&page - frames_.get()) / frames_per_block];
    unlink(home);
    page.next_free_ = home.first_free;
    home.first_free = &page;
    ++home.nr_free;
    ++nr_free_;
    link(home);
  }

  // A block is on the list of whole ones, on that of partial ones, or, with no free frame, on none.
  [[nodiscard]] block*& list_of(const block& which) noexcept {
    return which.nr_free == frames_per_block ? whole_ : partial_;
  }
  void link(block& which) noexcept {
    if (which.nr_free == 0) return;
    block*& list = list_of(which);
    which.previous = nullptr;
    which.next = list;
    if (list != nullptr) list->previous = &which;
    list = &which;
  }
  void unlink(block& which) noexcept {
    if (which.nr_free == 0) return;
    (which.previous != nullptr ? which.previous->next : list_of(which)) = which.next;
    if (which.next != nullptr) which.next->previous = which.previous;
  }

  mutable detail::sleeping_lock<typename Ref::sync> lock_;
  std::unique_ptr<frame[]> frames_;
  std::unique_ptr<block[]> blocks_;
  block* whole_ = nullptr;
  block* partial_ = nullptr;
  std::size_t nr_frames_ = 0;
  std::size_t nr_free_ = 0;
  std::byte* memory_ = nullptr;
  std::byte* mapped_ = nullptr;
  std::size_t mapped_size_ = 0;
};

/// An arena of frames with the default word.
using frame_arena = basic_frame_arena<page_ref<>>;

/// The default host's contract.
template <class Ref>
struct page_traits<basic_frame<Ref>> {
  using page = basic_frame<Ref>;

  static Ref& ref(page& p) noexcept { return p.ref(); }
  static page& head(page& p) noexcept { return p.head(); }
  static std::size_t nr_pages(page& head) noexcept { return head.nr_pages(); }
  static void set_head(page& p, page& head) noexcept { p.set_head(head); }
  static void set_nr_pages(page& head, std::size_t n) noexcept { head.set_nr_pages(n); }
  static std::uint64_t frame_number(page& p) noexcept { return p.arena().frame_number(p); }
  static page& nth_page(page& p, std::size_t i) noexcept { return (&p)[i]; }
  static void lock(page& head) noexcept { head.lock(); }
  static bool try_lock(page& head) noexcept { return head.try_lock(); }
  static void unlock(page& head) noexcept { head.unlock(); }
  static bool dirty(page& head) noexcept { return head.dirty(); }
  static void set_dirty(page& head) noexcept { head.set_dirty(); }
  static bool clear_dirty(page& head) noexcept { return head.clear_dirty(); }
  static void free_page(page& head) noexcept { head.arena().free_page(head); }
};

}  // namespace pinref::inline v0_1
