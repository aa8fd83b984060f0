#pragma once

/// \file
/// get_user_pages, pin_user_pages and their fast forms: from a range of addresses to pages that stay.
///
/// The fast path takes no lock: look the address up, take the head, look again at head and entry, give back on a
/// mismatch and leave the page to the slow path, the host's `fault_in`. The look after the take is what makes it safe
/// against "clear or write-protect the entry, then ask page_dma_pinned": one of the two sees the other.
///
/// All pages of a call are held in one mode. A call stops at the first page it cannot hold; the result counts the pages
/// before it, which are held, with the reason. With `foll::all` it holds all or nothing. A longterm pin that has pages
/// relocated gives back all it holds meanwhile, holds none if that fails, and stops like any other call afterwards.
/// What a call undoes is exactly its own. Every call names its space, so the pages of another process or tenant are
/// pinned like one's own.
///
/// When not to use it: to look at a page's contents for an instant under the host's own lock; nothing needs holding
/// there.
///
/// Example:
///
///     frame* pages[16];
///     auto [count, reason] = pinref::pin_user_pages_fast(space, address, 16, pinref::foll::write, pages);
///     // ... the device writes to pages[0] .. pages[count - 1] ...
///     pinref::gup_result done = pinref::unpin_user_pages_dirty_lock(pages, count, true);
///
/// Preconditions: `start` on a page boundary, `nr_pages` above zero, `pages` has room for them. Otherwise the call
/// reports the error and touches neither counts nor `pages`; a count that is an error code, -14 say, ends as
/// address_overflow or out_of_range. Memory order: acquire on every page. Progress: the fast
/// path is lock-free, the slow path blocks where the host's `fault_in` does. Needs `free_page` of the host, for holders
/// that are given back last.
///
/// Source: Linux get_user_pages(), pin_user_pages(), pin_user_pages_fast(); mm/gup.c documents the protocol.

#include <cstddef>
#include <cstdint>
#include <limits>

#include "pinref/gup/address_space.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/gup/result.hpp"
#include "pinref/page/hold.hpp"
#include "pinref/word/paths.hpp"

namespace pinref {

/// How often pages that may not be held for long are relocated before a call gives up with not_longterm.
inline constexpr unsigned max_relocations = 8;

/// How many pages ahead of the one it takes a fast call asks a `prefetching_space` for.
inline constexpr std::size_t prefetch_distance = 8;

namespace detail {

/// May a pin with these flags last? A host that is told the flags decides alone. Else a reader is refused a page
/// outside all counting unless it is marked as its space's own: as the zero page it would go on to be read when the
/// owner's next write has replaced it. Linux: gup_must_unshare(), since 6.2.
template <class Page>
[[nodiscard]] bool longterm_pinnable(Page& page, foll flags) noexcept {
  using traits = page_traits<Page>;
  Page& head = pinref::compound_head(page);
  if constexpr (requires { traits::longterm_pinnable(head, flags); }) {
    return traits::longterm_pinnable(head, flags);
  } else {
    if (pinref::page_immortal(head) && !pinref::has(flags, foll::write)) {
      if constexpr (exclusive_page<Page>) {
        if (!traits::exclusive(head)) return false;
      } else {
        return false;
      }
    }
    if constexpr (longterm_page<Page>)
      return traits::longterm_pinnable(head);
    else
      return true;
  }
}

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

/// What the host presented as stable is no page that can be held.
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
  static_assert(freeable_page<page>, "pinref: get and pin of a range need page_traits<Page>::free_page(page)");
  static_assert(detail::check_space<Space>());

  walk(Space& space, foll flags, page** pages) noexcept
      : space_(space), flags_(flags | (Mode == hold::pin ? foll::pin : foll::get)), pages_(pages) {}

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
      if (fast && space_.fork_seq().try_begin_pin(begun)) {
        gup_result done = hold_each(start, nr_pages, true);
        if (!space_.fork_seq().overlapped(begun)) return done;
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
    if (detail::take<Mode>(*entry.page, n) != take_result::taken) return 0;
    if (!space_.recheck(address, entry) || refused(*entry.page) || must_unshare(*entry.page)) [[unlikely]] {
      detail::drop<Mode>(*entry.page, n);
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
      switch (detail::take<Mode>(*entry.page, some)) {
        case take_result::taken:
          break;
        case take_result::overflow:
          return gup_error::overflow;
        case take_result::dead:
          // The mapping holds its page, so the take cannot fail unless the host has lost count.
          return detail::broken_mapping(space_, address);
      }
      if (refused(*entry.page)) {
        detail::drop<Mode>(*entry.page, some);
        return gup_error::not_longterm;
      }
      if (must_unshare(*entry.page)) {
        detail::drop<Mode>(*entry.page, some);
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
      if (n != 0) detail::drop<Mode>(*held.page, n);
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

  // A page is pinned only while it is its space's own: of a shared one the host's fault_in makes a copy, also for a
  // reader, who would otherwise keep reading the old page after the next write. Linux: gup_must_unshare().
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
    (void)detail::drop_pages<Mode, false>(pages_, done.count, site_of<page>::current());
    for (std::size_t i = 0; i != done.count; ++i) pages_[i] = nullptr;
    done.count = 0;
  }

  Space& space_;
  foll flags_;
  page** pages_;
};

template <class Space>
[[nodiscard]] PINREF_FAST_PATH gup_error check_range(Space& space, std::uintptr_t start,
                                                     std::size_t nr_pages) noexcept {
  constexpr std::uintptr_t most = std::numeric_limits<std::uintptr_t>::max();
  if (nr_pages == 0) return gup_error::no_pages;
  if (start % Space::page_size != 0) return gup_error::misaligned;
  if (nr_pages > most / Space::page_size) return gup_error::address_overflow;
  const std::uintptr_t last = nr_pages * Space::page_size - 1;
  if (start > most - last) return gup_error::address_overflow;
  return space.contains(start, start + last) ? gup_error::none : gup_error::out_of_range;
}

template <hold Mode, class Space>
[[nodiscard]] PINREF_FAST_PATH gup_error check_call(Space& space, std::uintptr_t start, std::size_t nr_pages,
                                                    foll flags, typename Space::page** pages) noexcept {
  const gup_error bad = pinref::check_flags(flags, Mode == hold::pin ? foll::pin : foll::get, pages != nullptr);
  return bad != gup_error::none ? bad : detail::check_range(space, start, nr_pages);
}

template <hold Mode, class Space>
PINREF_SLOW_PATH gup_result gup_one_slow(Space& space, std::uintptr_t start, foll flags,
                                         typename Space::page** pages) noexcept {
  return walk<Mode, Space>(space, flags, pages).run(start, 1, false);
}

// One page of a space that neither forks nor relocates: the steps and nothing else.
template <hold Mode, class Space>
PINREF_FAST_PATH gup_result gup_one(Space& space, std::uintptr_t start, foll flags,
                                    typename Space::page** pages) noexcept {
  const gup_error bad = detail::check_call<Mode>(space, start, 1, flags, pages);
  if (bad != gup_error::none) return {0, bad};
  if (walk<Mode, Space>(space, flags, pages).try_one(start)) [[likely]]
    return {1, gup_error::none};
  return detail::gup_one_slow<Mode>(space, start, flags, pages);
}

template <hold Mode, class Space>
gup_result gup(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags, typename Space::page** pages,
               bool fast) noexcept {
  if constexpr (walk<Mode, Space>::plain)
    if (fast && nr_pages == 1) return detail::gup_one<Mode>(space, start, flags, pages);
  const gup_error bad = detail::check_call<Mode>(space, start, nr_pages, flags, pages);
  if (bad != gup_error::none) return {0, bad};
  return walk<Mode, Space>(space, flags, pages).run(start, nr_pages, fast);
}

// A call takes as long as the steps of one page: who asks for just one has them laid in.
template <hold Mode, class Space>
PINREF_FAST_PATH gup_result gup_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                                     typename Space::page** pages) noexcept {
  if constexpr (walk<Mode, Space>::plain)
    if (PINREF_KNOWN(nr_pages == 1)) return detail::gup_one<Mode>(space, start, flags, pages);
  return detail::gup<Mode>(space, start, nr_pages, flags, pages, true);
}

}  // namespace detail

/// References to the pages of a range, each taken in the slow path, while its mapping is stable. May block.
template <address_space Space>
gup_result get_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                          typename Space::page** pages) noexcept {
  return detail::gup<hold::reference>(space, start, nr_pages, flags, pages, false);
}

/// As get_user_pages, without a lock where the page is present. Linux: get_user_pages_fast().
template <address_space Space>
PINREF_FAST_PATH gup_result get_user_pages_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                                                typename Space::page** pages) noexcept {
  return detail::gup_fast<hold::reference>(space, start, nr_pages, flags, pages);
}

/// Pins on the pages of a range, each taken in the slow path, while its mapping is stable. May block. With
/// `foll::longterm`, pages that may not be held for long are relocated if the space can, at most `max_relocations`
/// times, all pins of the call being given back meanwhile; else they are refused.
template <address_space Space>
gup_result pin_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                          typename Space::page** pages) noexcept {
  return detail::gup<hold::pin>(space, start, nr_pages, flags, pages, false);
}

/// As pin_user_pages, without a lock where the page is present.
template <address_space Space>
PINREF_FAST_PATH gup_result pin_user_pages_fast(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags,
                                                typename Space::page** pages) noexcept {
  return detail::gup_fast<hold::pin>(space, start, nr_pages, flags, pages);
}

/// Makes the pages of a range present with the access asked for, and holds none of them: the count is how many were,
/// with foll::all too. May block. Linux: faultin_page_range().
template <address_space Space>
gup_result fault_in_user_pages(Space& space, std::uintptr_t start, std::size_t nr_pages, foll flags) noexcept {
  static_assert(detail::check_space<Space>());
  gup_result done{0, pinref::check_flags(flags, foll::none, false)};
  if (done.reason == gup_error::none) done.reason = detail::check_range(space, start, nr_pages);
  while (done.reason == gup_error::none && done.count != nr_pages) {
    const std::uintptr_t address = start + done.count * Space::page_size;
    mapping<typename Space::page> entry = space.lookup(address, flags);
    if (entry.page == nullptr)
      done.reason = detail::slow_step(space, address, flags, [&entry](const auto& present) noexcept {
        entry = present;
        return gup_error::none;
      });
    if (done.ok() && (entry.page == nullptr || entry.run == 0)) done.reason = detail::broken_mapping(space, address);
    if (done.ok()) done.count += detail::smaller(entry.run, nr_pages - done.count);
  }
  return done;
}

}  // namespace pinref
