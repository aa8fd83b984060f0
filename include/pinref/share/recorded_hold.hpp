// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// recorded_hold: a hold of one page at a time, with a record of its own for as long as it lives: it knows its place in
/// the ledger. The fast way to take and release, and the safe one, because it releases what it holds at its end.
///
/// When not to use it: for more holds than the member has records, at a time; or to hand a hold over, which is what
/// `give` is for.
///
/// Example:
///
///     pinref::recorded_hold<pinref::shared_traits> page{me};
///     for (const std::uint32_t i : {7u, 8u}) {
///       if (page.try_pin(i) != pinref::ledger_result::done) return give_up("dead, or no record is free");
///       start_dma();                                             // on pool.data(i)
///       if (page.release() == pinref::ledger_result::freed) std::puts("it was the last holder");
///     }
///
/// Errors: `ledger_result`; without a record, `full`.
/// Memory order: as page_ref.
/// Progress: as page_ref.
/// Source: hazard pointers, whose slots are held so; page_ptr and page_pin.

#include <cstdint>

#include "pinref/share/member.hpp"

namespace pinref::inline v0_1 {

/// One hold of a member, used by its thread only. The member outlives it.
template <class Traits>
class recorded_hold {
 public:
  /// Of `whom`, which is joined. It has a record unless all are in use.
  PINREF_FAST_PATH explicit recorded_hold(basic_member<Traits>& whom) noexcept
      : whom_(&whom),
        steps_(whom.parts(), whom.place()),
        now_(&whom.parts().head->now),
        nr_pages_(whom.parts().nr_pages) {
    reserve();
  }
  recorded_hold(const recorded_hold&) = delete;
  recorded_hold& operator=(const recorded_hold&) = delete;
  PINREF_FAST_PATH ~recorded_hold() { end(*whom_, {slot_, what_}); }

  /// Has it a record?
  [[nodiscard]] bool valid() const noexcept { return record_ != nullptr; }
  /// Does it hold a page?
  [[nodiscard]] bool held() const noexcept { return what_ != ledger_record{} && valid(); }
  /// Which? Undefined if it holds none.
  [[nodiscard]] std::uint32_t page() const noexcept { return what_.page(); }

  /// Takes n references of a page that may be dead. Refused with `not_held` if it holds one already.
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH ledger_result try_get(std::uint32_t page,
                                                                                       unsigned n = 1) noexcept {
    return this->template take<hold::reference>(page, n);
  }
  /// Takes n pins, likewise.
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH ledger_result try_pin(std::uint32_t page,
                                                                                       unsigned n = 1) noexcept {
    return this->template take<hold::pin>(page, n);
  }
  /// The same by name.
  template <hold Mode>
  [[nodiscard("a refused take holds nothing")]] PINREF_FAST_PATH ledger_result take(std::uint32_t page,
                                                                                    unsigned n = 1) noexcept {
    if (what_ != ledger_record{} || page >= nr_pages_ || n - 1 >= ledger_record::max_n) [[unlikely]]
      return refused(valid(), held(), page >= nr_pages_);
    // Seldom written: it is one more store that the next locked instruction would wait for.
    const std::uint64_t now = now_->load(std::memory_order_relaxed);
    if (record_->since.load(std::memory_order_relaxed) != now) [[unlikely]]
      record_->since.store(now, std::memory_order_relaxed);
    const ledger_record held = ledger_record::held(Mode, page, n);
    const take_result result = steps_.template take<Mode>(*record_, held);
    if (result != take_result::taken) [[unlikely]]
      return result == take_result::overflow ? ledger_result::overflow : ledger_result::dead;
    what_ = held;
    return ledger_result::done;
  }

  /// Releases it. Told `freed`, it was the last holder of the page, which is on the free list now.
  [[nodiscard]] PINREF_FAST_PATH ledger_result release() noexcept {
    if (what_.state() != record_state::held || record_->entry.load(std::memory_order_relaxed) != what_.raw())
        [[unlikely]] {
      lose();
      return ledger_result::not_held;
    }
    const release_result result = steps_.release(*record_, what_);
    if (result == release_result::underflow) [[unlikely]]
      return ledger_result::underflow;
    what_ = {};
    return result == release_result::last ? ledger_result::freed : ledger_result::done;
  }

  /// Turns it into an ordinary hold, with its record, and gets another; nothing if it holds none.
  [[nodiscard]] ledger_hold give() noexcept {
    if (!held()) return {};
    const ledger_hold given{slot_, what_};
    reserve();
    return given;
  }

 private:
  static constexpr std::uint32_t none = ~0u;
  // Stands for a hold where there is no record, so that one look finds both.
  static constexpr ledger_record no_record = ledger_record::of(record_state::offered, hold::reference, none, 0);

  PINREF_SLOW_PATH static ledger_result refused(bool valid, bool held, bool no_such_page) noexcept {
    if (!valid) return ledger_result::full;
    if (held) return ledger_result::not_held;
    return no_such_page ? ledger_result::no_such_page : ledger_result::too_many;
  }
  // By values, here and above: an object whose address nobody has stays in registers.
  static void end(basic_member<Traits>& whom, ledger_hold last) noexcept {
    if (last.what.state() == record_state::held)
      (void)whom.release(last);
    else
      whom.unreserve(last.slot);
  }
  PINREF_FAST_PATH void reserve() noexcept {
    slot_ = whom_->reserve();
    record_ = slot_ == none ? nullptr : &whom_->parts().slot(whom_->place(), slot_);
    what_ = slot_ == none ? no_record : ledger_record{};
  }
  // Somebody who has found the record has released it, and it is on the list of free ones.
  PINREF_FAST_PATH void lose() noexcept {
    if (what_ == ledger_record{}) return;
    slot_ = none;
    record_ = nullptr;
    what_ = no_record;
  }

  basic_member<Traits>* whom_;
  detail::ledger_steps<Traits> steps_;
  const typename Traits::sync::template atomic<std::uint64_t>* now_;
  ledger_slot<typename Traits::sync>* record_ = nullptr;
  ledger_record what_{};
  std::uint32_t slot_ = none;
  std::uint32_t nr_pages_;
};

}  // namespace pinref::inline v0_1
