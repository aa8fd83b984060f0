// SPDX-License-Identifier: MIT

// From an address to a page without a lock: the page is the one that is mapped there, and whoever write-protects the
// entry and asks whether the page is pinned is never unaware of a pinner that is unaware of it.

#include "broken_syncs.hpp"
#include "explored_host.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::foll;
using pinref::gup_result;

template <class Layout, class Sync = explored_sync>
using space_of = explored_space<ref_of<Layout, Sync>>;

// Page 0 mapped at an address, the mapping holding one reference.
template <class Space>
Space& make_mapped(execution& x) {
  auto& s = make_space<Space>(x);
  s.pages[0].ref.init();
  s.entries[0].store(Space::entry_of(0), std::memory_order_relaxed);
  return s;
}

// --- Write-protect, ask, read; against pin, look again, write.

template <class Space>
bool pin_and_write(Space& s) {
  typename Space::page* page = nullptr;
  if (pinref::pin_user_pages_fast(s, 0, 1, foll::write | foll::fast_only, &page).count == 0) return false;
  page->data.write(2);
  (void)pinref::unpin_user_pages(&page, 1);
  return true;
}

template <class Space>
void protect_and_read(Space& s) {
  s.entries[0].fetch_and(~Space::writable, std::memory_order_relaxed);
  if (!pinref::page_dma_pinned(s.pages[0])) s.pages[0].data.read();
}

template <class Layout, class Sync = explored_sync>
void write_protect(execution& x) {
  auto& s = make_mapped<space_of<Layout, Sync>>(x);
  x.thread([&s] { (void)pin_and_write(s); });
  x.thread([&s] { protect_and_read(s); });
  x.join();
  check(s.pages[0].ref.snapshot() == Layout::live(1), "the mapping's reference is left");
}

// Two devices, one of which pins the page twice.
template <class Layout>
void write_protect_against_two(execution& x) {
  auto& s = make_mapped<space_of<Layout>>(x);
  x.thread([&s] { (void)pin_and_write(s); });
  x.thread([&s] {
    typename space_of<Layout>::page* page = nullptr;
    if (pinref::pin_user_pages_fast(s, 0, 1, foll::fast_only, &page).count == 0) return;
    (void)pinref::add_pin(*page);
    (void)pinref::unpin_user_folio(*page, 2);
  });
  x.thread([&s] { protect_and_read(s); });
  x.join();
  check(s.pages[0].ref.snapshot() == Layout::live(1), "the mapping's reference is left");
}

// Somebody freezes the page meanwhile, so that the pin may be made on a dead word and count after it.
template <class Layout>
void write_protect_while_frozen(execution& x) {
  auto& s = make_mapped<space_of<Layout>>(x);
  x.thread([&s] { (void)pin_and_write(s); });
  x.thread([&s] { protect_and_read(s); });
  x.thread([&s] {
    if (s.pages[0].ref.freeze(1)) s.pages[0].ref.unfreeze(1);
  });
  x.join();
  check(s.pages[0].ref.snapshot() == Layout::live(1), "the mapping's reference is left");
}

PROTOCOL("a pinner and a write-protector that asks are never both unaware", write_protect<pinref::bias64>,
         write_protect<tiny>, write_protect<pinref::split32>)

PROTOCOL("nor are two pinners", write_protect_against_two<pinref::bias64>)

PROTOCOL("nor is one whose pin was made while the page was frozen", write_protect_while_frozen<pinref::bias64>,
         write_protect_while_frozen<pinref::split32>)

// The entry is not looked at again.
template <class Ref>
struct trusting_space : explored_space<Ref> {
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<explored_page<Ref>>&) noexcept { return true; }
};

TEST_CASE("a question that is only a load is caught") {
  caught("data race", write_protect<pinref::bias64, asking_by_load>);
  caught("data race", write_protect<pinref::split32, asking_by_load>);
}

TEST_CASE("a pinner that does not look again is caught") {
  caught("data race", [](execution& x) {
    auto& s = make_mapped<trusting_space<ref_of<pinref::bias64>>>(x);
    x.thread([&s] { (void)pin_and_write(s); });
    x.thread([&s] { protect_and_read(s); });
  });
}

// --- Unmap and reuse for another address.

// The last holder maps the page at address 1, with other data.
template <class Space>
struct reusing_space : Space {
  reusing_space() {
    this->pages[0].on_free = [this] {
      check(this->pages[0].freed.get() == 1, "freed once");
      this->pages[0].data.write(2);
      this->pages[0].ref.init();
      this->entries[1].store(Space::entry_of(0), std::memory_order_relaxed);
    };
  }

  void unmap() {
    this->entries[0].store(0, std::memory_order_relaxed);
    (void)pinref::put_page(this->pages[0]);
  }
};

template <class Space>
void read_at(Space& s, std::uintptr_t address) {
  typename Space::page* page = nullptr;
  if (pinref::get_user_pages_fast(s, address, 1, foll::fast_only, &page).count == 0) return;
  check(page->data.read() == static_cast<int>(address) + 1, "the page is the one of this address");
  (void)pinref::release_pages(&page, 1);
}

template <class Space>
void reuse_of(execution& x) {
  auto& s = make_mapped<reusing_space<Space>>(x);
  x.thread([&s] { s.unmap(); });
  x.thread([&s] { read_at(s, 0); });
  x.thread([&s] { read_at(s, 1); });
  x.join();
  check(s.pages[0].freed.get() == 1, "freed once");
  check(s.pages[0].ref.snapshot() == std::remove_cvref_t<decltype(s.pages[0].ref)>::layout::live(1),
        "held by its entry");
}

template <class Layout>
void reuse(execution& x) {
  reuse_of<space_of<Layout>>(x);
}

PROTOCOL("no page is handed out for the address it was mapped at before", reuse<pinref::bias64>, reuse<pinref::split32>)

TEST_CASE("a look-up that does not look again hands out the wrong page, and is caught") {
  caught("the page is the one of this address", reuse_of<trusting_space<ref_of<pinref::bias64>>>);
}

// --- A page on its way out of a compound page, or into one.

template <class Layout>
using compound_space = explored_space<ref_of<Layout>, true>;

// Both pages, as one compound page with one reference, or as two with one each.
template <class Layout>
compound_space<Layout>& make_pair(execution& x, bool compound) {
  auto& s = make_space<compound_space<Layout>>(x);
  if (compound) s.pages[1].head_is.store(&s.pages[0], std::memory_order_relaxed);
  s.pages[0].ref.init();
  if (!compound) s.pages[1].ref.init();
  return s;
}

// Takes page 1 and reads it; what it reads must belong to the head it was taken on.
template <class Page>
void take_and_read(Page& page, int in_compound, int alone) {
  if (pinref::try_pin_page(page) != taken) return;
  const bool is_tail = &pinref::compound_head(page) != &page;
  check(page.data.read() == (is_tail ? in_compound : alone), "the page is in the state it was taken in");
  (void)pinref::unpin_user_page(page);
}

template <class Layout, int Readers>
void split(execution& x) {
  auto& s = make_pair<Layout>(x, true);
  auto* const pages = s.pages;
  pages[0].on_free = [pages] {
    check(pages[0].freed.get() == 1, "freed once");
    pages[1].data.write(2);
    pages[1].head_is.store(nullptr, std::memory_order_relaxed);
    pages[0].ref.init();
    pages[1].ref.init();
  };
  x.thread([pages] { (void)pinref::put_page(pages[0]); });
  for (int i = 0; i < Readers; ++i) x.thread([pages] { take_and_read(pages[1], 1, 2); });
  x.join();
  check(pages[0].ref.snapshot() == Layout::live(1), "no holder of page 1 is left on page 0");
  check(pages[1].ref.snapshot() == Layout::live(1), "no holder of page 0 is left on page 1");
}

template <class Layout>
void merge(execution& x) {
  auto& s = make_pair<Layout>(x, false);
  auto* const pages = s.pages;
  x.thread([pages] {
    if (!pages[1].ref.freeze(1)) return;
    if (!pages[0].ref.freeze(1)) return pages[1].ref.unfreeze(1);
    pages[1].data.write(2);
    pages[1].head_is.store(&pages[0], std::memory_order_relaxed);
    pages[1].ref.bury();
    pages[0].ref.unfreeze(1);
  });
  x.thread([pages] { take_and_read(pages[1], 2, 1); });
  x.thread([pages] { take_and_read(pages[1], 2, 1); });
  x.join();
  const bool merged = &pinref::compound_head(pages[1]) == &pages[0];
  check(pages[0].ref.snapshot() == Layout::live(1), "no holder is left on page 0");
  check(pages[1].ref.snapshot() == (merged ? Layout{} : Layout::live(1)), "no holder is left on page 1");
}

PROTOCOL("a holder of a page that leaves its compound page is counted on the right head", split<pinref::bias64, 2>,
         split<pinref::split32, 1>)

PROTOCOL("a holder of a page that joins a compound page is counted on the right head", merge<pinref::bias64>,
         merge<pinref::split32>)

// Two pages that were free become one.
template <class Layout, bool HeadStartsLast = true>
void make_compound(execution& x) {
  auto& s = make_space<compound_space<Layout>>(x);
  auto* const pages = s.pages;
  x.thread([pages] {
    pages[1].data.write(2);
    if (!HeadStartsLast) pages[0].ref.init();
    pages[1].head_is.store(&pages[0], std::memory_order_relaxed);
    if (HeadStartsLast) pages[0].ref.init();
  });
  x.thread([pages] { take_and_read(pages[1], 2, 1); });
  x.thread([pages] {
    if (pinref::try_pin_page(pages[0]) != taken) return;
    check(&pinref::compound_head(pages[1]) == &pages[0], "who holds the head holds the tail");
    (void)pinref::unpin_user_page(pages[1]);
  });
  x.join();
  check(pages[0].ref.snapshot() == Layout::live(1), "no holder is left on page 0");
  check(pages[1].ref.snapshot() == Layout{}, "the tail is dead");
}

PROTOCOL("a compound page that is made of free ones is taken whole or not at all", make_compound<pinref::bias64>,
         make_compound<pinref::split32>)

TEST_CASE("a compound page that is alive before its tails know their head is caught") {
  caught("who holds the head holds the tail", make_compound<pinref::bias64, false>);
}

// Its owner does not freeze it.
TEST_CASE("a compound page that is split while somebody else may hold it is caught") {
  caught("no holder of page 1 is left on page 0", [](execution& x) {
    auto& s = make_pair<pinref::bias64>(x, true);
    auto* const pages = s.pages;
    x.thread([pages] {
      pages[1].head_is.store(nullptr, std::memory_order_relaxed);
      pages[1].ref.init();
    });
    x.thread([pages] {
      if (pinref::try_pin_page(pages[1]) == taken) (void)pinref::unpin_user_page(pages[1]);
    });
    x.join();
    check(pages[0].ref.snapshot() == pinref::bias64::live(1), "no holder of page 1 is left on page 0");
  });
}

// The head is not read again after the take.
template <class Page>
void take_once_and_read(Page& page) {
  Page& head = pinref::compound_head(page);
  if (head.ref.try_pin() != taken) return;
  (void)page.data.read();
  (void)pinref::unpin_user_page(page);
}

TEST_CASE("a take that does not look at the head again is caught") {
  caught("no holder of page 1 is left on page 0", [](execution& x) {
    auto& s = make_pair<pinref::bias64>(x, true);
    auto* const pages = s.pages;
    x.thread([pages] {
      if (!pages[0].ref.freeze(1)) return;
      pages[1].head_is.store(nullptr, std::memory_order_relaxed);
      pages[0].ref.unfreeze(1);
      pages[1].ref.init();
    });
    x.thread([pages] { take_once_and_read(pages[1]); });
    x.join();
    check(pages[0].ref.snapshot() == pinref::bias64::live(1), "no holder of page 1 is left on page 0");
  });
}

}  // namespace
