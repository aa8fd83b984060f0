#pragma once

/// \file
/// frame: the page descriptor of the embedded default host, with every capability a buffer pool needs.
///
/// When not to use it: when the host has descriptors of its own. Specialize `page_traits` for those instead.
///
/// Example:
///
///     void mark(pinref::basic_frame<pinref::page_ref<>>& page) { page.set_dirty(); }

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/host/sleeping_lock.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref {

template <class Ref>
class basic_frame_arena;

/// One frame of memory. Frames live as long as their arena: they are type-stable.
template <class Ref>
class basic_frame {
 public:
  basic_frame() noexcept = default;

  [[nodiscard]] Ref& ref() noexcept { return ref_; }
  [[nodiscard]] basic_frame_arena<Ref>& arena() noexcept { return *arena_; }

  /// Its head: itself, or the first frame of the compound page it belongs to. May be read before anything is held.
  [[nodiscard]] basic_frame& head() noexcept {
    basic_frame* const head = head_.load(std::memory_order_relaxed);
    return head != nullptr ? *head : *this;
  }
  [[nodiscard]] std::size_t nr_pages() const noexcept { return nr_pages_; }

  /// The page lock: one owner, others sleep.
  void lock() noexcept { lock_.lock(); }
  [[nodiscard]] bool try_lock() noexcept { return lock_.try_lock(); }
  void unlock() noexcept { lock_.unlock(); }

  [[nodiscard]] bool dirty() const noexcept { return dirty_.load(std::memory_order_relaxed) != 0; }
  void set_dirty() noexcept {
    // (H3) pairs with (H4): who clears the bit reads the data it stands for.
    dirty_.store(1, std::memory_order_release);
  }
  /// Clears the bit and returns what it was. Clear, then ask page_dma_pinned, then read the data: who is pinned
  /// meanwhile is seen, or finds the bit clear and sets it again.
  [[nodiscard]] bool clear_dirty() noexcept {
    // (H4) pairs with (H3): reads the data of whoever set the bit.
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
  std::size_t nr_pages_ = 1;
  basic_frame_arena<Ref>* arena_ = nullptr;
  basic_frame* next_free_ = nullptr;
};

}  // namespace pinref
