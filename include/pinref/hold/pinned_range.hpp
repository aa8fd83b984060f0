#pragma once

/// \file
/// pinned_range: the pins of one pin_user_pages call, released when the handle goes, as a whole or in parts.
///
/// The array of pages stays the caller's; the handle owns the pins. Move-only.
///
/// When not to use it: when somebody may need to release the pins from outside, or to count them against a limit; that
/// is `owned_pins` with its `pin_owner`.
///
/// Example:
///
///     frame* pages[64];
///     auto done = pinref::pin_user_pages_fast(space, start, 64, pinref::foll::write, pages);
///     auto range = pinref::pinned_range<frame, pinref::on_release::dirty>::adopt(pages, done.count);
///     (void)range.release_front(16);                             // the device is done with these
///
/// Memory order and progress are those of the release calls.

#include <cstddef>
#include <utility>

#include "pinref/gup/release.hpp"
#include "pinref/hold/page_hold.hpp"

namespace pinref {

template <host_page Page, on_release How = on_release::plain>
class pinned_range {
 public:
  static constexpr on_release mode = How;

  constexpr pinned_range() noexcept = default;
  pinned_range(pinned_range&& other) noexcept
      : pages_(std::exchange(other.pages_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  pinned_range& operator=(pinned_range&& other) noexcept {
    if (this != &other) {
      (void)release();
      pages_ = std::exchange(other.pages_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~pinned_range() { (void)release(); }

  /// Takes over one pin of each of n pages; null entries are allowed. The array must outlive the handle. Takes none
  /// over if n is above max_pages, as an error code taken for a count is.
  [[nodiscard]] static pinned_range adopt(Page** pages, std::size_t n) noexcept {
    pinned_range range;
    if (n > max_pages) return range;
    range.pages_ = pages;
    range.size_ = n;
    return range;
  }
  /// Gives the pins to the caller, who must release them: the first page, with size() read before. Null if empty.
  [[nodiscard]] Page** detach() noexcept {
    size_ = 0;
    return std::exchange(pages_, nullptr);
  }

  /// Pages still pinned.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] Page* operator[](std::size_t i) const noexcept { return pages_[i]; }
  [[nodiscard]] Page* const* begin() const noexcept { return pages_; }
  [[nodiscard]] Page* const* end() const noexcept { return pages_ + size_; }

  /// Releases the first n pages, or all there are.
  gup_result release_front(std::size_t n) noexcept {
    n = detail::smaller(n, size_);
    const gup_result done = pinned_range::drop(pages_, n);
    pages_ += n;
    size_ -= n;
    return done;
  }
  /// Releases the last n pages, or all there are.
  gup_result release_back(std::size_t n) noexcept {
    n = detail::smaller(n, size_);
    size_ -= n;
    return pinned_range::drop(pages_ + size_, n);
  }
  /// Releases what is left.
  gup_result release() noexcept { return release_front(size_); }

 private:
  static gup_result drop(Page* const* pages, std::size_t n) noexcept {
    if constexpr (How == on_release::dirty)
      return pinref::unpin_user_pages_dirty_lock(pages, n, true);
    else
      return pinref::unpin_user_pages(pages, n);
  }

  Page** pages_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pinref
