// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// shared_page: the descriptor of a page in memory that processes share.
///
/// It is 32 bytes without a pointer: the reference word, which only a ledger may change, a lock, a dirty bit, the
/// pool's own reference, and a word for the host, such as the number of the block that the page holds.
///
/// When not to use it: in one process. `basic_frame` is the descriptor there.
///
/// Example:
///
///     pinref::shared_page<pinref::shared_traits>& page = pool.page(7);
///     page.set_dirty();
///     if (page.dma_pinned()) return try_again_later();
///
/// Errors: none.
/// Memory order: as basic_frame and page_ref have it.
/// Progress: wait-free; waits say so.
/// Source: Linux struct page.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/share/life_lock.hpp"
#include "pinref/share/page_lock.hpp"
#include "pinref/share/recorded_word.hpp"
#include "pinref/word/question.hpp"

namespace pinref::inline v0_1 {

/// What a segment is made of. A user's own has the same members.
struct shared_traits {
  /// Of the reference words. It has as many claimants as a segment may have members, and takers at least.
  using layout = shared64;
  using sync = segment_sync;
  /// Each member counts its calls apart for so many kinds of pages, a power of two. Recovery waits for a page until no
  /// call is under way for one of its kind.
  static constexpr unsigned page_kinds = 256;
};

namespace detail {
struct shared_access;
}  // namespace detail

/// One page of a segment of `Traits`. Descriptors live as long as their segment.
template <class Traits>
class shared_page {
 public:
  /// How its word counts, and where its atomics come from.
  using layout = typename Traits::layout;
  using sync = typename Traits::sync;
  /// What may cancel a wait for the page.
  using canceller = wait_canceller<detail::recording_sync<sync>>;

  /// A free page.
  shared_page() noexcept : word_(layout{}.raw()) {}
  shared_page(const shared_page&) = delete;
  shared_page& operator=(const shared_page&) = delete;

  /// All counts at one instant. Order: none.
  [[nodiscard]] layout snapshot() const noexcept { return layout{word_.load()}; }
  /// As page_ref::dma_pinned(), the question to decide on.
  [[nodiscard]] bool dma_pinned() noexcept { return layout{word_.load_ordered()}.maybe_pinned(); }
  /// Sleeps until the page is not pinned, at some instant. As page_ref::wait_until_unpinned(); waiters and wakers may
  /// be in different processes, and recovery wakes those of a dead waker.
  template <cancels_waits<detail::recording_sync<sync>> Canceller = never_cancelled>
  [[nodiscard("a wait may end before the page is as asked for")]] wait_result wait_until_unpinned(
      const deadline& until = deadline::never(), const Canceller& stop = {}) noexcept {
    return wait(unpinned{}, until, stop);
  }
  /// Sleeps until the page has at most n holders. As page_ref::wait_until_idle().
  template <cancels_waits<detail::recording_sync<sync>> Canceller = never_cancelled>
  [[nodiscard("a wait may end before the page is as asked for")]] wait_result wait_until_idle(
      std::size_t n, const deadline& until = deadline::never(), const Canceller& stop = {}) noexcept {
    return wait(at_most{n}, until, stop);
  }

  /// Is it marked as to be written out? Order: none.
  [[nodiscard]] bool dirty() const noexcept { return dirty_.load(std::memory_order_relaxed) != 0; }
  /// Marks it. Order: release.
  void set_dirty() noexcept {
    // (L23) pairs with (L24): release, so that a caller that clears the bit reads the data it stands for.
    dirty_.store(1, std::memory_order_release);
  }
  /// Clears the bit and returns what it was. Clear, then ask dma_pinned, then read the data.
  [[nodiscard]] bool clear_dirty() noexcept {
    // (L24) pairs with (L23): acquire, so that the caller reads the data that the bit stands for.
    return dirty_.exchange(0, std::memory_order_acquire) != 0;
  }

  /// A word of the host's. Order: acquire: what came before set_tag is seen with the tag.
  [[nodiscard]] std::uint64_t tag() const noexcept {
    // (L25) pairs with (L26): acquire, so that the page is seen as its tag says.
    return tag_.load(std::memory_order_acquire);
  }
  /// Sets the word of the host. Order: release.
  void set_tag(std::uint64_t tag) noexcept {
    // (L26) pairs with (L25): release, so that the page is seen as its tag says.
    tag_.store(tag, std::memory_order_release);
  }

  /// Has the pool a reference of its own? For statistics.
  [[nodiscard]] bool kept() const noexcept { return kept_.load(std::memory_order_relaxed) != 0; }
  /// Was more released than was held? Then nothing that is in doubt on the page is ever released.
  [[nodiscard]] bool tainted() const noexcept { return tainted_.load(std::memory_order_relaxed) != 0; }
  /// The member that has the page lock, or ~0u. For statistics.
  [[nodiscard]] unsigned lock_owner() const noexcept { return lock_.owner_place(); }

 private:
  friend struct detail::shared_access;
  template <class T>
  using atomic = typename sync::template atomic<T>;

  template <class Question, class Canceller>
  [[nodiscard]] wait_result wait(Question question, const deadline& until, const Canceller& stop) noexcept {
    return word_.wait([question](typename layout::word_type word) noexcept { return question(layout{word}); }, until,
                      stop, question.template wakes<layout>());
  }

  recorded_word<layout, sync> word_;
  atomic<std::uint64_t> tag_{0};
  page_lock<sync> lock_;
  atomic<std::uint32_t> dirty_{0};
  atomic<std::uint32_t> kept_{0};
  atomic<std::uint32_t> tainted_{0};
};

namespace detail {

/// What a ledger may touch of a page.
struct shared_access {
  template <class Traits>
  [[nodiscard]] static auto& word(shared_page<Traits>& page) noexcept {
    return page.word_;
  }
  template <class Traits>
  [[nodiscard]] static auto& lock(shared_page<Traits>& page) noexcept {
    return page.lock_;
  }
  template <class Traits>
  [[nodiscard]] static auto& kept(shared_page<Traits>& page) noexcept {
    return page.kept_;
  }
  template <class Traits>
  static void taint(shared_page<Traits>& page) noexcept {
    page.tainted_.store(1, std::memory_order_relaxed);
  }
};

}  // namespace detail

}  // namespace pinref::inline v0_1
