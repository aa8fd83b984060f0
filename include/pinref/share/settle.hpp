// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// settle: finds out what the calls did that dead members were killed in, and makes their records sure.
///
/// The account of a page says what its word counts and no record has for sure. That is what the records in doubt did.
/// Which of several did it does not matter: they are of dead members, and all of it is to be released. But what was
/// being handed over is a device's perhaps, so such records get it first. Each is settled by one store, and
/// after each the account is as true as before: a survivor that dies in the middle leaves the rest to the next.
///
/// A page that nobody holds and nobody has freed is freed here: its last holder died between the two.
///
/// When not to use it: in a host. `recover` does it.
///
/// Example:
///
///     if (pinref::settle(parts, 7, 100) != pinref::settle_result::settled) try_again_later();   // one at a time
///
/// Errors: `settle_result`.
/// Memory order: that of page_account and ledger_steps.
/// Progress: wait-free but for the calls on the word, which are lock-free.
/// Source: pinref's own.

#include <cstdint>

#include "pinref/share/page_account.hpp"

namespace pinref::inline v0_1 {

/// What became of the doubts on a page.
enum class settle_result : unsigned char {
  settled,      ///< no record of a dead member is in doubt on it any more
  busy,         ///< the page had no quiet instant: ask again
  unaccounted,  ///< the word does not agree with the records, or was released too often: the doubt stays
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(settle_result result) noexcept {
  switch (result) {
    case settle_result::settled:
      return "settled";
    case settle_result::busy:
      return "busy";
    case settle_result::unaccounted:
      return "unaccounted";
  }
  return "unknown";
}

namespace detail {

/// Calls `each(place, slot, record)` for all pins of dead members on `page` that are quarantined.
template <class Traits, class Each>
void for_each_quarantined(const ledger_memory<Traits>& parts, std::uint32_t page, Each each) noexcept {
  for (unsigned place = 0; place != parts.nr_places; ++place) {
    for (std::uint32_t i = 0, n = parts.nr_used(place); i != n; ++i) {
      auto& slot = parts.slot(place, i);
      const ledger_record what{slot.entry.load(std::memory_order_relaxed)};
      if (what.is_of(page) && what.state() == record_state::quarantined) each(place, slot, what);
    }
  }
}

/// Ends the records of pins on a page that has been claimed with all of them. Says what they weighed.
template <class Traits>
std::uint64_t void_pins(const ledger_memory<Traits>& parts, std::uint32_t page) noexcept {
  std::uint64_t weight = 0;
  detail::for_each_quarantined(parts, page, [&](unsigned place, auto& slot, ledger_record what) noexcept {
    weight += ledger_steps<Traits>::weight(hold::pin, what.n());
    ledger_steps<Traits>{parts, place}.conclude(slot, {});
  });
  return weight;
}

/// One settlement of one page.
template <class Traits>
class settlement {
 public:
  using memory = ledger_memory<Traits>;
  using account_type = page_account<Traits>;
  using doubt = typename account_type::doubt;
  using steps = ledger_steps<Traits>;
  using layout = typename Traits::layout;

  settlement(const memory& parts, std::uint32_t page) noexcept : m_(parts), page_(page), account_(parts, page) {}

  [[nodiscard]] settle_result run(unsigned looks) noexcept {
    do {
      if (!account_.look(looks)) return settle_result::busy;
      if (account_.nr_doubts == 0) return settle_result::settled;
      if (m_.pages[page_].tainted()) return settle_result::unaccounted;
      ask_the_word();
      if (account_.nr_doubts != 0 && !share_out()) return settle_result::unaccounted;
    } while (account_.too_many);
    return settle_result::settled;
  }

 private:
  // A claim stands in the word with its claimant, so of a record that is about one the word says all.
  void ask_the_word() noexcept {
    const unsigned claimant = account_.claimant();
    for (unsigned i = 0; i != account_.nr_doubts; ++i) {
      const doubt& d = account_.doubts[i];
      const bool claimed = claimant == d.place;
      switch (d.what.state()) {
        case record_state::freezing:
        case record_state::thawing:
          if (!claimed) account_.sure += d.what.k();
          account_.possible -= d.what.k();
          make_sure(i--, claimed ? d.what.in(record_state::frozen, 0, d.what.k()) : d.what.left_with(d.what.k()));
          break;
        case record_state::freeing:
          // Claimed with nothing: the recovery frees it.
          if (claimed) make_sure(i--, d.what.in(record_state::frozen, 0, 0));
          break;
        case record_state::replacing:
          if (!claimed) break;
          // What it claimed were all pins of the page. The record stays: the recovery goes on from there.
          account_.possible -= steps::weight(hold::pin, d.what.k());
          forget(i--);
          account_.sure -= detail::void_pins(m_, page_);
          break;
        default:
          break;
      }
    }
  }

  // What the word counts more than is sure, to the records in doubt.
  [[nodiscard]] bool share_out() noexcept {
    const std::int64_t counted = account_.counted();
    if (counted < 0 || static_cast<std::uint64_t>(counted) < account_.sure) return false;
    const std::uint64_t more = static_cast<std::uint64_t>(counted) - account_.sure;
    if (more > account_.possible) return false;
    const layout rest = layout::live(static_cast<typename layout::word_type>(more));
    unsigned pins = static_cast<unsigned>(rest.pins());
    unsigned references = static_cast<unsigned>(rest.references());
    if (!account_.too_many && (pins > possible(hold::pin) || references > possible(hold::reference))) return false;
    bool nobody = counted == 0 && (account_.zone() == zone::alive || account_.zone() == zone::watched);
    bool lost = account_.zone() == zone::dead && !account_.is_free;
    for (const bool first : {true, false})
      for (unsigned i = 0; i < account_.nr_doubts; ++i) {
        const doubt d = account_.doubts[i];
        const auto state = d.what.state();
        if (first != (state == record_state::receiving || state == record_state::replacing)) continue;
        unsigned& left = d.what.mode() == hold::pin ? pins : references;
        const unsigned did = state == record_state::freeing ? 0 : left < d.what.k() ? left : d.what.k();
        left -= did;
        if (did == 0 && d.what.n() == 0) {
          // The last of these is also the one that owes the page to the free list.
          if (lost) steps{m_, d.place}.set_free(page_);
          if (nobody) end_a_life(d);
          lost = false;
          nobody = false;
        }
        make_sure(i--, outcome(d.what, did));
      }
    return true;
  }

  [[nodiscard]] static ledger_record outcome(ledger_record what, unsigned did) noexcept {
    const unsigned n = what.n() + did;
    if (n == 0) return {};
    if (what.state() == record_state::replacing) return what.in(record_state::quarantined, n);
    // Nothing is done under a pin that has not been taken yet, or is being released.
    const bool of_a_device = what.state() == record_state::receiving || what.n() != 0;
    const bool owed = what.mode() == hold::pin ? !of_a_device : !what.pools();
    return what.in(owed ? record_state::owed : record_state::held, n);
  }

  [[nodiscard]] unsigned possible(hold mode) const noexcept {
    unsigned k = 0;
    for (unsigned i = 0; i != account_.nr_doubts; ++i) {
      const ledger_record what = account_.doubts[i].what;
      if (what.mode() == mode && what.state() != record_state::freeing) k += what.k();
    }
    return k;
  }

  void make_sure(unsigned i, ledger_record fact) noexcept {
    const doubt d = account_.doubts[i];
    forget(i);
    steps{m_, d.place}.conclude(m_.slot(d.place, d.slot), fact);
  }
  void forget(unsigned i) noexcept { account_.doubts[i] = account_.doubts[--account_.nr_doubts]; }

  // All holders have gone, and none of them has said that it was the last. So somebody comes and goes once more.
  void end_a_life(const doubt& d) noexcept {
    steps acting{m_, d.place};
    auto& slot = m_.slot(d.place, d.slot);
    const auto last = ledger_record::held(hold::reference, page_, 1);
    if (acting.template take<hold::reference>(slot, last) == take_result::taken) (void)acting.release(slot, last);
  }

  const memory m_;
  const std::uint32_t page_;
  account_type account_;
};

}  // namespace detail

/// Settles what is in doubt on `page`, which is in range. Looks at it so many times. Precondition: the caller alone
/// recovers.
template <class Traits>
[[nodiscard]] settle_result settle(const ledger_memory<Traits>& parts, std::uint32_t page, unsigned looks) noexcept {
  return detail::settlement<Traits>{parts, page}.run(looks);
}

}  // namespace pinref::inline v0_1
