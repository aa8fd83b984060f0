// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// ledger_result: how the calls of a member end, and what they give.
///
/// When not to use it: without a member.
///
/// Example:
///
///     pinref::ledger_take page = me.try_pin(7);
///     if (page.why == pinref::ledger_result::dead) return try_again_later();
///     if (me.release(page.held) == pinref::ledger_result::freed) std::puts("it was the last holder");
///
/// Errors: its types name them.
/// Memory order: none.
/// Progress: wait-free.
/// Source: pinref's own.

#include <cstdint>

#include "pinref/share/record.hpp"

namespace pinref::inline v0_1 {

/// How a call on a page ended.
enum class ledger_result : unsigned char {
  done,          ///< as asked for
  freed,         ///< released, and it was the last holder: the page is on the free list
  dead,          ///< nothing taken: the page is free or claimed; look it up again
  overflow,      ///< nothing taken: the word cannot count that many holders
  full,          ///< nothing taken: all records of the member are in use
  too_many,      ///< none, or more than one record can count
  no_such_page,  ///< the segment has no page of this number
  none_free,     ///< no page is free
  not_held,      ///< this is no hold of the member, or not one that the call is for
  others_hold,   ///< not claimed: the page has other holders
  kept_already,  ///< the pool has its reference of the page
  not_kept,      ///< the pool has no reference of the page
  gone,          ///< the offer has been accepted, or taken back, or never was
  underflow,     ///< more was released than is held, by somebody: the page is tainted
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(ledger_result result) noexcept {
  switch (result) {
    case ledger_result::done:
      return "done";
    case ledger_result::freed:
      return "freed";
    case ledger_result::dead:
      return "dead";
    case ledger_result::overflow:
      return "overflow";
    case ledger_result::full:
      return "full";
    case ledger_result::too_many:
      return "too_many";
    case ledger_result::no_such_page:
      return "no_such_page";
    case ledger_result::none_free:
      return "none_free";
    case ledger_result::not_held:
      return "not_held";
    case ledger_result::others_hold:
      return "others_hold";
    case ledger_result::kept_already:
      return "kept_already";
    case ledger_result::not_kept:
      return "not_kept";
    case ledger_result::gone:
      return "gone";
    case ledger_result::underflow:
      return "underflow";
  }
  return "unknown";
}

/// How a thread became a member, or did not.
enum class join_result : unsigned char {
  joined,          ///< it is one
  full,            ///< all places are taken: let survivors `recover`, or make a larger segment
  read_only,       ///< the segment is mapped to be looked at only
  joined_already,  ///< this object is a member
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(join_result result) noexcept {
  switch (result) {
    case join_result::joined:
      return "joined";
    case join_result::full:
      return "full";
    case join_result::read_only:
      return "read_only";
    case join_result::joined_already:
      return "joined_already";
  }
  return "unknown";
}

/// How a member left, or did not.
enum class leave_result : unsigned char {
  left,          ///< it is no member any more
  holds,         ///< it still holds pages, or their locks: nothing is lost, it is a member still
  other_thread,  ///< the calling thread, or process, is not the one that joined
  no_member,     ///< it is none
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(leave_result result) noexcept {
  switch (result) {
    case leave_result::left:
      return "left";
    case leave_result::holds:
      return "holds";
    case leave_result::other_thread:
      return "other_thread";
    case leave_result::no_member:
      return "no_member";
  }
  return "unknown";
}

/// What a member holds of one page: the number of its record, and what the record says. A copy is no second hold: the
/// member refuses what its record does not say.
struct ledger_hold {
  std::uint32_t slot = ~0u;  ///< the number of the record
  ledger_record what{};      ///< a copy of it

  /// Is it one?
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return !what.empty(); }
  /// The page it is of. Undefined if it is none.
  [[nodiscard]] constexpr std::uint32_t page() const noexcept { return what.page(); }
};

/// What a take gave, or why not.
struct [[nodiscard]] ledger_take {
  ledger_result why = ledger_result::not_held;  ///< how it ended
  ledger_hold held{};                           ///< empty unless it is `done`

  /// Is something held?
  [[nodiscard]] constexpr explicit operator bool() const noexcept { return why == ledger_result::done; }
};

/// A hold that another member may take over: plain data, to be sent by any way there is.
struct ledger_offer {
  std::uint32_t place = ~0u;  ///< of the member that offers
  std::uint32_t slot = ~0u;   ///< the number of its record
  ledger_record what{};       ///< a copy of it
};

}  // namespace pinref::inline v0_1
