// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_ref: the references and pins of one page in one atomic word.
///
/// A *reference* keeps the page from being freed. A *pin* keeps it too, and says that a device, the kernel or another
/// process may be reading or writing its data. Both are counted in the same word, so that one locked instruction takes
/// either and one look tells them apart.
///
/// When not to use it: in memory that may be unmapped or given to another type while a thread can still try to take it.
/// A failed take and a release both touch the word after the page has died, so descriptors must be type-stable (a frame
/// array, or reclaimed after a grace period). Plain compare-and-swap schemes ask this of takes only.
///
/// Example:
///
///     pinref::page_ref<> ref;                                    // dead: no take succeeds
///     ref.init();                                                // alive, one reference
///     if (ref.try_pin() != pinref::take_result::taken) return give_up("dead, or too many pins");
///     start_dma();                                               // ref.dma_pinned() is true until ...
///     if (ref.unpin() == pinref::release_result::last) free_page();   // ... here; freed if the reference went first
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// A thread may wait until the holders have left. While a thread waits, takes and releases of that page use their slow
/// paths; otherwise waiting costs nothing.
///
/// Memory that is all zeros is a live page with one holder: descriptors have to be constructed, or start with
/// `Layout{}` in the word.
///
/// Longer than other headers, because the members of one word are read together.
///
/// Errors: as the results say. A bulk n is at most `max_references_at_once` or `max_pins_at_once`; a larger take or
/// release is refused and changes nothing. n = 0 changes nothing; a release of none says `idle` if the page is, and
/// never `last`.
/// Memory order: as each member says.
/// Progress: all members but the waits are lock-free; takes and releases are wait-free as long as the page is alive,
/// not waited for, and not at its limit.
/// Source: Linux page_ref_add(), folio_try_get(), folio_put(), page_ref_freeze(), GUP_PIN_COUNTING_BIAS.

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/wait_canceller.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/sync/word_sync.hpp"
#include "pinref/word/bias_word.hpp"
#include "pinref/word/counter.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/split_word.hpp"

namespace pinref::inline v0_1 {

/// Everything that can be done with a page's references and pins, over a counter that keeps them. Calls that take or
/// release have a last parameter `where`, the place of the call, for counters that ask for it; of others it is empty.
template <reference_counter Counter>
class basic_ref {
 public:
  /// What keeps the counts, how they are laid out, where its atomics come from, and the type of `where`.
  using counter = Counter;
  using layout = typename Counter::layout;
  using sync = typename Counter::sync;
  using site = typename Counter::site;

  /// Largest n of one call, of references and of pins.
  static constexpr std::size_t max_references_at_once = layout::max_references_at_once;
  static constexpr std::size_t max_pins_at_once = layout::max_pins_at_once;

  /// A dead page.
  constexpr basic_ref() noexcept : basic_ref(layout{}) {}
  /// A page in a given state. Not atomic: for a descriptor that no other thread can see yet.
  constexpr explicit basic_ref(layout state) noexcept : counter_(state) {}
  basic_ref(const basic_ref&) = delete;
  basic_ref& operator=(const basic_ref&) = delete;

  /// Begins a life with n references, from 1 to `max_holders` of the layout's zones. Precondition: the page is dead or
  /// frozen and the caller owns it alone. Order: release, so that a take in this life sees the page as prepared. Linux:
  /// init_page_count().
  void init(std::size_t n = 1, site where = site::current()) noexcept { counter_.start(n, zone::dead, where); }

  /// Takes n more references. Precondition: the caller holds the page. Order: none needed, none given. Linux:
  /// folio_ref_add().
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
  get(std::size_t n = 1, site where = site::current()) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return counter_.template take_held<hold::reference>(n, where);
  }

  /// Takes n references of a page that may be dying or dead. Order: acquire. Linux: folio_try_get().
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
  try_get(std::size_t n = 1, site where = site::current()) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return counter_.template take<hold::reference>(n, where);
  }

  /// As try_get, with a look first: for scanners that meet many dead pages. A refusal costs one load and does not take
  /// the cache line from others; a success costs more than try_get when the line is elsewhere.
  [[nodiscard("a refused take holds nothing")]] take_result try_get_if_alive(std::size_t n = 1,
                                                                             site where = site::current()) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return counter_.take_if_alive(n, where);
  }

  /// Releases n references. Order: release; acquire for the caller that gets `last`. Linux: folio_put_refs().
  [[nodiscard("whoever is told `last` frees the page")]] PINREF_FAST_PATH release_result
  put(std::size_t n = 1, owner_ref owner = owner_ref::counted, site where = site::current()) noexcept {
    if (n - 1 >= max_references_at_once) return refused(n, owner);
    return counter_.template release<hold::reference>(n, owner, where);
  }

  /// As put of one reference, for a caller that expects to be the last holder: one locked operation instead of two if
  /// so, one more if not.
  [[nodiscard("whoever is told `last` frees the page")]] release_result put_sole(
      owner_ref owner = owner_ref::counted, site where = site::current()) noexcept {
    return counter_.release_sole(owner, where);
  }

  /// Takes n pins of a page that may be dying or dead. Order: acquire, so that an unmapper that asks dma_pinned() and
  /// does not see the pin is seen by the look at the mapping after it. Linux: try_grab_folio_fast() with FOLL_PIN.
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
  try_pin(std::size_t n = 1, site where = site::current()) noexcept {
    if (n > max_pins_at_once) return take_result::overflow;
    return counter_.template take<hold::pin>(n, where);
  }

  /// Pins a page n times more. Precondition: the caller has it pinned. Order: none needed, none given. Linux:
  /// folio_add_pins().
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH take_result
  add_pin(std::size_t n = 1, site where = site::current()) noexcept {
    if (n > max_pins_at_once) return take_result::overflow;
    return counter_.template take_held<hold::pin>(n, where);
  }

  /// Releases n pins. Order and results as put. Linux: unpin_user_folio().
  [[nodiscard("whoever is told `last` frees the page")]] PINREF_FAST_PATH release_result
  unpin(std::size_t n = 1, owner_ref owner = owner_ref::counted, site where = site::current()) noexcept {
    if (n - 1 >= max_pins_at_once) return refused(n, owner);
    return counter_.template release<hold::pin>(n, owner, where);
  }

  /// Claims the page exclusively if it is held by exactly n >= 1 references and no pin. The page then looks dead to all
  /// takes until unfreeze. Precondition: all n references are there and the caller's to give up. If another thread may
  /// put one meanwhile, exclude that first (an evictor takes the page lock, looks the page up again, and then freezes);
  /// with fewer references than n, a pin could make up the number. Order: acquire on success. Linux: page_ref_freeze().
  [[nodiscard("a page that is not frozen belongs to others")]] bool freeze(std::size_t n,
                                                                           site where = site::current()) noexcept {
    return n != 0 && n <= layout::zones::max_holders && counter_.freeze(n, where);
  }

  /// Gives a frozen page back with n references, as init. Precondition: the caller froze it. Order: release. Linux:
  /// page_ref_unfreeze().
  void unfreeze(std::size_t n, site where = site::current()) noexcept { counter_.start(n, zone::frozen, where); }

  /// Makes the page dead, whatever it counts: to free a frozen page, and for a page that a forked child has inherited
  /// with holders that can never leave. Precondition: the caller froze it, or no other thread can reach it. Order:
  /// release. Lock-free.
  void bury() noexcept { counter_.bury(); }

  /// Is the page pinned? Never false for a pinned page; `layout::exact_pins` says whether true is certain too. Clear or
  /// write-protect the mapping first, then ask: a pin is either seen here, or sees the mapping changed. For that the
  /// question is a read-modify-write, so it is not const. Order: acquire and release. Linux: folio_maybe_dma_pinned()
  /// behind a full barrier.
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned() noexcept { return counter_.dma_pinned(); }

  /// The same by a plain load, for scanners and statistics. Nothing may be concluded from false.
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned_hint() const noexcept { return snapshot().maybe_pinned(); }

  /// Has the page at most n holders, pins counted by their bias? A read-modify-write to decide on, as dma_pinned() is.
  /// Linux: dax_page_is_idle().
  [[nodiscard]] bool idle(std::size_t n) noexcept { return counter_.idle(at_most{n}); }

  /// Sleeps until the page is not pinned, at some instant; a dead or frozen page is not. Order: acquire, so that what
  /// the devices' owners did is visible. To keep new pins out, close the way to the page first, and ask dma_pinned()
  /// after the wait, which may end by a plain look. May block; `stop` is a `wait_canceller`. Linux has none for small
  /// pages.
  template <cancels_waits<sync> Canceller = never_cancelled>
  [[nodiscard("a wait may end before the page is as asked for")]] wait_result wait_until_unpinned(
      const deadline& until = deadline::never(), const Canceller& stop = {}) noexcept {
    return counter_.wait(unpinned{}, until, stop);
  }

  /// Sleeps until the page has at most n holders, pins counted by their bias; a frozen page is held. Order, blocking
  /// and `stop` as above. Linux: dax_layout_busy_page() waits for n = 1.
  ///
  /// n = 0 waits for the last release, of a page that the caller does not hold. The `free_page` that follows it may
  /// still be running then, or the page may live again. To act after all others have left, keep a reference, wait until
  /// it is the only one (n = 1, or unpinned), `freeze(1)`, do what has to be done, and `bury` or `unfreeze`.
  template <cancels_waits<sync> Canceller = never_cancelled>
  [[nodiscard("a wait may end before the page is as asked for")]] wait_result wait_until_idle(
      std::size_t n, const deadline& until = deadline::never(), const Canceller& stop = {}) noexcept {
    return counter_.wait(at_most{n}, until, stop);
  }

  /// What to sleep on to wait without a thread until the page is not pinned; see `wait_ticket`. The word stays marked
  /// until the page is as asked for or a wait is abandoned: look again after every ticket that is not `reached`, or
  /// abandon the wait. Order: acquire if reached. Lock-free. A hot_ref has none.
  template <ticketed_counter C = Counter>
  [[nodiscard("a ticket is slept on or abandoned")]] wait_ticket<sync> prepare_wait_until_unpinned() noexcept {
    return counter_.prepare_wait(unpinned{});
  }
  /// The same for a page with at most n holders.
  template <ticketed_counter C = Counter>
  [[nodiscard("a ticket is slept on or abandoned")]] wait_ticket<sync> prepare_wait_until_idle(std::size_t n) noexcept {
    return counter_.prepare_wait(at_most{n});
  }
  /// Ends a wait without a thread: other waiters wake and mark the word again; without any it is as fast as before.
  /// Order: none. Lock-free.
  template <ticketed_counter C = Counter>
  void abandon_wait() noexcept {
    counter_.abandon_wait();
  }

  /// The bits of the host, which stand in the word with the counts where the layout has them: `bias_layout` with
  /// `HostBits`, no other. They are the host's in every state of the page, from one life to the next. Order: acquire.
  template <host_bits_counter C = Counter>
  [[nodiscard]] typename layout::word_type host_bits() const noexcept {
    return counter_.bits();
  }
  /// Sets the bits in `mask` by one atomic operation; returns what all bits were before. Waiters for the page look
  /// again. Order: acquire and release. Wait-free while no thread waits.
  template <host_bits_counter C = Counter>
  typename layout::word_type set_host_bits(typename layout::word_type mask) noexcept {
    return counter_.set_bits(mask);
  }
  /// Clears the bits in `mask`, likewise.
  template <host_bits_counter C = Counter>
  typename layout::word_type clear_host_bits(typename layout::word_type mask) noexcept {
    return counter_.clear_bits(mask);
  }
  /// Releases n references and changes the bits of the host in the same exchange: the page is never seen with one and
  /// without the other. Order and results as put, and acquire. Lock-free.
  template <host_bits_counter C = Counter>
  [[nodiscard("whoever is told `last` frees the page")]] release_result put_and_change(
      host_change<typename layout::word_type> change, std::size_t n = 1, owner_ref owner = owner_ref::counted,
      site where = site::current()) noexcept {
    if (n - 1 >= max_references_at_once) return refused(n, owner);
    return counter_.template release_and_change<hold::reference>(n, owner, change, where);
  }
  /// Releases n pins and changes the bits of the host, likewise.
  template <host_bits_counter C = Counter>
  [[nodiscard("whoever is told `last` frees the page")]] release_result unpin_and_change(
      host_change<typename layout::word_type> change, std::size_t n = 1, owner_ref owner = owner_ref::counted,
      site where = site::current()) noexcept {
    if (n - 1 >= max_pins_at_once) return refused(n, owner);
    return counter_.template release_and_change<hold::pin>(n, owner, change, where);
  }
  /// As freeze, if the bits of the host in `mask` are those of `value`: unpinned, clean and not under I/O, for example.
  template <host_bits_counter C = Counter>
  [[nodiscard("a page that is not frozen belongs to others")]] bool freeze_if(std::size_t n,
                                                                              typename layout::word_type mask,
                                                                              typename layout::word_type value,
                                                                              site where = site::current()) noexcept {
    return n != 0 && n <= layout::zones::max_holders && counter_.freeze_if(n, mask, value, where);
  }
  /// Sleeps until the bits of the host in `mask` are all clear, at some instant: until no I/O is under way, say. Order,
  /// blocking and `stop` as for wait_until_unpinned.
  template <host_bits_counter C = Counter, cancels_waits<sync> Canceller = never_cancelled>
  [[nodiscard("a wait may end before the page is as asked for")]] wait_result wait_until_clear(
      typename layout::word_type mask, const deadline& until = deadline::never(), const Canceller& stop = {}) noexcept {
    return counter_.wait(bits_clear<typename layout::word_type>{mask}, until, stop);
  }

  /// Lets every thread count in its slot of `counts`. Precondition: the caller holds a reference, and keeps it until
  /// the page is exact again; a page has the same `counts` every time. False, and nothing has changed, if there is no
  /// heavy barrier, a waiter has marked the word, or the page has too many holders already (2^26 pins of bias64).
  /// Order: none. Linux: percpu_ref_switch_to_percpu().
  template <hot_counter C = Counter>
  [[nodiscard("without the barrier the page stays exact")]] bool make_hot(typename C::slots& counts) noexcept {
    return counter_.make_hot(counts);
  }

  /// Makes the page an ordinary page_ref again. `released`: it is one. `last`: the reference that should have been kept
  /// was put, and the caller alone frees the page. `underflow`: more was released than was held, and the page keeps
  /// references that no holder has. A wait and a freeze make it exact as well, but cannot tell. Order: as put. Linux:
  /// percpu_ref_switch_to_atomic_sync().
  template <hot_counter C = Counter>
  release_result make_exact() noexcept {
    return counter_.make_exact();
  }
  /// Is the page hot, at some instant? Order: none.
  template <hot_counter C = Counter>
  [[nodiscard]] bool is_hot() const noexcept {
    return counter_.is_hot();
  }

  /// Tells a counter that lists holders that n of them pass from `from` to `to`, each the site of a handle or of plain
  /// calls. Nothing is counted. Precondition: they are held meanwhile. Order: none.
  template <hold Mode, listing_counter C = Counter>
  void hand_on(std::size_t n, site from, site to) noexcept {
    counter_.template hand_on<Mode>(n, from, to);
  }

  /// Is the page plainly alive, and surely not pinned, by a load and one comparison? For readers that look again, see
  /// page_stamp. False of a page that somebody waits for. Order: acquire. Not for the two words of `split32`, nor for
  /// hot pages.
  template <readable_counter C = Counter>
  [[nodiscard]] PINREF_FAST_PATH bool plainly_unpinned() const noexcept {
    return counter_.plainly_unpinned();
  }

  /// All counts at one instant. Order: none.
  [[nodiscard]] layout snapshot() const noexcept { return counter_.snapshot(); }
  /// Plain references at some instant. Negative if more were put than taken. Where the layout is not exact, every
  /// `pin_bias` references look like a pin, here and to the questions and waits above.
  [[nodiscard]] auto references() const noexcept { return snapshot().references(); }
  /// Pins at some instant.
  [[nodiscard]] auto pins() const noexcept { return snapshot().pins(); }

 private:
  PINREF_SLOW_PATH release_result refused(std::size_t n, owner_ref owner) const noexcept {
    return n == 0 ? counter_.release_nothing(owner) : release_result::underflow;
  }

  Counter counter_;
};

namespace detail {

// Asked first, so that a wrong parameter is named before anything else goes wrong with it.
template <class Layout, class Sync>
struct counter_of {
  static_assert(word_sync<Sync>, "pinref: the Sync of a page_ref must be as word_sync asks");
  static_assert(word_layout<Layout>, "pinref: the Layout of a page_ref must be as word_layout asks");
  using type = typename Layout::template counter<Sync>;
};

}  // namespace detail

/// The reference word of a layout: one word of `bias64` or `bias32`, two of `split32`.
template <class Layout, class Sync>
class page_ref : public basic_ref<typename detail::counter_of<Layout, Sync>::type> {
 public:
  using basic_ref<typename detail::counter_of<Layout, Sync>::type>::basic_ref;
};

}  // namespace pinref::inline v0_1
