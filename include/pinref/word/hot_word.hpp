// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// hot_word: a count in a slot of each thread while the page is hot, a zoned word while it is exact.
///
/// Add first, look afterwards. A thread adds to its own slot, and after a light barrier looks whether the page is still
/// hot. The switch to exact says that it is not, and after a heavy barrier reads the slots. So either the switch sees
/// the add, or the thread sees the switch, and then the two settle whether slot or word counts the add. What a slot has
/// taken and released is never set back; `collected` is how much of the difference is in the word already.
///
/// When not to use it: in a host. `hot_ref` says what a hot page promises.
///
/// Example:
///
///     using word = pinref::hot_word<pinref::bias64, pinref::hot_sync, 64>;
///     static pinref::hot_threads threads;
///     static word::slots counts{threads};
///     word counter{pinref::bias64::live(1)};
///     if (!counter.make_hot(counts)) std::puts("no membarrier here: the page stays exact");
///     if (counter.make_exact() == pinref::release_result::last) free_page();   // the reference was put meanwhile
///
/// Longer than other headers, because the steps of one protocol are read together.
///
/// Errors: as the results say; see hot_ref.
/// Memory order: as that of an exact page's word; the table in docs/memory-model.md has (T1) to (T15).
/// Progress: takes and releases are wait-free but for the retries of their slow paths; a switch waits for the one that
/// is under way.
/// Source: Linux percpu_ref (switch_to_percpu, switch_to_atomic_sync), percpu_counter (a thread's difference moves to
/// the sum when it is large), SRCU (releases are summed before takes).

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/layout_stamp.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/hot_switch.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/zoned_word.hpp"

namespace pinref::inline v0_1 {

/// One thread's count of a hot page. Only that thread, the owner, writes it, but for `collected`.
template <class Word, class Sync, Word Room>
struct alignas(64) hot_slot {
  /// The atomics of the counts.
  using atomic = typename Sync::template atomic<Word>;

  /// What its owner took and has not released, as far as it is not in the word.
  [[nodiscard]] Word outstanding() const noexcept {
    return static_cast<Word>(taken.load(std::memory_order_relaxed) - released.load(std::memory_order_relaxed) -
                             collected.load(std::memory_order_relaxed));
  }

  atomic taken{0};      ///< holders its owner has ever taken
  atomic released{0};   ///< and ever released
  atomic collected{0};  ///< how much of the difference is in the page's word
  /// How far `taken` and `released` may grow before the owner looks at the difference. Only the owner reads them.
  Word taken_end = Room;
  Word released_end = Room;
};

/// A zoned word, and slots for the threads while the page is hot. The members are those of reference_counter and
/// hot_counter.
template <class Layout, class Sync, unsigned Threads>
class hot_word {
  using word_type = typename Layout::word_type;
  using zones = typename Layout::zones;

 public:
  using layout = Layout;
  using sync = Sync;
  using site = no_site;
  /// Where threads get their numbers.
  using threads = typename Sync::threads;
  static_assert(Layout::exact_pins, "pinref: a hot page needs a layout with exact pins");
  static_assert(!Sync::process_shared, "pinref: a hot page has users in one process, use page_ref");
  static_assert(zones::host_bits == 0, "pinref: a hot page has no bits for the host, use page_ref");

  struct slots;

  constexpr explicit hot_word(Layout state) noexcept : word_(state.raw()) {}

  [[nodiscard]] bool make_hot(slots& counts) noexcept {
    if (!counts.stamp.matches() || !Sync::has_heavy_barrier()) return false;
    const turn only_one{switch_};
    if (is_hot()) return true;
    if (!word_.add_if_alive(boost, boost / 4)) return false;
    // (T1) pairs with (T4), (T5), (T6): release, so that a thread that counts in its slot from here on sees the page,
    // the slots, and a mapping that was cleared before an exact "not pinned".
    hot_.store(&counts, std::memory_order_release);
    return true;
  }
  release_result make_exact() noexcept {
    const turn only_one{switch_};
    slots* const counts = hot_.load(std::memory_order_relaxed);
    return counts != nullptr ? collect(counts) : release_result::released;
  }
  [[nodiscard]] bool is_hot() const noexcept { return hot_.load(std::memory_order_relaxed) != nullptr; }

  /// A dead or frozen page is not hot.
  void start(std::size_t n, zone from, site = {}) noexcept { word_.start(holders<hold::reference>(n), from); }
  void bury() noexcept {
    (void)make_exact();
    word_.bury();
  }

  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take(std::size_t n, site = {}) noexcept {
    if (counted_taken(holders<Mode>(n))) [[likely]]
      return take_result::taken;
    return word_.take(holders<Mode>(n));
  }
  [[nodiscard]] take_result take_if_alive(std::size_t n, site = {}) noexcept {
    if (counted_taken(holders<hold::reference>(n))) [[likely]]
      return take_result::taken;
    return word_.take_if_alive(holders<hold::reference>(n));
  }
  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take_held(std::size_t n, site = {}) noexcept {
    if (counted_taken(holders<Mode>(n))) [[likely]]
      return take_result::taken;
    return word_.take_held(holders<Mode>(n));
  }

  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH release_result release(std::size_t n, owner_ref owner, site = {}) noexcept {
    if (counted_released(holders<Mode>(n))) [[likely]]
      return release_result::released;
    return word_.release(holders<Mode>(n), owner);
  }
  [[nodiscard]] release_result release_nothing(owner_ref owner) const noexcept { return word_.release_nothing(owner); }
  [[nodiscard]] release_result release_sole(owner_ref owner, site = {}) noexcept {
    if (counted_released(1)) [[likely]]
      return release_result::released;
    return word_.release_sole(owner);
  }

  /// A hot page that nobody else holds is made exact first, and stays so.
  [[nodiscard]] bool freeze(std::size_t n, site = {}) noexcept {
    if (n > boost / 4) return false;
    if (is_hot()) {
      const turn only_one{switch_};
      slots* const counts = hot_.load(std::memory_order_relaxed);
      if (counts != nullptr) {
        if (sum_ordered(counts) != holders<hold::reference>(n)) return false;
        (void)collect(counts);
      }
    }
    return word_.freeze(holders<hold::reference>(n));
  }

  [[nodiscard]] bool dma_pinned() noexcept { return !decide(unpinned{}); }
  [[nodiscard]] bool idle(at_most question) noexcept { return decide(question); }

  [[nodiscard]] Layout snapshot() const noexcept {
    const slots* const counts = hot_.load(std::memory_order_relaxed);
    const word_type now = word_.load();
    if (counts == nullptr || zones::holders(now) < boost / 2) return Layout{now};
    word_type sum = static_cast<word_type>(zones::holders(now) - boost);
    for (unsigned i = 0; i != Threads; ++i) sum = static_cast<word_type>(sum + counts->each[i].outstanding());
    return Layout{zones::live(sum)};
  }

  template <class Question, class Canceller>
  [[nodiscard]] wait_result wait(Question question, const deadline& until, const Canceller& stop) noexcept {
    (void)make_exact();
    return word_.wait(of_the_word(question), until, stop, question.template wakes<Layout>());
  }

 private:
  // Holders that the word of a hot page counts beside its own: it never comes to zero, and is too large to be watched.
  static constexpr word_type boost = zones::slack;
  // So many a thread may take, and as many release, between two looks at the difference. It is then at most twice that
  // many from zero: all differences together stay below half of the boost, and each goes into the word by one add.
  static constexpr word_type room = boost / 4 / Threads < zones::max_delta / 2
                                        ? static_cast<word_type>(boost / 4 / Threads)
                                        : static_cast<word_type>(zones::max_delta / 2);
  static_assert(room > 0, "pinref: this word is too small for so many threads");

  using slot = hot_slot<word_type, Sync, room>;

  using switches = detail::hot_switch<Sync>;
  using turn = typename switches::turn;

  template <hold Mode>
  [[nodiscard]] static constexpr word_type holders(std::size_t n) noexcept {
    constexpr word_type weight = Mode == hold::pin ? Layout::pin_bias : word_type{1};
    return static_cast<word_type>(static_cast<word_type>(n) * weight);
  }
  // Questions to the word, or to what a hot page's word would be. What the word of a hot page holds besides must never
  // be within an `at_most`.
  [[nodiscard]] static constexpr auto of_the_word(unpinned question) noexcept {
    return [question](word_type word) noexcept { return question(Layout{word}); };
  }
  [[nodiscard]] static constexpr auto of_the_word(at_most question) noexcept {
    const at_most bounded{question.n < boost / 4 ? question.n : boost / 4};
    return [bounded](word_type word) noexcept { return bounded(Layout{word}); };
  }

  // The word of a page that is not exact looks pinned and busy: then the threads' counts are asked.
  template <class Question>
  [[nodiscard]] bool decide(Question question) noexcept {
    const auto yes = of_the_word(question);
    if (!is_hot() && yes(word_.load_ordered())) return true;
    const turn only_one{switch_};
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

  // Add first, look afterwards: if the page is still hot after the light barrier, the switch to exact sees the add.
  // Both return false if the word has to count it.
  [[nodiscard]] PINREF_FAST_PATH bool counted_taken(word_type delta) noexcept {
    // (T4) pairs with (T1): acquire, so that the slots are there.
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
    // (T5) pairs with (T1): acquire, so that the page is seen as it was when it became hot, perhaps once more since
    // (T4).
    if (hot_.load(std::memory_order_acquire) == counts) [[likely]]
      return true;
    return counted_late(*own, delta);
  }

  [[nodiscard]] PINREF_FAST_PATH bool counted_released(word_type delta) noexcept {
    // (T6) pairs with (T1): acquire, so that the slots are there.
    slots* const counts = hot_.load(std::memory_order_acquire);
    if (counts == nullptr) return false;
    slot* const own = mine(*counts);
    if (own == nullptr) [[unlikely]]
      return false;
    const word_type released = static_cast<word_type>(own->released.load(std::memory_order_relaxed) + delta);
    if (beyond(released, own->released_end) && !make_room(*own, delta)) [[unlikely]]
      return false;
    // (T7) pairs with (T12), (T14): release, so that what the holder did comes before free, freeze and "not pinned".
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
    const turn only_one{switch_, detail::if_free{}};
    if (!only_one) return false;
    const word_type now = static_cast<word_type>(own.taken.load(std::memory_order_relaxed) -
                                                 own.released.load(std::memory_order_relaxed));
    const word_type difference = static_cast<word_type>(now - own.collected.load(std::memory_order_relaxed));
    const bool moved =
        static_cast<std::make_signed_t<word_type>>(difference) < 0
            ? word_.release(static_cast<word_type>(-difference), owner_ref::counted) != release_result::underflow
            : word_.take_held(difference) == take_result::taken;
    if (moved) own.collected.store(now, std::memory_order_relaxed);
    return moved;
  }

  // The add is in the slot, and the page is being made exact, or is. Only this thread changes the slot, so the add is
  // in the sum already, or this thread can keep it out of every later sum.
  PINREF_SLOW_PATH bool counted_late(slot& own, word_type delta) noexcept {
    for (;;) {
      // (T8) pairs with (T11): acquire, so that what the switch has collected is seen.
      std::uint32_t now = switch_.load(std::memory_order_acquire);
      if ((now & switches::collecting) != 0) {
        // (T9) pairs with (T3), (T11): release, so that the switch collects again and sees the add; acquire, because
        // the add may count in a life that began after it.
        if (switch_.compare_exchange_weak(now, now + switches::late, std::memory_order_acq_rel,
                                          std::memory_order_relaxed))
          return true;
        continue;
      }
      const word_type with = static_cast<word_type>(own.taken.load(std::memory_order_relaxed) -
                                                    own.released.load(std::memory_order_relaxed));
      word_type without = static_cast<word_type>(with - delta);
      if (own.collected.compare_exchange_strong(without, with, std::memory_order_relaxed, std::memory_order_relaxed))
        return false;
      // (T10) pairs with (T13): acquire, because a switch was first, and the add counts in the life of that switch.
      (void)own.collected.load(std::memory_order_acquire);
      return true;
    }
  }

  // Moves what the slots count into the word. Called inside a switch.
  release_result collect(slots* counts) noexcept {
    std::uint32_t now = switch_.fetch_add(switches::collecting, std::memory_order_relaxed) + switches::collecting;
    hot_.store(nullptr, std::memory_order_relaxed);
    Sync::heavy_barrier();
    word_type sum = 0;
    do {
      for (unsigned i = 0; i != Threads; ++i) sum = static_cast<word_type>(sum + move_out(counts->each[i]));
      // (T11) pairs with (T8), (T9): release, so that a thread that comes late from now on sees what was collected; on
      // failure acquire, so that the adds of threads that came late meanwhile are seen.
    } while (!switch_.compare_exchange_weak(now, now - switches::collecting, std::memory_order_release,
                                            std::memory_order_acquire));
    const release_result result = word_.release(static_cast<word_type>(boost - sum), owner_ref::counted);
    // A refusal would leave the page with the boost for good, and looking pinned.
    if (result == release_result::underflow) (void)word_.release(static_cast<word_type>(boost - 1), owner_ref::counted);
    return result;
  }

  static word_type move_out(slot& from) noexcept {
    word_type collected = from.collected.load(std::memory_order_relaxed);
    for (;;) {
      // (T12) pairs with (T7): acquire, so that free and freeze see what every holder did.
      const word_type released = from.released.load(std::memory_order_acquire);
      const word_type now = static_cast<word_type>(from.taken.load(std::memory_order_relaxed) - released);
      if (now == collected) return 0;
      // (T13) pairs with (T10): release, so that a latecomer sees the switch that collected its add.
      if (from.collected.compare_exchange_weak(collected, now, std::memory_order_release, std::memory_order_relaxed))
        return static_cast<word_type>(now - collected);
    }
  }

  // The holders of a hot page at an instant of the call, or more. Called inside a switch. Releases are read before
  // takes, so that a hold that passes from one thread to another is never missed.
  word_type sum_ordered(slots* counts) noexcept {
    word_type sum = 0;
    for (unsigned i = 0; i != Threads; ++i)
      // (T14) pairs with (T7): acquire, so that a release seen here shows what its holder did, and the take before it.
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
  typename switches::state switch_{0};
};

/// The counts of a page while it is hot, and where its threads have their numbers from.
template <class Layout, class Sync, unsigned Threads>
struct hot_word<Layout, Sync, Threads>::slots {
  /// No thread has counted yet. `numbers` must outlive the slots.
  constexpr explicit slots(threads& numbers) noexcept : of(&numbers) {}
  slots(const slots&) = delete;
  slots& operator=(const slots&) = delete;

  slot each[Threads];         ///< by the number of the thread
  threads* const of;          ///< where threads get their numbers
  layout_stamp<slots> stamp;  ///< which version made them
};

}  // namespace pinref::inline v0_1
