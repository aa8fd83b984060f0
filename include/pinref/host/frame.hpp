// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// frame: the page descriptor of the embedded default host, with every capability a buffer pool needs.
///
/// When not to use it: when the host has descriptors of its own. Specialize `page_traits` for those instead.
///
/// Example:
///
///     pinref::frame_arena arena{1};
///     pinref::basic_frame<pinref::page_ref<>>* const page = arena.allocate();
///     if (page == nullptr) return give_up("no memory");
///     {
///       const std::lock_guard guard{*page};
///       page->set_dirty();
///     }
///     pinref::put_page(*page);
///
/// Errors: none.
/// Memory order: release where the dirty bit is set, acquire where it is cleared; the page lock's.
/// Progress: the page lock sleeps; all else is wait-free.
/// Source: Linux struct page.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/host/sleeping_lock.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref::inline v0_1 {

template <class Ref>
class basic_frame_arena;

/// One frame of memory. Frames live as long as their arena: they are type-stable.
template <class Ref>
class basic_frame {
 public:
  basic_frame() noexcept = default;

  /// Its reference word.
  [[nodiscard]] Ref& ref() noexcept { return ref_; }
  /// The arena it belongs to.
  [[nodiscard]] basic_frame_arena<Ref>& arena() noexcept { return *arena_; }

  /// Its head: itself, or the first frame of the compound page it belongs to. May be read before anything is held.
  [[nodiscard]] basic_frame& head() noexcept {
    basic_frame* const head = head_.load(std::memory_order_relaxed);
    return head != nullptr ? *head : *this;
  }
  /// Of a head, the pages of its compound page, itself included. May be read before anything is held.
  [[nodiscard]] std::size_t nr_pages() const noexcept { return nr_pages_.load(std::memory_order_relaxed); }
  /// Makes it part of the compound page of `head`, or a page of its own. See make_compound_page.
  void set_head(basic_frame& head) noexcept { head_.store(&head == this ? nullptr : &head, std::memory_order_relaxed); }
  /// Says of a head how many pages it has.
  void set_nr_pages(std::size_t n) noexcept {
    nr_pages_.store(static_cast<std::uint32_t>(n), std::memory_order_relaxed);
  }

  /// The page lock: one owner, others sleep.
  void lock() noexcept { lock_.lock(); }
  [[nodiscard]] bool try_lock() noexcept { return lock_.try_lock(); }
  void unlock() noexcept { lock_.unlock(); }

  /// Is it marked as to be written out? Order: none.
  [[nodiscard]] bool dirty() const noexcept { return dirty_.load(std::memory_order_relaxed) != 0; }
  /// Marks it. Order: release.
  void set_dirty() noexcept {
    // (H3) pairs with (H4): release, so that a caller that clears the bit reads the data it stands for.
    dirty_.store(1, std::memory_order_release);
  }
  /// Clears the bit and returns what it was. Clear, then ask page_dma_pinned, then read the data: a pin that ends
  /// meanwhile is seen, or its owner finds the bit clear and sets it again. Order: acquire.
  [[nodiscard]] bool clear_dirty() noexcept {
    // (H4) pairs with (H3): acquire, so that the caller reads the data that the bit stands for.
    return dirty_.exchange(0, std::memory_order_acquire) != 0;
  }

 private:
  friend class basic_frame_arena<Ref>;
  template <class T>
  using atomic = typename Ref::sync::template atomic<T>;

  Ref ref_;
  atomic<basic_frame*> head_{nullptr};
  detail::sleeping_lock<typename Ref::sync> lock_;
  atomic<std::uint32_t> dirty_{0};
  atomic<std::uint32_t> nr_pages_{1};
  basic_frame_arena<Ref>* arena_ = nullptr;
  basic_frame* next_free_ = nullptr;
};

}  // namespace pinref::inline v0_1
