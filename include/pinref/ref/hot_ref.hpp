#pragma once

/// \file
/// hot_ref: a page_ref for the few pages that everybody touches. While it is *hot*, every thread counts for itself.
///
/// A hot page's takes and releases are an add and a plain store to a line that no other thread writes: no locked
/// operation, nothing to fight over. Only the sum over all threads counts, so a page may be taken on one thread and
/// released on another. Made *exact* again it is an ordinary page_ref. Whoever reads the sum pays instead: a switch,
/// and `dma_pinned()` of a hot page, interrupt every running thread once.
///
/// While the page is hot
/// - whoever made it hot keeps a reference of its own until the page is exact again: nobody is told `last`, `idle` or
///   `underflow`;
/// - `dma_pinned()` answers as exactly as ever, and leaves the page hot;
/// - `freeze` makes it exact, unless others hold it; the waits make it exact;
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
///     ref.reset();
///     if (ref.make_hot(counts)) serve_many_threads();            // false: no such barrier here; works all the same
///     (void)ref.make_exact();
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// Threads beyond `Threads` use the shared word meanwhile, limits and refusals included. So does a thread that took
/// very many more than it released, or the other way round, until it has moved the difference into the word: every so
/// many calls, if nobody else is at the switch just then. So any thread may release what any other took, for ever; a
/// take is refused only if the holders do not fit.
///
/// Takes and releases never wait. `make_hot`, `make_exact`, and `freeze` and `dma_pinned` of a page that is hot or
/// pinned wait for each other, and for a thread that moves its difference: a lock that is asked again after
/// `sched_yield`, held while one heavy barrier runs or the slots are read. A thread must not call them with a priority
/// that keeps the owner of the lock from running. A thread's first take or release of a hot page gets its number, which
/// may allocate: see hot_threads. Members that are not commented are those of `page_ref`.
///
/// Source: Linux percpu_ref (switch_to_percpu, switch_to_atomic_sync), percpu_counter (a thread's difference moves to
/// the sum when it is large), SRCU (releases are summed before takes).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pinref/ref/hot_sync.hpp"
#include "pinref/ref/page_ref.hpp"

namespace pinref {

/// One thread's share of a hot page. Only its owner writes it, but for `collected`: so much of the difference between
/// the first two is in the page's word already.
template <class Word, class Sync, Word Room>
struct alignas(64) hot_slot {
  using atomic = typename Sync::template atomic<Word>;

  /// What its owner took and has not released, as far as it is not in the word.
  [[nodiscard]] Word outstanding() const noexcept {
    return static_cast<Word>(taken.load(std::memory_order_relaxed) - released.load(std::memory_order_relaxed) -
                             collected.load(std::memory_order_relaxed));
  }

  atomic taken{0};
  atomic released{0};
  atomic collected{0};
  // So far may `taken` and `released` grow before their owner looks at the difference. Read by nobody else.
  Word taken_end = Room;
  Word released_end = Room;
};

namespace detail {

template <class Sync>
[[nodiscard]] consteval bool is_process_shared() {
  if constexpr (requires { Sync::process_shared; })
    return Sync::process_shared;
  else
    return false;
}

}  // namespace detail

template <class Layout, class Sync, unsigned Threads>
class hot_ref {
 public:
  using layout = Layout;
  using sync = Sync;
  static_assert(Layout::exact_pins, "pinref: a hot page needs a layout with exact pins");
  static_assert(!detail::is_process_shared<Sync>(), "pinref: a hot page has users in one process, use page_ref");
  /// Where threads get their numbers.
  using threads = typename Sync::threads;

  static constexpr std::size_t max_references_at_once = detail::clamp_to_size(Layout::max_references_at_once);
  static constexpr std::size_t max_pins_at_once = detail::clamp_to_size(Layout::max_pins_at_once);

  /// The counts of a page while it is hot, and where its threads have their numbers from. They stay this page's as long
  /// as somebody may be inside a call on it: as type-stable as the page itself. `of` outlives them.
  struct slots;

  constexpr hot_ref() noexcept : hot_ref(Layout{}) {}
  constexpr explicit hot_ref(Layout state) noexcept : word_(state.raw()) {}
  hot_ref(const hot_ref&) = delete;
  hot_ref& operator=(const hot_ref&) = delete;

  /// Lets every thread count for itself, in `counts`. Precondition: the caller holds a reference, and keeps it until
  /// the page is exact again; a page has the same `counts` every time. False, and nothing has changed, if there is no
  /// barrier for it, somebody waits for holders to leave or has waited in vain for some that are still there, or the
  /// page has more than 2^26 pins. Order: none. Linux: percpu_ref_switch_to_percpu().
  [[nodiscard]] bool make_hot(slots& counts) noexcept {
    if (!Sync::has_heavy_barrier()) return false;
    const switching only_one{switch_};
    if (hot_.load(std::memory_order_relaxed) != nullptr) return true;
    if (!word_.add_if_alive(boost, boost / 4)) return false;
    // (T1) pairs with (T4), (T5), (T6): who counts for itself from here on sees the page, its counts, and a mapping
    // that was cleared before an exact "not pinned".
    hot_.store(&counts, std::memory_order_release);
    return true;
  }

  /// Makes the page an ordinary page_ref. It is one already: `released`. `last`: the reference that should have been
  /// kept was put, and the caller alone frees the page. `underflow`: more was released than was held, and the page
  /// stays with references nobody has. A wait and a freeze make it exact as well, but cannot tell. Order: as put.
  /// Linux: percpu_ref_switch_to_atomic_sync().
  release_result make_exact() noexcept {
    const switching only_one{switch_};
    slots* const counts = hot_.load(std::memory_order_relaxed);
    return counts != nullptr ? collect(counts) : release_result::released;
  }

  [[nodiscard]] bool is_hot() const noexcept { return hot_.load(std::memory_order_relaxed) != nullptr; }

  /// Precondition as in page_ref; a dead page is not hot.
  void reset(std::size_t n = 1) noexcept { word_.start(references(n), zone::dead); }

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
      const switching only_one{switch_};
      slots* const counts = hot_.load(std::memory_order_relaxed);
      if (counts != nullptr) {
        if (sum_ordered(counts) != references(n)) return false;
        (void)collect(counts);
      }
    }
    return word_.freeze(references(n));
  }
  void unfreeze(std::size_t n) noexcept { word_.start(references(n), zone::frozen); }
  void bury() noexcept {
    (void)make_exact();
    word_.bury();
  }

  /// As in page_ref: whoever pins later sees what the caller wrote before.
  [[nodiscard]] bool dma_pinned() noexcept { return !decide(unpinned); }
  [[nodiscard]] bool idle(std::size_t n) noexcept {
    return decide([n](word_type word) noexcept { return at_most(word, n); });
  }

  [[nodiscard]] bool dma_pinned_hint() const noexcept { return snapshot().maybe_pinned(); }

  /// Makes the page exact first. If it is made hot again meanwhile, the wait ends at its deadline or when it is exact.
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_unpinned(const deadline& until = deadline::never(),
                                                const Canceller& stop = {}) noexcept {
    (void)make_exact();
    return word_.wait(unpinned, until, stop);
  }
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_idle(std::size_t n, const deadline& until = deadline::never(),
                                            const Canceller& stop = {}) noexcept {
    (void)make_exact();
    return word_.wait([n](word_type word) noexcept { return at_most(word, n); }, until, stop, n < Layout::pin_bias);
  }

  /// Of a hot page a sum whose terms belong to different instants.
  [[nodiscard]] layout snapshot() const noexcept {
    const slots* const counts = hot_.load(std::memory_order_relaxed);
    const word_type now = word_.load();
    if (counts == nullptr || zones::holders(now) < boost / 2) return Layout{now};
    word_type sum = static_cast<word_type>(zones::holders(now) - boost);
    for (unsigned i = 0; i != Threads; ++i) sum = static_cast<word_type>(sum + counts->each[i].outstanding());
    return Layout{zones::live(sum)};
  }
  [[nodiscard]] auto count() const noexcept { return snapshot().references(); }
  [[nodiscard]] auto pins() const noexcept { return snapshot().pins(); }

 private:
  using word_type = typename Layout::word_type;
  using zones = typename Layout::zones;

  // Holders that the word of a hot page counts beside its own: it never comes to zero, and is too large to be watched.
  static constexpr word_type boost = zones::slack;
  // So many a thread may take, and as many release, between two looks at the difference. It is then at most twice that
  // many from zero: all differences together stay below half of the boost, and each goes into the word by one add.
  static constexpr word_type room = boost / 4 / Threads < zones::max_delta / 2
                                        ? static_cast<word_type>(boost / 4 / Threads)
                                        : static_cast<word_type>(zones::max_delta / 2);
  static_assert(room > 0, "pinref: this word is too small for so many threads");

  using slot = hot_slot<word_type, Sync, room>;

  // The switch: one at a time; and how many calls met it halfway.
  using switch_state = typename Sync::template atomic<std::uint32_t>;
  static constexpr std::uint32_t busy = 1, collecting = 2, late = 4;

  struct if_free {};

  class switching {
   public:
    explicit switching(switch_state& of) noexcept : of_(&of) {
      std::uint32_t open = 0;
      // (T2) pairs with (T3): one switch sees what the one before it did.
      while (!of.compare_exchange_weak(open, open | busy, std::memory_order_acquire, std::memory_order_relaxed)) {
        if ((open & busy) != 0) Sync::pause();
        open &= ~(busy | collecting);
      }
    }
    // Does not wait; false if it would have to.
    switching(switch_state& of, if_free) noexcept : of_(nullptr) {
      std::uint32_t open = of.load(std::memory_order_relaxed);
      if ((open & busy) != 0) return;
      // (T15) pairs with (T3): the thread sees what the switch before it did to its slot.
      if (of.compare_exchange_strong(open, open | busy, std::memory_order_acquire, std::memory_order_relaxed))
        of_ = &of;
    }
    switching(const switching&) = delete;
    switching& operator=(const switching&) = delete;
    ~switching() {
      // (T3) pairs with (T2), (T9), (T15): the next switch, and a latecomer, see what this one did.
      if (of_ != nullptr) of_->fetch_sub(busy, std::memory_order_release);
    }
    explicit operator bool() const noexcept { return of_ != nullptr; }

   private:
    switch_state* of_;
  };

  [[nodiscard]] static constexpr word_type references(std::size_t n) noexcept { return static_cast<word_type>(n); }
  [[nodiscard]] static constexpr word_type pins(std::size_t n) noexcept {
    return static_cast<word_type>(static_cast<word_type>(n) * Layout::pin_bias);
  }
  // Questions to the word, or to what a hot page's word would be.
  [[nodiscard]] static constexpr bool unpinned(word_type word) noexcept { return !Layout{word}.maybe_pinned(); }
  [[nodiscard]] static constexpr bool at_most(word_type word, std::size_t n) noexcept {
    return n >= boost / 4 || zones::holders(word) <= references(n);
  }

  // Answers by a read-modify-write. The word of a page that is not exact looks pinned and busy.
  template <class Question>
  [[nodiscard]] bool decide(Question yes) noexcept {
    if (!is_hot() && yes(word_.load_ordered())) return true;
    const switching only_one{switch_};
    slots* const counts = hot_.load(std::memory_order_relaxed);
    return yes(counts != nullptr ? zones::live(sum_ordered(counts)) : word_.load_ordered());
  }

  // This thread's slot, or null for a thread that has none.
  [[nodiscard]] PINREF_FAST_PATH static slot* mine(slots& counts) noexcept {
    unsigned number = counts.of->number();
    if (number >= Threads) [[unlikely]] {
      number = counts.of->enroll();
      if (number >= Threads) return nullptr;
    }
    return &counts.each[number];
  }

  // Add first, look afterwards: if the page is still hot after the light barrier, whoever makes it exact sees the add.
  // Both return false if the word has to count it.
  [[nodiscard]] PINREF_FAST_PATH bool counted_taken(word_type delta) noexcept {
    // (T4) pairs with (T1): the counts are there.
    slots* const counts = hot_.load(std::memory_order_acquire);
    if (counts == nullptr) return false;
    slot* const own = mine(*counts);
    if (own == nullptr) [[unlikely]]
      return false;
    const word_type taken = static_cast<word_type>(own->taken.load(std::memory_order_relaxed) + delta);
    if (beyond(taken, own->taken_end) && !make_room(*own, delta)) [[unlikely]]
      return false;
    own->taken.store(taken, std::memory_order_relaxed);
    Sync::light_barrier();
    // (T5) pairs with (T1): the page is seen as it was when it became hot, for the second time perhaps.
    if (hot_.load(std::memory_order_acquire) == counts) [[likely]]
      return true;
    return counted_late(*own, delta);
  }

  [[nodiscard]] PINREF_FAST_PATH bool counted_released(word_type delta) noexcept {
    // (T6) pairs with (T1): the counts are there.
    slots* const counts = hot_.load(std::memory_order_acquire);
    if (counts == nullptr) return false;
    slot* const own = mine(*counts);
    if (own == nullptr) [[unlikely]]
      return false;
    const word_type released = static_cast<word_type>(own->released.load(std::memory_order_relaxed) + delta);
    if (beyond(released, own->released_end) && !make_room(*own, delta)) [[unlikely]]
      return false;
    // (T7) pairs with (T12), (T14): what the holder did comes before free, freeze and "not pinned".
    own->released.store(released, std::memory_order_release);
    Sync::light_barrier();
    if (hot_.load(std::memory_order_relaxed) == counts) [[likely]]
      return true;
    return counted_late(*own, static_cast<word_type>(-delta));
  }

  [[nodiscard]] static constexpr bool beyond(word_type count, word_type end) noexcept {
    return static_cast<std::make_signed_t<word_type>>(static_cast<word_type>(end - count)) < 0;
  }

  // Lets a slot count on, for `delta` at least. The difference in it goes into the word if it is large: holds that are
  // taken on one thread and released on another use up nothing.
  PINREF_SLOW_PATH bool make_room(slot& own, word_type delta) noexcept {
    if (delta > room) return false;
    const word_type difference = own.outstanding();
    const bool large = difference >= room && static_cast<word_type>(-difference) >= room;
    if (large && !fold(own)) return false;
    own.taken_end = static_cast<word_type>(own.taken.load(std::memory_order_relaxed) + room);
    own.released_end = static_cast<word_type>(own.released.load(std::memory_order_relaxed) + room);
    return true;
  }

  // Moves this thread's difference into the word; of an exact page there is none. Inside the switch: a sum that reads
  // the word before and the slot after it would miss a pin. The word first, which may have no room.
  bool fold(slot& own) noexcept {
    const switching only_one{switch_, if_free{}};
    if (!only_one) return false;
    const word_type now = static_cast<word_type>(own.taken.load(std::memory_order_relaxed) -
                                                 own.released.load(std::memory_order_relaxed));
    const word_type difference = static_cast<word_type>(now - own.collected.load(std::memory_order_relaxed));
    const bool moved = static_cast<std::make_signed_t<word_type>>(difference) < 0
                           ? word_.release(static_cast<word_type>(-difference), 0) != release_result::underflow
                           : word_.take_held(difference) == take_result::taken;
    if (moved) own.collected.store(now, std::memory_order_relaxed);
    return moved;
  }

  // The add is in the slot, and the page is being made exact or was. Nobody but this thread changes the slot, so it is
  // in the sum already, or can be kept out of every later one.
  PINREF_SLOW_PATH bool counted_late(slot& own, word_type delta) noexcept {
    for (;;) {
      // (T8) pairs with (T11): what the switch has collected is seen.
      std::uint32_t now = switch_.load(std::memory_order_acquire);
      if ((now & collecting) != 0) {
        // (T9) pairs with (T3), (T11): the switch collects again and sees the add, which may count in a life
        // that began after it.
        if (switch_.compare_exchange_weak(now, now + late, std::memory_order_acq_rel, std::memory_order_relaxed))
          return true;
        continue;
      }
      const word_type with = static_cast<word_type>(own.taken.load(std::memory_order_relaxed) -
                                                    own.released.load(std::memory_order_relaxed));
      word_type without = static_cast<word_type>(with - delta);
      if (own.collected.compare_exchange_strong(without, with, std::memory_order_relaxed, std::memory_order_relaxed))
        return false;
      // (T10) pairs with (T13): a switch was first, and the add counts in the life of that switch.
      (void)own.collected.load(std::memory_order_acquire);
      return true;
    }
  }

  // Moves what the slots count into the word. Called inside a switch.
  release_result collect(slots* counts) noexcept {
    std::uint32_t now = switch_.fetch_add(collecting, std::memory_order_relaxed) + collecting;
    hot_.store(nullptr, std::memory_order_relaxed);
    Sync::heavy_barrier();
    word_type sum = 0;
    do {
      for (unsigned i = 0; i != Threads; ++i) sum = static_cast<word_type>(sum + move_out(counts->each[i]));
      // (T11) pairs with (T8), (T9): nobody has come late meanwhile, and who does now sees what was collected.
    } while (
        !switch_.compare_exchange_weak(now, now - collecting, std::memory_order_release, std::memory_order_acquire));
    const release_result result = word_.release(static_cast<word_type>(boost - sum), 0);
    // Refused, it would leave the page with the boost, and looking pinned, for good.
    if (result == release_result::underflow) (void)word_.release(static_cast<word_type>(boost - 1), 0);
    return result;
  }

  static word_type move_out(slot& from) noexcept {
    word_type collected = from.collected.load(std::memory_order_relaxed);
    for (;;) {
      // (T12) pairs with (T7): who frees or freezes sees what every holder did.
      const word_type released = from.released.load(std::memory_order_acquire);
      const word_type now = static_cast<word_type>(from.taken.load(std::memory_order_relaxed) - released);
      if (now == collected) return 0;
      // (T13) pairs with (T10): a latecomer that is too late sees the switch that collected its add.
      if (from.collected.compare_exchange_weak(collected, now, std::memory_order_release, std::memory_order_relaxed))
        return static_cast<word_type>(now - collected);
    }
  }

  // The holders of a hot page at an instant of the call, or more. Called inside a switch. Releases are read before
  // takes, so that a hold that passes from one thread to another is never missed.
  word_type sum_ordered(slots* counts) noexcept {
    word_type sum = 0;
    for (unsigned i = 0; i != Threads; ++i)
      // (T14) pairs with (T7): a release seen here shows what its holder did, and the take before it.
      sum = static_cast<word_type>(sum - counts->each[i].released.load(std::memory_order_acquire));
    // A take is seen below, or sees what the caller wrote before.
    Sync::heavy_barrier();
    sum = static_cast<word_type>(sum + zones::holders(word_.load_ordered()) - boost);
    for (unsigned i = 0; i != Threads; ++i)
      sum = static_cast<word_type>(sum + counts->each[i].taken.load(std::memory_order_relaxed) -
                                   counts->each[i].collected.load(std::memory_order_relaxed));
    return sum;
  }

  zoned_word<zones, Layout::pin_bias, Sync> word_;
  typename Sync::template atomic<slots*> hot_{nullptr};
  switch_state switch_{0};
};

template <class Layout, class Sync, unsigned Threads>
struct hot_ref<Layout, Sync, Threads>::slots {
  constexpr explicit slots(threads& numbers) noexcept : of(&numbers) {}
  slots(const slots&) = delete;
  slots& operator=(const slots&) = delete;

  slot each[Threads];
  threads* const of;
};

}  // namespace pinref
