// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_stamp: reading a page without holding it, and finding out afterwards whether what was read is whole.
///
/// A reader notes stamp and word, copies the data, and looks again: the page lives, no device has it pinned, and it was
/// not written to meanwhile. It writes to nothing that others read, so any number of readers of one page do not disturb
/// each other. A version alone does not see the writes of a device, which are not announced; the pin is the device's
/// write lock, and the stamp is changed before a pin goes.
///
/// The stamp is changed
/// - by the CPU's writers: `write_begin`, `write_end`;
/// - by every release of a pin, before it: the calls of page/ and gup/ do so for pages with `page_traits::stamp`; to
///   unpin the word itself, call `changed()` first;
/// - by the owner that gives the page another content or a new life: `changed()`, before `init` or `unfreeze`.
///
/// When not to use it: where what was read is followed before it was validated. A pointer or a length that was read is
/// rubbish until then. The data must be type-stable memory too: it may be written at any instant.
///
/// Example:
///
///     pinref::page_stamp<> stamp;                                // beside the word `ref` of a page
///     const std::uint64_t data[64] = {};                         // what the page holds
///     std::uint64_t copy[64];
///     pinref::stamp_seen seen;
///     if (!stamp.read_begin(ref, seen)) return try_again_later();      // dying, pinned, or being written
///     pinref::copy_out(copy, data, 64);
///     if (!stamp.read_validate(ref, seen)) return try_again_later();   // or take a reference
///     reuse();                                                   // the copy is whole
///
/// The copies are made of atomic accesses, so a sanitizer sees no race; loads acquire and stores release, which costs
/// nothing on x86 and no fence elsewhere. A device's own writes are ordered before its completion by the bus on x86; on
/// Arm the thread that sees the completion needs the device's barrier (`dma_rmb`) before it unpins, with or without a
/// stamp.
///
/// Errors: false, to be tried again or with a reference; a page that is waited for is refused as a pinned one is.
/// Memory order: what was copied before a validation that succeeds is what one writer left.
/// Progress: readers are wait-free; writers too, one at a time by the host's lock.
/// Source: seqlocks (Boehm, "Can seqlocks get along with
/// programming language memory models?"); optimistic reads of vmcache (Leis et al., 2023).

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// What a reader noted.
struct stamp_seen {
  std::uint64_t stamp = 0;  ///< the stamp
};

/// The stamp of a page: odd while the CPU writes to the page.
template <class Sync>
class page_stamp {
 public:
  constexpr page_stamp() noexcept = default;
  page_stamp(const page_stamp&) = delete;
  page_stamp& operator=(const page_stamp&) = delete;

  /// Is the page alive, not being written and not pinned? Then it may be read.
  template <class Ref>
  [[nodiscard]] PINREF_FAST_PATH bool read_begin(const Ref& ref, stamp_seen& seen) const noexcept {
    seen.stamp = value();
    return seen.stamp % 2 == 0 && ref.plainly_unpinned();
  }
  /// Begins to read whatever the page is: for reads so short that one in vain costs less than the question. What the
  /// other refuses, read_validate refuses after this one.
  [[nodiscard]] PINREF_FAST_PATH stamp_seen read_begin() const noexcept {
    // An odd stamp never comes back as an even one.
    return {value() & ~std::uint64_t{1}};
  }

  /// Is it so still, and was it all the time? Then what copy_out has read is whole.
  template <class Ref>
  [[nodiscard]] PINREF_FAST_PATH bool read_validate(const Ref& ref, const stamp_seen& seen) const noexcept {
    // The word first: after an unpin, the stamp that was changed before it is seen.
    // Relaxed: the acquire loads of copy_out and of the word come before it.
    return ref.plainly_unpinned() && value_.load(std::memory_order_relaxed) == seen.stamp;
  }

  /// Begins a change of the data by the CPU, which is made by copy_in. Precondition: one writer at a time.
  void write_begin() noexcept {
    // (V2) pairs with (V3), (V4): acquire, so that this writer sees what the one before it wrote.
    value_.fetch_add(1, std::memory_order_acquire);
  }
  /// Ends a change of the data.
  void write_end() noexcept {
    // (V3) pairs with (V1), (V2): release, so that a reader or writer that begins now sees what was written.
    value_.fetch_add(1, std::memory_order_release);
  }

  /// Says that the data is, or may be, another than before: a device has written, or the page has a new owner. Call it
  /// before the unpin, or the new life.
  void changed() noexcept {
    // (V4) pairs with (V1), (V2): release, so that a reader or writer that begins now sees what was written.
    value_.fetch_add(2, std::memory_order_release);
  }

 private:
  [[nodiscard]] PINREF_FAST_PATH std::uint64_t value() const noexcept {
    // (V1) pairs with (V3), (V4): acquire, so that the data is not older than the stamp.
    return value_.load(std::memory_order_acquire);
  }

  typename Sync::template atomic<std::uint64_t> value_{0};
};

namespace detail {

#if defined(__cpp_lib_atomic_ref)
template <class Word>
using word_view = std::atomic_ref<Word>;
#else
// libc++ has no std::atomic_ref before its version 19.
template <class Word>
class word_view {
 public:
  explicit word_view(Word& word) noexcept : word_(word) {}
  [[nodiscard]] Word load(std::memory_order order) const noexcept {
    return __atomic_load_n(&word_, static_cast<int>(order));
  }
  void store(Word value, std::memory_order order) const noexcept {
    __atomic_store_n(&word_, value, static_cast<int>(order));
  }

 private:
  Word& word_;
};
#endif

}  // namespace detail

/// Copies n words of a page out, each by one load. `page` is aligned as a word is.
template <class Word>
inline void copy_out(Word* to, const Word* page, std::size_t n) noexcept {
  for (std::size_t i = 0; i != n; ++i)
    // (V5) pairs with (V6): acquire, so that a reader of something new sees the stamp of its writer.
    to[i] = detail::word_view<Word>(const_cast<Word&>(page[i])).load(std::memory_order_acquire);
}
/// Copies n words into a page, each by one store. `page` is aligned as a word is.
template <class Word>
inline void copy_in(Word* page, const Word* from, std::size_t n) noexcept {
  for (std::size_t i = 0; i != n; ++i)
    // (V6) pairs with (V5): release, so that the word comes after the stamp of its writer.
    detail::word_view<Word>(page[i]).store(from[i], std::memory_order_release);
}

}  // namespace pinref::inline v0_1
