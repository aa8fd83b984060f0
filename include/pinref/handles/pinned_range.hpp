// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// pinned_range: the pins of one pin_user_pages call, released when the handle goes, as a whole or in parts.
///
/// The array of pages stays the caller's; the handle owns the pins. Move-only; one that was moved from is empty.
///
/// When not to use it: where pins may have to be released from outside, or are counted against a limit; that is
/// `pin_request` with its `pin_owner`.
///
/// Example:
///
///     frame* pages[64];
///     auto [pins, done] = pinref::pinned_range<frame, pinref::on_release::dirty>::pin_user_pages_fast(
///         space, start, pinref::foll::write, pages);
///     if (!done.ok()) return give_up(to_string(done.reason));    // what was pinned is unpinned
///     if (!pins.unpin_front(16).ok()) give_up("what the device wrote may be lost");   // it is done with these
///
/// Errors: as the calls that pin and release; what is pinned in spite of an error is in the handle.
/// Memory order: that of these calls.
/// Progress: that of these calls.
/// Source: Linux has none; pinref's own.

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/handles/page_handle.hpp"

namespace pinref::inline v0_1 {

/// A handle, and how the call that made it ended.
template <class Handle>
struct [[nodiscard("the pins are released with the handle")]] pin_result {
  Handle pins;      ///< what is held
  gup_result done;  ///< how many, and why not more
};

/// The pins of a range of pages.
template <host_page Page, on_release How = on_release::plain>
class pinned_range {
 public:
  /// What a release does to the pages.
  static constexpr on_release mode = How;

  constexpr pinned_range() noexcept = default;
  /// The pins of `other`, which is empty then.
  pinned_range(pinned_range&& other) noexcept
      : pages_(std::exchange(other.pages_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        id_(std::exchange(other.id_, {})) {}
  /// Unpins what this handle has, and takes over the pins of `other`.
  pinned_range& operator=(pinned_range&& other) noexcept {
    if (this != &other) {
      (void)reset();
      pages_ = std::exchange(other.pages_, nullptr);
      size_ = std::exchange(other.size_, 0);
      id_ = std::exchange(other.id_, {});
    }
    return *this;
  }
  ~pinned_range() { (void)reset(); }

  /// The pins of pinref::pin_user_pages, as far as it came. `pages` must outlive the handle.
  template <address_space Space>
  static pin_result<pinned_range> pin_user_pages(Space& space, std::uintptr_t start, foll flags, std::span<Page*> pages,
                                                 caller<Page> where = caller<Page>::current()) noexcept {
    id_type id;
    const gup_result done = pinref::pin_user_pages(space, start, flags, pages, detail::owned_by(where, id));
    return {pinned_range(pages.data(), done.count, id), done};
  }
  /// The pins of pinref::pin_user_pages_fast, likewise.
  template <address_space Space>
  static pin_result<pinned_range> pin_user_pages_fast(Space& space, std::uintptr_t start, foll flags,
                                                      std::span<Page*> pages,
                                                      caller<Page> where = caller<Page>::current()) noexcept {
    id_type id;
    const gup_result done = pinref::pin_user_pages_fast(space, start, flags, pages, detail::owned_by(where, id));
    return {pinned_range(pages.data(), done.count, id), done};
  }

  /// Takes over one pin of each of these pages; null entries are allowed. The array must outlive the handle. Takes none
  /// over if there are more than max_pages, as an error code taken for a count is.
  [[nodiscard("the pins are released at once")]] static pinned_range adopt(
      std::span<Page*> pages, caller<Page> where = caller<Page>::current()) noexcept {
    if (pages.size() > max_pages) return {};
    id_type id;
    pinned_range::hand_on(pages, where, detail::owned_by(where, id));
    return pinned_range(pages.data(), pages.size(), id);
  }
  /// Gives the pins to the caller, who must release them.
  [[nodiscard("the pins are the caller's to release")]] std::span<Page*> detach(
      caller<Page> where = caller<Page>::current()) noexcept {
    pinned_range::hand_on({pages_, size_}, detail::owned_by(where, id_), where);
    id_ = {};
    return {std::exchange(pages_, nullptr), std::exchange(size_, 0)};
  }

  /// How many pages are pinned, whether any is, and their addresses.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] Page* operator[](std::size_t i) const noexcept { return pages_[i]; }
  [[nodiscard]] Page* const* begin() const noexcept { return pages_; }
  [[nodiscard]] Page* const* end() const noexcept { return pages_ + size_; }

  /// Unpins the first n pages, or all there are.
  gup_result unpin_front(std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
    n = detail::smaller(n, size_);
    const gup_result done = pinned_range::drop(pages_, n, detail::owned_by(where, id_));
    pages_ += n;
    size_ -= n;
    return done;
  }
  /// Unpins the last n pages, or all there are.
  gup_result unpin_back(std::size_t n, caller<Page> where = caller<Page>::current()) noexcept {
    n = detail::smaller(n, size_);
    size_ -= n;
    return pinned_range::drop(pages_ + size_, n, detail::owned_by(where, id_));
  }
  /// Unpins what is left.
  gup_result reset(caller<Page> where = caller<Page>::current()) noexcept {
    Page** const pages = std::exchange(pages_, nullptr);
    id_type id = std::exchange(id_, {});
    return pinned_range::drop(pages, std::exchange(size_, 0), detail::owned_by(where, id));
  }

 private:
  // One for all the pages, of their list of holders, if the words keep one.
  using id_type = detail::holder_of<Page>;

  pinned_range(Page** pages, std::size_t size, id_type id) noexcept : pages_(pages), size_(size), id_(id) {}

  static void hand_on([[maybe_unused]] std::span<Page*> pages, [[maybe_unused]] caller<Page> from,
                      [[maybe_unused]] caller<Page> to) noexcept {
    if constexpr (!std::is_empty_v<id_type>)
      for (Page* const page : pages)
        if (page != nullptr) detail::hand_on<hold::pin>(*page, from, to);
  }
  static gup_result drop(Page* const* pages, std::size_t n, caller<Page> where) noexcept {
    if constexpr (How == on_release::dirty)
      return pinref::unpin_user_pages_dirty_lock(pages, n, true, where);
    else
      return pinref::unpin_user_pages(pages, n, where);
  }

  Page** pages_ = nullptr;
  std::size_t size_ = 0;
  [[no_unique_address]] id_type id_;
};

}  // namespace pinref::inline v0_1
