#pragma once

/// \file
/// reference_word: what every floor above asks of a page's reference word, whatever its layout.
///
/// When not to use it: to check a host's page; that is `host_page` in page/.
///
/// Example:
///
///     static_assert(pinref::reference_word<pinref::page_ref<pinref::bias32>>);

#include <concepts>
#include <cstddef>

#include "pinref/word/result.hpp"

namespace pinref {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
template <class Ref>
concept reference_word = requires(Ref& ref, const Ref& seen, std::size_t n) {
  typename Ref::layout;
  typename Ref::sync;
  { Ref::max_references_at_once } -> std::convertible_to<std::size_t>;
  { Ref::max_pins_at_once } -> std::convertible_to<std::size_t>;
  { ref.reset(n) } noexcept;
  { ref.get(n) } noexcept -> std::same_as<take_result>;
  { ref.try_get(n) } noexcept -> std::same_as<take_result>;
  { ref.try_get_if_alive(n) } noexcept -> std::same_as<take_result>;
  { ref.put(n) } noexcept -> std::same_as<release_result>;
  { ref.put(n, n) } noexcept -> std::same_as<release_result>;
  { ref.put_sole() } noexcept -> std::same_as<release_result>;
  { ref.try_pin(n) } noexcept -> std::same_as<take_result>;
  { ref.add_pin(n) } noexcept -> std::same_as<take_result>;
  { ref.unpin(n) } noexcept -> std::same_as<release_result>;
  { ref.unpin(n, n) } noexcept -> std::same_as<release_result>;
  { ref.freeze(n) } noexcept -> std::same_as<bool>;
  { ref.unfreeze(n) } noexcept;
  { ref.bury() } noexcept;
  { ref.dma_pinned() } noexcept -> std::same_as<bool>;
  { ref.idle(n) } noexcept -> std::same_as<bool>;
  { ref.wait_until_unpinned() } noexcept -> std::same_as<wait_result>;
  { ref.wait_until_idle(n) } noexcept -> std::same_as<wait_result>;
  { seen.dma_pinned_hint() } noexcept -> std::same_as<bool>;
  { seen.snapshot() } noexcept -> std::same_as<typename Ref::layout>;
};
// clang-format on

}  // namespace pinref
