#pragma once

/// \file
/// call_site: where in the source a call stands, for reference words that want to know.
///
/// A reference word that has a member type `site` is told the place of every call that releases or clones a hold. One
/// that has none is passed an empty argument, which costs nothing.
///
/// When not to use it: outside default arguments. `call_site::current()` written in a body names that body.
///
/// Example:
///
///     void release(page& p, pinref::call_site where = pinref::call_site::current());
///
/// Source: std::source_location, which clang 14 lacks.

namespace pinref {

/// A place in the source.
struct call_site {
  const char* file;
  const char* function;
  unsigned line;

  [[nodiscard]] static constexpr call_site current(const char* file = __builtin_FILE(),
                                                   const char* function = __builtin_FUNCTION(),
                                                   unsigned line = __builtin_LINE()) noexcept {
    return {file, function, line};
  }
};

namespace detail {

/// What a word that does not ask is told.
struct no_site {
  [[nodiscard]] static constexpr no_site current() noexcept { return {}; }
};

template <class Ref>
struct site_of_ref {
  using type = no_site;
};

template <class Ref>
requires requires {
  typename Ref::site;
}
struct site_of_ref<Ref> {
  using type = typename Ref::site;
};

}  // namespace detail

}  // namespace pinref
