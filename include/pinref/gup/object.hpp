// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// pin_object_folios: pins a range of an object that is mapped nowhere, such as a file in memory, by its folios.
///
/// When not to use it: for memory that has an address. `pin_user_pages` checks its mapping too.
///
/// Example:
///
///     frame* folios[8];
///     std::size_t offset = 0;
///     const auto [count, reason] = pinref::pin_object_folios(object, 5000, 9000, folios, offset);
///     if (reason != pinref::gup_error::none) return give_up(to_string(reason));   // no pin is held
///     start_dma();                                               // from byte `offset` of folios[0] on
///     if (!pinref::unpin_user_pages(folios, count).ok()) give_up("somebody has released our pins");
///
/// Errors: the result says; on any error no pin is held.
/// Memory order: acquire on each folio.
/// Progress: blocks where the object's `allocate` does, else lock-free.
/// Source: Linux memfd_pin_folios().

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pinref/gup/gup_result.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/gup/walk.hpp"
#include "pinref/page/holders.hpp"

namespace pinref::inline v0_1 {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// The host's contract for an object: pages by index.
///
/// - `size()`: bytes. `page_size`: bytes of one index.
/// - `find(index)`: without a lock, the page at the index or null. It is asked again after the pin.
/// - `allocate(index)`: makes a page there. `busy` means that another thread was faster. May block.
///
/// Functions must be noexcept.
template <class Object>
concept page_object = host_page<typename Object::page> &&
    std::convertible_to<decltype(Object::page_size), std::size_t> && requires(Object& object, std::uint64_t index) {
  { object.size() } noexcept -> std::convertible_to<std::uint64_t>;
  { object.find(index) } noexcept -> std::same_as<typename Object::page*>;
  { object.allocate(index) } noexcept -> std::same_as<gup_error>;
};
// clang-format on

/// How often one index is looked up again because others replaced its page meanwhile.
inline constexpr unsigned max_object_races = 64;

/// Pins every folio that holds a byte of [first, last], each once however many indices it spans, up to `max` of them.
///
/// The result counts folios. `offset` is where byte `first` lies in the first folio. The pins are longterm: a folio
/// that may not be held for long ends the call with not_longterm. On any error no pin is held, and what the call wrote
/// to `folios` is null again. Preconditions, else the error named and nothing touched: `folios` not null (null_pages),
/// `max` above zero (no_pages) and at most max_pages (too_many_pages), first <= last < size (out_of_range). Memory
/// order: acquire on each folio. May block where `allocate` does.
template <page_object Object>
gup_result pin_object_folios(Object& object, std::uint64_t first, std::uint64_t last, typename Object::page** folios,
                             std::size_t max, std::size_t& offset,
                             caller<typename Object::page> where = caller<typename Object::page>::current()) noexcept {
  using page = typename Object::page;
  static_assert(detail::check_traits<page>());
  static_assert(freeable_page<page>, "pinref: pinning an object needs page_traits<Page>::free_page(page)");
  static_assert(!compound_page<page> || numbered_page<page>,
                "pinref: pinning an object with compound pages needs page_traits<Page>::frame_number(page)");
  if (folios == nullptr) return {0, gup_error::null_pages};
  if (max == 0) return {0, gup_error::no_pages};
  if (max > max_pages) return {0, gup_error::too_many_pages};
  if (first > last || last >= object.size()) return {0, gup_error::out_of_range};

  // Indices between the start of a page's folio and the page itself.
  const auto inside = []([[maybe_unused]] page& p) noexcept -> std::uint64_t {
    if constexpr (compound_page<page>)
      return page_traits<page>::frame_number(p) - page_traits<page>::frame_number(pinref::compound_head(p));
    else
      return 0;
  };
  const auto length = []([[maybe_unused]] page& head) noexcept -> std::uint64_t {
    if constexpr (compound_page<page>)
      return page_traits<page>::nr_pages(head);
    else
      return 1;
  };

  gup_result done;
  std::size_t first_offset = 0;
  const std::uint64_t end = last / Object::page_size;
  unsigned races = 0;
  for (std::uint64_t index = first / Object::page_size; index <= end && done.count != max;) {
    page* const found = object.find(index);
    if (found == nullptr) {
      const gup_error made = object.allocate(index);
      // Made, and taken away again before it was found.
      const bool again = made == gup_error::none || made == gup_error::busy;
      done.reason = !again ? made : races++ == max_object_races ? gup_error::busy : gup_error::none;
    } else if (const take_result taken = detail::take<hold::pin>(*found, 1, where); taken == take_result::overflow) {
      done.reason = gup_error::overflow;
    } else if (taken == take_result::dead || object.find(index) != found) {
      if (taken == take_result::taken) detail::drop<hold::pin>(*found, 1, where);
      if (races++ == max_object_races) done.reason = gup_error::busy;
    } else {
      page& head = pinref::compound_head(*found);
      folios[done.count++] = &head;
      if (!detail::longterm_pinnable(head, foll::pin | foll::longterm)) done.reason = gup_error::not_longterm;
      if (done.count == 1)
        first_offset = static_cast<std::size_t>(inside(*found) * Object::page_size + first % Object::page_size);
      index += length(head) - inside(*found);
      races = 0;
    }
    if (done.reason != gup_error::none) {
      (void)pinref::unpin_user_pages(folios, done.count, where);
      for (std::size_t i = 0; i != done.count; ++i) folios[i] = nullptr;
      return {0, done.reason};
    }
  }
  offset = first_offset;
  return done;
}
template <page_object Object>
gup_result pin_object_folios(Object& object, std::uint64_t first, std::uint64_t last,
                             std::span<typename Object::page*> folios, std::size_t& offset,
                             caller<typename Object::page> where = caller<typename Object::page>::current()) noexcept {
  return pinref::pin_object_folios(object, first, last, folios.data(), folios.size(), offset, where);
}

}  // namespace pinref::inline v0_1
