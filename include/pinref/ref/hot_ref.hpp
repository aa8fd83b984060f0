#pragma once

/// \file
/// hot_ref: a page_ref for the few pages that everybody touches. While it is *hot*, every thread counts for itself.
///
/// A hot page's takes and releases are an add and a plain store to a line that no other thread writes: no locked
/// operation, nothing to fight over. Only the sum over all threads counts, so a page may be taken on one thread and
/// released on another. Made *exact* again it is an ordinary page_ref. Whoever reads the sum pays instead: a switch, and
/// `dma_pinned()` of a hot page, interrupt every running thread once.
///
/// While the page is hot
/// - whoever made it hot keeps a reference of its own until the page is exact again: nobody is told `last`, `idle` or
///   `underflow`;
/// - `dma_pinned()` answers as exactly as ever, and leaves the page hot;
/// - `freeze` makes it exact, unless others hold it; the waits make it exact;
/// - its calls must not run in a signal handler that may have interrupted one of them.
///
/// When not to use it: for pages that are merely busy. One word takes 8 bytes; this one takes 24 and, on a page that was
/// ever hot, a line for each thread. docs/hot-pages.md has the figures.
///
/// Example:
///
///     pinref::hot_ref<> ref;
///     static pinref::hot_ref<>::slots counts;                    // belongs to this page from now on
///     ref.reset();
///     if (ref.make_hot(counts)) serve_many_threads();            // false: no such barrier here; works all the same
///     (void)ref.make_exact();
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// Threads beyond `Threads`, and takes of which one thread has very many outstanding, use the shared word meanwhile,
/// limits and refusals included. Takes and releases never wait. `make_hot`, `make_exact`, and `freeze` and
/// `dma_pinned` of a page that is hot or pinned wait for another thread's switch of the same page. Members that are not
/// commented are those of `page_ref`.
///
/// Source: Linux percpu_ref (switch_to_percpu, switch_to_atomic_sync), SRCU (releases are summed before takes).

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/ref/hot_sync.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref {

/// One thread's share of a hot page. Only its owner writes the first two. `collected` of the difference is in the
/// page's word already.
template <class Word, class Sync>
struct alignas(64) hot_slot {
  typename Sync::template atomic<Word> taken{0};
  typename Sync::template atomic<Word> released{0};
  typename Sync::template atomic<Word> collected{0};
};

template <class Layout, class Sync, unsigned Threads>
class hot_ref {
 public:
  using layout = Layout;
  using sync = Sync;
  static_assert(Layout::exact_pins, "pinref: a hot page needs a layout with exact pins");

  static constexpr std::size_t max_references_at_once = detail::clamp_to_size(Layout::max_references_at_once);
  static constexpr std::size_t max_pins_at_once = detail::clamp_to_size(Layout::max_pins_at_once);

  /// The counts of a page while it is hot. They stay this page's as long as somebody may be inside a call on it: as
  /// type-stable as the page itself.
  using slots = hot_slot<typename Layout::word_type, Sync>[Threads];

  constexpr hot_ref() noexcept : hot_ref(Layout{}) {}
  constexpr explicit hot_ref(Layout state) noexcept : word_(state.raw()) {}
  hot_ref(const hot_ref&) = delete;
  hot_ref& operator=(const hot_ref&) = delete;

  /// Lets every thread count for itself, in `counts`. Precondition: the caller holds a reference, and keeps it until the
  /// page is exact again; a page has the same `counts` every time. False, and nothing has changed, if there is no
  /// barrier for it, somebody waits for holders to leave, or the page has more than 2^26 pins. Order: none. Linux:
  /// percpu_ref_switch_to_percpu().
  [[nodiscard]] bool make_hot(slots& counts) noexcept {
    if (!Sync::has_heavy_barrier()) return false;
    const switching only_one{gate_};
    if (hot_.load(std::memory_order_relaxed) != nullptr) return true;
    const word_type now = word_.load();
    if (zones::of(now) != zone::alive || zones::holders(now) > boost / 4) return false;
    if (word_.take(boost) != take_result::taken) return false;
    // (T3) pairs with (T1), (T2): who counts for itself from here on sees the page, its counts, and a mapping that was
    // cleared before an exact "not pinned".
    hot_.store(&counts[0], std::memory_order_release);
    return true;
  }

  /// Makes the page an ordinary page_ref. It is one already: `released`. `last`: the reference that should have been kept
  /// was put, and the caller alone frees the page. Order: as put. Linux: percpu_ref_switch_to_atomic_sync().
  release_result make_exact() noexcept {
    const switching only_one{gate_};
    slot* const counts = hot_.load(std::memory_order_relaxed);
    return counts != nullptr ? collect(counts) : release_result::released;
  }

  [[nodiscard]] bool is_hot() const noexcept { return hot_.load(std::memory_order_relaxed) != nullptr; }

  /// Precondition as in page_ref; a dead page is not hot.
  void reset(std::size_t n = 1) noexcept { word_.start(references(n)); }

  [[nodiscard]] PINREF_FAST_PATH take_result get(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    if (counted_taken(references(n))) return take_result::taken;
    return word_.take_held(references(n));
  }

  [[nodiscard]] PINREF_FAST_PATH take_result try_get(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    if (counted_taken(references(n))) return take_result::taken;
    return word_.take(references(n));
  }

  [[nodiscard]] PINREF_FAST_PATH take_result try_get_if_alive(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    if (counted_taken(references(n))) return take_result::taken;
    return word_.take_if_alive(references(n));
  }

  [[nodiscard]] PINREF_FAST_PATH release_result put(std::size_t n = 1, std::size_t idle_level = 0) noexcept {
    if (n > max_references_at_once) return release_result::underflow;
    if (counted_released(references(n))) return release_result::released;
    return word_.release(references(n), references(idle_level));
  }

  [[nodiscard]] release_result put_sole(std::size_t idle_level = 0) noexcept {
    if (counted_released(1)) return release_result::released;
    return word_.release_sole(references(idle_level));
  }

  [[nodiscard]] PINREF_FAST_PATH take_result try_pin(std::size_t n = 1) noexcept {
    if (n > max_pins_at_once) return take_result::overflow;
    if (counted_taken(pins(n))) return take_result::taken;
    return word_.take(pins(n));
  }

  [[nodiscard]] PINREF_FAST_PATH take_result add_pin(std::size_t n = 1) noexcept {
    if (n > max_pins_at_once) return take_result::overflow;
    if (counted_taken(pins(n))) return take_result::taken;
    return word_.take_held(pins(n));
  }

  [[nodiscard]] PINREF_FAST_PATH release_result unpin(std::size_t n = 1, std::size_t idle_level = 0) noexcept {
    if (n > max_pins_at_once) return release_result::underflow;
    if (counted_released(pins(n))) return release_result::released;
    return word_.release(pins(n), references(idle_level));
  }

  /// A hot page that nobody else holds is made exact first, and stays so.
  [[nodiscard]] bool freeze(std::size_t n) noexcept {
    if (n == 0 || n > boost / 4) return false;
    if (is_hot()) {
      const switching only_one{gate_};
      slot* const counts = hot_.load(std::memory_order_relaxed);
      if (counts != nullptr) {
        if (sum_ordered(counts) > references(n)) return false;
        (void)collect(counts);
      }
    }
    return word_.freeze(references(n));
  }
  void unfreeze(std::size_t n) noexcept { word_.start(references(n)); }

  /// As in page_ref: who pins later sees what the caller wrote before.
  [[nodiscard]] bool dma_pinned() noexcept {
    if (!is_hot() && !Layout{word_.load_ordered()}.maybe_pinned()) return false;
    // Pinned, or hot, or on its way from one to the other.
    const switching only_one{gate_};
    slot* const counts = hot_.load(std::memory_order_relaxed);
    return (counts != nullptr ? state_of(sum_ordered(counts)) : Layout{word_.load_ordered()}).maybe_pinned();
  }

  [[nodiscard]] bool dma_pinned_hint() const noexcept { return snapshot().maybe_pinned(); }

  /// Makes the page exact first. If it is made hot again meanwhile, the wait ends at its deadline or when it is exact.
  template <class GivenUp = never_gives_up>
  [[nodiscard]] wait_result wait_until_unpinned(const deadline& until = deadline::never(),
                                                GivenUp given_up = {}) noexcept {
    (void)make_exact();
    return word_.wait([](word_type word) noexcept { return !Layout{word}.maybe_pinned(); }, until, given_up);
  }
  template <class GivenUp = never_gives_up>
  [[nodiscard]] wait_result wait_until_idle(std::size_t n, const deadline& until = deadline::never(),
                                            GivenUp given_up = {}) noexcept {
    (void)make_exact();
    return word_.wait([n](word_type word) noexcept { return zones::holders(word) <= references(n); }, until, given_up);
  }

  /// Of a hot page a sum whose terms belong to different instants.
  [[nodiscard]] layout snapshot() const noexcept {
    const slot* const counts = hot_.load(std::memory_order_relaxed);
    const word_type now = word_.load();
    if (counts == nullptr || zones::holders(now) < boost / 2) return Layout{now};
    word_type sum = static_cast<word_type>(zones::holders(now) - boost);
    for (unsigned i = 0; i != Threads; ++i) sum = static_cast<word_type>(sum + counts[i].outstanding());
    return state_of(sum);
  }
  [[nodiscard]] auto count() const noexcept { return snapshot().references(); }
  [[nodiscard]] auto pins() const noexcept { return snapshot().pins(); }

 private:
  using word_type = typename Layout::word_type;
};

}  // namespace pinref
