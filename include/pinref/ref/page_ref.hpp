#pragma once

/// \file
/// page_ref: the references and pins of one page in one atomic word.
///
/// A *reference* keeps the page from being freed. A *pin* keeps it too, and says that a device, the kernel or another
/// process may be reading or writing its data. Both are counted in the same word, so that one locked instruction takes
/// either and one look tells them apart.
///
/// When not to use it: in memory that may be unmapped or given to another type while somebody can still try to take it.
/// A failed take and a release both touch the word after the page has died, so descriptors must be type-stable (a frame
/// array, or reclaimed after a grace period). Plain compare-and-swap schemes ask this of takers only.
///
/// Example:
///
///     pinref::page_ref<> ref;                                    // dead: nobody can take it
///     ref.reset();                                               // alive, one reference
///     if (ref.try_pin() == pinref::take_result::taken) {
///       start_dma();                                             // ref.dma_pinned() is true until ...
///       (void)ref.unpin();
///     }
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// A thread may wait until the holders have left. While somebody waits, takes and releases of that page use their slow
/// paths; otherwise waiting costs nothing.
///
/// Limits: a bulk n is at most `max_references_at_once` or `max_pins_at_once`; a larger take or release is refused and
/// changes nothing. n = 0 changes nothing; a release of none says `idle` if the page is, and never `last`. Every member
/// but the waits is lock-free; takes and releases are wait-free as long as the page is alive and not at its limit.
///
/// Memory that is all zeros is a live page with one holder: descriptors have to be constructed, or start with
/// `Layout{}` in the word.
///
/// Source: Linux page_ref_add(), folio_try_get(), folio_put(), page_ref_freeze(), GUP_PIN_COUNTING_BIAS.

#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/ref/deadline.hpp"
#include "pinref/ref/sync.hpp"
#include "pinref/ref/wait_canceller.hpp"
#include "pinref/ref/waiting.hpp"
#include "pinref/ref/zoned_word.hpp"
#include "pinref/word/bias_layout.hpp"
#include "pinref/word/paths.hpp"

namespace pinref {

namespace detail {

/// A limit of the word as a std::size_t, which is narrower on 32-bit targets.
template <class Word>
[[nodiscard]] constexpr std::size_t clamp_to_size(Word limit) noexcept {
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  return limit > most ? most : static_cast<std::size_t>(limit);
}

}  // namespace detail

template <class Layout, class Sync>
class page_ref {
 public:
  using layout = Layout;
  using sync = Sync;

  static constexpr std::size_t max_references_at_once = detail::clamp_to_size(Layout::max_references_at_once);
  static constexpr std::size_t max_pins_at_once = detail::clamp_to_size(Layout::max_pins_at_once);

  /// A dead page.
  constexpr page_ref() noexcept : page_ref(Layout{}) {}
  /// A page in a given state. Not atomic: for a descriptor nobody else can see yet.
  constexpr explicit page_ref(Layout state) noexcept : word_(state.raw()) {}
  page_ref(const page_ref&) = delete;
  page_ref& operator=(const page_ref&) = delete;

  /// Begins a life with n references, from 1 to `max_holders` of the layout's zones. Precondition: the page is dead or
  /// frozen and the caller owns it alone. Order: release, so that whoever takes the page sees it as prepared. Linux:
  /// init_page_count().
  void reset(std::size_t n = 1) noexcept { word_.start(references(n), zone::dead); }

  /// Takes n more references. Precondition: the caller holds the page. Order: none needed, none given. Linux:
  /// folio_ref_add().
  [[nodiscard]] PINREF_FAST_PATH take_result get(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return word_.take_held(references(n));
  }

  /// Takes n references of a page that may be dying or dead. Order: acquire. Linux: folio_try_get().
  [[nodiscard]] PINREF_FAST_PATH take_result try_get(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return word_.take(references(n));
  }

  /// As try_get, with a look first: for scanners that meet many dead pages. A refusal costs one load and does not take
  /// the cache line from others; a success costs more than try_get when the line is elsewhere.
  [[nodiscard]] take_result try_get_if_alive(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return word_.take_if_alive(references(n));
  }

  /// Releases n references. Order: release; acquire for the caller that gets `last`. `idle_level` 1 is for a page whose
  /// owner never puts its own reference: `idle` then says that only that one is left. Linux: folio_put_refs().
  [[nodiscard]] PINREF_FAST_PATH release_result put(std::size_t n = 1, std::size_t idle_level = 0) noexcept {
    if (n - 1 >= max_references_at_once) return refused(n, idle_level);
    return word_.release(references(n), references(idle_level));
  }

  /// As put of one reference, for a caller that expects to be the last holder: one locked operation instead of two if
  /// so, one more if not.
  [[nodiscard]] release_result put_sole(std::size_t idle_level = 0) noexcept {
    return word_.release_sole(references(idle_level));
  }

  /// Takes n pins of a page that may be dying or dead. Order: acquire, so that a look at the mapping after it is
  /// decisive against an unmapper that asks dma_pinned(). Linux: try_grab_folio_fast() with FOLL_PIN.
  [[nodiscard]] PINREF_FAST_PATH take_result try_pin(std::size_t n = 1) noexcept {
    if (n > max_pins_at_once) return take_result::overflow;
    return word_.take(pins(n));
  }

  /// Pins a page n times more. Precondition: the caller has it pinned. Order: none needed, none given. Linux:
  /// folio_add_pins().
  [[nodiscard]] PINREF_FAST_PATH take_result add_pin(std::size_t n = 1) noexcept {
    if (n > max_pins_at_once) return take_result::overflow;
    return word_.take_held(pins(n));
  }

  /// Releases n pins. Order and results as put. Linux: unpin_user_folio().
  [[nodiscard]] PINREF_FAST_PATH release_result unpin(std::size_t n = 1, std::size_t idle_level = 0) noexcept {
    if (n - 1 >= max_pins_at_once) return refused(n, idle_level);
    return word_.release(pins(n), references(idle_level));
  }

  /// Claims the page exclusively if it is held by exactly n >= 1 references and no pin. The page then looks dead to
  /// everybody until unfreeze. Precondition: all n references are there and the caller's to give up: if somebody else
  /// may put one meanwhile, exclude that first (an evictor takes the page lock, looks the page up again, and then
  /// freezes); of fewer, a pin could make up the number. Order: acquire on success. Linux: page_ref_freeze().
  [[nodiscard]] bool freeze(std::size_t n) noexcept {
    return n != 0 && n <= Layout::zones::max_holders && word_.freeze(references(n));
  }

  /// Gives a frozen page back with n references, as reset. Precondition: the caller froze it. Order: release. Linux:
  /// page_ref_unfreeze().
  void unfreeze(std::size_t n) noexcept { word_.start(references(n), zone::frozen); }

  /// Makes the page dead, whoever holds it: the end of a frozen page that is freed, and of a page of which a forked
  /// child has inherited holders that can never leave. Precondition: the caller froze it, or nobody else can reach it.
  /// Order: release. Lock-free.
  void bury() noexcept { word_.bury(); }

  /// Is the page pinned? Never false for a pinned page; `layout::exact_pins` says whether true is certain too. The
  /// question is a read-modify-write (acquire and release): clear or write-protect the mapping first, then ask, and a
  /// pinner either is seen here or sees the mapping changed. Linux: folio_maybe_dma_pinned() behind a full barrier.
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned() noexcept { return Layout{word_.load_ordered()}.maybe_pinned(); }

  /// The same by a plain load, for scanners and statistics. Nothing may be concluded from false.
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned_hint() const noexcept { return snapshot().maybe_pinned(); }

  /// Has the page at most n holders, pins counted by their bias? A read-modify-write to decide on, as dma_pinned() is.
  /// Linux: dax_page_is_idle().
  [[nodiscard]] bool idle(std::size_t n) noexcept { return at_most(n)(word_.load_ordered()); }

  /// Sleeps until the page is not pinned, at some instant; a dead or frozen page is not. Order: acquire, so what the
  /// devices' owners did is visible. To keep new pins out, close the way to the page first. May block; `stop` is a
  /// `wait_canceller`. Linux has none for small pages.
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_unpinned(const deadline& until = deadline::never(),
                                                const Canceller& stop = {}) noexcept {
    return word_.wait(unpinned, until, stop);
  }

  /// Sleeps until the page has at most n holders, pins counted by their bias; a frozen page is held. Order, blocking
  /// and `stop` as above. Linux: dax_layout_busy_page() waits for n = 1.
  ///
  /// n = 0 waits for the last release, of a page that the caller does not hold; the `free_page` that follows it may
  /// still be running then, or the page may live again. To act after the page has been given up, keep a reference, wait
  /// until it is the only one (n = 1, or unpinned), `freeze(1)`, do what has to be done, and `bury` or `unfreeze`.
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_idle(std::size_t n, const deadline& until = deadline::never(),
                                            const Canceller& stop = {}) noexcept {
    return word_.wait(at_most(n), until, stop, n < Layout::pin_bias);
  }

  /// What to sleep on to wait for the same without a thread; see `wait_ticket`. The word is marked until the page is as
  /// asked for or somebody abandons a wait: every ticket that is not `reached` is looked at again or abandoned. Order:
  /// acquire if reached. Lock-free.
  [[nodiscard]] wait_ticket<Sync> prepare_wait_until_unpinned() noexcept { return word_.prepare_wait(unpinned); }
  [[nodiscard]] wait_ticket<Sync> prepare_wait_until_idle(std::size_t n) noexcept {
    const auto condition = at_most(n);
    return word_.prepare_wait(condition, n < Layout::pin_bias);
  }
  /// Ends a wait without a thread: the word is as fast as before if nobody else waits; other waiters wake and mark it
  /// again. Order: none. Lock-free.
  void abandon_wait() noexcept { word_.abandon_wait(); }

  /// All counts at one instant. Order: none.
  [[nodiscard]] layout snapshot() const noexcept { return Layout{word_.load()}; }
  /// Plain references at some instant. Negative if more was put than was taken. Where the layout is not exact, of
  /// `pin_bias` references or more the remainder: the rest looks like pins, also to the questions and waits above.
  [[nodiscard]] auto count() const noexcept { return snapshot().references(); }
  /// Pins at some instant.
  [[nodiscard]] auto pins() const noexcept { return snapshot().pins(); }

 private:
  using word_type = typename Layout::word_type;

  static constexpr auto unpinned = [](word_type word) noexcept { return !Layout{word}.maybe_pinned(); };
  [[nodiscard]] static constexpr auto at_most(std::size_t n) noexcept {
    return [n](word_type word) noexcept { return Layout{word}.at_most(n); };
  }
  PINREF_SLOW_PATH release_result refused(std::size_t n, std::size_t idle_level) const noexcept {
    return n == 0 ? word_.release_nothing(references(idle_level)) : release_result::underflow;
  }
  [[nodiscard]] static constexpr word_type references(std::size_t n) noexcept { return static_cast<word_type>(n); }
  [[nodiscard]] static constexpr word_type pins(std::size_t n) noexcept {
    return static_cast<word_type>(static_cast<word_type>(n) * Layout::pin_bias);
  }

  zoned_word<typename Layout::zones, Layout::pin_bias, Sync> word_;
};

}  // namespace pinref
