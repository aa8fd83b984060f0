// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The words for holding a page: in which way it is held, which references count, how a take or a release ended.
///
/// When not to use it: as a bool. There is no conversion, because two different failures must not look alike.
///
/// Example:
///
///     switch (ref.try_get()) {
///       case pinref::take_result::taken: break;
///       case pinref::take_result::dead: return try_again_later();
///       case pinref::take_result::overflow: return give_up("more holders than the word counts");
///     }
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// Errors: these results name them.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux FOLL_GET and FOLL_PIN; ZONE_DEVICE pages had a resident reference, their count never fell below 1.

namespace pinref::inline v0_1 {

/// The two ways to hold a page. Linux: FOLL_GET and FOLL_PIN.
enum class hold : unsigned char {
  reference,  ///< keeps the page from being freed
  pin,        ///< keeps it too, and its data may be read or written meanwhile
};

/// The owner's own reference, in a release that wants to know when all others are gone.
enum class owner_ref : unsigned char {
  counted,   ///< like any other: the last release of all ends the page
  resident,  ///< it never goes: a release that leaves only this one says `idle`
};

/// A change of the host's bits in a reference word. A bit in both masks is set.
template <class Word>
struct host_change {
  Word set = 0;    ///< bits that are set
  Word clear = 0;  ///< bits that are cleared

  /// The bits after the change.
  [[nodiscard]] constexpr Word of(Word bits) const noexcept { return static_cast<Word>((bits & ~clear) | set); }
};

/// The outcome of taking references or pins.
enum class take_result : unsigned char {
  taken,     ///< held: the page stays until the matching release
  dead,      ///< nothing taken: the page is free or frozen; look it up again
  overflow,  ///< nothing taken: the word cannot count that many holders, or n is above the limit of one bulk take
};

/// The outcome of releasing references or pins.
enum class release_result : unsigned char {
  released,   ///< others hold the page, or another caller is freeing it: do not touch it again
  idle,       ///< only the owner's resident reference is left
  last,       ///< the caller alone frees the page; the word is dead and what to free comes from the page itself
  underflow,  ///< nothing released: more than is held, or n is above the limit of one bulk release; a bug
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(hold mode) noexcept {
  return mode == hold::pin ? "pin" : "reference";
}
[[nodiscard]] constexpr const char* to_string(owner_ref owner) noexcept {
  return owner == owner_ref::resident ? "resident" : "counted";
}
[[nodiscard]] constexpr const char* to_string(take_result result) noexcept {
  switch (result) {
    case take_result::taken:
      return "taken";
    case take_result::dead:
      return "dead";
    case take_result::overflow:
      return "overflow";
  }
  return "unknown";
}
[[nodiscard]] constexpr const char* to_string(release_result result) noexcept {
  switch (result) {
    case release_result::released:
      return "released";
    case release_result::idle:
      return "idle";
    case release_result::last:
      return "last";
    case release_result::underflow:
      return "underflow";
  }
  return "unknown";
}

}  // namespace pinref::inline v0_1
