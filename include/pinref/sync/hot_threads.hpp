// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// hot_threads: numbers for the threads that count on hot pages, in an object that the host owns.
///
/// Each thread counts on a hot page in a slot of its own, and its number says which. Numbers come from the
/// `hot_threads` that the slots of the page refer to. So all users of a page agree on them, in any shared object, with
/// any number of copies of this library in the process, however they were linked.
///
/// A thread gets a number when it first takes or releases a hot page, or from `enter()`, and gives it back when it
/// ends, or by `leave()`. No two threads have the same number at a time. While no number is free, a thread without one
/// counts in the page's word.
///
/// Each copy of the library remembers for itself which number a thread has: a thread that uses a page from two shared
/// objects may have two. That memory is all the state there is outside the object.
///
/// - Lifetime: the object outlives every thread that has a number, or the thread calls `leave()` first, in each shared
///   object in which it used the numbers. The destructor does so for its own thread.
/// - Where a thread gets its first number, the C++ runtime notes a destructor for the thread's end, which may allocate;
///   in a shared object that was loaded at run time so may the first access to its thread-local memory. A thread that
///   must not allocate in a take or release calls `enter()` before, where it may.
///
/// When not to use it: to number threads for anything else. A number is given to a later thread.
///
/// Example:
///
///     static pinref::hot_threads threads;                        // one for a program is enough
///     static pinref::hot_ref<>::slots counts{threads};
///     pinref::hot_ref<> ref{pinref::bias64::live(1)};
///     if (!ref.make_hot(counts)) std::puts("no membarrier here: the page stays exact");
///
/// Errors: `enter()` is false if no number is free, the thread is about to end, or another version made the object.
/// Memory order: the next owner of a number sees what the last owner did with it.
/// Progress: `number()` is wait-free. The others are lock-free, but for what the C++ runtime does where a thread gets
/// its first number.
/// Source: pinref's own; liburcu registers reader threads the same way.

#include <atomic>
#include <bit>
#include <cstdint>

#include "pinref/sync/layout_stamp.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/std_sync.hpp"

/// Never merged with the same name of another shared object: each has its own, and can be unloaded.
#if defined(__ELF__)
#define PINREF_OF_THIS_COPY [[gnu::visibility("hidden")]]
#else
#define PINREF_OF_THIS_COPY
#endif

namespace pinref::inline v0_1 {

class hot_threads;

namespace detail {

/// Numbers below `size`, each given to one taker at a time.
template <class Sync>
class number_pool {
 public:
  static constexpr unsigned size = 64;
  static constexpr unsigned none = ~0u;

  /// `none` if all are taken.
  [[nodiscard]] unsigned take() noexcept {
    std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    for (;;) {
      const auto lowest = static_cast<unsigned>(std::countr_one(taken));
      if (lowest == size) return none;
      // (P1) pairs with (P2): acquire, so that the new owner sees the counts of this number as the last one left them.
      if (taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << lowest, std::memory_order_acquire,
                                       std::memory_order_relaxed))
        return lowest;
    }
  }

  void give_back(unsigned number) noexcept {
    // (P2) pairs with (P1): release, so that the next owner sees the counts of this number as they are now.
    taken_.fetch_and(~(std::uint64_t{1} << number), std::memory_order_release);
  }

 private:
  typename Sync::template atomic<std::uint64_t> taken_{0};
};

/// Where the owner of a number notes that it has it. No other thread reads it.
struct hot_seat {
  hot_threads* of = nullptr;
  unsigned number = 0;
  hot_seat* next = nullptr;
};

#if __STDC_HOSTED__
/// What a thread remembers. It has no destructor: it is asked until the thread is gone, also by destructors.
struct hot_seats {
  const hot_threads* last_used = nullptr;
  unsigned number = 0;
  bool ended = false;
  hot_seat* first = nullptr;
};

PINREF_OF_THIS_COPY inline constinit thread_local hot_seats seats_of_this_thread{};
#endif

}  // namespace detail

/// Numbers for at most `size` threads at a time.
class hot_threads {
 public:
  /// The most threads that have a number at the same time.
  static constexpr unsigned size = detail::number_pool<std_sync>::size;
  /// Larger than any number.
  static constexpr unsigned none = detail::number_pool<std_sync>::none;

  constexpr hot_threads() noexcept = default;
  hot_threads(const hot_threads&) = delete;
  hot_threads& operator=(const hot_threads&) = delete;
#if __STDC_HOSTED__
  PINREF_OF_THIS_COPY ~hot_threads() {
    leave();
  }
#endif

  /// Was it made by a version that lays it out as this one does? If not, no thread gets a number.
  [[nodiscard]] constexpr bool of_this_layout() const noexcept {
    return stamp_.matches();
  }

  /// Gives this thread its number now. False if none is free, the thread is about to end, or another version made the
  /// object.
  PINREF_OF_THIS_COPY bool enter() noexcept {
    return enroll() != none;
  }

#if __STDC_HOSTED__
  /// Takes this thread's number back, if it has one; to take or release a hot page gives it another one. Precondition:
  /// called in the shared object that got it, and in no call on a hot page.
  PINREF_OF_THIS_COPY void leave() noexcept {
    detail::hot_seats& mine = detail::seats_of_this_thread;
    if (mine.last_used == this) mine.last_used = nullptr;
    for (detail::hot_seat** at = &mine.first; *at != nullptr; at = &(*at)->next)
      if ((*at)->of == this) return stand_up(*at);
  }

  /// The number that this thread used last, if it was one of these; else `none`.
  [[nodiscard]] PINREF_FAST_PATH unsigned number() const noexcept {
    const detail::hot_seats& mine = detail::seats_of_this_thread;
    if (mine.last_used != this) [[unlikely]]
      return none;
#if defined(__GNUC__)
    if (mine.number >= size) __builtin_unreachable();
#endif
    return mine.number;
  }

  /// This thread's number, which it has or gets, or `none`.
  PINREF_OF_THIS_COPY PINREF_SLOW_PATH unsigned enroll() noexcept {
    detail::hot_seats& mine = detail::seats_of_this_thread;
    const detail::hot_seat* own = mine.first;
    while (own != nullptr && own->of != this) own = own->next;
    if (own == nullptr) own = sit_down(mine);
    if (own == nullptr) return none;
    mine.last_used = this;
    mine.number = own->number;
    return own->number;
  }

 private:
  PINREF_OF_THIS_COPY detail::hot_seat* sit_down(detail::hot_seats& mine) noexcept {
    // At the end of a thread other destructors may still count, but a number they got would never be given back.
    if (mine.ended || !of_this_layout()) return nullptr;
    const unsigned number = numbers_.take();
    if (number == none) return nullptr;
    struct leaver {
      leaver() noexcept {}
      leaver(const leaver&) = delete;
      leaver& operator=(const leaver&) = delete;
      ~leaver() {
        detail::hot_seats& mine = detail::seats_of_this_thread;
        mine.ended = true;
        mine.last_used = nullptr;
        while (mine.first != nullptr) stand_up(mine.first);
      }
    };
    seats_[number] = {this, number, mine.first};
    mine.first = &seats_[number];
    // May allocate. If the allocator uses hot pages, it finds that this thread has its number.
    thread_local const leaver until_the_thread_ends;
    return &seats_[number];
  }

  // Gives up the seat that `place`, of this thread's list, refers to. Its next owner may be there at once.
  static void stand_up(detail::hot_seat*& place) noexcept {
    const detail::hot_seat left = *place;
    place = left.next;
    left.of->numbers_.give_back(left.number);
  }

  layout_stamp<hot_threads> stamp_;
  detail::number_pool<std_sync> numbers_;
  detail::hot_seat seats_[size];
#else
  void leave() noexcept {}
  [[nodiscard]] unsigned number() const noexcept {
    return none;
  }
  unsigned enroll() noexcept {
    return none;
  }

 private:
  layout_stamp<hot_threads> stamp_;
#endif
};

}  // namespace pinref::inline v0_1
