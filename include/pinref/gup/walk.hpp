// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// walk: the body of every call that holds the pages of a range.
///
/// One range, one mode. The fast step takes no lock: look the address up, take the head, look again at head and entry,
/// give back on a mismatch. What it cannot hold is left to the slow step, the host's `fault_in`.
///
/// When not to use it: from a host. The named calls are in gup.hpp.
///
/// Example:
///
///     pinref::detail::walk<pinref::hold::pin, table> all(space, pinref::foll::write, pages, {});
///     const pinref::gup_result done = all.run(start, n, true);
///     if (!done.ok()) give_up(to_string(done.reason));
///     (void)pinref::unpin_user_pages(pages, done.count);
///
/// Errors: as the named calls.
/// Memory order: acquire on every page that is held.
/// Progress: the fast step is lock-free, the slow one blocks where the host's `fault_in` does.
/// Source: Linux gup_fast_pte_range(), __get_user_pages().

#include <cstddef>
#include <cstdint>

#include "pinref/gup/address_space.hpp"
#include "pinref/gup/check_call.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup_result.hpp"
#include "pinref/gup/longterm.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/page/holders.hpp"
#include "pinref/sync/paths.hpp"

namespace pinref::inline v0_1 {

/// How often pages that may not be held for long are relocated before a call gives up with not_longterm.
inline constexpr unsigned max_relocations = 8;

/// How many pages ahead of the one it takes a fast call asks a `prefetching_space` for.
inline constexpr std::size_t prefetch_distance = 8;

namespace detail {

/// May the host's slow path be entered?
template <class Space>
gup_error may_block([[maybe_unused]] Space& space, foll flags) noexcept {
  if (pinref::has(flags, foll::fast_only)) return gup_error::would_block;
  if constexpr (interrupting_space<Space>)
    if (pinref::has(flags, foll::interruptible) && space.interrupted()) return gup_error::interrupted;
  return gup_error::none;
}

/// One entry into it.
template <class Space, class Use>
gup_error slow_step(Space& space, std::uintptr_t address, foll flags, Use use) noexcept {
  const gup_error no = detail::may_block(space, flags);
  return no != gup_error::none ? no : space.fault_in(address, flags, use);
}

/// The host presented as stable what is no page that can be held.
template <class Space>
gup_error broken_mapping([[maybe_unused]] Space& space, [[maybe_unused]] std::uintptr_t address) noexcept {
  if constexpr (diagnosing_space<Space>) space.broken_mapping(address);
  return gup_error::broken_mapping;
}

/// The body of every call that holds: one range, one mode.
template <hold Mode, address_space Space>
class walk {
 public:
  using page = typename Space::page;
  static_assert(detail::check_traits<page>());
  static_assert(freeable_page<page>, "pinref: get and pin of a range need page_traits<Page>::free_page(page)");
  static_assert(detail::check_space<Space>());

  walk(Space& space, foll flags, page** pages, caller<page> where) noexcept
      : space_(space), flags_(flags | (Mode == hold::pin ? foll::pin : foll::get)), pages_(pages), where_(where) {}

  gup_result run(std::uintptr_t start, std::size_t nr_pages, bool fast) noexcept {
    gup_result done = hold_pages(start, nr_pages, fast);
    if constexpr (relocates) {
      for (unsigned tries = 0; pinref::has(flags_, foll::longterm) && !all_longterm_pinnable(done.count); ++tries) {
        const std::size_t range = done.count;
        undo(done);
        done.reason = tries == max_relocations ? gup_error::not_longterm : detail::may_block(space_, flags_);
        if (done.reason == gup_error::none) done.reason = space_.relocate(start, range);
        if (done.reason != gup_error::none) return done;
        done = hold_pages(start, nr_pages, fast);
      }
    }
    if (done.reason != gup_error::none && pinref::has(flags_, foll::all)) undo(done);
    return done;
  }

  /// Whether a call in this mode has nothing to do before and after its pages.
  static constexpr bool plain =
      !(Mode == hold::pin && (forking_space<Space> || (relocating_space<Space> && longterm_page<page>)));
  [[nodiscard]] PINREF_FAST_PATH bool try_one(std::uintptr_t start) noexcept { return try_fast(start, pages_, 1) != 0; }

 private:
  using traits = page_traits<page>;
  using seen = mapping<page>;
  static constexpr bool relocates = Mode == hold::pin && relocating_space<Space> && longterm_page<page>;

  // A lockless pin must not overlap a fork. What it has taken when it finds that one began is given back, and the slow
  // path, which the host keeps apart from its forks, takes the range from the start.
  gup_result hold_pages(std::uintptr_t start, std::size_t nr_pages, bool fast) noexcept {
    if constexpr (Mode == hold::pin && forking_space<Space>) {
      std::uint32_t begun = 0;
      if (fast && space_.fork_seq().try_read_begin(begun)) {
        gup_result done = hold_each(start, nr_pages, true);
        if (!space_.fork_seq().read_retry(begun)) return done;
        undo(done);
      }
      if (pinref::has(flags_, foll::fast_only)) return {0, gup_error::would_block};
      return hold_each(start, nr_pages, false);
    } else {
      return hold_each(start, nr_pages, fast);
    }
  }

  gup_result hold_each(std::uintptr_t start, std::size_t nr_pages, bool fast) noexcept {
    gup_result done;
    while (done.count != nr_pages) {
      const std::uintptr_t address = start + done.count * Space::page_size;
      page** const out = pages_ + done.count;
      if (fast) {
        if constexpr (prefetching_space<Space>)
          if (nr_pages - done.count > prefetch_distance)
            space_.prefetch(address + prefetch_distance * Space::page_size);
        if (const std::size_t held = try_fast(address, out, nr_pages - done.count); held != 0) [[likely]] {
          done.count += held;
          continue;
        }
      }
      const gup_result slow = fault_in(address, out, nr_pages - done.count);
      done.reason = slow.reason;
      if (!slow.ok()) break;
      done.count += slow.count;
    }
    return done;
  }

  /// Pages held without a lock at this address; 0 leaves it to the slow path, which also finds the reason.
  PINREF_FAST_PATH std::size_t try_fast(std::uintptr_t address, page** out, std::size_t wanted) noexcept {
    const seen entry = space_.lookup(address, flags_);
    if (entry.page == nullptr) return 0;
    const std::size_t n = step(entry, wanted);
    if (n == 0) [[unlikely]]
      return 0;
    if (detail::take<Mode>(*entry.page, n, where_) != take_result::taken) return 0;
    if (!space_.recheck(address, entry) || refused(*entry.page) || must_unshare(*entry.page)) [[unlikely]] {
      detail::drop<Mode>(*entry.page, n, where_);
      return 0;
    }
    fill(entry, out, n);
    return n;
  }

  PINREF_SLOW_PATH gup_result fault_in(std::uintptr_t address, page** out, std::size_t wanted) noexcept {
    seen held;
    std::size_t n = 0;
    gup_error reason = detail::slow_step(space_, address, flags_, [&](const seen& entry) noexcept {
      const std::size_t some = step(entry, wanted);
      // Presented without a page, with a run of none, or twice.
      if (entry.page == nullptr || some == 0 || n != 0) return detail::broken_mapping(space_, address);
      switch (detail::take<Mode>(*entry.page, some, where_)) {
        case take_result::taken:
          break;
        case take_result::overflow:
          return gup_error::overflow;
        case take_result::dead:
          // The mapping holds its page, so the take cannot fail unless the host has lost count.
          return detail::broken_mapping(space_, address);
      }
      if (refused(*entry.page)) {
        detail::drop<Mode>(*entry.page, some, where_);
        return gup_error::not_longterm;
      }
      if (must_unshare(*entry.page)) {
        detail::drop<Mode>(*entry.page, some, where_);
        return detail::broken_mapping(space_, address);
      }
      held = entry;
      n = some;
      return gup_error::none;
    });
    // Answered without calling back.
    if (reason == gup_error::none && n == 0) reason = detail::broken_mapping(space_, address);
    if (reason != gup_error::none) {
      // Called back, and failed all the same.
      if (n != 0) detail::drop<Mode>(*held.page, n, where_);
      return {0, reason};
    }
    fill(held, out, n);
    return {n, gup_error::none};
  }

  static std::size_t step(const seen& entry, std::size_t wanted) noexcept {
    constexpr std::size_t most = numbered_page<page> ? max_at_once<Mode, page> : 1;
    return detail::smaller(detail::smaller(entry.run, wanted), most);
  }

  // Asked after the take: only a held page cannot change its kind. Where pages can be moved it is asked of all of them.
  bool refused(page& taken) const noexcept {
    if constexpr (relocates) return false;
    return pinref::has(flags_, foll::longterm) && !detail::longterm_pinnable(taken, flags_);
  }

  // A page is pinned only while it is its space's own. The host's fault_in copies a shared one, for a reader too, which
  // would otherwise keep reading the old page after the next write. Linux: gup_must_unshare().
  bool must_unshare([[maybe_unused]] page& taken) const noexcept {
    if constexpr (Mode == hold::pin && exclusive_page<page>)
      return !pinref::page_immortal(pinref::compound_head(taken)) && !traits::exclusive(pinref::compound_head(taken));
    else
      return false;
  }

  bool all_longterm_pinnable(std::size_t n) const noexcept {
    for (std::size_t i = 0; i != n; ++i)
      if (!detail::longterm_pinnable(*pages_[i], flags_)) return false;
    return true;
  }

  static void fill(const seen& entry, page** out, std::size_t n) noexcept {
    out[0] = entry.page;
    if constexpr (numbered_page<page>)
      for (std::size_t i = 1; i < n; ++i) out[i] = &traits::nth_page(*entry.page, i);
  }

  void undo(gup_result& done) noexcept {
    (void)detail::drop_pages<Mode, false>(pages_, done.count, where_);
    for (std::size_t i = 0; i != done.count; ++i) pages_[i] = nullptr;
    done.count = 0;
  }

  Space& space_;
  foll flags_;
  page** pages_;
  [[no_unique_address]] caller<page> where_;
};

template <hold Mode, class Space>
PINREF_SLOW_PATH gup_result gup_one_slow(Space& space, std::uintptr_t start, foll flags, typename Space::page** pages,
                                         caller<typename Space::page> where) noexcept {
  return walk<Mode, Space>(space, flags, pages, where).run(start, 1, false);
}

// One page of a space that neither forks nor relocates: the steps and nothing else.
template <hold Mode, class Space>
PINREF_FAST_PATH gup_result gup_one(Space& space, std::uintptr_t start, foll flags, typename Space::page** pages,
                                    caller<typename Space::page> where) noexcept {
  const gup_error bad = detail::check_call<Mode>(space, start, 1, flags, pages);
  if (bad != gup_error::none) return {0, bad};
  if (walk<Mode, Space>(space, flags, pages, where).try_one(start)) [[likely]]
    return {1, gup_error::none};
  return detail::gup_one_slow<Mode>(space, start, flags, pages, where);
}

template <hold Mode, class Space>
gup_result gup(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags, typename Space::page** pages,
               caller<typename Space::page> where, bool fast) noexcept {
  if constexpr (walk<Mode, Space>::plain)
    if (fast && nr_pages == 1) return detail::gup_one<Mode>(space, start, flags, pages, where);
  const gup_error bad = detail::check_call<Mode>(space, start, nr_pages, flags, pages);
  if (bad != gup_error::none) return {0, bad};
  return walk<Mode, Space>(space, flags, pages, where).run(start, nr_pages, fast);
}

// A call for one page takes as long as the steps themselves: they are inlined where the compiler knows that it is one.
template <hold Mode, class Space>
PINREF_FAST_PATH gup_result gup_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                                     typename Space::page** pages, caller<typename Space::page> where) noexcept {
  if constexpr (walk<Mode, Space>::plain)
    if (PINREF_KNOWN(nr_pages == 1)) return detail::gup_one<Mode>(space, start, flags, pages, where);
  return detail::gup<Mode>(space, start, nr_pages, flags, pages, where, true);
}

}  // namespace detail

}  // namespace pinref::inline v0_1
