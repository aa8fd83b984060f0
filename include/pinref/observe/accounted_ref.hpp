#pragma once

/// \file
/// accounted_ref: a page_ref that counts pins acquired and released, as Linux's nr_foll_pin_acquired and _released do.
///
/// Counts are in pages, monotonic, spread over cache lines by thread. Acquired minus released is the number of live
/// pins at any moment when no call is under way, undo and bulk calls included, because every path ends in this word.
///
/// When not to use it: on pages that nobody asks about. A plain `page_ref` pays nothing.
///
/// Example:
///
///     using ref = pinref::accounted_ref<pinref::page_ref<>>;
///     struct frame { ref word; };
///     pinref::pin_totals before = ref::totals();                 // of all pages with this word
///
/// `Tag` keeps the counts of unrelated hosts apart. Memory order: none; counts of other threads may lag.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pinref/ref/call_site.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/reference_word.hpp"

namespace pinref {

/// Pages pinned and unpinned since the program began.
struct pin_totals {
  std::uint64_t acquired = 0;
  std::uint64_t released = 0;
};

template <reference_word Ref, class Tag = void>
class accounted_ref : public Ref {
  using caller = typename detail::site_of_ref<Ref>::type;

 public:
  using Ref::Ref;

  [[nodiscard]] take_result try_pin(std::size_t n = 1) noexcept { return count_taken(n, Ref::try_pin(n)); }
  [[nodiscard]] take_result add_pin(std::size_t n = 1, [[maybe_unused]] caller where = caller::current()) noexcept {
    if constexpr (std::is_empty_v<caller>)
      return count_taken(n, Ref::add_pin(n));
    else
      return count_taken(n, Ref::add_pin(n, where));
  }

  [[nodiscard]] release_result unpin(std::size_t n = 1, std::size_t idle_level = 0,
                                     [[maybe_unused]] caller where = caller::current()) noexcept {
    if constexpr (std::is_empty_v<caller>)
      return count_released(n, Ref::unpin(n, idle_level));
    else
      return count_released(n, Ref::unpin(n, idle_level, where));
  }

  /// The sums over all pages of this type.
  [[nodiscard]] static pin_totals totals() noexcept {
    pin_totals sum;
    for (const slot& one : slots_) {
      sum.acquired += one.acquired.load(std::memory_order_relaxed);
      sum.released += one.released.load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  static take_result count_taken(std::size_t n, take_result result) noexcept {
    if (result == take_result::taken) mine().acquired.fetch_add(n, std::memory_order_relaxed);
    return result;
  }
  static release_result count_released(std::size_t n, release_result result) noexcept {
    if (result != release_result::underflow) mine().released.fetch_add(n, std::memory_order_relaxed);
    return result;
  }

  using counter = typename Ref::sync::template atomic<std::uint64_t>;
  struct alignas(64) slot {
    counter acquired{0};
    counter released{0};
  };

  static slot& mine() noexcept {
    thread_local const std::size_t index = next_slot_.fetch_add(1, std::memory_order_relaxed) % nr_slots;
    return slots_[index];
  }

  static constexpr std::size_t nr_slots = 64;
  static inline slot slots_[nr_slots];
  static inline typename Ref::sync::template atomic<std::size_t> next_slot_{0};
};

}  // namespace pinref
