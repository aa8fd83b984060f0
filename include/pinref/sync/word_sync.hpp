// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// word_sync: what a Sync must have, checked.
///
/// When not to use it: to learn what the members mean. std_sync.hpp and hot_sync.hpp say it.
///
/// Example:
///
///     static_assert(pinref::word_sync<pinref::std_sync> && pinref::hot_word_sync<pinref::hot_sync>);

#include <atomic>
#include <concepts>
#include <cstdint>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// Atomics, and a sleep on them.
template <class Sync>
concept word_sync = requires(typename Sync::template atomic<std::uint32_t>& word, std::uint32_t seen,
                             std::memory_order order, const typename Sync::futex* futexes, unsigned n,
                             const deadline& until, std::int64_t at_most) {
  { Sync::process_shared } -> std::convertible_to<bool>;
  { Sync::template nr_futexes<std::uint32_t> } -> std::convertible_to<unsigned>;
  { word.load(order) } -> std::same_as<std::uint32_t>;
  word.store(seen, order);
  { word.fetch_add(seen, order) } -> std::same_as<std::uint32_t>;
  { word.compare_exchange_weak(seen, seen, order, order) } -> std::same_as<bool>;
  { Sync::futex_of(word, n, seen) } noexcept -> std::same_as<typename Sync::futex>;
  { Sync::wait(futexes, n, until, at_most) } noexcept -> std::same_as<sleep_result>;
  { Sync::wake_all(word) } noexcept;
  { Sync::wake_one(word) } noexcept;
};

/// With numbers for threads and an asymmetric barrier besides.
template <class Sync>
concept hot_word_sync = word_sync<Sync> && requires(const typename Sync::threads& numbers) {
  { numbers.number() } noexcept -> std::same_as<unsigned>;
  { Sync::light_barrier() } noexcept;
  { Sync::heavy_barrier() } noexcept;
  { Sync::has_heavy_barrier() } noexcept -> std::same_as<bool>;
  { Sync::pause() } noexcept;
};
// clang-format on

}  // namespace pinref::inline v0_1
