// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// recorded_counter: what is under the word of a member_page. It counts through a member, so that all it does stands in
/// the ledger.
///
/// When not to use it: by itself. `member_page` has one.
///
/// Example:
///
///     using page = pinref::member_page<pinref::shared_traits>;
///     static_assert(pinref::reference_counter<page::word::counter>);
///
/// Errors: as the results say. A member without a free record, and a record that cannot count so many, are `overflow`.
/// Memory order: as basic_member.
/// Progress: as basic_member.
/// Source: pinref's own.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "pinref/share/member.hpp"
#include "pinref/sync/deadline.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/zones.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// Counts the holders of one page through a member. It has what the member took by it.
template <class Traits>
class recorded_counter {
 public:
  using layout = typename Traits::layout;
  using sync = recording_sync<typename Traits::sync>;
  using site = no_site;

  recorded_counter() noexcept = default;
  explicit recorded_counter(layout) noexcept {}
  void bind(basic_member<Traits>& whom, std::uint32_t page) noexcept {
    whom_ = &whom;
    page_ = &whom.parts().pages[page];
    number_ = page;
  }

  // A claim of the member's ends with what it began with. A page that it has not claimed does not come to life here.
  void start(std::size_t, zone, site = {}) noexcept {
    if (references_) (void)whom_->thaw(references_);
  }
  // The page is on the free list then.
  void bury() noexcept {
    if (references_) (void)whom_->free(references_);
  }
  [[nodiscard]] bool freeze(std::size_t n, site = {}) noexcept {
    return references_.what.n() == n && whom_->freeze(references_) == ledger_result::done;
  }

  template <hold Mode>
  [[nodiscard]] take_result take(std::size_t n, site = {}) noexcept {
    if (whom_ == nullptr) return take_result::dead;
    if (n == 0) return lives() ? take_result::taken : take_result::dead;
    if (n > ledger_record::max_n) return take_result::overflow;
    ledger_hold& mine = of<Mode>();
    const auto more = static_cast<unsigned>(n);
    if (mine.what.state() == record_state::held)
      // Not held any more if somebody has found and released it. Then there is a new one.
      if (const ledger_result added = whom_->add(mine, more); added != ledger_result::not_held) return answer(added);
    if (mine.what.state() == record_state::frozen) return take_result::dead;
    const ledger_take taken = whom_->template take<Mode>(number_, more);
    mine = taken.held;
    return answer(taken.why);
  }
  [[nodiscard]] take_result take_if_alive(std::size_t n, site = {}) noexcept {
    return whom_ != nullptr && lives() ? this->template take<hold::reference>(n) : take_result::dead;
  }
  template <hold Mode>
  [[nodiscard]] take_result take_held(std::size_t n, site = {}) noexcept {
    return this->template take<Mode>(n);
  }

  // Told `last`, the ledger has freed the page.
  template <hold Mode>
  [[nodiscard]] release_result release(std::size_t n, owner_ref, site = {}) noexcept {
    ledger_hold& mine = of<Mode>();
    if (mine.what.state() != record_state::held || n > mine.what.n()) return release_result::underflow;
    switch (whom_->release(mine, static_cast<unsigned>(n))) {
      case ledger_result::done:
        return release_result::released;
      case ledger_result::freed:
        return release_result::last;
      case ledger_result::not_held:
        mine = {};
        return release_result::underflow;
      default:
        return release_result::underflow;
    }
  }
  [[nodiscard]] static release_result release_nothing(owner_ref) noexcept { return release_result::released; }
  [[nodiscard]] release_result release_sole(owner_ref owner, site = {}) noexcept {
    return this->template release<hold::reference>(1, owner);
  }

  [[nodiscard]] bool dma_pinned() noexcept { return page_->dma_pinned(); }
  [[nodiscard]] bool idle(at_most question) noexcept {
    return question(layout{shared_access::word(*page_).load_ordered()});
  }
  template <class Canceller>
  [[nodiscard]] wait_result wait(unpinned, const deadline& until, const Canceller& stop) noexcept {
    return page_->wait_until_unpinned(until, stop);
  }
  template <class Canceller>
  [[nodiscard]] wait_result wait(at_most question, const deadline& until, const Canceller& stop) noexcept {
    return page_->wait_until_idle(static_cast<std::size_t>(question.n), until, stop);
  }
  [[nodiscard]] layout snapshot() const noexcept { return page_->snapshot(); }

  [[nodiscard]] ledger_result adopt(ledger_hold& held) noexcept {
    ledger_hold& mine = held.what.mode() == hold::pin ? pins_ : references_;
    if (whom_ == nullptr || !can_adopt(held) || (mine && mine.slot == held.slot)) return ledger_result::not_held;
    if (!mine) {
      mine = held;
      held = {};
      return ledger_result::done;
    }
    // The page has both for a moment: it is held throughout, and the record says so.
    const ledger_result added = whom_->add(mine, held.what.n());
    return added == ledger_result::done ? whom_->release(held) : added;
  }
  [[nodiscard]] ledger_hold give(hold mode) noexcept {
    return std::exchange(mode == hold::pin ? pins_ : references_, ledger_hold{});
  }
  [[nodiscard]] unsigned held(hold mode) const noexcept { return (mode == hold::pin ? pins_ : references_).what.n(); }
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
  [[nodiscard]] shared_page<Traits>& page() const noexcept { return *page_; }

 private:
  template <hold Mode>
  [[nodiscard]] ledger_hold& of() noexcept {
    return Mode == hold::pin ? pins_ : references_;
  }
  [[nodiscard]] bool lives() const noexcept {
    const zone where = snapshot().zone();
    return where == zone::alive || where == zone::watched || where == zone::overflow;
  }
  [[nodiscard]] static take_result answer(ledger_result why) noexcept {
    if (why == ledger_result::done) return take_result::taken;
    return why == ledger_result::dead || why == ledger_result::no_such_page ? take_result::dead : take_result::overflow;
  }
  // What goes back to the pool by itself, and what may be fenced, cannot be mixed with others.
  [[nodiscard]] bool can_adopt(const ledger_hold& held) const noexcept {
    const auto& parts = whom_->parts();
    if (held.what.state() != record_state::held || held.page() != number_ || held.what.pools()) return false;
    if (!whom_->joined() || held.slot >= parts.slots_per_place) return false;
    const auto& slot = parts.slot(whom_->place(), held.slot);
    return slot.entry.load(std::memory_order_relaxed) == held.what.raw() &&
           (held.what.mode() == hold::reference || slot.lease.load(std::memory_order_relaxed) == 0);
  }

  basic_member<Traits>* whom_ = nullptr;
  shared_page<Traits>* page_ = nullptr;
  ledger_hold references_{}, pins_{};
  std::uint32_t number_ = 0;
};

}  // namespace detail

}  // namespace pinref::inline v0_1
