// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// ref_observer: what an observer of a reference word is told, and what it is asked.
///
/// An observer derives from `ref_observer` and hides what it wants to know:
///
/// - `starts(word, n, where)`: may a life begin with n references? false refuses, and nothing happens.
/// - `takes_held<Mode>(word, n, where)`: may a caller that says that it holds the page take n more? false is `dead`.
/// - `taken<Mode>(word, n, where)`: n were taken.
/// - `releases<Mode>(word, n, where)`: may n be released? Returns a watch: false is `underflow`, and nothing happens;
///   else its `done(result)` is called after the release, when the page may have another owner already.
/// - `frozen(word, n, where)`: n references were frozen; false gives them back, and the freeze has failed.
/// - `buries(word, counts)`: the page is about to be made dead by force.
/// - `handed_on<Mode>(word, n, from, to)`: n holders pass from one handle to another, see `holder_site`.
///
/// `word` is the address of the observed_ref. `where` is what the observer has as its `site`. Takes and releases of 0
/// holders are not told.
///
/// When not to use it: to call it. `observed_ref` does.
///
/// Example:
///
///     struct strict : pinref::ref_observer {
///       template <class Site>
///       bool frozen(const void*, std::size_t n, Site) noexcept { return n == 1; }
///     };
///     static_assert(pinref::word_observer<strict>);
///
/// Errors: none; a refusal is the observer's.
/// Memory order: none given.
/// Progress: that of the observer.
/// Source: pinref's own.

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "pinref/ref/page_ref.hpp"

namespace pinref::inline v0_1 {

/// An observer that lets everything pass. The members are those of `word_observer`, as said above.
struct ref_observer {
  /// What it asks to be told of a call's place: nothing.
  using site = no_site;

  /// A release that may go on, and of which nothing is noted.
  struct watch {
    /// May the release go on?
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return true; }
    /// How the release ended.
    constexpr void done(release_result) const noexcept {}
  };

  template <class Site>
  [[nodiscard]] static constexpr bool starts(const void*, std::size_t, Site) noexcept {
    return true;
  }
  template <hold Mode, class Site>
  [[nodiscard]] static constexpr bool takes_held(const void*, std::size_t, Site) noexcept {
    return true;
  }
  template <hold Mode, class Site>
  static constexpr void taken(const void*, std::size_t, Site) noexcept {}
  template <hold Mode, class Site>
  [[nodiscard]] static constexpr watch releases(const void*, std::size_t, Site) noexcept {
    return {};
  }
  template <class Site>
  [[nodiscard]] static constexpr bool frozen(const void*, std::size_t, Site) noexcept {
    return true;
  }
  template <class Layout>
  static constexpr void buries(const void*, const Layout&) noexcept {}
  template <hold Mode, class Site>
  static constexpr void handed_on(const void*, std::size_t, Site, Site) noexcept {}
};

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// A type that a word may be observed by; see above.
template <class Observer>
concept word_observer = std::is_default_constructible_v<Observer> &&
    requires(Observer& observer, const void* word, std::size_t n, typename Observer::site where, release_result result) {
  { observer.starts(word, n, where) } noexcept -> std::same_as<bool>;
  { observer.template takes_held<hold::reference>(word, n, where) } noexcept -> std::same_as<bool>;
  { observer.template takes_held<hold::pin>(word, n, where) } noexcept -> std::same_as<bool>;
  { observer.template taken<hold::reference>(word, n, where) } noexcept;
  { observer.template taken<hold::pin>(word, n, where) } noexcept;
  { observer.template releases<hold::reference>(word, n, where).done(result) } noexcept;
  { observer.template releases<hold::pin>(word, n, where).done(result) } noexcept;
  { observer.frozen(word, n, where) } noexcept -> std::same_as<bool>;
  { observer.buries(word, bias64{}) } noexcept;
  { observer.template handed_on<hold::reference>(word, n, where, where) } noexcept;
  { observer.template handed_on<hold::pin>(word, n, where, where) } noexcept;
};
// clang-format on

}  // namespace pinref::inline v0_1
