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
/// changes nothing. n = 0 changes nothing; a release of none says `idle` if the page is. Every member is lock-free;
/// takes and releases are wait-free as long as the page is alive and not at its limit.
///
/// Source: Linux page_ref_add(), folio_try_get(), folio_put(), page_ref_freeze(), GUP_PIN_COUNTING_BIAS.

#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/ref/deadline.hpp"
#include "pinref/ref/sync.hpp"
#include "pinref/ref/wait_canceller.hpp"
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

  /// Begins a life with n references, from 1 to `max_holders` of the layout's zones. Precondition: the page is dead and
  /// the caller owns it alone. Order: release, so that whoever takes the page sees it as prepared. Linux:
  /// init_page_count().
  void reset(std::size_t n = 1) noexcept { word_.start(references(n)); }

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
    if (n > max_references_at_once) return release_result::underflow;
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
    if (n > max_pins_at_once) return release_result::underflow;
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
  void unfreeze(std::size_t n) noexcept { word_.start(references(n)); }

  /// Is the page pinned? Never false for a pinned page; `layout::exact_pins` says whether true is certain too. The
  /// question is a read-modify-write (acquire and release): clear or write-protect the mapping first, then ask, and a
  /// pinner either is seen here or sees the mapping changed. Linux: folio_maybe_dma_pinned() behind a full barrier.
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned() noexcept { return Layout{word_.load_ordered()}.maybe_pinned(); }

  /// The same by a plain load, for scanners and statistics. Nothing may be concluded from false.
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned_hint() const noexcept { return snapshot().maybe_pinned(); }

  /// Has the page at most n holders, pins counted by their bias? A read-modify-write to decide on, as dma_pinned() is.
  /// Linux: dax_page_is_idle().
  [[nodiscard]] bool idle(std::size_t n) noexcept { return at_most(word_.load_ordered(), n); }

  /// Sleeps until the page is not pinned, at some instant; a dead page is not. Order: acquire, so what the devices'
  /// owners did is visible. Who must keep new pins out closes the way to the page first. May block; `given_up` is asked
  /// before each sleep, see wait_canceller. Linux has none for small pages.
  template <class GivenUp = never_gives_up>
  [[nodiscard]] wait_result wait_until_unpinned(const deadline& until = deadline::never(),
                                                GivenUp given_up = {}) noexcept {
    return word_.wait([](word_type word) noexcept { return !Layout{word}.maybe_pinned(); }, until, given_up);
  }

  /// Sleeps until the page has at most n holders, pins counted by their bias; with n = 0 until it is free, with n = 1
  /// until only one reference is left. Order, blocking and `given_up` as above. Linux: dax_layout_busy_page() waits for
  /// this.
  template <class GivenUp = never_gives_up>
  [[nodiscard]] wait_result wait_until_idle(std::size_t n, const deadline& until = deadline::never(),
                                            GivenUp given_up = {}) noexcept {
    return word_.wait([n](word_type word) noexcept { return at_most(word, n); }, until, given_up, n < Layout::pin_bias);
  }

  /// All counts at one instant. Order: none.
  [[nodiscard]] layout snapshot() const noexcept { return Layout{word_.load()}; }
  /// Plain references at some instant. Negative if more was put than was taken. Where the layout is not exact, of
  /// `pin_bias` references or more the remainder: the rest looks like pins, also to the questions and waits above.
  [[nodiscard]] auto count() const noexcept { return snapshot().references(); }
  /// Pins at some instant.
  [[nodiscard]] auto pins() const noexcept { return snapshot().pins(); }

 private:
  using word_type = typename Layout::word_type;

  [[nodiscard]] static constexpr bool at_most(word_type word, std::uint64_t n) noexcept {
    return static_cast<std::uint64_t>(Layout::zones::holders(word)) <= n;
  }
  [[nodiscard]] static constexpr word_type references(std::size_t n) noexcept { return static_cast<word_type>(n); }
  [[nodiscard]] static constexpr word_type pins(std::size_t n) noexcept {
    return static_cast<word_type>(static_cast<word_type>(n) * Layout::pin_bias);
  }

  zoned_word<typename Layout::zones, Layout::pin_bias, Sync> word_;
};

}  // namespace pinref
