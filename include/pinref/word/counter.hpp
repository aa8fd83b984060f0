// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// reference_counter: what counts the references and pins of a page, below the names of `page_ref`.
///
/// `bias_word`, `split_word` and `hot_word` are counters, and so is a counter with an observer (`observed_ref`).
///
/// When not to use it: to check a reference word. That is `reference_word`, in ref/.
///
/// Example:
///
///     static_assert(pinref::reference_counter<pinref::bias_word<pinref::bias64, pinref::std_sync>>);

#include <concepts>
#include <cstddef>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/zones.hpp"

namespace pinref::inline v0_1 {

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// The counts of a page as a value.
template <class Layout>
concept word_layout = requires(const Layout& counts, typename Layout::word_type n) {
  typename Layout::zones;
  typename Layout::template counter<std_sync>;
  { Layout::exact_pins } -> std::convertible_to<bool>;
  { Layout::max_references_at_once } -> std::convertible_to<std::size_t>;
  { Layout::max_pins_at_once } -> std::convertible_to<std::size_t>;
  { Layout::live(n, n) } noexcept -> std::same_as<Layout>;
  { counts.raw() } noexcept -> std::same_as<typename Layout::word_type>;
  { counts.zone() } noexcept -> std::same_as<zone>;
  { counts.references() } noexcept;
  { counts.pins() } noexcept;
  { counts.maybe_pinned() } noexcept -> std::same_as<bool>;
  { counts.at_most(n) } noexcept -> std::same_as<bool>;
};

/// Keeps the counts of one page. It has a `layout`, a `sync`, a `site` that calls which take or release pass last, and
/// these members. They are called with n within the limits of the layout; page_ref says what each call promises.
///
///     start(n, from)               begins a life with n references, of a page that is dead or frozen as `from` says
///     bury()                       makes the page dead
///     take<Mode>(n)                takes n holders of a page that may be dead
///     take_if_alive(n)             as take of references, with a look first
///     take_held<Mode>(n)           takes n holders more of a page that the caller holds
///     release<Mode>(n, owner)      releases n holders, at least one
///     release_nothing(owner)       what a release of none says
///     release_sole(owner)          releases one reference, most likely the last holder
///     freeze(n)                    claims the page if it has exactly n references and no pin
///     dma_pinned()                 has it a pin? To decide on
///     idle(at_most)                has it at most so many holders? To decide on
///     wait(question, until, stop)  sleeps until the question is answered by yes
///     snapshot()                   the counts at one instant
template <class Counter>
concept reference_counter = word_layout<typename Counter::layout> && 
    requires(Counter& counter, const Counter& seen, std::size_t n, owner_ref owner, typename Counter::site where,
             const deadline& until, const never_cancelled& stop) {
  typename Counter::sync;
  { Counter::site::current() } noexcept -> std::same_as<typename Counter::site>;
  { counter.start(n, zone::dead, where) } noexcept;
  { counter.bury() } noexcept;
  { counter.template take<hold::reference>(n, where) } noexcept -> std::same_as<take_result>;
  { counter.template take<hold::pin>(n, where) } noexcept -> std::same_as<take_result>;
  { counter.take_if_alive(n, where) } noexcept -> std::same_as<take_result>;
  { counter.template take_held<hold::reference>(n, where) } noexcept -> std::same_as<take_result>;
  { counter.template take_held<hold::pin>(n, where) } noexcept -> std::same_as<take_result>;
  { counter.template release<hold::reference>(n, owner, where) } noexcept -> std::same_as<release_result>;
  { counter.template release<hold::pin>(n, owner, where) } noexcept -> std::same_as<release_result>;
  { seen.release_nothing(owner) } noexcept -> std::same_as<release_result>;
  { counter.release_sole(owner, where) } noexcept -> std::same_as<release_result>;
  { counter.freeze(n, where) } noexcept -> std::same_as<bool>;
  { counter.dma_pinned() } noexcept -> std::same_as<bool>;
  { counter.idle(at_most{n}) } noexcept -> std::same_as<bool>;
  { counter.wait(unpinned{}, until, stop) } noexcept -> std::same_as<wait_result>;
  { counter.wait(at_most{n}, until, stop) } noexcept -> std::same_as<wait_result>;
  { seen.snapshot() } noexcept -> std::same_as<typename Counter::layout>;
};

/// A counter with waits that need no thread: `prepare_wait(question)` gives a ticket, `abandon_wait()` ends a wait.
template <class Counter>
concept ticketed_counter = requires(Counter& counter) {
  { counter.prepare_wait(unpinned{}) } noexcept;
  { counter.abandon_wait() } noexcept;
};

/// A counter that lists holders: `hand_on<Mode>(n, from, to)` tells it that n of them pass to another handle.
template <class Counter>
concept listing_counter = std::derived_from<typename Counter::site, holder_site> &&
    requires(Counter& counter, std::size_t n, typename Counter::site where) {
  { counter.template hand_on<hold::reference>(n, where, where) } noexcept;
  { counter.template hand_on<hold::pin>(n, where, where) } noexcept;
};

/// A counter with bits of the host in its word: `bits`, `set_bits`, `clear_bits`, a release and a freeze that go with
/// them; see zoned_word.
template <class Counter>
concept host_bits_counter = (Counter::layout::zones::host_bits != 0) &&
    requires(Counter& counter, std::size_t n, typename Counter::layout::word_type mask, owner_ref owner,
             host_change<typename Counter::layout::word_type> change, typename Counter::site where) {
  { counter.bits() } noexcept -> std::same_as<typename Counter::layout::word_type>;
  { counter.set_bits(mask) } noexcept -> std::same_as<typename Counter::layout::word_type>;
  { counter.clear_bits(mask) } noexcept -> std::same_as<typename Counter::layout::word_type>;
  { counter.template release_and_change<hold::reference>(n, owner, change, where) } noexcept -> std::same_as<release_result>;
  { counter.template release_and_change<hold::pin>(n, owner, change, where) } noexcept -> std::same_as<release_result>;
  { counter.freeze_if(n, mask, mask, where) } noexcept -> std::same_as<bool>;
};

/// A counter of which one comparison knows that the page lives and is not pinned.
template <class Counter>
concept readable_counter = requires(const Counter& seen) {
  { seen.plainly_unpinned() } noexcept -> std::same_as<bool>;
};

/// A counter that can be hot: `make_hot(slots)`, `make_exact()`, `is_hot()`; see hot_word.
template <class Counter>
concept hot_counter = requires(Counter& counter, const Counter& seen, typename Counter::slots& counts) {
  { counter.make_hot(counts) } noexcept -> std::same_as<bool>;
  { counter.make_exact() } noexcept -> std::same_as<release_result>;
  { seen.is_hot() } noexcept -> std::same_as<bool>;
};
// clang-format on

}  // namespace pinref::inline v0_1
