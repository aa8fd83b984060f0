// SPDX-License-Identifier: MIT
#pragma once

// The pages that a device writes to, held as long as they are in here.

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "pinref/pinref.hpp"

namespace examples {

/// What keeps them. Only pins tell the rest of the program that a device is writing; the others are for the controls.
enum class keep { pinned, referenced, looked_up };

/// N pages of a space that follow each other. Its handles let go of them.
template <class Space, std::size_t N>
class held_pages {
 public:
  using page = typename Space::page;

  held_pages() = default;
  held_pages(const held_pages&) = delete;  // the pins refer to the array
  held_pages& operator=(const held_pages&) = delete;

  /// Takes all of them for writing, in place of those it has. False, and none is held, if that failed.
  [[nodiscard]] bool take(Space& space, std::uintptr_t start, pinref::foll flags, keep how) {
    reset();
    flags = flags | pinref::foll::write | pinref::foll::all;
    if (how == keep::pinned) {
      auto [pins, done] = pinref::pinned_range<page>::pin_user_pages_fast(space, start, flags, pages_);
      pins_ = std::move(pins);
      return done.ok();
    }
    const pinref::gup_result done = pinref::get_user_pages_fast(space, start, flags, pages_);
    for (std::size_t i = 0; i != done.count; ++i) references_[i] = pinref::page_ptr<page>::adopt(*pages_[i]);
    if (how == keep::looked_up) references_ = {};
    return done.ok();
  }

  void reset() noexcept {
    (void)pins_.reset();
    references_ = {};
  }

  [[nodiscard]] static constexpr std::size_t size() noexcept { return N; }
  /// Precondition: they were taken.
  [[nodiscard]] page& operator[](std::size_t i) const noexcept { return *pages_[i]; }

 private:
  std::array<page*, N> pages_{};
  pinref::pinned_range<page> pins_;
  std::array<pinref::page_ptr<page>, N> references_;
};

}  // namespace examples
