// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <utility>

#include "pinref/gup/gup.hpp"
#include "pinref/parts/write_protect_seq.hpp"
#include "pinref/protocols/copy_on_write.hpp"
#include "storage_host.hpp"

using pinref::can_reuse;
using pinref::foll;
using pinref::fork_result;
using pinref::gup_error;
using pinref::release_result;
using pinref::reuse_rule;
using pinref::take_result;

TEST_CASE_TEMPLATE("sole_user reuses a page that one mapping or one swap entry uses, whoever holds it", Host,
                   ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    Host host;
    auto& head = compound ? host.compound() : host.small();
    auto& asked = compound ? host.nth(head, 3) : head;
    auto& users = host.marks(head).users;
    const auto reusable = [&] { return can_reuse<reuse_rule::sole_user>(asked); };
    CHECK_FALSE(reusable());
    users.map();
    CHECK(reusable());
    REQUIRE(pinref::get_page(asked, 5) == take_result::taken);
    REQUIRE(pinref::try_pin_page(asked) == take_result::taken);
    CHECK(reusable());
    users.map();
    CHECK_FALSE(reusable());
    users.map_to_swap();
    CHECK_FALSE(reusable());
    CHECK_FALSE(users.unmap());
    CHECK(reusable());
    users.swap_to_map();
    CHECK(reusable());
  }
}

TEST_CASE_TEMPLATE("the locked form frees a swap entry that is only a copy on disk, and nothing else", Host,
                   ALL_HOSTS) {
  Host host;
  auto& page = host.small();
  auto& users = host.marks(page).users;
  int freed = 0;
  const auto free_swap = [&](auto& head) {
    CHECK(&head == &page);
    CHECK_FALSE(users.swap_free());
    ++freed;
  };
  users.map();
  CHECK(pinref::can_reuse_locked(page, free_swap));
  CHECK(freed == 0);
  users.swap_dup();
  CHECK_FALSE(can_reuse<reuse_rule::sole_user>(page));
  CHECK(pinref::can_reuse_locked(page, free_swap));
  CHECK(freed == 1);
  users.swap_dup();
  users.map();
  CHECK_FALSE(pinref::can_reuse_locked(page, free_swap));
  CHECK(freed == 1);
}

TEST_CASE_TEMPLATE("a swap entry that is still read has a user, whose page is not reused; it is the head's", Host,
                   ALL_HOSTS) {
  Host host;
  auto& head = host.compound();
  auto& users = host.marks(head).users;
  users.map();
  users.swap_dup();
  bool asked = false;
  CHECK_FALSE(pinref::can_reuse_locked(host.nth(head, 2), [&](auto& page) { asked = &page == &head; }));
  CHECK(asked);
}

TEST_CASE_TEMPLATE("sole_reference reuses a page that nobody else holds, in any mode", Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    Host host;
    auto& head = compound ? host.compound() : host.small();
    auto& asked = compound ? host.nth(head, 3) : head;
    CHECK(can_reuse<reuse_rule::sole_reference>(asked));
    REQUIRE(pinref::get_page(asked) == take_result::taken);
    CHECK_FALSE(can_reuse<reuse_rule::sole_reference>(asked));
    CHECK(can_reuse<reuse_rule::sole_reference>(asked, 2));
    CHECK(pinref::put_page(asked) == release_result::released);
    REQUIRE(pinref::try_pin_page(asked) == take_result::taken);
    CHECK_FALSE(can_reuse<reuse_rule::sole_reference>(asked));
    CHECK(pinref::unpin_user_page(asked) == release_result::released);
    CHECK(can_reuse<reuse_rule::sole_reference>(asked));
  }
}

TEST_CASE_TEMPLATE("exclusive_mark reuses a page by its mark alone, however many hold or use it", Host, ALL_HOSTS) {
  Host host;
  auto& head = host.compound();
  host.marks(head).users.map();
  host.marks(head).users.map();
  REQUIRE(pinref::try_pin_page(head) == take_result::taken);
  CHECK(can_reuse<reuse_rule::exclusive_mark>(host.nth(head, 2)));
  host.marks(head).exclusive = false;
  CHECK_FALSE(can_reuse<reuse_rule::exclusive_mark>(host.nth(head, 2)));
}

TEST_CASE_TEMPLATE("a page outside all counting, as the zero page is, is never reused", Host, FOREIGN_HOSTS) {
  Host host;
  auto& zero = host.small();
  zero.immortal = true;
  zero.marks.users.map();
  CHECK_FALSE(can_reuse<reuse_rule::sole_user>(zero));
  CHECK_FALSE(can_reuse<reuse_rule::sole_reference>(zero));
  CHECK_FALSE(can_reuse<reuse_rule::exclusive_mark>(zero));
  CHECK_FALSE(pinref::page_needs_cow_for_dma(zero, 1));
}

TEST_CASE_TEMPLATE("a fork copies an exclusive page that is pinned, and shares every other", Host, ALL_HOSTS) {
  for (const bool compound : {false, true}) {
    for (const bool writable : {false, true}) {
      CAPTURE(compound);
      CAPTURE(writable);
      Host host;
      support::mapped_object<typename Host::page> object;
      auto& head = object.put_in(0, compound ? host.compound() : host.small());
      auto& page = compound ? host.nth(head, 3) : head;
      auto& entry = object.map(head, writable);
      int copies = 0;
      const auto copy = [&](auto& copied) {
        CHECK(&copied == &page);
        CHECK_FALSE(entry.writable());
        ++copies;
      };
      REQUIRE(pinref::try_pin_page(page) == take_result::taken);
      CHECK(pinref::page_needs_cow_for_dma(page, 1));
      CHECK_FALSE(pinref::page_needs_cow_for_dma(page, 0));
      CHECK(pinref::fork_page(page, entry, 1, copy) == fork_result::copied);
      CHECK(copies == 1);
      CHECK(host.marks(head).exclusive);
      CHECK(entry.writable() == writable);

      // Another space's pins are none of this one's.
      CHECK(pinref::fork_page(page, entry, 0, copy) == fork_result::shared);
      host.marks(head).exclusive = true;
      if (writable) entry.make_writable();

      CHECK(pinref::unpin_user_page(page) == release_result::released);
      CHECK_FALSE(pinref::page_needs_cow_for_dma(page, 1));
      CHECK(pinref::fork_page(page, entry, 1, copy) == fork_result::shared);
      CHECK(copies == 1);
      CHECK_FALSE(host.marks(head).exclusive);
      CHECK_FALSE(entry.writable());
      // A second fork of a page that is shared already.
      CHECK(pinref::fork_page(page, entry, 1, copy) == fork_result::shared);
      CHECK_FALSE(host.marks(head).exclusive);
      // Not even if it looks pinned, as a page with many references may.
      REQUIRE(pinref::try_pin_page(page) == take_result::taken);
      CHECK(pinref::fork_page(page, entry, 1, copy) == fork_result::shared);
      CHECK(copies == 1);
      CHECK(pinref::unpin_user_page(page) == release_result::released);
    }
  }
}

namespace {

// An address space of one page that can fork, copies on write by `Rule`, and answers a pin through gup. What it maps
// holds a reference and is a user of the page.
template <class Host, reuse_rule Rule>
struct cow_space {
  using page_type = typename Host::page;
  using page = page_type;
  static constexpr std::size_t page_size = 4096;
  static constexpr bool marks = Rule == reuse_rule::exclusive_mark;

  explicit cow_space(Host& of) : host(of) {}

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < page_size; }
  pinref::mapping<page> lookup(std::uintptr_t, foll flags) const noexcept {
    if (entry.mapped == nullptr || (pinref::has(flags, foll::write) && !entry.writable())) return {};
    return {entry.mapped, entry.writable()};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<page>& seen) const noexcept {
    return entry.mapped == seen.page && entry.writable() == (seen.token != 0);
  }
  template <class Use>
  gup_error fault_in(std::uintptr_t, foll flags, Use use) noexcept {
    if (pinref::has(flags, foll::write)) write_fault();
    // A page that is shared is not pinned, not even by a reader: it gets a copy.
    else if (marks && !host.marks(*entry.mapped).exclusive)
      copy();
    return use(pinref::mapping<page>{entry.mapped, entry.writable()});
  }
  auto& fork_seq() noexcept { return seq; }

  void map(page& p, bool writable) {
    entry.mapped = &p;
    entry.may_write = writable;
    host.marks(p).users.map();
  }
  void unmap() {
    page& p = *std::exchange(entry.mapped, nullptr);
    (void)host.marks(p).users.unmap();
    (void)pinref::put_page(p);
  }

  void fork_to(cow_space& child, std::size_t pins) {
    page& p = *entry.mapped;
    seq.write_begin();
    bool shared = true;
    if constexpr (marks)
      shared = pinref::fork_page(p, entry, pins, [&](page&) { child.map(host.small(), false); }) == fork_result::shared;
    else
      entry.write_protect();
    if (shared) {
      REQUIRE(pinref::get_page(p) == take_result::taken);
      child.map(p, false);
    }
    seq.write_end();
  }

  // A write through the mapping: the page it lands in.
  page& write() {
    if (!entry.writable()) write_fault();
    return *entry.mapped;
  }

  void write_fault() {
    if (can_reuse<Rule>(*entry.mapped))
      entry.make_writable();
    else
      copy();
  }

  void copy() {
    page& fresh = host.small();
    host.marks(fresh).exclusive = true;
    unmap();
    map(fresh, true);
  }

  Host& host;
  pinref::write_protect_seq<> seq;
  support::object_entry<page> entry;
};

// A3.1: the owner pins for writing and its entry becomes read-only; a scanner holds a reference and the page lock as
// the owner writes. Does the device keep writing where the owner looks?
template <class Host, reuse_rule Rule>
bool owner_keeps_its_page() {
  Host host;
  cow_space<Host, Rule> owner{host};
  owner.map(host.small(), true);
  typename Host::page* pinned = nullptr;
  REQUIRE(pinref::pin_user_pages_fast(owner, 0, 1, foll::write, &pinned).ok());
  owner.entry.write_protect();
  using traits = pinref::page_traits<typename Host::page>;
  REQUIRE(pinref::get_page_unless_zero(*pinned) == take_result::taken);
  traits::lock(*pinned);
  const bool kept = &owner.write() == pinned;
  traits::unlock(*pinned);
  CHECK(pinref::put_page(*pinned) == release_result::released);
  CHECK(pinref::unpin_user_page(*pinned) != release_result::underflow);
  return kept;
}

// CVE-2020-29374: a child pins the page it shares for reading, unmaps it, and the parent writes a secret. Does the
// child read it through its pin?
template <class Host, reuse_rule Rule>
bool child_reads_the_secret() {
  Host host;
  cow_space<Host, Rule> parent{host}, child{host};
  parent.map(host.small(), true);
  parent.fork_to(child, 0);
  REQUIRE(child.entry.mapped == parent.entry.mapped);
  typename Host::page* pinned = nullptr;
  REQUIRE(pinref::pin_user_pages_fast(child, 0, 1, foll::none, &pinned).ok());
  child.unmap();
  const bool leaks = &parent.write() == pinned;
  CHECK(pinref::unpin_user_page(*pinned) != release_result::underflow);
  return leaks;
}

}  // namespace

TEST_CASE_TEMPLATE("A3.1, A3.3: each rule against the owner's pin, and against the child's", Host, ALL_HOSTS) {
  // Counting mappings and swap entries keeps the owner's page, and leaks to the child.
  CHECK(owner_keeps_its_page<Host, reuse_rule::sole_user>());
  CHECK(child_reads_the_secret<Host, reuse_rule::sole_user>());
  // Counting references is the reverse.
  CHECK_FALSE(owner_keeps_its_page<Host, reuse_rule::sole_reference>());
  CHECK_FALSE(child_reads_the_secret<Host, reuse_rule::sole_reference>());
  // The mark is right in both.
  CHECK(owner_keeps_its_page<Host, reuse_rule::exclusive_mark>());
  CHECK_FALSE(child_reads_the_secret<Host, reuse_rule::exclusive_mark>());
}

TEST_CASE_TEMPLATE("a pinned page stays its owner's through a fork, and the child gets a copy", Host, ALL_HOSTS) {
  using space = cow_space<Host, reuse_rule::exclusive_mark>;
  Host host;
  space parent{host}, child{host};
  parent.map(host.small(), true);
  typename Host::page* pinned = nullptr;
  REQUIRE(pinref::pin_user_pages_fast(parent, 0, 1, foll::write, &pinned).ok());
  parent.fork_to(child, 1);
  CHECK(child.entry.mapped != pinned);
  CHECK(&parent.write() == pinned);
  CHECK(pinref::unpin_user_page(*pinned) == release_result::released);
}

TEST_CASE_TEMPLATE("a shared page is not pinned, not even to be read: who asks gets a copy of its own", Host,
                   ALL_HOSTS) {
  using space = cow_space<Host, reuse_rule::exclusive_mark>;
  for (const foll flags : {foll::none, foll::write}) {
    Host host;
    space parent{host}, child{host};
    parent.map(host.small(), true);
    parent.fork_to(child, 1);
    typename Host::page* const shared = parent.entry.mapped;
    REQUIRE(child.entry.mapped == shared);
    typename Host::page* pinned = nullptr;
    CHECK(pinref::pin_user_pages_fast(child, 0, 1, flags | foll::fast_only, &pinned).reason == gup_error::would_block);
    CHECK_FALSE(pinref::page_dma_pinned(*shared));
    CHECK(pinref::pin_user_pages_fast(child, 0, 1, flags, &pinned).ok());
    CHECK(pinned != shared);
    CHECK(pinned == child.entry.mapped);
    CHECK_FALSE(pinref::page_dma_pinned(*shared));
    CHECK(pinref::unpin_user_page(*pinned) == release_result::released);
  }
}

TEST_CASE_TEMPLATE("while a fork is under way no pin is taken without a lock", Host, ALL_HOSTS) {
  Host host;
  cow_space<Host, reuse_rule::exclusive_mark> space{host};
  space.map(host.small(), true);
  typename Host::page* pinned = nullptr;
  space.seq.write_begin();
  CHECK(space.seq.active());
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::fast_only, &pinned).reason == gup_error::would_block);
  CHECK_FALSE(pinref::page_dma_pinned(*space.entry.mapped));
  space.seq.write_end();
  CHECK_FALSE(space.seq.active());
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::fast_only, &pinned).ok());
  CHECK(pinref::unpin_user_page(*pinned) == release_result::released);
}

TEST_CASE_TEMPLATE("a reader that pins the zero page for long gets a page of its own, and so sees the owner's writes",
                   Host, FOREIGN_HOSTS) {
  Host host;
  cow_space<Host, reuse_rule::exclusive_mark> owner{host};
  auto& zero = host.small();
  zero.immortal = true;
  zero.marks.exclusive = false;
  owner.map(zero, false);
  typename Host::page* pages[1] = {};
  for (const bool fast : {true, false}) {
    CAPTURE(fast);
    const auto pin = [&](foll flags) {
      return fast ? pinref::pin_user_pages_fast(owner, 0, 1, flags, pages)
                  : pinref::pin_user_pages(owner, 0, 1, flags, pages);
    };
    // For an instant zeros are zeros, if fault_in does not give a copy anyway.
    if (fast) {
      REQUIRE(pin(foll::none).ok());
      CHECK(pages[0] == &zero);
      CHECK(pinref::unpin_user_pages(pages, 1).ok());
    }
    REQUIRE(pin(foll::longterm).ok());
    CHECK(pages[0] != &zero);
    CHECK(&owner.write() == pages[0]);
    CHECK(pinref::unpin_user_pages(pages, 1).ok());
    owner.unmap();
    owner.map(zero, false);
  }
}
