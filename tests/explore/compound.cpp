// SPDX-License-Identifier: MIT

// A compound page is made and split while look-ups take its pages: what they take stays with the page they asked for.

#include "pinref/gup/page_range.hpp"
#include "pinref/host/frame_arena.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

struct leaf {
  leaf& head() noexcept {
    leaf* const seen = of.load(std::memory_order_relaxed);
    return seen != nullptr ? *seen : *this;
  }
  void set_head(leaf& to) noexcept { of.store(&to, std::memory_order_relaxed); }
  std::size_t nr_pages() noexcept { return n.load(std::memory_order_relaxed); }
  void set_nr_pages(std::size_t to) noexcept { n.store(static_cast<std::uint32_t>(to), std::memory_order_relaxed); }
  std::uint64_t frame_number() noexcept { return static_cast<std::uint64_t>(this - first); }
  leaf& nth_page(std::size_t i) noexcept { return this[i]; }
  void free_page() noexcept { freed.add(1); }

  ref_of<pinref::bias32> ref;
  explored_sync::atomic<leaf*> of{nullptr};
  explored_sync::atomic<std::uint32_t> n{1};
  explored_sync::atomic<bool> mapped{true};
  explorer::plain<int> data{1};
  explorer::ghost<int> freed{0};
  leaf* first = nullptr;
};
static_assert(pinref::composable_page<leaf> && pinref::freeable_page<leaf>);

struct pair {
  pair() {
    for (leaf& each : pages) {
      each.first = pages;
      each.ref.init();
    }
  }
  leaf pages[2];
};

pair& make(execution& x) {
  auto& p = x.make<pair>();
  x.name(p.pages[0], "page0");
  x.name(p.pages[1], "page1");
  return p;
}

pair& make_compound(execution& x) {
  auto& p = make(x);
  check(pinref::freeze_page_range(p.pages[0], 2), "nobody else is there yet");
  pinref::make_compound_page(p.pages[0], 2);
  return p;
}

// Takes the second page by look-up. While it is held nobody changes which page counts for it, nor for how many, and its
// owner has prepared it.
void look_up(leaf& page) {
  if (pinref::try_pin_page(page) != taken) return;
  leaf& head = pinref::compound_head(page);
  (void)page.data.read();
  check(pinref::page_dma_pinned(head), "the page that counts for it is pinned");
  check(&pinref::compound_head(page) == &head, "and stays so");
  check(head.nr_pages() == (&head == &page ? 1 : 2), "and knows for how many it counts");
  pinref::unpin_user_page(page);
}

void made(execution& x) {
  auto& p = make(x);
  x.thread([&p] {
    if (!pinref::freeze_page_range(p.pages[0], 2)) return;
    for (leaf& each : p.pages) each.data.write(2);
    pinref::make_compound_page(p.pages[0], 2);
  });
  x.thread([&p] { look_up(p.pages[1]); });
  x.join();
  check(p.pages[0].freed.get() == 0 && p.pages[1].freed.get() == 0, "nobody gave up the last reference");
}

void split_again(execution& x) {
  auto& p = make_compound(x);
  x.thread([&p] {
    if (!pinref::freeze_page_range(p.pages[0], 2)) return;
    for (leaf& each : p.pages) each.data.write(2);
    pinref::split_compound_page(p.pages[0]);
  });
  x.thread([&p] { look_up(p.pages[1]); });
  x.join();
  check(pinref::page_references(p.pages[1]) == 1 && !pinref::any_dma_pinned(p.pages[0], 2), "no hold is left anywhere");
}

// All of a range or none of it, whatever becomes of its pages.
void all_or_none(execution& x) {
  auto& p = make(x);
  x.thread([&p] {
    if (!pinref::freeze_page_range(p.pages[0], 2)) return;
    for (leaf& each : p.pages) each.data.write(2);
    pinref::thaw_page_range(p.pages[0], 2);
  });
  x.thread([&p] {
    const pinref::gup_result done = pinref::pin_page_range(p.pages[0], 2);
    check(done.count == (done.ok() ? 2 : 0), "all or none");
    if (!done.ok()) return;
    for (leaf& each : p.pages) (void)each.data.read();
    (void)pinref::unpin_user_page_range(&p.pages[0], 2);
  });
  x.join();
  for (leaf& each : p.pages) check(each.ref.snapshot() == pinref::bias32::live(1), "as it was before");
}

void whole_compound_pages_are_pinned_by_one_atomic(execution& x) {
  auto& p = make_compound(x);
  x.thread([&p] {
    if (pinref::freeze_page_range(p.pages[0], 2)) pinref::split_compound_page(p.pages[0]);
  });
  x.thread([&p] {
    const pinref::gup_result done = pinref::pin_page_range(p.pages[0], 2);
    if (!done.ok()) return;
    check(pinref::page_dma_pinned(p.pages[0]) && pinref::page_dma_pinned(p.pages[1]), "both are pinned");
    (void)pinref::unpin_user_page_range(&p.pages[0], 2);
  });
  x.join();
  check(!pinref::any_dma_pinned(p.pages[0], 2), "no hold is left anywhere");
}

// Whoever holds the head of a page that was split may go on to the pages behind it: they live.
void split_and_gone_through(execution& x) {
  auto& p = make_compound(x);
  x.thread([&p] {
    if (pinref::freeze_page_range(p.pages[0], 2)) pinref::split_compound_page(p.pages[0]);
  });
  x.thread([&p] {
    if (pinref::try_pin_page(p.pages[0]) != taken) return;
    if (&pinref::compound_head(p.pages[1]) == &p.pages[1]) {
      check(pinref::try_pin_page(p.pages[1]) == taken, "the page behind it lives");
      pinref::unpin_user_page(p.pages[1]);
    }
    pinref::unpin_user_page(p.pages[0]);
  });
  x.join();
}

// Of a pinner that looks at the mapping afterwards, and an owner that takes the mapping away and then asks about the
// range, one knows of the other.
void asked_about_as_a_range(execution& x) {
  auto& p = make(x);
  x.thread([&p] {
    p.pages[1].mapped.store(false, std::memory_order_relaxed);
    if (!pinref::any_dma_pinned(p.pages[0], 2)) (void)p.pages[1].data.read();
  });
  x.thread([&p] {
    if (pinref::try_pin_page(p.pages[1]) != taken) return;
    if (p.pages[1].mapped.load(std::memory_order_relaxed)) p.pages[1].data.write(2);
    pinref::unpin_user_page(p.pages[1]);
  });
  x.join();
}

PROTOCOL("a look-up holds the page it asked for, while compound pages are made and split", made, split_again,
         split_and_gone_through)
PROTOCOL("a pinner and an owner that asks about a range are never both unaware", asked_about_as_a_range)
PROTOCOL("a range is taken as a whole or not at all", all_or_none, whole_compound_pages_are_pinned_by_one_atomic)

// The tails come alive before they say that they are pages of their own.
void split_in_the_wrong_order(execution& x) {
  auto& p = make_compound(x);
  x.thread([&p] {
    if (!pinref::freeze_page_range(p.pages[0], 2)) return;
    p.pages[1].ref.init();
    p.pages[0].ref.unfreeze(1);
    p.pages[0].set_nr_pages(1);
    p.pages[1].set_head(p.pages[1]);
  });
  x.thread([&p] { look_up(p.pages[1]); });
  x.join();
}

}  // namespace

TEST_CASE("a compound page whose tails leave it after it is alive again is caught") {
  caught("the page that counts for it is pinned", split_in_the_wrong_order);
}
