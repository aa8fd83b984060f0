// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// call_site: where in the source a call stands, for counters that want to know.
///
/// Every counter names the type of place that calls which take or release pass to it: `call_site`; `no_site`, an empty
/// type that costs nothing; or `holder_site`, by which handles also say which hold is theirs. A wrapper passes on what
/// it was given.
///
/// When not to use it: outside default arguments. `call_site::current()` written in a body names that body.
///
/// Example:
///
///     void report(pinref::call_site where = pinref::call_site::current()) {
///       std::printf("%s:%u: released too often\n", where.file, where.line);
///     }
///     report();                                                  // prints this line
///
/// Errors: none.
/// Memory order: none.
/// Progress: wait-free.
/// Source: std::source_location, which clang 14 lacks.

#include <cstdint>

namespace pinref::inline v0_1 {

/// A place in the source.
struct call_site {
  const char* file;      ///< as the compiler was given it
  const char* function;  ///< without its parameters
  unsigned line;         ///< from 1

  /// The place of the call, where this is a default argument of it.
  [[nodiscard]] static constexpr call_site current(const char* file = __builtin_FILE(),
                                                   const char* function = __builtin_FUNCTION(),
                                                   unsigned line = __builtin_LINE()) noexcept {
    return {file, function, line};
  }
};

/// The id of a handle's hold in a list of holders. The list gives it out with the first take; until then it is empty.
/// The handle keeps it, and passes it with each of its calls.
struct holder_id {
  const void* list = nullptr;  ///< the list that gave it out
  std::uint64_t number = 0;    ///< unique in that list; 0 in none

  [[nodiscard]] friend bool operator==(const holder_id&, const holder_id&) noexcept = default;
};

/// A place, and the handle that takes or releases there.
struct holder_site : call_site {
  holder_id* holder = nullptr;  ///< the handle's id; null for a plain call

  /// The place of the call, where this is a default argument of it, and no handle.
  [[nodiscard]] static constexpr holder_site current(const char* file = __builtin_FILE(),
                                                     const char* function = __builtin_FUNCTION(),
                                                     unsigned line = __builtin_LINE()) noexcept {
    return {{file, function, line}, nullptr};
  }
};

/// The place of counters that do not ask for one: empty.
struct no_site {
  /// Nothing.
  [[nodiscard]] static constexpr no_site current() noexcept { return {}; }
};

}  // namespace pinref::inline v0_1
