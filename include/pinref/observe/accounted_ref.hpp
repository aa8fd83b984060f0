#pragma once

/// \file
/// accounted_ref: a page_ref that counts its pins in the host's pin_accounts.
///
/// Every path ends in the word, undo and bulk calls included, and it does not convert to the word it wraps: so
/// the accounts miss nothing. Which accounts is found from the word's address by `Find`, an empty type, as `free_page`
/// finds its arena from the page: the word keeps its size.
///
/// When not to use it: on pages that nobody asks about. A plain `page_ref` pays nothing.
///
/// Example:
///
///     inline constinit pinref::pin_accounts<> all_pins;          // the host's; one for each arena is as good
///     struct find_accounts {
///       pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
///     };
///     struct frame { pinref::accounted_ref<pinref::page_ref<>, find_accounts> word; };
///     std::uint64_t pinned_so_far = all_pins.totals().acquired;
///
/// `Find` is called with the address of the word, and must be noexcept: after a take and before a release, while the
/// page is held, so it may read what the page says of itself. Whoever releases a pin that he does not hold has it
/// called for a page that may be dying. A state that a word is constructed with is not counted.
///
/// Memory order and progress are those of the word; counting gives no order.

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "pinref/observe/pin_accounts.hpp"
#include "pinref/observe/wrapped_ref.hpp"
#include "pinref/ref/call_site.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/reference_word.hpp"

namespace pinref {

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

template <reference_word Ref, accounts_finder Find>
class accounted_ref : public detail::wrapped_ref<Ref> {
  using caller = typename detail::site_of_ref<Ref>::type;

 public:
  using detail::wrapped_ref<Ref>::wrapped_ref;

  using Ref::bury;
  using Ref::freeze;
  using Ref::get;
  using Ref::put;
  using Ref::put_sole;
  using Ref::reset;
  using Ref::try_get;
  using Ref::try_get_if_alive;
  using Ref::unfreeze;

  [[nodiscard]] take_result try_pin(std::size_t n = 1) noexcept { return count_taken(n, Ref::try_pin(n)); }
  [[nodiscard]] take_result add_pin(std::size_t n = 1, [[maybe_unused]] caller where = caller::current()) noexcept {
    if constexpr (std::is_empty_v<caller>)
      return count_taken(n, Ref::add_pin(n));
    else
      return count_taken(n, Ref::add_pin(n, where));
  }

  [[nodiscard]] release_result unpin(std::size_t n = 1, std::size_t idle_level = 0,
                                     [[maybe_unused]] caller where = caller::current()) noexcept {
    // Found first: after the release the page may be somebody else's.
    auto& accounts = Find{}(static_cast<const void*>(this));
    release_result result;
    if constexpr (std::is_empty_v<caller>)
      result = Ref::unpin(n, idle_level);
    else
      result = Ref::unpin(n, idle_level, where);
    if (result != release_result::underflow) accounts.add_released(n);
    return result;
  }

 private:
  take_result count_taken(std::size_t n, take_result result) noexcept {
    if (result == take_result::taken) Find{}(static_cast<const void*>(this)).add_acquired(n);
    return result;
  }
};

namespace detail {

/// A word that wants to know its callers still does.
template <class Ref, class Find>
struct site_of_ref<accounted_ref<Ref, Find>> : site_of_ref<Ref> {};

struct accounts_of_nobody {
  pin_accounts<>& operator()(const void*) const noexcept;  // never called
};
static_assert(sizeof(accounted_ref<page_ref<bias64>, accounts_of_nobody>) == 8 &&
              sizeof(accounted_ref<page_ref<bias32>, accounts_of_nobody>) == 4);

}  // namespace detail

}  // namespace pinref
