// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "all_pins.hpp"
#include "bodies.hpp"
#include "failure.hpp"
#include "foreign_host.hpp"
#include "gup_model.hpp"
#include "input.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/handles/page_handle.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
#include "pinref/handles/pinned_range.hpp"

namespace fuzz {

/// A reference word that also carries what the foreign page has no room for: its lock and its dirty bit.
template <class Ref>
struct lockable : Ref {
  using Ref::Ref;
  bool locked = false;
  bool dirty = false;
  unsigned locks = 0;
};

}  // namespace fuzz

template <class Ref>
struct pinref::page_traits<support::foreign_page<fuzz::lockable<Ref>>> {
  using page = support::foreign_page<fuzz::lockable<Ref>>;
  using space = support::foreign_space<fuzz::lockable<Ref>>;

  static auto& ref(page& p) noexcept { return p.ref; }
  static page& head(page& p) noexcept { return *(&p - p.from_head); }
  static std::size_t nr_pages(page& head) noexcept { return head.pages; }
  static std::uint64_t frame_number(page& p) noexcept { return static_cast<std::uint64_t>(&p - space::number_base_); }
  static page& nth_page(page& p, std::size_t i) noexcept { return *(&p + i); }
  static bool immortal(page& head) noexcept { return head.is == support::kind::immortal; }
  static bool resident(page& head) noexcept { return head.is == support::kind::device; }
  static void on_idle(page& head) noexcept { ++head.idled; }
  static bool longterm_pinnable(page& head) noexcept { return head.is != support::kind::transient_only; }
  static void free_page(page& head) noexcept { ++head.freed; }
  static void lock(page& head) noexcept {
    fuzz::expect(try_lock(head), true, "a lock nobody holds");
    ++head.ref.locks;
  }
  static bool try_lock(page& head) noexcept { return !std::exchange(head.ref.locked, true); }
  static void unlock(page& head) noexcept { head.ref.locked = false; }
  static bool dirty(page& head) noexcept { return head.ref.dirty; }
  static void set_dirty(page& head) noexcept {
    fuzz::expect(head.ref.locked, true, "set_dirty under the page lock");
    head.ref.dirty = true;
  }
};

namespace fuzz {
namespace {

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::on_release;
using pinref::release_result;
using pinref::take_result;
using list = gup_model::list;

struct no_lock {
  void lock() noexcept {}
  void unlock() noexcept {}
};

template <class Ref>
struct interruptible_space : support::foreign_space<Ref> {
  using support::foreign_space<Ref>::foreign_space;
  bool interrupted() noexcept { return interrupts++ == interrupt_at; }
  int interrupts = 0;
  int interrupt_at = -1;
};

template <class Ref>
inline constexpr bool is_accounted = false;
template <class Ref>
inline constexpr bool is_accounted<lockable<support::accounted<Ref>>> = true;

template <class Ref>
class machine {
 public:
  using space_type = interruptible_space<Ref>;
  using page = typename space_type::page;
  using owner_type = pinref::pin_owner<page, no_lock>;
  using request_type = pinref::pin_request<page, no_lock>;

  machine(word_rules rules, input& choices) : choices_(choices), model_(rules) {
    if constexpr (accounted) before_ = support::all_pins.totals();
    for (std::size_t i = 0; i != nr_requests; ++i) requests_[i].emplace(owner_);
  }

  void run() {
    // Something to begin with.
    map(0, 1, support::kind::ordinary, true);
    map(1, 4, support::kind::ordinary, true);
    map(5, 1, support::kind::device, true);
    while (!choices_.empty()) {
      step(choices_.below(24));
      sweep();
      compare();
    }
  }

 private:
  static constexpr bool accounted = is_accounted<Ref>;
  static constexpr std::size_t nr_records = 4;
  static constexpr std::size_t nr_requests = 3;
  static constexpr std::size_t room = nr_pages + 4;
  static constexpr std::size_t limit = 9;
  static constexpr std::size_t object_page = 16;

  /// An output array with marks around what a call may write, and what the model says stands in it.
  struct record {
    page* pages[room];
    list model;
    bool pins = false;
  };

  void step(std::size_t what) {
    switch (what) {
      case 0:
      case 1:
        return map_some();
      case 2:
        return unmap_some();
      case 3:
        return protect_some();
      case 4:
        return alias_some();
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        return call_gup();
      case 10:
        return call_fault_in();
      case 11:
      case 12:
        return call_pin_object();
      case 13:
      case 14:
        return release_record();
      case 15:
        return release_anything();
      case 16:
        return one_page();
      case 17:
        return freeze_some();
      case 18:
        return range_handle();
      case 19:
        return owner_pin();
      case 20:
        return owner_release();
      case 21:
        return page_handles();
      case 22:
        return place_in_object();
      default:
        return release_record();
    }
  }

  // The mappings.

  void map(std::size_t first, std::size_t n, support::kind is, bool writable) {
    space_.map(first, n, is, writable);
    for (std::size_t i = first; i != first + n; ++i) origin_[i] = first;
    model_.map(first, n, is, writable);
  }

  void map_some() {
    begin_operation("map");
    const std::size_t first = choices_.below(nr_pages), choice = choices_.byte();
    const std::size_t n = choice % 3 == 0 ? std::min<std::size_t>(2 + choice / 3 % 7, nr_pages - first) : 1;
    constexpr support::kind kinds[] = {
        support::kind::ordinary,       support::kind::ordinary, support::kind::ordinary,       support::kind::device,
        support::kind::transient_only, support::kind::device,   support::kind::transient_only, support::kind::immortal};
    const support::kind is = kinds[choice / 32];
    for (std::size_t i = first; i != first + n; ++i) {
      // A page whose mapping is elsewhere, or whose slot is taken, is not free for this one.
      if (!model_.unused(i) || model_.slots[i].page >= 0) return;
    }
    map(first, n, is, !choices_.once_in(4));
  }

  void unmap_at(std::size_t slot) {
    page* const old = space_.slots[slot].mapped;
    if (old == nullptr) return;
    const std::size_t origin = origin_[slot];
    for (std::size_t i = 0; i != nr_pages; ++i)
      if (origin_[i] == origin) space_.slots[i].mapped = nullptr;
    (void)pinref::put_page(*old);
  }

  void alias_at(std::size_t slot, page& target) {
    if (space_.slots[slot].mapped != nullptr || pinref::get_page_unless_zero(target) != take_result::taken) return;
    space_.slots[slot] = {&target, true, 1};
    origin_[slot] = slot;
  }

  void unmap_some() {
    begin_operation("unmap");
    const std::size_t slot = choices_.below(nr_pages);
    unmap_at(slot);
    model_.unmap(slot);
  }

  void protect_some() {
    begin_operation("protect");
    const std::size_t slot = choices_.below(nr_pages);
    space_.slots[slot].writable = !space_.slots[slot].writable;
    model_.slots[slot].writable = !model_.slots[slot].writable;
  }

  void alias_some() {
    begin_operation("alias");
    const std::size_t slot = choices_.below(nr_pages), target = choices_.below(nr_pages);
    alias_at(slot, space_.pages[target]);
    model_.alias(slot, static_cast<int>(target));
  }

  void freeze_some() {
    begin_operation("freeze");
    const std::size_t target = choices_.below(nr_pages);
    model_page& modelled = model_.pages[target];
    if (modelled.head != target || modelled.is == support::kind::immortal) return;
    page& real = space_.pages[target];
    if (modelled.frozen != 0) {
      const auto n = static_cast<std::size_t>(may_over_put() ? 1 + choices_.below(3) : modelled.frozen);
      real.ref.unfreeze(n);
      modelled.word.begin(n);
      modelled.frozen = 0;
    } else if (modelled.word.alive() && modelled.word.own_references() > 0) {
      const auto n = static_cast<number>(modelled.word.own_references());
      const bool done = modelled.word.freeze(n);
      if (done) modelled.frozen = n;
      expect(real.ref.freeze(n), done, "freeze");
    }
  }

  // What goes wrong in the call that comes, on both sides.

  injection pick_injection() {
    injection inject;
    const std::size_t choice = choices_.byte();
    inject.demand = (choice & 1) != 0;
    inject.no_fast_path = (choice & 14) == 14;
    if ((choice & 48) == 48) {
      inject.change_at = static_cast<int>(choices_.below(6));
      inject.to = static_cast<injection::change>(1 + choices_.below(2));
      inject.replacement = static_cast<int>(choices_.below(nr_pages));
    }
    if ((choice & 64) != 0) {
      inject.fail_at = static_cast<int>(choices_.below(8));
      inject.busy = choices_.once_in(2);
    }
    if ((choice & 128) != 0) inject.interrupt_at = static_cast<int>(choices_.below(4));
    for (std::size_t i = 0; i != nr_pages; ++i) inject.may_map[i] = model_.unused(i) && model_.pages[i].head == i;
    return inject;
  }

  void arm(const injection& inject) {
    armed_ = inject;
    space_.demand = inject.demand;
    space_.no_fast_path = inject.no_fast_path;
    space_.interrupts = 0;
    space_.interrupt_at = inject.interrupt_at;
    space_.before_recheck = nullptr;
    if (inject.change_at >= 0)
      space_.before_recheck = [this](std::size_t slot) {
        if (armed_.looks++ != armed_.change_at) return;
        unmap_at(slot);
        if (armed_.to == injection::change::replace)
          alias_at(slot, space_.pages[static_cast<std::size_t>(armed_.replacement)]);
      };
    if (!space_.refuse_fault)
      space_.refuse_fault = [this](std::size_t slot) {
        if (armed_.faults++ == armed_.fail_at) return true;
        if (space_.slots[slot].mapped != nullptr) return false;
        if (armed_.demand && !armed_.may_map[slot]) return true;
        origin_[slot] = slot;
        return false;
      };
  }

  // The calls on a range.

  struct arguments {
    std::uintptr_t start = 0;
    std::size_t n = 0;
    foll flags = foll::none;
    bool null = false;

    /// Of a start that lies in the space.
    [[nodiscard]] std::size_t slot() const { return (start - space_type::base) / space_type::page_size; }
  };

  arguments pick_arguments() {
    arguments made;
    const std::size_t slot = choices_.below(nr_pages);
    made.start = space_.address(slot);
    made.n = 1 + choices_.below(nr_pages - slot);
    made.flags = static_cast<foll>(choices_.byte() & 0x7f);
    if (!choices_.once_in(12)) return made;
    switch (choices_.below(9)) {
      case 0:
        made.n = 0;
        break;
      case 1:
        made.null = true;
        break;
      case 2:
        made.start += 1 + choices_.byte();
        break;
      case 3:
        made.n = std::numeric_limits<std::size_t>::max() >> choices_.below(20);
        break;
      case 4:
        made.start = ~std::uintptr_t{0} - space_type::page_size + 1 - choices_.below(3) * space_type::page_size;
        break;
      case 5:
        made.n += nr_pages - slot + choices_.below(5);
        break;
      case 6:
        made.start -= (1 + choices_.below(20)) * space_type::page_size;
        break;
      case 7:
        made.flags = static_cast<foll>(std::uint32_t{1} << choices_.below(32));
        break;
      case 8:
        made.flags = made.flags | static_cast<foll>(choices_.byte() * 257);
        break;
    }
    return made;
  }

  /// Every reason to refuse these arguments before anything is done.
  static std::vector<gup_error> refusals(const arguments& given, bool pins, bool holds) {
    std::vector<gup_error> all;
    constexpr foll callers =
        foll::write | foll::longterm | foll::force | foll::nofault | foll::fast_only | foll::interruptible | foll::all;
    if ((static_cast<unsigned>(given.flags) & ~static_cast<unsigned>(callers)) != 0)
      all.push_back(gup_error::bad_flags);
    if (has(given.flags, foll::longterm) && !pins) all.push_back(gup_error::bad_flags);
    if (holds && given.null) all.push_back(gup_error::null_pages);
    if (given.n == 0) all.push_back(gup_error::no_pages);
    constexpr std::uintptr_t size = space_type::page_size;
    if (given.start % size != 0) all.push_back(gup_error::misaligned);
    // Whole pages from the start to the end of all addresses.
    const std::uintptr_t fit =
        (std::numeric_limits<std::uintptr_t>::max() - given.start) / size + (given.start % size == 0 ? 1 : 0);
    if (given.n > fit)
      all.push_back(gup_error::address_overflow);
    else if (given.start < space_type::base || given.start - space_type::base + given.n * size > nr_pages * size)
      all.push_back(gup_error::out_of_range);
    return all;
  }

  static bool refuses(const std::vector<gup_error>& reasons, gup_result seen) {
    if (reasons.empty()) return false;
    expect(seen.count, std::size_t{0}, "the count of a refused call");
    if (std::find(reasons.begin(), reasons.end(), seen.reason) == reasons.end())
      expect(seen.reason, reasons.front(), "the reason of a refused call");
    return true;
  }

  [[nodiscard]] page* mark() const { return space_.pages.get() + nr_pages; }

  void compare_output(const record& out) const {
    for (std::size_t i = 0; i != room; ++i)
      if (i < out.model.size())
        expect(out.pages[i], space_.pages.get() + out.model[i], "a page of the output");
      else
        // Where pages were held and given back there is none.
        expect(out.pages[i] == mark() || (out.pages[i] == nullptr && i < nr_pages), true, "the rest of the output");
  }

  record& free_record() {
    record& chosen = records_[choices_.below(nr_records)];
    release(chosen);
    sweep();
    std::fill(std::begin(chosen.pages), std::end(chosen.pages), mark());
    return chosen;
  }

  void release(record& held) {
    const gup_result wanted = model_.release(held.model, held.pins, false);
    const std::size_t n = held.model.size();
    expect(held.pins ? pinref::unpin_user_pages(held.pages, n) : pinref::release_pages(held.pages, n), wanted,
           "release");
    held.model.clear();
  }

  void call_gup() {
    record& out = free_record();
    begin_operation("gup");
    const std::size_t which = choices_.below(4);
    const bool pins = which >= 2, fast = which % 2 != 0;
    const arguments given = pick_arguments();
    injection inject = pick_injection();
    arm(inject);
    page** const pages = given.null ? nullptr : out.pages;
    const gup_result seen = pins ? (fast ? pinref::pin_user_pages_fast(space_, given.start, given.n, given.flags, pages)
                                         : pinref::pin_user_pages(space_, given.start, given.n, given.flags, pages))
                                 : (fast ? pinref::get_user_pages_fast(space_, given.start, given.n, given.flags, pages)
                                         : pinref::get_user_pages(space_, given.start, given.n, given.flags, pages));
    out.pins = pins;
    if (!refuses(refusals(given, pins, true), seen))
      expect(seen, model_.gup(given.slot(), given.n, given.flags, pins, fast, inject, out.model), "gup");
    compare_output(out);
  }

  void call_fault_in() {
    begin_operation("fault_in_user_pages");
    const arguments given = pick_arguments();
    injection inject = pick_injection();
    arm(inject);
    const gup_result seen = pinref::fault_in_user_pages(space_, given.start, given.n, given.flags);
    if (!refuses(refusals(given, false, false), seen))
      expect(seen, model_.fault_in(given.slot(), given.n, given.flags, inject), "fault_in_user_pages");
  }

  // An object over the same pages.

  struct object_type {
    using page = machine::page;
    static constexpr std::size_t page_size = object_page;

    [[nodiscard]] std::uint64_t size() const noexcept { return bytes; }
    page* find(std::uint64_t index) noexcept {
      const auto i = static_cast<std::size_t>(index);
      if (inject.looks++ == inject.change_at && inject.to != injection::change::nothing)
        entries[i] = inject.to == injection::change::replace ? first + inject.replacement : nullptr;
      return entries[i];
    }
    gup_error allocate(std::uint64_t index) noexcept {
      const auto i = static_cast<std::size_t>(index);
      if (inject.faults++ == inject.fail_at) return inject.busy ? gup_error::busy : gup_error::no_memory;
      if (!std::exchange(inject.may_map[i], false)) return gup_error::no_memory;
      first[i].pages = 1;
      first[i].from_head = 0;
      first[i].is = support::kind::ordinary;
      first[i].ref.init();
      entries[i] = &first[i];
      return gup_error::none;
    }

    page* first;
    std::uint64_t bytes = nr_pages * object_page;
    page* entries[nr_pages] = {};
    injection inject = {};
  };

  void place_in_object() {
    begin_operation("place");
    const std::size_t from = choices_.below(nr_pages), to = choices_.below(nr_pages), n = 1 + choices_.below(4);
    const bool remove = choices_.once_in(8);
    for (std::size_t i = 0; i != n && from + i < nr_pages && to + i < nr_pages; ++i) {
      if (model_.unused(from + i)) return;
      object_.entries[to + i] = remove ? nullptr : &space_.pages[from + i];
      model_.object[to + i] = remove ? -1 : static_cast<int>(from + i);
    }
  }

  void call_pin_object() {
    record& out = free_record();
    begin_operation("pin_object_folios");
    object_.bytes = nr_pages * object_page - choices_.below(40);
    std::uint64_t first = choices_.below(nr_pages * object_page), last = first + choices_.byte();
    if (choices_.once_in(16)) std::swap(first, last);
    std::size_t max = choices_.below(nr_pages + 1);
    injection inject = pick_injection();
    object_.inject = inject;
    const bool null = choices_.once_in(32);
    std::size_t offset = 4711;
    const gup_result seen = pinref::pin_object_folios(object_, first, last, null ? nullptr : out.pages, max, offset);
    out.pins = true;
    std::vector<gup_error> reasons;
    if (null) reasons.push_back(gup_error::null_pages);
    if (max == 0) reasons.push_back(gup_error::no_pages);
    if (first > last || last >= object_.bytes) reasons.push_back(gup_error::out_of_range);
    std::size_t wanted_offset = 4711;
    if (!refuses(reasons, seen)) {
      std::size_t inside = 0;
      expect(seen,
             model_.pin_object(static_cast<std::size_t>(first / object_page),
                               static_cast<std::size_t>(last / object_page), max, inject, out.model, inside),
             "pin_object_folios");
      if (seen.ok()) wanted_offset = inside * object_page + static_cast<std::size_t>(first % object_page);
    }
    expect(offset, wanted_offset, "the offset in the first folio");
    compare_output(out);
  }

  // The releases.

  void release_record() {
    record& held = records_[choices_.below(nr_records)];
    begin_operation("release a record");
    const std::size_t n = held.model.size(), way = choices_.below(6);
    const bool dirty = held.pins && choices_.once_in(2);
    if (n == 0) return;
    switch (way) {
      case 0: {  // with holes in it
        page* pages[2 * room];
        list modelled;
        for (std::size_t i = 0; i != n; ++i) {
          if (choices_.once_in(3)) modelled.push_back(-1);
          modelled.push_back(held.model[i]);
        }
        fill(pages, modelled);
        release_array(pages, modelled, held.pins, dirty);
        break;
      }
      case 1:  // backwards
        std::reverse(held.pages, held.pages + n);
        std::reverse(held.model.begin(), held.model.end());
        release_array(held.pages, held.model, held.pins, dirty);
        break;
      case 2: {  // some of the last
        const std::size_t some = 1 + choices_.below(n);
        const list modelled(held.model.end() - static_cast<std::ptrdiff_t>(some), held.model.end());
        release_array(held.pages + n - some, modelled, held.pins, dirty);
        held.model.resize(n - some);
        return;
      }
      case 3: {  // as a range, if it is one
        bool range = held.pins;
        for (std::size_t i = 0; i != n; ++i) range = range && held.model[i] == held.model[0] + static_cast<int>(i);
        if (range) {
          release_range(held.model, dirty);
          break;
        }
        [[fallthrough]];
      }
      default:
        release_array(held.pages, held.model, held.pins, dirty);
    }
    held.model.clear();
  }

  void fill(page** pages, const list& modelled) const {
    for (std::size_t i = 0; i != modelled.size(); ++i)
      pages[i] = modelled[i] < 0 ? nullptr : space_.pages.get() + modelled[i];
  }

  void release_array(page** pages, const list& modelled, bool pins, bool dirty) {
    const std::size_t n = modelled.size();
    gup_result seen;
    if (!pins)
      seen = pinref::release_pages(pages, n);
    else if (dirty || choices_.once_in(2))
      seen = pinref::unpin_user_pages_dirty_lock(pages, n, dirty);
    else
      seen = pinref::unpin_user_pages(pages, n);
    expect(seen, model_.release(modelled, pins, dirty), "release of an array");
  }

  void release_range(const list& modelled, bool dirty) {
    page* const first = space_.pages.get() + modelled.front();
    const std::size_t n = modelled.size();
    const gup_result seen = dirty || choices_.once_in(2) ? pinref::unpin_user_page_range_dirty_lock(first, n, dirty)
                                                         : pinref::unpin_user_page_range(first, n);
    expect(seen, model_.release(modelled, true, dirty), "release of a range");
  }

  /// Releases what nobody may hold: the answer follows from the counts.
  void release_anything() {
    begin_operation("release anything");
    const bool pins = !may_over_put() || choices_.once_in(2), dirty = pins && choices_.once_in(2);
    const std::size_t n = choices_.below(room), way = choices_.below(4);
    const auto target = static_cast<int>(choices_.below(nr_pages));
    switch (way) {
      case 0: {
        gup_result wanted;
        model_page& head = model_.head(target);
        if (dirty && n != 0 && !model_.too_many(head, n, true)) model_.mark_dirty(head);
        model_.drop_many(head, n, true, wanted);
        page& folio = space_.pages[static_cast<std::size_t>(target)];
        expect(dirty ? pinref::unpin_user_folio_dirty_lock(folio, n) : pinref::unpin_user_folio(folio, n), wanted,
               "unpin_user_folio");
        return;
      }
      case 1: {
        list modelled;
        for (std::size_t i = 0; i != 1 + n % 5 && target + static_cast<int>(i) < static_cast<int>(nr_pages); ++i)
          modelled.push_back(target + static_cast<int>(i));
        return release_range(modelled, dirty);
      }
      case 2: {
        expect(pinref::unpin_user_pages(static_cast<page**>(nullptr), n),
               n == 0 ? gup_result{} : gup_result{0, gup_error::null_pages}, "release of no array");
        return;
      }
      default: {
        list modelled;
        page* pages[room];
        for (std::size_t i = 0; i != n; ++i) modelled.push_back(static_cast<int>(choices_.below(nr_pages + 1)) - 1);
        fill(pages, modelled);
        release_array(pages, modelled, pins, dirty);
      }
    }
  }

  // In split words a reference put too many makes the pins uncertain.
  [[nodiscard]] bool may_over_put() const { return model_.pages[0].word.rules().bias != 0; }

  // One page.

  void one_page() {
    begin_operation("one page");
    const std::size_t target = choices_.below(nr_pages), choice = choices_.byte();
    const number n = choice / 8;
    const auto index = static_cast<int>(target);
    page& real = space_.pages[target];
    word_model& word = model_.head(index).word;
    switch (choice % 8) {
      case 0:
        return expect(pinref::get_page_unless_zero(real, n), model_.take(index, n, false), "get_page_unless_zero");
      case 1:
        return expect(pinref::try_pin_page(real, n), model_.take(index, n, true), "try_pin_page");
      case 2:
        return expect(pinref::get_page(real, n), model_.take(index, n, false), "get_page");
      case 3:
        return expect(pinref::add_pin(real, n), model_.take(index, n, true), "add_pin");
      case 4:
        if (!may_over_put()) return;
        return expect(pinref::put_page(real, n), model_.drop(index, n, false), "put_page");
      case 5:
        return expect(pinref::unpin_user_page(real), model_.drop(index, 1, true), "unpin_user_page");
      case 6:
        expect(static_cast<long long>(pinref::page_references(real)), word.references(), "page_references");
        return expect(static_cast<long long>(pinref::page_pins(real)), word.pins(), "page_pins");
      case 7: {
        const bool pinned = model_.head(index).is != support::kind::immortal && word.pins() != 0;
        expect(pinref::page_dma_pinned_hint(real), pinned, "page_dma_pinned_hint");
        if (word.alive()) expect(pinref::page_dma_pinned(real), pinned, "page_dma_pinned");
        return;
      }
    }
  }

  void page_handles() {
    begin_operation("page handles");
    const std::size_t target = choices_.below(nr_pages), choice = choices_.byte();
    const auto index = static_cast<int>(target);
    page& real = space_.pages[target];
    const bool pin = (choice & 1) != 0, dirty = (choice & 2) != 0;
    const take_result wanted = model_.take(index, 1, pin);
    const auto use = [&](auto held) {
      expect(held.reason(), wanted, "why a handle is as it is");
      expect(static_cast<bool>(held), wanted == take_result::taken, "a handle");
      auto moved = std::move(held);
      expect(static_cast<bool>(held), false, "a handle that was moved from");
      compare();
      if (wanted != take_result::taken) return;
      if (pin && dirty) model_.mark_dirty(model_.head(index));
      (void)model_.drop(index, 1, pin);
    };
    if (!pin)
      use(pinref::page_ptr<page>::get_page_unless_zero(real));
    else if (dirty)
      use(pinref::page_pin<page, on_release::dirty>::try_pin(real));
    else
      use(pinref::page_pin<page>::try_pin(real));
  }

  void range_handle() {
    record& held = records_[choices_.below(nr_records)];
    begin_operation("pinned_range");
    if (!held.pins) return;
    choices_.once_in(2) ? range_handle_as<on_release::dirty>(held) : range_handle_as<on_release::plain>(held);
    held.model.clear();
  }

  template <on_release How>
  void range_handle_as(record& held) {
    constexpr bool dirty = How == on_release::dirty;
    auto range = pinref::pinned_range<page, How>::adopt({held.pages, held.model.size()});
    list& left = held.model;
    for (std::size_t i = 0; i != 3; ++i) {
      const std::size_t choice = choices_.byte(), n = choice / 8, some = std::min(n, left.size());
      expect(range.size(), left.size(), "pages of a pinned_range");
      switch (choice % 4) {
        case 0: {
          const list gone(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(some));
          expect(range.unpin_front(n), model_.release(gone, true, dirty), "unpin_front");
          left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(some));
          break;
        }
        case 1: {
          const list gone(left.end() - static_cast<std::ptrdiff_t>(some), left.end());
          expect(range.unpin_back(n), model_.release(gone, true, dirty), "unpin_back");
          left.resize(left.size() - some);
          break;
        }
        case 2: {
          auto other = std::move(range);
          expect(range.empty(), true, "a pinned_range that was moved from");
          range = std::move(other);
          break;
        }
        default: {
          auto other = pinref::pinned_range<page, How>::adopt(range.detach());
          range = std::move(other);
          break;
        }
      }
    }
    // What is left goes with the handle.
    (void)model_.release(left, true, dirty);
  }

  // An owner with requests and a limit.

  enum class state { empty, held, deferred };

  void owner_pin() {
    begin_operation("pin of an owner");
    const std::size_t which = choices_.below(nr_requests);
    const arguments given = pick_arguments();
    if (given.null) return;
    injection inject = pick_injection();
    arm(inject);
    const bool fast = choices_.once_in(2);
    request_type& request = *requests_[which];
    page* untouched[room];
    std::fill(std::begin(untouched), std::end(untouched), mark());
    record& out = request_records_[which];
    const bool usable = request_states_[which] == state::empty;
    if (usable) std::fill(std::begin(out.pages), std::end(out.pages), mark());
    const std::span<page*> pages(usable ? out.pages : untouched, given.n);
    const gup_result seen = fast ? request.pin_user_pages_fast(space_, given.start, given.flags, pages)
                                 : request.pin_user_pages(space_, given.start, given.flags, pages);
    std::vector<gup_error> reasons = refusals(given, true, true);
    if (!usable) {
      reasons.push_back(gup_error::busy);
      (void)refuses(reasons, seen);
      expect(std::count(std::begin(untouched), std::end(untouched), mark()), std::ptrdiff_t{room}, "its output");
      return;
    }
    if (given.n > limit || owned_ + given.n > limit) reasons.push_back(gup_error::limit_exceeded);
    if (!refuses(reasons, seen)) {
      expect(seen, model_.gup(given.slot(), given.n, given.flags, true, fast, inject, out.model), "a pin of an owner");
      owned_ += out.model.size();
      if (!out.model.empty()) request_states_[which] = state::held;
    }
    compare_output(out);
  }

  gup_result release_request(std::size_t which, bool dirty) {
    if (request_states_[which] != state::held) return {};
    return finish_request(which, dirty);
  }

  gup_result finish_request(std::size_t which, bool dirty) {
    list& pages = request_records_[which].model;
    const gup_result done = model_.release(pages, true, dirty);
    owned_ -= pages.size();
    pages.clear();
    request_states_[which] = state::empty;
    return done;
  }

  void owner_release() {
    begin_operation("release of an owner");
    const std::size_t which = choices_.below(nr_requests);
    switch (choices_.below(7)) {
      case 0:
        return expect(requests_[which]->unpin(), release_request(which, false), "unpin of a request");
      case 1:
        return expect(requests_[which]->unpin_dirty_lock(), release_request(which, true), "dirty unpin of a request");
      case 2:
      case 3:
        return defer(which);
      case 4:
        return expect(owner_.drain(), release_all(state::deferred, true), "drain");
      case 5:
        return expect(owner_.unpin_all(), release_all(state::held, false), "unpin_all");
      default: {
        gup_result wanted = release_all(state::held, true);
        add(wanted, release_all(state::deferred, true));
        return expect(owner_.unpin_all_dirty_lock(), wanted, "unpin_all_dirty_lock");
      }
    }
  }

  static void add(gup_result& all, const gup_result& done) {
    all.count += done.count;
    if (!done.ok()) all.reason = done.reason;
  }

  // The youngest request first.
  gup_result release_all(state from, bool dirty) {
    gup_result all;
    for (std::size_t i = nr_requests; i-- != 0;)
      if (request_states_[i] == from) add(all, finish_request(i, dirty));
    return all;
  }

  /// Some page locks are taken meanwhile; their pages stay pinned until the drain, unless they are dirty already.
  void defer(std::size_t which) {
    const std::size_t locks = choices_.byte() | choices_.byte() << 8;
    for (std::size_t i = 0; i != nr_pages; ++i) space_.pages[i].ref.locked = (locks >> i & 1) != 0;
    const gup_result seen = requests_[which]->unpin_dirty_deferred();
    for (std::size_t i = 0; i != nr_pages; ++i) {
      expect(space_.pages[i].ref.locked, (locks >> i & 1) != 0, "a lock of somebody else");
      space_.pages[i].ref.locked = false;
    }

    gup_result done;
    if (request_states_[which] == state::held) {
      list& pages = request_records_[which].model;
      list kept;
      for (std::size_t i = 0, end = 0; i != pages.size(); i = end) {
        const std::size_t head = model_.pages[static_cast<std::size_t>(pages[i])].head;
        while (end != pages.size() && model_.pages[static_cast<std::size_t>(pages[end])].head == head) ++end;
        model_page& modelled = model_.pages[head];
        const bool clean = modelled.is != support::kind::immortal && !modelled.dirty;
        if (clean && (locks >> head & 1) != 0) {
          kept.insert(kept.end(), pages.begin() + static_cast<std::ptrdiff_t>(i),
                      pages.begin() + static_cast<std::ptrdiff_t>(end));
          continue;
        }
        // Marked under the lock, without waiting for it.
        if (clean) modelled.dirty = true;
        model_.drop_many(modelled, end - i, true, done);
      }
      owned_ -= pages.size() - kept.size();
      pages = kept;
      request_states_[which] = kept.empty() ? state::empty : state::deferred;
    }
    expect(seen, done, "unpin_dirty_deferred");
  }

  void sweep() {
    model_.sweep();
    for (std::size_t i = 0; i != nr_pages; ++i) {
      if (model_.slots[i].page < 0) space_.slots[i].mapped = nullptr;
      if (model_.object[i] < 0) object_.entries[i] = nullptr;
      if (model_.pages[i].head != i || model_.alive(static_cast<int>(i))) continue;
      if (model_.pages[i].pages == 1) {
        space_.pages[i].from_head = 0;
        space_.pages[i].pages = 1;
      }
    }
  }

  void compare() {
    expect(space_.faults, model_.faults, "faults");
    expect(space_.broken, model_.broken, "broken mappings");
    expect(owner_.live(), owned_, "pages of the owner");
    for (std::size_t i = 0; i != nr_pages; ++i) {
      const model_page& wanted = model_.pages[i];
      const auto& seen = space_.pages[i];
      const auto word = seen.ref.snapshot();
      if (wanted.head == i) {
        const bool frozen = word.zone() == pinref::zone::frozen;
        expect(frozen || word.zone() == pinref::zone::dead, !wanted.word.alive(), "a page dead or frozen");
        expect(frozen, wanted.frozen != 0, "a page frozen");
        expect(static_cast<long long>(word.references()), wanted.word.references(), "references of a page");
        expect(static_cast<long long>(word.pins()), wanted.word.pins(), "pins of a page");
        if (wanted.word.honest() && wanted.word.own_pins() != 0) expect(word.maybe_pinned(), true, "a pinned page");
      }
      expect(seen.freed, static_cast<std::uint8_t>(wanted.freed), "how often a page was freed");
      expect(seen.idled, static_cast<std::uint16_t>(wanted.idled), "how often a page became idle");
      expect(seen.ref.dirty, wanted.dirty, "a page dirty");
      expect(seen.ref.locks, wanted.locks, "how often a page was locked");
      expect(seen.ref.locked, false, "a lock left behind");
      expect(space_.slots[i].mapped, model_.slots[i].page < 0 ? nullptr : space_.pages.get() + model_.slots[i].page,
             "the page of a slot");
      expect(object_.entries[i], model_.object[i] < 0 ? nullptr : space_.pages.get() + model_.object[i],
             "the page of an index");
    }
    if constexpr (accounted) {
      number acquired = 0, released = 0;
      for (const model_page& each : model_.pages) {
        acquired += each.word.acquired();
        released += each.word.released();
      }
      const pinref::pin_totals now = support::all_pins.totals();
      expect(now.acquired - before_.acquired, acquired, "pins acquired");
      expect(now.released - before_.released, released, "pins released");
    }
  }

  input& choices_;
  space_type space_{nr_pages};
  gup_model model_;
  std::size_t origin_[nr_pages] = {};
  injection armed_;
  object_type object_{space_.pages.get()};
  record records_[nr_records];
  pinref::pin_totals before_;

  owner_type owner_{limit};
  record request_records_[nr_requests];
  state request_states_[nr_requests] = {};
  std::size_t owned_ = 0;
  std::optional<request_type> requests_[nr_requests];  // the last member: they release what they hold
};

}  // namespace

void run_gup(std::span<const std::uint8_t> bytes) {
  current = bytes;
  input choices(bytes);
  switch (choices.below(4)) {
    case 0:
      return machine<lockable<pinref::page_ref<support::bias8>>>(bias8_rules, choices).run();
    case 1:
      return machine<lockable<pinref::page_ref<support::bias16_exact>>>(bias16_exact_rules, choices).run();
    case 2:
      return machine<lockable<pinref::page_ref<support::split8>>>(split8_rules, choices).run();
    default:
      return machine<lockable<support::accounted<pinref::page_ref<support::bias16_exact>>>>(bias16_exact_rules, choices)
          .run();
  }
}

}  // namespace fuzz
