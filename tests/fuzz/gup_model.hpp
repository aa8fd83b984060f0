// SPDX-License-Identifier: MIT
#pragma once

// A host with pages, mappings, an object and owners in plain integers, and what every call on it must do. Pages and
// slots are indices; -1 is none.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "foreign_host.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "word_model.hpp"

namespace fuzz {

inline constexpr std::size_t nr_pages = 12;
inline constexpr unsigned max_races = 64;  // of an object whose pages change again and again

using support::kind;

/// What goes wrong, and where, in the call that comes. Steps are counted from 0; -1 is never.
struct injection {
  enum class change : std::uint8_t { nothing, unmap, replace };

  bool demand = false;
  bool no_fast_path = false;
  int change_at = -1;  // at this look after a take (of an object: at this find) the entry changes
  change to = change::nothing;
  int replacement = -1;  // by this page
  int fail_at = -1;      // this fault or allocation fails
  bool busy = false;     // ... because somebody else was faster
  int interrupt_at = -1;
  std::array<bool, nr_pages> may_map{};  // pages that a fault or an allocation may start a life of

  int looks = 0, faults = 0, interrupts = 0;
};

struct model_page {
  word_model word;
  kind is = kind::ordinary;
  std::size_t head = 0;
  std::size_t pages = 1;  // of a head
  number frozen = 0;      // with so many references
  bool dirty = false;
  unsigned locks = 0;  // how often the page lock was taken
  unsigned freed = 0;
  unsigned idled = 0;
};

struct model_slot {
  int page = -1;
  bool writable = true;
  std::size_t run = 1;
  std::size_t origin = 0;  // the first slot of its mapping, which holds one reference for all its slots
};

class gup_model {
 public:
  using foll = pinref::foll;
  using gup_error = pinref::gup_error;
  using gup_result = pinref::gup_result;
  using release_result = pinref::release_result;
  using take_result = pinref::take_result;
  using list = std::vector<int>;

  explicit gup_model(word_rules rules) {
    for (std::size_t i = 0; i != nr_pages; ++i) pages.push_back({.word = word_model(rules), .head = i});
    object.fill(-1);
  }

  std::vector<model_page> pages;
  std::array<model_slot, nr_pages> slots{};
  std::array<int, nr_pages> object{};  // by index
  int faults = 0;
  int broken = 0;

  [[nodiscard]] model_page& head(int page) { return pages[pages[at(page)].head]; }
  [[nodiscard]] bool alive(int page) { return head(page).word.alive(); }
  /// Nobody has it and nobody froze it: a new life may begin.
  [[nodiscard]] bool unused(std::size_t page) {
    return !alive(static_cast<int>(page)) && pages[pages[page].head].frozen == 0;
  }

  void map(std::size_t first, std::size_t n, kind is, bool writable) {
    for (std::size_t i = 0; i != n; ++i) {
      pages[first + i].head = first;
      slots[first + i] = {static_cast<int>(first + i), writable, n - i, first};
    }
    // The host makes a new descriptor.
    pages[first].dirty = false;
    pages[first].locks = 0;
    begin(first, n, is);
  }

  void begin(std::size_t first, std::size_t n, kind is) {
    pages[first].pages = n;
    pages[first].is = is;
    pages[first].word.begin(1);
  }

  // One page, in either mode. Pages outside all counting are taken and released freely.
  take_result take(int page, number n, bool pin) {
    model_page& h = head(page);
    return h.is == kind::immortal ? take_result::taken : h.word.take(n, pin);
  }

  release_result drop(int page, number n, bool pin) { return drop_head(head(page), n, pin); }

  release_result drop_head(model_page& h, number n, bool pin) {
    if (h.is == kind::immortal) return release_result::released;
    const release_result result =
        h.word.release(n, pin, h.is == kind::device ? pinref::owner_ref::resident : pinref::owner_ref::counted);
    if (result == release_result::last) ++h.freed;
    if (result == release_result::idle) ++h.idled;
    return result;
  }

  static bool too_many(const model_page& h, number n, bool pin) {
    return n > h.word.most(pin) && h.is != kind::immortal && h.word.held(pin) < n;
  }

  /// As many at once as one call takes, until n are released or refused; of more than one call takes, all or none.
  void drop_many(model_page& h, number n, bool pin, gup_result& done) {
    if (too_many(h, n, pin)) {
      done.reason = gup_error::underflow;
      return;
    }
    while (n != 0) {
      const number some = std::min(n, h.word.most(pin));
      if (drop_head(h, some, pin) == release_result::underflow) {
        done.reason = gup_error::underflow;
        return;
      }
      done.count += static_cast<std::size_t>(some);
      n -= some;
    }
  }

  void mark_dirty(model_page& h) {
    if (h.is == kind::immortal || h.dirty) return;
    h.dirty = true;
    ++h.locks;
  }

  /// Neighbours of one head go together; entries that are none are passed over.
  gup_result release(const list& what, bool pin, bool dirty) {
    gup_result done;
    for (std::size_t i = 0, end = 0; i != what.size(); i = end) {
      end = i + 1;
      if (what[i] < 0) continue;
      model_page& h = head(what[i]);
      number n = 1;
      for (; end != what.size() && (what[end] < 0 || &head(what[end]) == &h); ++end) n += what[end] >= 0;
      if (dirty && !too_many(h, n, pin)) mark_dirty(h);
      drop_many(h, n, pin, done);
    }
    return done;
  }

  /// The mapping at a slot, as a call that wants this access sees it.
  [[nodiscard]] int visible(std::size_t slot, foll flags) const {
    return has(flags, foll::write) && !slots[slot].writable ? -1 : slots[slot].page;
  }

  /// Maps a living page at one more slot, with a reference of its own.
  void alias(std::size_t slot, int page) {
    if (slots[slot].page < 0 && take(page, 1, false) == take_result::taken) slots[slot] = {page, true, 1, slot};
  }

  /// Ends the mapping a slot belongs to, in all its slots.
  void unmap(std::size_t slot) {
    const model_slot old = slots[slot];
    if (old.page < 0) return;
    for (model_slot& each : slots)
      if (each.page >= 0 && each.origin == old.origin) each.page = -1;
    (void)drop(old.page, 1, false);
  }

  /// The look at the entry after a take: what others do to it first, and whether it is still the same.
  bool same_entry(std::size_t slot, int page, injection& inject) {
    if (inject.looks++ == inject.change_at) change(slot, inject);
    return slots[slot].page == page;
  }

  void change(std::size_t slot, const injection& inject) {
    if (inject.to == injection::change::nothing) return;
    unmap(slot);
    if (inject.to == injection::change::replace) alias(slot, inject.replacement);
  }

  gup_error slow_step(std::size_t slot, foll flags, injection& inject) {
    if (has(flags, foll::fast_only)) return gup_error::would_block;
    if (has(flags, foll::interruptible) && inject.interrupts++ == inject.interrupt_at) return gup_error::interrupted;
    ++faults;
    if (inject.faults++ == inject.fail_at) return gup_error::no_memory;
    if (slots[slot].page < 0) {
      if (inject.demand && !inject.may_map[slot]) return gup_error::no_memory;
      if (has(flags, foll::nofault) || !inject.demand) return gup_error::not_mapped;
      map(slot, 1, kind::ordinary, true);
    }
    return visible(slot, flags) < 0 ? gup_error::no_permission : gup_error::none;
  }

  /// A get or pin call on slots, after its arguments were found good. `out` gets the pages; the rest of it must be as
  /// it was, or null where pages were held and given back.
  gup_result gup(std::size_t first, std::size_t n, foll flags, bool pin, bool fast, injection& inject, list& out) {
    gup_result done;
    out.clear();
    while (done.count != n && done.ok()) {
      const std::size_t slot = first + done.count;
      std::size_t held = 0;
      if (const int page = inject.no_fast_path ? -1 : visible(slot, flags); fast && page >= 0) {
        const std::size_t some = together(slot, n - done.count, pin);
        if (take(page, some, pin) == take_result::taken) {
          if (same_entry(slot, page, inject) && !refused(page, flags)) {
            held = some;
            hold(page, some, out);
          } else {
            (void)drop(page, some, pin);
          }
        }
      }
      if (held == 0) {
        done.reason = slow_step(slot, flags, inject);
        if (!done.ok()) break;
        const int page = slots[slot].page;
        const std::size_t some = together(slot, n - done.count, pin);
        const take_result taken = take(page, some, pin);
        if (taken == take_result::overflow) {
          done.reason = gup_error::overflow;
        } else if (taken == take_result::dead) {
          ++broken;
          done.reason = gup_error::broken_mapping;
        } else if (refused(page, flags)) {
          (void)drop(page, some, pin);
          done.reason = gup_error::not_longterm;
        } else {
          held = some;
          hold(page, some, out);
        }
      }
      done.count += held;
    }
    if (!done.ok() && has(flags, foll::all)) {
      (void)release(out, pin, false);
      out.clear();
      done.count = 0;
    }
    return done;
  }

  /// As gup, but nothing is held.
  gup_result fault_in(std::size_t first, std::size_t n, foll flags, injection& inject) {
    gup_result done;
    while (done.count != n) {
      const std::size_t slot = first + done.count;
      if (inject.no_fast_path || visible(slot, flags) < 0) done.reason = slow_step(slot, flags, inject);
      if (!done.ok()) break;
      done.count += std::min(slots[slot].run, n - done.count);
    }
    return done;
  }

  int find(std::size_t index, injection& inject) {
    if (inject.looks++ == inject.change_at && inject.to != injection::change::nothing)
      object[index] = inject.to == injection::change::replace ? inject.replacement : -1;
    return object[index];
  }

  gup_error allocate(std::size_t index, injection& inject) {
    if (inject.faults++ == inject.fail_at) return inject.busy ? gup_error::busy : gup_error::no_memory;
    if (!inject.may_map[index]) return gup_error::no_memory;
    inject.may_map[index] = false;
    begin(index, 1, kind::ordinary);
    object[index] = static_cast<int>(index);
    return gup_error::none;
  }

  /// The folios of the indices first .. last, each pinned once, at most `max` of them.
  gup_result pin_object(std::size_t first, std::size_t last, std::size_t max, injection& inject, list& out,
                        std::size_t& inside) {
    out.clear();
    gup_error reason = gup_error::none;
    unsigned races = 0;
    for (std::size_t index = first; index <= last && out.size() != max && reason == gup_error::none;) {
      const int page = find(index, inject);
      if (page < 0) {
        reason = allocate(index, inject);
        if (reason == gup_error::busy && ++races <= max_races) reason = gup_error::none;
        continue;
      }
      const take_result taken = take(page, 1, true);
      if (taken == take_result::overflow) {
        reason = gup_error::overflow;
      } else if (taken == take_result::dead || find(index, inject) != page) {
        if (taken == take_result::taken) (void)drop(page, 1, true);
        if (++races > max_races) reason = gup_error::busy;
      } else {
        const std::size_t head_index = pages[at(page)].head;
        if (out.empty()) inside = at(page) - head_index;
        out.push_back(static_cast<int>(head_index));
        if (refused(page, foll::longterm)) reason = gup_error::not_longterm;
        index += pages[head_index].pages - (at(page) - head_index);
        races = 0;
      }
    }
    if (reason == gup_error::none) return {out.size(), reason};
    (void)release(out, true, false);
    out.clear();
    return {0, reason};
  }

  /// After an operation: entries of pages that died go, and compound pages that died fall apart.
  void sweep() {
    for (std::size_t i = 0; i != nr_pages; ++i) {
      if (slots[i].page >= 0 && unused(at(slots[i].page))) slots[i].page = -1;
      if (object[i] >= 0 && unused(at(object[i]))) object[i] = -1;
    }
    for (std::size_t i = 0; i != nr_pages; ++i)
      if (pages[i].head == i && pages[i].pages != 1 && unused(i)) {
        for (std::size_t k = i; k != i + pages[i].pages; ++k) pages[k].head = k;
        pages[i].pages = 1;
      }
  }

 private:
  [[nodiscard]] static std::size_t at(int page) { return static_cast<std::size_t>(page); }

  // Pages from a slot on that one entry maps and one call takes at once.
  [[nodiscard]] std::size_t together(std::size_t slot, std::size_t wanted, bool pin) {
    const number most = pages[0].word.most(pin);
    return std::min({slots[slot].run, wanted, static_cast<std::size_t>(most)});
  }

  [[nodiscard]] bool refused(int page, foll flags) {
    if (!has(flags, foll::longterm)) return false;
    return head(page).is == kind::transient_only || (head(page).is == kind::immortal && !has(flags, foll::write));
  }

  static void hold(int page, std::size_t n, list& out) {
    for (std::size_t i = 0; i != n; ++i) out.push_back(page + static_cast<int>(i));
  }
};

}  // namespace fuzz
