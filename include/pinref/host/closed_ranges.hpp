// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// closed_ranges: ranges of addresses that were closed, and belong to the callers that closed them.
///
/// When not to use it: from several threads at once. It is under its owner's lock.
///
/// Example:
///
///     pinref::detail::closed_ranges<16> closed;
///     if (!closed.add(first, last)) return give_up("no room");
///     // ... while closed.overlap(first, last), nothing is registered there
///     if (!closed.remove(first, last)) give_up("was not closed");
///
/// Errors: false if there is no room, or no such range.
/// Memory order: none.
/// Progress: a step for each range.
/// Source: pinref's own.

#include <cstddef>
#include <cstdint>

namespace pinref::inline v0_1::detail {

/// Ranges that are closed. Under the cache's lock.
template <std::size_t Max>
class closed_ranges {
 public:
  [[nodiscard]] bool overlap(std::uintptr_t first, std::uintptr_t last) const noexcept {
    for (std::size_t i = 0; i != n_; ++i)
      if (ranges_[i].first <= last && first <= ranges_[i].last) return true;
    return false;
  }
  [[nodiscard]] bool add(std::uintptr_t first, std::uintptr_t last) noexcept {
    if (n_ == Max) return false;
    ranges_[n_++] = {first, last};
    return true;
  }
  [[nodiscard]] bool remove(std::uintptr_t first, std::uintptr_t last) noexcept {
    for (std::size_t i = 0; i != n_; ++i)
      if (ranges_[i].first == first && ranges_[i].last == last) {
        ranges_[i] = ranges_[--n_];
        return true;
      }
    return false;
  }

 private:
  struct range {
    std::uintptr_t first = 0, last = 0;
  };
  range ranges_[Max];
  std::size_t n_ = 0;
};

}  // namespace pinref::inline v0_1::detail
