// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// member_page: a page of a segment as one member sees it, for gup, handles and owners. What they take, release and
/// undo stands in the ledger, under the member's name.
///
/// A member has one for each page it works on, in an array of the host's. All that is taken by one of them stands in
/// two records of the member at most, of its references and of its pins, which it finds without a search. Holds that
/// the member has otherwise are not touched, until `adopt` brings them in; `give` takes them out again, to offer or to
/// lease them.
///
/// When not to use it: from two threads. It is the member's, and so are the handles, ranges and owners of its pages:
/// `basic_member` says how a hold goes to another. Nor to begin a page's life: that is the member's `allocate`, and
/// `init` does not compile.
///
/// Example:
///
///     using page = pinref::member_page<pinref::shared_traits>;
///     page array[16];
///     pinref::member_pages<pinref::shared_traits> mine{me, array};   // of the pages 0 to 15
///     if (!pinref::pin_page_range(mine[7], 2).ok()) return give_up("dead, or no record is free");
///     start_dma();                                               // on pool.data(7) and pool.data(8)
///     if (!pinref::unpin_user_page_range(&mine[7], 2).ok()) return give_up("they were not pinned here");
///
/// Errors: as of the calls for pages in general. A take is refused with `overflow` too if all records of the member are
/// in use, or if one would count more than ledger_record::max_n; a release of more than was taken here is `underflow`,
/// and nothing has changed.
/// Memory order: as basic_member.
/// Progress: as basic_member.
/// Source: pinref's own.

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "pinref/fwd.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/share/member.hpp"
#include "pinref/share/recorded_counter.hpp"

namespace pinref::inline v0_1 {

/// A page of a segment of `Traits`, as a member sees it. Until a member_pages has named both, takes of it are refused,
/// and nothing else may be asked.
template <class Traits>
class member_page {
 public:
  /// Its references and pins. A page begins its life in `allocate` of the member.
  struct word : basic_ref<detail::recorded_counter<Traits>> {
    void init(std::size_t = 1) = delete;
  };

  member_page() noexcept = default;
  member_page(const member_page&) = delete;
  member_page& operator=(const member_page&) = delete;

  /// The word, for calls on one page.
  [[nodiscard]] word& ref() noexcept { return ref_; }
  /// Its number in the segment.
  [[nodiscard]] std::uint32_t number() const noexcept { return counter().number(); }
  /// What processes share of it: its dirty bit, its tag.
  [[nodiscard]] shared_page<Traits>& shared() const noexcept { return counter().page(); }
  /// How many references, or pins, the member has taken by it and not released. A claim has none.
  [[nodiscard]] unsigned held(hold mode) const noexcept { return counter().held(mode); }

  /// Brings a hold of the member in: from now on it is released here. Refused with `not_held` if it is of another page
  /// or of no use any more, a lease, or a reference of the pool's; with `too_many` or `overflow` if it cannot be added
  /// to what is here.
  [[nodiscard]] ledger_result adopt(ledger_hold& held) noexcept { return counter().adopt(held); }
  /// Takes all references, or all pins, out: they are the caller's, to be released, offered or leased at the member.
  [[nodiscard("the hold is the caller's to release")]] ledger_hold give(hold mode) noexcept {
    return counter().give(mode);
  }

 private:
  friend class member_pages<Traits>;
  using counter_type = detail::recorded_counter<Traits>;
  using base = basic_ref<counter_type>;
  // What makes the casts below right: a standard-layout object is where its first member is.
  static_assert(std::is_standard_layout_v<base> && sizeof(base) == sizeof(counter_type));

  [[nodiscard]] counter_type& counter() noexcept { return reinterpret_cast<counter_type&>(static_cast<base&>(ref_)); }
  [[nodiscard]] const counter_type& counter() const noexcept {
    return reinterpret_cast<const counter_type&>(static_cast<const base&>(ref_));
  }

  word ref_;
};

/// Pages of a segment that follow each other, as one member sees them, in an array of the host's. The array outlives
/// what refers to its pages; a page that goes away with holds leaves them in the ledger, where `find` of the member has
/// them.
template <class Traits>
class member_pages {
 public:
  /// The pages from `first` on. Precondition: the member is joined, and the segment has so many.
  member_pages(basic_member<Traits>& whom, std::span<member_page<Traits>> pages, std::uint32_t first = 0) noexcept
      : pages_(pages), first_(first) {
    for (std::size_t i = 0; i != pages.size(); ++i)
      pages[i].counter().bind(whom, first + static_cast<std::uint32_t>(i));
  }

  /// The page of this number. Precondition: it is one of them.
  [[nodiscard]] member_page<Traits>& operator[](std::uint32_t number) const noexcept { return pages_[number - first_]; }
  /// How many they are.
  [[nodiscard]] std::size_t size() const noexcept { return pages_.size(); }

 private:
  std::span<member_page<Traits>> pages_;
  std::uint32_t first_;
};

/// A page that the last release has freed already: that was the ledger's.
template <class Traits>
struct page_traits<member_page<Traits>> {
  static auto& ref(member_page<Traits>& page) noexcept { return page.ref(); }
  static void free_page(member_page<Traits>&) noexcept {}
  static std::uint64_t frame_number(member_page<Traits>& page) noexcept { return page.number(); }
  static member_page<Traits>& nth_page(member_page<Traits>& page, std::size_t i) noexcept { return (&page)[i]; }
};

}  // namespace pinref::inline v0_1
