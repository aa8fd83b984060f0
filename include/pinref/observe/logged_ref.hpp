// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// logged_ref: a page_ref whose holders are listed in the host's holder_log.
///
/// `Find`, an empty type, finds the log from the address of the word, as accounted_ref finds its accounts. So the word
/// keeps its size. Handles of such pages take 16 bytes more, for the id that the log knows them by; those of other
/// pages nothing.
///
/// When not to use it: in production builds; see holder_log.
///
/// Example:
///
///     inline constinit pinref::holder_entry room[4096];
///     inline constinit pinref::holder_log<std::mutex> all_holders{room};
///     struct find_log {
///       pinref::holder_log<std::mutex>& operator()(const void*) const noexcept { return all_holders; }
///     };
///     #ifdef MY_DEBUG
///     using word = pinref::logged_ref<pinref::page_ref<>, find_log>;
///     #else
///     using word = pinref::page_ref<>;
///     #endif
///
/// It may wrap an accounted_ref and a hot_ref and be wrapped by an accounted_ref. With a checked_ref it is the inner
/// one, `checked_ref<logged_ref<...>>`: else the log would hear of lives that are then refused.
///
/// `Find` is called with the address of the word, and must be noexcept: after a take and before a release, while the
/// page is held, and when a life begins or is ended by force, while the caller has the page alone.
///
/// Errors: a state that a word is constructed with is not listed, and its releases count as unmatched.
/// Memory order: that of the word, and of the log's lock.
/// Progress: blocks for that lock, also on a hot page.
/// Source: Linux page_owner.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pinref/observe/holder_log.hpp"
#include "pinref/observe/observed_ref.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/reference_word.hpp"
#include "pinref/word/call_site.hpp"

namespace pinref::inline v0_1 {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// An empty type that finds the holder_log of a word from its address.
template <class Find>
concept log_finder = std::is_empty_v<Find> &&
    requires(const void* word, std::uint64_t n, const holder_site& where, release_result result) {
  { Find{}(word) } noexcept;
  { Find{}(word).start(word, n, where) } noexcept;
  { Find{}(word).take(word, hold::pin, n, where) } noexcept;
  { typename std::remove_reference_t<decltype(Find{}(word))>::release(Find{}(word), word, hold::pin, n, where)
        .done(result) } noexcept;
  { Find{}(word).hand_on(word, hold::pin, n, where, where) } noexcept;
  { Find{}(word).bury(word) } noexcept;
};
// clang-format on

/// Lists holders in what `Find` finds. The members are those of `ref_observer`.
template <log_finder Find>
struct holder_listing : ref_observer {
  using site = holder_site;
  using log = std::remove_reference_t<decltype(Find{}(nullptr))>;

  [[nodiscard]] static bool starts(const void* word, std::size_t n, holder_site where) noexcept {
    Find{}(word).start(word, n, where);
    return true;
  }
  template <hold Mode>
  static void taken(const void* word, std::size_t n, holder_site where) noexcept {
    Find{}(word).take(word, Mode, n, where);
  }
  template <hold Mode>
  [[nodiscard]] static auto releases(const void* word, std::size_t n, holder_site where) noexcept {
    return typename log::release(Find{}(word), word, Mode, n, where);
  }
  template <class Layout>
  static void buries(const void* word, const Layout&) noexcept {
    Find{}(word).bury(word);
  }
  template <hold Mode>
  static void handed_on(const void* word, std::size_t n, holder_site from, holder_site to) noexcept {
    Find{}(word).hand_on(word, Mode, n, from, to);
  }
};

/// `Ref`, with its holders listed in what `Find` finds.
template <reference_word Ref, log_finder Find>
using logged_ref = observed_ref<Ref, holder_listing<Find>>;

}  // namespace pinref::inline v0_1
