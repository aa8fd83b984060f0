// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// break_layout: taking blocks away from an object whose pages are the blocks, while devices may be writing to them.
///
/// Where a page *is* the storage, as with persistent memory or a pool of registered blocks, giving the block to
/// somebody else has to wait until no device touches it. The way: close the gate, so that no new access begins; unmap;
/// look for a busy page; wait until it is idle; look again, until there is none. A page that is pinned but no longer
/// mapped is still busy. The gate stays closed for all of it, so a stream of short pins cannot keep a truncate waiting:
/// what was pinned before it is all there is to wait for.
///
/// When not to use it: for pages that are copies of the storage. Drop them from the object and let the pins run out.
///
/// Example:
///
///     pinref::layout_gate<> gate;                                // the object's; its fault_in enters by it
///     const auto done = pinref::break_layout(object, gate, first, last, [&] { free_blocks(first, last); },
///                                            {.until = pinref::deadline::in(std::chrono::seconds(1))});
///     if (done == pinref::break_result::timed_out) try_again_later();   // nothing was freed
///
/// The object: `unmap(first, last)` removes every mapping of the range, under the lock that its fault_in takes;
/// `busy_in(first, last)` returns the first page in [first, last] that is not `page_idle`, or null. It takes no
/// reference to it, which would keep it busy: pages of the object stay its pages until `then` takes them away. Its
/// pages are `resident` (`idle_page`) with the object's own reference; else they would have to die to be idle.
///
/// A thread that blocks at the gate must hold no pin of the object, or the two wait for each other: take more pins with
/// foll::nofault first, and release all before sleeping (`examples/truncate/stream.hpp`).
///
/// Errors: the result says why the layout is not broken.
/// Memory order: on success, what the pins' holders did is seen; see page_idle.
/// Progress: blocks, until the pins that were there are gone.
/// Source: Linux dax_layout_busy_page(), dax_break_layout(); xfs_break_dax_layouts().

#include <cstddef>
#include <type_traits>

#include "pinref/page/page.hpp"
#include "pinref/parts/layout_gate.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"

namespace pinref::inline v0_1 {

/// How break_layout ended.
enum class break_result : unsigned char {
  broken,     ///< no page of the range is busy, and none is mapped
  busy,       ///< with deadline::passed(): a page is held; try again
  timed_out,  ///< the deadline passed
  given_up,   ///< cancelled
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(break_result result) noexcept {
  switch (result) {
    case break_result::broken:
      return "broken";
    case break_result::busy:
      return "busy";
    case break_result::timed_out:
      return "timed_out";
    case break_result::given_up:
      return "given_up";
  }
  return "unknown";
}

/// How long break_layout waits, what may cancel it, and for how many indices at a time it asks `busy_in`.
template <class Sync>
struct break_options {
  deadline until = deadline::never();          ///< how long to wait
  const wait_canceller<Sync>* stop = nullptr;  ///< what cancels the wait, or null
  std::size_t batch = 16;                      ///< indices of one busy_in, above zero
};

// clang-format off
/// What closes an object to new accesses: layout_gate, or the host's own.
template <class Gate>
concept access_gate = requires(Gate& gate) {
  typename Gate::sync;
  { gate.close() } noexcept;
  { gate.open() } noexcept;
};

/// An object whose pages are its storage, see above.
template <class Object>
concept layout_object = requires(Object& object, std::size_t index) {
  { object.unmap(index, index) } noexcept;
  { object.busy_in(index, index) } noexcept;
  requires idle_page<std::remove_pointer_t<decltype(object.busy_in(index, index))>>;
};
// clang-format on

/// Unmaps [first, last] and waits until no page of it is busy, with the gate closed throughout. On success the caller
/// owns the range until it lets the gate open again: the gate stays closed for `then()`, which takes the blocks away,
/// and opens afterwards. On failure it opens at once, and the range stays unmapped. Without a deadline and a canceller
/// it always succeeds: use that form to destroy an object. A range with first > last is empty. The gate has the Sync of
/// the object's pages, so that one canceller ends either wait. May block.
template <class Object, class Gate, class Then>
[[nodiscard("the layout may not be broken")]] break_result break_layout(
    Object& object, Gate& gate, std::size_t first, std::size_t last, Then then,
    const break_options<typename Gate::sync>& options = {}) noexcept {
  static_assert(layout_object<Object>,
                "pinref: the object of a break_layout must be as layout_object asks, noexcept included");
  static_assert(access_gate<Gate>, "pinref: the gate of a break_layout must be as access_gate asks, noexcept included");
  using page = std::remove_pointer_t<decltype(object.busy_in(first, last))>;
  static_assert(std::is_same_v<typename Gate::sync, typename detail::ref_of<page>::sync>,
                "pinref: the gate of a break_layout must have the Sync of the object's pages");
  struct closed {
    explicit closed(Gate& which) noexcept : gate(which) { gate.close(); }
    closed(const closed&) = delete;
    ~closed() { gate.open(); }
    Gate& gate;
  } guard{gate};

  object.unmap(first, last);
  for (std::size_t at = first; at <= last;) {
    const std::size_t end = last - at < options.batch ? last : at + options.batch - 1;
    auto* const busy = object.busy_in(at, end);
    if (busy == nullptr) {
      if (end == last) break;
      at = end + 1;
      continue;
    }
    const wait_result waited = options.stop != nullptr ? pinref::wait_until_idle(*busy, options.until, *options.stop)
                                                       : pinref::wait_until_idle(*busy, options.until);
    if (waited == wait_result::timed_out)
      return options.until.is_passed() ? break_result::busy : break_result::timed_out;
    if (waited == wait_result::given_up) return break_result::given_up;
  }
  then();
  return break_result::broken;
}

}  // namespace pinref::inline v0_1
