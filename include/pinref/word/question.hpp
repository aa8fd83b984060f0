// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// unpinned, at_most and bits_clear: the questions that a page's word can be asked, and waited for.
///
/// When not to use it: in a host. `page_ref` has the named questions and waits; these are what a counter answers.
///
/// Example:
///
///     pinref::bias_word<pinref::bias64, pinref::std_sync> counter{pinref::bias64::live(1)};
///     const auto ended = counter.wait(pinref::unpinned{}, pinref::deadline::passed(), pinref::never_cancelled{});
///     if (ended != pinref::wait_result::reached) return try_again_later();
///     if (counter.idle(pinref::at_most{1})) reuse();
///
/// Errors: none.
/// Memory order: none; the counter that asks them gives it.
/// Progress: wait-free.
/// Source: pinref's own.

#include <cstdint>

namespace pinref::inline v0_1 {

/// Is there no pin?
struct unpinned {
  /// The answer for these counts.
  template <class Layout>
  [[nodiscard]] constexpr bool operator()(const Layout& counts) const noexcept {
    return !counts.maybe_pinned();
  }
  /// Does every release that may make it true wake?
  template <class Layout>
  [[nodiscard]] static constexpr bool wakes() noexcept {
    return true;
  }
};

/// Are there at most n holders, a pin counting as `pin_bias`? Never true of a frozen page: its claimant holds it.
struct at_most {
  std::uint64_t n;  ///< holders

  /// The answer for these counts.
  template <class Layout>
  [[nodiscard]] constexpr bool operator()(const Layout& counts) const noexcept {
    return counts.at_most(n);
  }
  /// Does every release that may make it true wake?
  template <class Layout>
  [[nodiscard]] constexpr bool wakes() const noexcept {
    return Layout::wakes_at(n);
  }
};

/// Are these bits of the host clear?
template <class Word>
struct bits_clear {
  Word mask;  ///< the bits

  /// The answer for this word.
  template <class Layout>
  [[nodiscard]] constexpr bool operator()(const Layout& counts) const noexcept {
    return (counts.host() & mask) == 0;
  }
  /// Does every change that may make it true wake?
  template <class Layout>
  [[nodiscard]] static constexpr bool wakes() noexcept {
    return true;
  }
};

}  // namespace pinref::inline v0_1
