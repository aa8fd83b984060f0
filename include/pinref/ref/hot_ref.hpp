// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// hot_ref: a page_ref for the few pages that all threads touch. While it is *hot*, each thread counts in its own slot.
///
/// A hot page's takes and releases are an add and a plain store to a line that no other thread writes: no locked
/// operation, no contention. Only the sum over all threads counts, so a page may be taken on one thread and released on
/// another. Made *exact* again it is an ordinary page_ref. Reading the sum costs more instead: a switch, and
/// `dma_pinned()` of a hot page, interrupt every running thread once.
///
/// While the page is hot
/// - the caller of `make_hot` keeps a reference of its own until the page is exact again, so no release is told `last`,
///   `idle` or `underflow`;
/// - `dma_pinned()` answers as exactly as ever, and leaves the page hot;
/// - `freeze` makes it exact, unless others hold it; the waits make it exact, and end when they should also if it is
///   made hot again meanwhile, but not before it is exact;
/// - `snapshot()` is a sum of per-thread counts, each read at its own time;
/// - its calls must not run in a signal handler that may have interrupted one of them.
///
/// A page has users in one process, from any number of shared objects and copies of this library: barrier and threads
/// are those of the process.
///
/// When not to use it: for pages that are merely busy. One word takes 8 bytes; this one takes 24 and, on a page that
/// was ever hot, a line for each thread. docs/hot-pages.md has the figures.
///
/// Example:
///
///     static pinref::hot_threads threads;                        // the host's, for all its hot pages
///     static pinref::hot_ref<>::slots counts{threads};           // belongs to this page from now on
///     pinref::hot_ref<> ref;
///     ref.init();
///     if (!ref.make_hot(counts)) std::puts("no membarrier here: the page stays exact, and works all the same");
///     if (ref.make_exact() == pinref::release_result::last) return free_page();   // our reference was put meanwhile
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// Threads beyond `Threads` use the shared word meanwhile, limits and refusals included. So does a thread that took
/// very many more than it released, or the other way round, until it has moved the difference into the word. It tries
/// every so many calls, and does it if no other thread is at the switch. So any thread may release what any other took,
/// for ever; a take is refused only if the holders do not fit.
///
/// Errors: as page_ref; `make_hot` is false where the page cannot be hot.
/// Memory order: as page_ref.
/// Progress: takes and releases never wait. `make_hot`, `make_exact`, and `freeze` and `dma_pinned` of a page that is
/// hot or pinned wait for each other, and for a thread that moves its difference: a spin lock with `sched_yield`, held
/// while one heavy barrier runs or the slots are read. A thread must not call them with a priority that keeps the owner
/// of the lock from running. A thread's first take or release of a hot page gets its number, which may allocate: see
/// hot_threads.
/// Source: Linux percpu_ref.

#include "pinref/ref/page_ref.hpp"
#include "pinref/sync/hot_sync.hpp"
#include "pinref/sync/word_sync.hpp"
#include "pinref/word/hot_word.hpp"

namespace pinref::inline v0_1 {

namespace detail {

template <class Layout, class Sync, unsigned Threads>
struct hot_counter_of {
  static_assert(hot_word_sync<Sync>, "pinref: the Sync of a hot_ref must be as hot_word_sync asks");
  static_assert(word_layout<Layout>, "pinref: the Layout of a hot_ref must be as word_layout asks");
  using type = hot_word<Layout, Sync, Threads>;
};

}  // namespace detail

/// The members are those of basic_ref; `make_hot`, `make_exact` and `is_hot` are among them.
template <class Layout, class Sync, unsigned Threads>
class hot_ref : public basic_ref<typename detail::hot_counter_of<Layout, Sync, Threads>::type> {
 public:
  using basic_ref<typename detail::hot_counter_of<Layout, Sync, Threads>::type>::basic_ref;

  /// The counts of a page while it is hot, and where its threads have their numbers from. They belong to this page as
  /// long as a call on it may be under way, so they are as type-stable as the page. The `hot_threads` outlive them.
  using slots = typename hot_word<Layout, Sync, Threads>::slots;
};

}  // namespace pinref::inline v0_1
