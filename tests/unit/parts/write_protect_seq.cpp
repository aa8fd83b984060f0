// SPDX-License-Identifier: MIT

// A sequence that keeps lockless pins out of a fork; and pins against a fork of their space, played out in one thread:
// begun before them, between them, or over before the last.

#include "pinref/parts/write_protect_seq.hpp"

#include <doctest/doctest.h>

#include <cstdint>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;

namespace {

template <class Layout>
struct forking_space : support::foreign_space<pinref::page_ref<Layout>> {
  using support::foreign_space<pinref::page_ref<Layout>>::foreign_space;
  pinref::write_protect_seq<>& fork_seq() noexcept { return seq; }
  auto lookup(std::uintptr_t at, foll flags) noexcept {
    ++lookups;
    return support::foreign_space<pinref::page_ref<Layout>>::lookup(at, flags);
  }
  pinref::write_protect_seq<> seq;
  int lookups = 0;
};

// Three pages, each mapped.
template <class Layout>
struct three_pages {
  using space_type = forking_space<Layout>;
  using page = typename space_type::page;

  three_pages() {
    for (std::size_t i = 0; i != 3; ++i) space.map(i);
  }
  gup_result pin(foll flags) {
    return pinref::pin_user_pages_fast(space, space.address(0), 3, foll::write | flags, pages);
  }
  // How often each page is pinned, and that the array says so.
  void pinned(unsigned n) {
    for (std::size_t i = 0; i != 3; ++i) {
      CHECK(space.pages[i].ref.snapshot() == Layout::live(1, n));
      CHECK(pages[i] == (n != 0 ? &space.pages[i] : nullptr));
    }
  }

  space_type space{3};
  page* pages[3] = {};
};

}  // namespace

TEST_CASE_TEMPLATE("while a fork is under way no pin is taken without the host's lock", Layout, ALL_LAYOUTS) {
  three_pages<Layout> t;
  t.space.seq.write_begin();
  CHECK(t.pin(foll::fast_only) == gup_result{0, gup_error::would_block});
  t.pinned(0);
  CHECK(t.pin(foll::none) == gup_result{3, gup_error::none});
  CHECK(t.space.faults == 3);
  t.pinned(1);
  t.space.seq.write_end();
  CHECK(pinref::unpin_user_pages(t.pages, 3).ok());
  CHECK(t.pin(foll::fast_only) == gup_result{3, gup_error::none});
  CHECK(t.space.faults == 3);
}

TEST_CASE_TEMPLATE("pins that a fork may have missed are given back and taken under the host's lock", Layout,
                   ALL_LAYOUTS) {
  for (const bool over : {false, true}) {
    CAPTURE(over);
    three_pages<Layout> t;
    t.space.before_recheck = [&](std::size_t i) {
      if (i != 1) return;
      t.space.seq.write_begin();
      if (over) t.space.seq.write_end();
    };
    SUBCASE("where the call may block") {
      CHECK(t.pin(foll::none) == gup_result{3, gup_error::none});
      CHECK(t.space.faults == 3);
      t.pinned(1);
    }
    SUBCASE("where it may not") {
      CHECK(t.pin(foll::fast_only) == gup_result{0, gup_error::would_block});
      CHECK(t.space.faults == 0);
      t.pinned(0);
    }
  }
}

TEST_CASE_TEMPLATE("references do not mind a fork", Layout, ALL_LAYOUTS) {
  three_pages<Layout> t;
  t.space.seq.write_begin();
  CHECK(pinref::get_user_pages_fast(t.space, t.space.address(0), 3, foll::fast_only, t.pages) ==
        gup_result{3, gup_error::none});
  CHECK(t.space.faults == 0);
}

TEST_CASE_TEMPLATE("the slow call looks up nothing, also in a space that forks", Layout, ALL_LAYOUTS) {
  three_pages<Layout> t;
  CHECK(pinref::pin_user_pages(t.space, t.space.address(0), 3, foll::none, t.pages) == gup_result{3, gup_error::none});
  CHECK(t.space.lookups == 0);
  CHECK(t.space.faults == 3);
  t.pinned(1);
}

TEST_CASE("a sequence is active from the begin of a fork to its end, and tells whoever began before") {
  pinref::write_protect_seq<> seq;
  std::uint32_t before = 1, after = 1;
  CHECK_FALSE(seq.active());
  CHECK(seq.try_read_begin(before));
  CHECK_FALSE(seq.read_retry(before));
  seq.write_begin();
  CHECK(seq.active());
  CHECK(seq.read_retry(before));
  CHECK_FALSE(seq.try_read_begin(after));
  seq.write_end();
  CHECK_FALSE(seq.active());
  CHECK(seq.read_retry(before));
  CHECK(seq.try_read_begin(after));
  CHECK_FALSE(seq.read_retry(after));
}
