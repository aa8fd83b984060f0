#pragma once

/// \file
/// page_ref for split_layout: holders in one word, the pins among them in another.
///
/// When not to use it: see `split_layout`. A pin or unpin is two locked operations on one line, and a snapshot is two
/// loads that may belong to different instants.
///
/// Example:
///
///     pinref::page_ref<pinref::split> ref;
///     ref.reset();
///     if (ref.try_pin() == pinref::take_result::taken) (void)ref.unpin();
///
/// Source: Linux try_grab_folio() and gup_put_folio() for large folios.

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "pinref/ref/page_ref.hpp"
#include "pinref/word/paths.hpp"
#include "pinref/word/split_layout.hpp"

namespace pinref {

/// The members are those of the primary template and mean the same.
template <std::unsigned_integral Word, unsigned Takers, class Sync>
class page_ref<split_layout<Word, Takers>, Sync> {
 public:
  using layout = split_layout<Word, Takers>;
  using sync = Sync;

  static constexpr std::size_t max_references_at_once = detail::clamp_to_size(layout::max_references_at_once);
  static constexpr std::size_t max_pins_at_once = detail::clamp_to_size(layout::max_pins_at_once);

  constexpr page_ref() noexcept : page_ref(layout{}) {}
  constexpr explicit page_ref(layout state) noexcept : holders_(state.raw()), pins_(state.raw_pins()) {}
  page_ref(const page_ref&) = delete;
  page_ref& operator=(const page_ref&) = delete;

  void reset(std::size_t n = 1) noexcept {
    pins_.store(0, std::memory_order_relaxed);
    holders_.start(static_cast<Word>(n), zone::dead);
  }

  [[nodiscard]] PINREF_FAST_PATH take_result get(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return holders_.take_held(static_cast<Word>(n));
  }

  [[nodiscard]] PINREF_FAST_PATH take_result try_get(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return holders_.take(static_cast<Word>(n));
  }

  [[nodiscard]] take_result try_get_if_alive(std::size_t n = 1) noexcept {
    if (n > max_references_at_once) return take_result::overflow;
    return holders_.take_if_alive(static_cast<Word>(n));
  }

  [[nodiscard]] PINREF_FAST_PATH release_result put(std::size_t n = 1, std::size_t idle_level = 0) noexcept {
    if (n - 1 >= max_references_at_once) return refused(n, idle_level);
    return holders_.release(static_cast<Word>(n), static_cast<Word>(idle_level));
  }

  [[nodiscard]] release_result put_sole(std::size_t idle_level = 0) noexcept {
    return holders_.release_sole(static_cast<Word>(idle_level));
  }

  [[nodiscard]] PINREF_FAST_PATH take_result try_pin(std::size_t n = 1) noexcept {
    if (const take_result held = try_get(n); held != take_result::taken) return held;
    // (S1) pairs with (S3): a look at the mapping after the pin is decisive against an unmapper that asks dma_pinned().
    pins_.fetch_add(static_cast<Word>(n), std::memory_order_acquire);
    return take_result::taken;
  }

  [[nodiscard]] PINREF_FAST_PATH take_result add_pin(std::size_t n = 1) noexcept {
    if (const take_result held = get(n); held != take_result::taken) return held;
    pins_.fetch_add(static_cast<Word>(n), std::memory_order_relaxed);
    return take_result::taken;
  }

  [[nodiscard]] PINREF_FAST_PATH release_result unpin(std::size_t n = 1, std::size_t idle_level = 0) noexcept {
    if (n - 1 >= max_pins_at_once) return refused(n, idle_level);
    const Word count = static_cast<Word>(n);
    // (S2) pairs with (S3), (S4): who finds the page unpinned sees what the device's owner did with it.
    if (pins_.fetch_sub(count, std::memory_order_release) < count) [[unlikely]] {
      pins_.fetch_add(count, std::memory_order_relaxed);
      return release_result::underflow;
    }
    const release_result result = holders_.release(count, static_cast<Word>(idle_level));
    // Somebody has put the references that the pins came with.
    if (result == release_result::underflow) pins_.fetch_add(count, std::memory_order_relaxed);
    return result;
  }

  /// Refused if there is a pin, on either side of the claim. A pin that is being taken and has not been counted yet is
  /// one of the n holders, of which none may be another's.
  [[nodiscard]] bool freeze(std::size_t n) noexcept {
    if (n == 0 || n > layout::zones::max_holders || pins_.load(std::memory_order_relaxed) != 0) return false;
    if (!holders_.freeze(static_cast<Word>(n))) return false;
    if (!dma_pinned()) return true;
    unfreeze(n);
    return false;
  }
  void unfreeze(std::size_t n) noexcept { holders_.start(static_cast<Word>(n), zone::frozen); }
  void bury() noexcept { holders_.bury(); }

  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned() noexcept {
    // (S3) pairs with (S1), (S2): as a read-modify-write it comes before a pin or sees it.
    constexpr auto order = std::memory_order_acq_rel;
    if constexpr (requires { Sync::load_by_rmw(pins_, order); })
      return Sync::load_by_rmw(pins_, order) != 0;
    else
      return pins_.fetch_add(0, order) != 0;
  }
  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned_hint() const noexcept { return snapshot().maybe_pinned(); }

  [[nodiscard]] bool idle(std::size_t n) noexcept { return at_most(n)(holders_.load_ordered()); }

  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_unpinned(const deadline& until = deadline::never(),
                                                const Canceller& stop = {}) noexcept {
    return holders_.wait(unpinned{pins_}, until, stop);
  }
  template <cancels_waits<Sync> Canceller = never_cancelled>
  [[nodiscard]] wait_result wait_until_idle(std::size_t n, const deadline& until = deadline::never(),
                                            const Canceller& stop = {}) noexcept {
    return holders_.wait(at_most(n), until, stop);
  }
  [[nodiscard]] wait_ticket<Sync> prepare_wait_until_unpinned() noexcept {
    unpinned condition{pins_};
    return holders_.prepare_wait(condition);
  }
  [[nodiscard]] wait_ticket<Sync> prepare_wait_until_idle(std::size_t n) noexcept {
    const auto condition = at_most(n);
    return holders_.prepare_wait(condition);
  }
  void abandon_wait() noexcept { holders_.abandon_wait(); }

  [[nodiscard]] layout snapshot() const noexcept { return {holders_.load(), pins_.load(std::memory_order_relaxed)}; }
  [[nodiscard]] auto count() const noexcept { return snapshot().references(); }
  [[nodiscard]] auto pins() const noexcept { return snapshot().pins(); }

 private:
  using atomic = typename Sync::template atomic<Word>;

  // Every unpin releases a holder after its pin, so a waiter that watches the holders is woken. But the holders may be
  // as many again by then, so it sleeps only while the pins are what it saw, too.
  struct unpinned {
    const atomic& pins;
    Word seen = 0;

    [[nodiscard]] bool operator()(Word word) noexcept {
      // (S4) pairs with (S2): the waiter sees what the devices' owners did.
      seen = pins.load(std::memory_order_acquire);
      return layout{word, seen}.pins() == 0;
    }
    [[nodiscard]] auto also() const noexcept { return Sync::futex_of(pins, Sync::template nr_futexes<Word> - 1, seen); }
  };
  [[nodiscard]] static constexpr auto at_most(std::size_t n) noexcept {
    return [n](Word word) noexcept { return layout{word, 0}.at_most(n); };
  }
  PINREF_SLOW_PATH release_result refused(std::size_t n, std::size_t idle_level) const noexcept {
    return n == 0 ? holders_.release_nothing(static_cast<Word>(idle_level)) : release_result::underflow;
  }

  zoned_word<typename layout::zones, layout::zones::nobody, Sync> holders_;
  atomic pins_;
};

}  // namespace pinref
