// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_holder, and the list of them that a holder_log keeps: entries that are found by the page, in an array of the
/// host's.
///
/// A handle's entry says how much it holds. Of plain calls the list knows how much was taken at which place, and how
/// much was released of the page; what each place still holds lies between two bounds.
///
/// When not to use it: from a host, except `page_holder`, which a holder_log passes to visitors, and `holder_entry`,
/// the element of its array. The list has no lock.
///
/// Example:
///
///     pinref::holder_entry room[64];
///     pinref::detail::holder_list list{room};
///     const pinref::page_ref<> word;
///     if (!list.add({.word = &word, .mode = pinref::hold::pin}, 1)) return give_up("no room");
///     const auto print = [](const pinref::page_holder& found) { std::puts(to_string(found.mode)); };
///     list.for_each(&word, print);
///
/// Errors: `add` says false where there is no room, and has changed nothing.
/// Memory order: none.
/// Progress: each call looks at the entries of one page, but for_all at all of them.
/// Source: Linux ref_tracker, which lists handles and knows nothing of plain calls.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "pinref/sync/deadline.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"

namespace pinref::inline v0_1 {

/// What one handle holds of a page, or what calls at one place took of it.
struct page_holder {
  const void* word = nullptr;   ///< the page's
  hold mode = hold::reference;  ///< the way it is held
  bool exact = false;           ///< a handle's; else a candidate: calls at one place that name no handle
  std::uint64_t at_least = 0;   ///< so many holders are still held; the same as at_most if exact
  std::uint64_t at_most = 0;    ///< never 0
  std::uint64_t taken = 0;      ///< so many were taken
  call_site where{};            ///< of the call that took; of a candidate's calls the first, as all that follows
  std::uint64_t thread = 0;     ///< gettid() on Linux; elsewhere an address that is one thread's as long as it runs
  std::uint64_t sequence = 0;   ///< the how manieth noted take it was
  std::int64_t since = 0;       ///< monotonic_now() then
};

namespace detail {

#if defined(__linux__)
/// A number that no other running thread has: the one that debuggers show.
[[nodiscard]] inline std::uint64_t calling_thread() noexcept {
  return static_cast<std::uint64_t>(::syscall(SYS_gettid));
}
#else
/// A number that no other running thread has.
[[nodiscard]] inline std::uint64_t calling_thread() noexcept {
  static thread_local const char one_for_each = 0;
  return reinterpret_cast<std::uintptr_t>(&one_for_each);
}
#endif

/// What an entry says. `id` is null in a candidate; `released` is what plain calls released of the page since then.
struct holder_note {
  const void* word = nullptr;
  hold mode = hold::reference;
  holder_id id{};
  call_site where{};
  std::uint64_t taken = 0;
  std::uint64_t released = 0;
  std::uint64_t thread = 0;
  std::uint64_t sequence = 0;  // 0: of a take that is not noted yet
  std::int64_t since = 0;

  [[nodiscard]] bool exact() const noexcept { return id.number != 0; }
  [[nodiscard]] bool belongs_to(hold how, const holder_id& whose) const noexcept { return mode == how && id == whose; }
  [[nodiscard]] bool adds_to(const holder_note& other) const noexcept {
    return belongs_to(other.mode, other.id) &&
           (exact() || (where.line == other.where.line && where.file == other.where.file));
  }
};

class holder_list;

}  // namespace detail

/// Room for one entry of a holder_log.
class holder_entry {
  friend class detail::holder_list;

  detail::holder_note note_;
  // Numbers of entries, from 1: the first of the words that fall to this place, whatever stands in it, and the next
  // after the one that stands in it.
  std::uint32_t first_ = 0;
  std::uint32_t next_ = 0;
};

namespace detail {

/// The entries, in chains by the address of their word.
class holder_list {
 public:
  constexpr explicit holder_list(std::span<holder_entry> room) noexcept
      : room_(room.first(std::min(room.size(), std::size_t{std::numeric_limits<std::uint32_t>::max() - 1}))) {}

  /// Notes n more holders; false if there is no room. They are counted in the entry that they belong to, if there is
  /// one.
  [[nodiscard]] bool add(const holder_note& what, std::uint64_t n) noexcept {
    bool there = false;
    each_of(what.word, [&](holder_note& each) noexcept {
      if (!each.adds_to(what)) return;
      there = true;
      each.taken += n;
      if (what.sequence == 0 || each.sequence < what.sequence) return;
      each.thread = what.thread;
      each.sequence = what.sequence;
      each.since = what.since;
    });
    return there || enter(what, n);
  }

  /// Strikes n holders of one handle, or of plain calls, or as many as there are; says how many. `was` is what they
  /// were: of several candidates the oldest.
  [[nodiscard]] std::uint64_t strike(const void* word, hold mode, const holder_id& id, std::uint64_t n,
                                     holder_note& was) noexcept {
    const bool exact = id.number != 0;
    std::uint64_t held = exact ? 0 : balance(word, mode);
    each_of(word, [&](const holder_note& each) noexcept {
      if (!each.belongs_to(mode, id)) return;
      if (exact) held = each.taken;
      if (was.word == nullptr || each.sequence < was.sequence) was = each;
    });
    if (held <= n) {
      erase_if(word, [&](const holder_note& each) noexcept { return each.belongs_to(mode, id); });
      return held;
    }
    each_of(word, [&](holder_note& each) noexcept {
      if (each.belongs_to(mode, id)) (exact ? each.taken : each.released) += exact ? 0 - n : n;
    });
    return n;
  }

  /// Undoes a strike of n; false as add.
  [[nodiscard]] bool put_back(const holder_note& was, std::uint64_t n) noexcept {
    if (was.exact() || balance(was.word, was.mode) == 0) return add(was, n);
    each_of(was.word, [&](holder_note& each) noexcept {
      if (each.belongs_to(was.mode, was.id)) each.released -= std::min(each.released, n);
    });
    return true;
  }

  /// Strikes all holders of a page.
  void erase(const void* word) noexcept {
    erase_if(word, [](const holder_note&) noexcept { return true; });
  }

  /// What handles hold of a page.
  [[nodiscard]] std::uint64_t exact(const void* word, hold mode) const noexcept {
    std::uint64_t sum = 0;
    each_of(word, [&](const holder_note& each) noexcept {
      if (each.exact() && each.mode == mode) sum += each.taken;
    });
    return sum;
  }
  /// What plain calls hold of it.
  [[nodiscard]] std::uint64_t balance(const void* word, hold mode) const noexcept {
    std::uint64_t taken = 0, released = 0;
    each_of(word, [&](const holder_note& each) noexcept {
      if (!each.belongs_to(mode, {})) return;
      taken += each.taken;
      released = std::max(released, each.released);  // the oldest has seen all
    });
    return taken - std::min(taken, released);
  }
  /// What all of them hold of all pages.
  [[nodiscard]] std::uint64_t total(hold mode) const noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 1; i <= used_; ++i) {
      const holder_note& note = at(i).note_;
      if (note.word == nullptr || note.mode != mode) continue;
      // The candidates of a page have their balance together: the oldest stands for it.
      bool oldest = true;
      each_of(note.word, [&](const holder_note& each) noexcept {
        oldest = oldest && !(each.belongs_to(mode, note.id) && each.sequence < note.sequence);
      });
      sum += note.exact() ? note.taken : oldest ? balance(note.word, mode) : 0;
    }
    return sum;
  }
  /// At how many places that may have been taken.
  [[nodiscard]] unsigned candidates(const void* word, hold mode) const noexcept {
    unsigned n = 0;
    each_of(word, [&](const holder_note& each) noexcept { n += each.belongs_to(mode, {}); });
    return n;
  }
  [[nodiscard]] bool pinned(const void* word) const noexcept {
    bool found = false;
    each_of(word, [&](const holder_note& each) noexcept { found = found || each.mode == hold::pin; });
    return found;
  }

  /// Calls `visit` with each holder of a page, or of all pages.
  template <class Visit>
  void for_each(const void* word, Visit& visit) const noexcept {
    each_of(word, [&](const holder_note& each) noexcept { visit(told(each)); });
  }
  template <class Visit>
  void for_all(Visit& visit) const noexcept {
    for (std::uint32_t i = 1; i <= used_; ++i)
      if (at(i).note_.word != nullptr) visit(told(at(i).note_));
  }

 private:
  [[nodiscard]] page_holder told(const holder_note& note) const noexcept {
    page_holder holder{note.word,  note.mode,  note.exact(), note.taken,    note.taken,
                       note.taken, note.where, note.thread,  note.sequence, note.since};
    if (!note.exact()) {
      // All that was released meanwhile may have been of this place, or nothing.
      holder.at_least = note.taken - std::min(note.taken, note.released);
      holder.at_most = std::min(note.taken, balance(note.word, note.mode));
    }
    return holder;
  }

  [[nodiscard]] bool enter(const holder_note& what, std::uint64_t n) noexcept {
    const std::uint32_t place = free_ != 0 ? free_ : used_ < room_.size() ? ++used_ : 0;
    if (place == 0) return false;
    holder_entry& entry = at(place);
    if (place == free_) free_ = entry.next_;
    std::uint32_t& first = room_[chain_of(what.word)].first_;
    entry.next_ = first;
    first = place;
    entry.note_ = what;
    entry.note_.taken = n;
    entry.note_.released = 0;
    if (what.sequence == 0) {
      entry.note_.thread = detail::calling_thread();
      entry.note_.sequence = ++takes_;
      entry.note_.since = pinref::monotonic_now();
    }
    return true;
  }

  template <class Act>
  void each_of(const void* word, Act act) const noexcept {
    for (std::uint32_t i = first_of(word); i != 0; i = at(i).next_)
      if (at(i).note_.word == word) act(at(i).note_);
  }
  template <class Which>
  void erase_if(const void* word, Which which) noexcept {
    if (room_.empty()) return;
    for (std::uint32_t* link = &room_[chain_of(word)].first_; *link != 0;) {
      holder_entry& entry = at(*link);
      if (entry.note_.word != word || !which(entry.note_)) {
        link = &entry.next_;
        continue;
      }
      const std::uint32_t place = *link;
      *link = entry.next_;
      entry.note_ = {};
      entry.next_ = free_;
      free_ = place;
    }
  }

  [[nodiscard]] std::size_t chain_of(const void* word) const noexcept {
    const std::uint64_t mixed = reinterpret_cast<std::uintptr_t>(word) * 0x9e37'79b9'7f4a'7c15;
    return static_cast<std::size_t>((mixed >> 32) % room_.size());
  }
  [[nodiscard]] std::uint32_t first_of(const void* word) const noexcept {
    return room_.empty() ? 0 : room_[chain_of(word)].first_;
  }
  [[nodiscard]] holder_entry& at(std::uint32_t place) const noexcept { return room_[place - 1]; }

  std::span<holder_entry> room_;
  std::uint32_t used_ = 0;  // places that were ever used
  std::uint32_t free_ = 0;  // the first of those that are free again
  std::uint64_t takes_ = 0;
};

}  // namespace detail

}  // namespace pinref::inline v0_1
