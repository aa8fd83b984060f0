// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// layout_stamp: lets an object that several copies of the library use say by which layout it was made.
///
/// Shared objects of one program, and processes that share memory, may have been built from different versions of the
/// library. The inline namespace of the version keeps names apart, but not an object that is passed on by its address.
/// So such an object has a stamp of the version and of its own size, and code that is handed one asks `matches()`.
///
/// When not to use it: in an object that one copy of the library makes, uses and ends.
///
/// Example:
///
///     struct shared_counts {
///       pinref::layout_stamp<shared_counts> stamp;
///       std::uint64_t n[8] = {};
///     };
///     static shared_counts counts;                               // in shared memory, made by somebody else
///     if (!counts.stamp.matches()) give_up("made by another version");
///
/// Errors: none but the answer.
/// Memory order: none; the stamp is written when the object is made.
/// Progress: wait-free.
/// Source: version stamps of shared segments, as in PostgreSQL's pg_control.

#include <cstdint>

#include "pinref/version.hpp"

namespace pinref::inline v0_1 {

/// A member of `Object` that says which version made it.
template <class Object>
class layout_stamp {
 public:
  /// Was the object made by a version that lays it out as this one does?
  [[nodiscard]] constexpr bool matches() const noexcept { return value_ == of_this_version(); }
  /// The stamp as it stands in memory.
  [[nodiscard]] constexpr std::uint64_t raw() const noexcept { return value_; }

 private:
  // Asked where the object is complete.
  [[nodiscard]] static constexpr std::uint64_t of_this_version() noexcept {
    constexpr std::uint64_t version = PINREF_VERSION_MAJOR * 1'000 + PINREF_VERSION_MINOR;
    return version << 40 | std::uint64_t{alignof(Object)} << 32 | std::uint64_t{sizeof(Object)};
  }

  std::uint64_t value_ = of_this_version();
};

}  // namespace pinref::inline v0_1
