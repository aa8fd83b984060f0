// SPDX-License-Identifier: MIT
#pragma once

// What must be true of a segment in which nothing is under way.

#include <doctest/doctest.h>

#include <cstdint>

#include "pinref/share.hpp"

namespace share_test {

struct audited {
  unsigned wrong_words = 0;  // that count something else than the records and the pool
  unsigned lost_pages = 0;   // that nobody holds, and that are not free
  unsigned early_frees = 0;  // pages that are free although they are held
  unsigned in_doubt = 0;     // records
  unsigned quarantined = 0;  // pins
  unsigned dead_places = 0;
  unsigned held = 0;  // holders on record

  [[nodiscard]] bool right() const { return wrong_words + lost_pages + early_frees + in_doubt == 0; }
};

template <class Traits>
audited audit(const pinref::ledger_memory<Traits>& parts) {
  using layout = typename Traits::layout;
  using zones = typename layout::zones;
  audited found;
  for (unsigned place = 0; place != parts.nr_places; ++place)
    found.dead_places += parts.places[place].state.load(std::memory_order_relaxed) == pinref::place_state::dead;
  for (std::uint32_t page = 0; page != parts.nr_pages; ++page) {
    std::uint64_t holders = 0;
    bool claimed = false;
    for (unsigned place = 0; place != parts.nr_places; ++place)
      for (std::uint32_t i = 0; i != parts.slots_per_place; ++i) {
        const pinref::ledger_record what{parts.slot(place, i).entry.load(std::memory_order_relaxed)};
        if (!what.is_of(page)) continue;
        holders += pinref::detail::ledger_steps<Traits>::weight(what.mode(), what.n());
        found.held += what.n();
        found.in_doubt += what.in_doubt();
        claimed = claimed || what.state() == pinref::record_state::frozen;
        if (what.state() == pinref::record_state::quarantined) found.quarantined += what.n();
      }
    if (parts.pages[page].kept()) ++holders;
    const bool is_free = pinref::detail::ledger_steps<Traits>{parts, 0}.is_free(page);
    const layout word = parts.pages[page].snapshot();
    if (is_free && (holders != 0 || word.zone() != pinref::zone::dead)) ++found.early_frees;
    if (!is_free && holders == 0 && !claimed) ++found.lost_pages;
    const auto expected = claimed        ? word.raw()
                          : holders != 0 ? layout::live(static_cast<typename layout::word_type>(holders)).raw()
                                         : layout{}.raw();
    // A mark of a waiter that has gone is no wrong count.
    const bool watched = word.zone() == pinref::zone::watched && zones::holders(word.raw()) == holders;
    if (word.raw() != expected && !watched) ++found.wrong_words;
    if (claimed && word.zone() != pinref::zone::frozen) ++found.wrong_words;
  }
  return found;
}

// Everything is right, and nothing is left of the dead.
template <class Traits>
void all_is_well(const pinref::ledger_memory<Traits>& parts) {
  const audited found = audit(parts);
  CHECK(found.wrong_words == 0);
  CHECK(found.lost_pages == 0);
  CHECK(found.early_frees == 0);
  CHECK(found.in_doubt == 0);
  CHECK(found.quarantined == 0);
  CHECK(found.dead_places == 0);
}

}  // namespace share_test
