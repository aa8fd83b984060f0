// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// accounted_ref: a page_ref that counts its pins in the host's pin_accounts.
///
/// `Find`, an empty type, finds the accounts from the address of the word, as `free_page` finds the arena of a page. So
/// the word keeps its size. Nothing is missed, see observed_ref.
///
/// When not to use it: on pages whose pins are never asked for. A plain `page_ref` pays nothing.
///
/// Example:
///
///     inline constinit pinref::pin_accounts<> all_pins;          // the host's; one for each arena is as good
///     struct find_accounts {
///       pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
///     };
///     struct frame {
///       pinref::accounted_ref<pinref::page_ref<>, find_accounts> word;
///     };
///     std::printf("%llu pins so far\n", static_cast<unsigned long long>(all_pins.totals().acquired));
///
/// `Find` is called with the address of the word, and must be noexcept: after a take and before a release, while the
/// page is held, so it may read what the page says of itself. A release of a pin that is not held calls it for a page
/// that may be dying. A state that a word is constructed with is not counted; pins that a bury ends are counted as
/// released.
///
/// Errors: none; a refused take or release is not counted.
/// Memory order: that of the word; counting gives none.
/// Progress: that of the word; counting is wait-free.
/// Source: Linux nr_foll_pin_acquired and nr_foll_pin_released.

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "pinref/observe/observed_ref.hpp"
#include "pinref/observe/pin_accounts.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref::inline v0_1 {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// An empty type that finds the pin_accounts of a word from its address.
template <class Find>
concept accounts_finder = std::is_empty_v<Find> && requires(const void* word, std::size_t n) {
  { Find{}(word) } noexcept;
  { Find{}(word).add_acquired(n) } noexcept;
  { Find{}(word).add_released(n) } noexcept;
};
// clang-format on

/// Counts pins in what `Find` finds. The members are those of `ref_observer`.
template <accounts_finder Find>
struct pin_accounting : ref_observer {
  /// What it finds.
  using accounts = std::remove_reference_t<decltype(Find{}(nullptr))>;

  /// Finds the accounts before the release, after which the page may have another owner. The members are those of
  /// `watch`.
  class pin_watch {
   public:
    pin_watch(accounts& of, std::size_t n) noexcept : of_(of), n_(n) {}
    [[nodiscard]] explicit operator bool() const noexcept { return true; }
    void done(release_result result) const noexcept {
      if (result != release_result::underflow) of_.add_released(n_);
    }

   private:
    accounts& of_;
    std::size_t n_;
  };

  template <hold Mode>
  static void taken(const void* word, std::size_t n, no_site) noexcept {
    if constexpr (Mode == hold::pin) Find{}(word).add_acquired(n);
  }
  template <hold Mode>
  [[nodiscard]] static auto releases(const void* word, std::size_t n, no_site) noexcept {
    if constexpr (Mode == hold::pin)
      return pin_watch(Find{}(word), n);
    else
      return watch{};
  }
  template <class Layout>
  static void buries(const void* word, const Layout& counts) noexcept {
    if (counts.pins() != 0) Find{}(word).add_released(counts.pins());
  }
};

/// `Ref`, with its pins counted in what `Find` finds.
template <reference_word Ref, accounts_finder Find>
using accounted_ref = observed_ref<Ref, pin_accounting<Find>>;

namespace detail {

struct accounts_of_nobody {
  pin_accounts<>& operator()(const void*) const noexcept;  // never called
};
static_assert(sizeof(accounted_ref<page_ref<bias64>, accounts_of_nobody>) == 8 &&
              sizeof(accounted_ref<page_ref<bias32>, accounts_of_nobody>) == 4);

}  // namespace detail

}  // namespace pinref::inline v0_1
