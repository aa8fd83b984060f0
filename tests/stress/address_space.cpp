// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "crew.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_result;
using pinref::protection;
using stress::crew;
using stress::nr_threads;
using stress::steps;

namespace {

// The default host, with others running between a look at an entry and the take that follows it.
template <class Ref>
class interrupted_table {
 public:
  using table = pinref::basic_page_table<Ref>;
  using page = typename table::page;
  static constexpr std::size_t page_size = table::page_size;

  interrupted_table(table& under, stress::random& choices) : under_(under), choices_(choices) {}

  bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept { return under_.contains(first, last); }
  pinref::mapping<page> lookup(std::uintptr_t address, foll flags) noexcept {
    const pinref::mapping<page> seen = under_.lookup(address, flags);
    if (choices_.once_in(8)) std::this_thread::yield();
    return seen;
  }
  bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) noexcept {
    return under_.recheck(address, seen);
  }
  template <class Use>
  pinref::gup_error fault_in(std::uintptr_t address, foll flags, Use use) noexcept {
    return under_.fault_in(address, flags, use);
  }

 private:
  table& under_;
  stress::random& choices_;
};

constexpr std::size_t nr_indices = 4;
constexpr std::uintptr_t base = 0x100000;

std::uintptr_t address(std::size_t index) {
  return base + index * 4096;
}

}  // namespace

TEST_CASE_TEMPLATE(
    "whoever holds a page through its address has the page of that address, while others remap and reuse", Layout,
    ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  using frame = pinref::basic_frame<ref>;
  pinref::basic_frame_arena<ref> arena{1};
  pinref::basic_page_table<ref> space{arena, base, nr_indices};
  REQUIRE(arena.valid());
  REQUIRE(space.map(base, nr_indices, protection::read_write));
  std::atomic<unsigned> wrong{0};
  std::atomic<std::size_t> looked{0};

  const auto remap = [&](stress::random& choices) {
    const std::size_t index = choices.below(nr_indices);
    if (choices.once_in(4)) {
      space.unmap(address(index), 1);
      wrong += !space.map(address(index), 1, protection::read_write);
      return;
    }
    frame* const fresh = arena.allocate();
    if (fresh == nullptr) return;
    // Plain memory: nobody else may read or write it until it is mapped.
    const std::size_t stamp = index + 1;
    std::memcpy(arena.data(*fresh), &stamp, sizeof stamp);
    if (!space.map_page(address(index), *fresh, protection::read_write)) (void)pinref::put_page(*fresh);
  };

  const auto look = [&](stress::random& choices, interrupted_table<ref>& through) {
    const std::size_t first = choices.below(nr_indices), n = 1 + choices.below(nr_indices - first);
    const bool pin = choices.once_in(2);
    const foll flags = choices.once_in(4) ? foll::none : foll::fast_only;
    frame* pages[nr_indices];
    const gup_result held = pin ? pinref::pin_user_pages_fast(through, address(first), n, flags, pages)
                                : pinref::get_user_pages_fast(through, address(first), n, flags, pages);
    for (std::size_t i = 0; i != held.count; ++i) {
      std::size_t stamp;
      std::memcpy(&stamp, arena.data(*pages[i]), sizeof stamp);
      // A page that a fault brought in is zero.
      wrong += stamp != 0 && stamp != first + i + 1;
      wrong += pin && !pinref::page_dma_pinned(*pages[i]);
    }
    looked += held.count;
    const gup_result released =
        pin ? pinref::unpin_user_pages(pages, held.count) : pinref::release_pages(pages, held.count);
    wrong += released != gup_result{held.count, pinref::gup_error::none};
  };

  crew(nr_threads, [&](unsigned index, stress::random& choices) {
    interrupted_table<ref> through(space, choices);
    for (unsigned i = 0; i != steps(20'000); ++i)
      if (index < 2)
        remap(choices);
      else
        look(choices, through);
  });
  CHECK(wrong == 0);
  CHECK(looked > 0);
  space.unmap(base, nr_indices);
  CHECK(arena.nr_free() == arena.nr_frames());
}

TEST_CASE_TEMPLATE("unmap, then ask: a page found unpinned is not pinned through the old mapping afterwards", Layout,
                   ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  using frame = pinref::basic_frame<ref>;
  pinref::basic_frame_arena<ref> arena{1};
  pinref::basic_page_table<ref> space{arena, base, 1};
  REQUIRE(space.map(base, 1, protection::read_write));
  REQUIRE(pinref::fault_in_user_pages(space, base, 1, foll::write).ok());
  frame* found[1];
  REQUIRE(pinref::get_user_pages_fast(space, base, 1, foll::none, found).ok());
  frame& page = *found[0];
  std::atomic<unsigned> wrong{0}, pinners{nr_threads - 1};
  std::atomic<std::size_t> answered{0};
  // Written by pinners only. Read between the question and the next fault, which these reads come before.
  std::atomic<std::size_t> data{0};
  crew(nr_threads, [&](unsigned index, stress::random& choices) {
    if (index != 0) {
      interrupted_table<ref> through(space, choices);
      for (unsigned i = 0; i != steps(20'000); ++i) {
        frame* pages[1];
        if (!pinref::pin_user_pages_fast(through, base, 1, foll::write | foll::fast_only, pages).ok()) {
          std::this_thread::yield();
          continue;
        }
        data.fetch_add(1, std::memory_order_relaxed);
        wrong += !pinref::unpin_user_pages(pages, 1).ok();
      }
      --pinners;
      return;
    }
    while (pinners != 0) {
      space.write_protect(base);
      if (!pinref::page_dma_pinned(page)) {
        ++answered;
        const std::size_t before = data.load(std::memory_order_acquire);
        if (choices.once_in(4)) std::this_thread::yield();
        wrong += data.load(std::memory_order_acquire) != before;
      }
      // Writable again, by a fault.
      wrong += !pinref::fault_in_user_pages(space, base, 1, foll::write).ok();
      if (choices.once_in(4)) std::this_thread::yield();
    }
  });
  CHECK(wrong == 0);
  CHECK(answered > 0);
  CHECK(pinref::release_pages(found, 1).ok());
  CHECK(page.ref().snapshot() == Layout::live(1));
}
