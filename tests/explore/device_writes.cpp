// SPDX-License-Identifier: MIT

// A host that reclaims and writes back by its own steps: data that a device wrote is never thrown away as clean, nor
// called clean unsaved. What the library does by itself is in reclaim.cpp and writeback.cpp.

#include "explored_host.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::foll;

constexpr auto relaxed = std::memory_order_relaxed;

template <class Layout>
struct cache : explored_space<ref_of<Layout>> {
  explorer::ghost<bool> written{false};
  explorer::ghost<bool> discarded{false};
  explorer::ghost<int> saved{0};
};

template <class Layout>
cache<Layout>& make_cache(execution& x, bool dirty) {
  auto& c = make_space<cache<Layout>>(x);
  c.pages[0].ref.init();
  c.pages[0].dirty.store(dirty ? 1 : 0, relaxed);
  c.entries[0].store(c.entry_of(0), relaxed);
  return c;
}

// A device writes to the page; `Late` marks it dirty only after the unpin.
template <bool Late = false, class Cache>
void device(Cache& c) {
  typename Cache::page* page = nullptr;
  if (pinref::pin_user_pages_fast(c, 0, 1, foll::write | foll::fast_only, &page).count == 0) return;
  page->data.write(2);
  c.written.set(true);
  (void)pinref::unpin_user_pages_dirty_lock(&page, 1, !Late);
  if (Late) page->dirty.store(1, std::memory_order_release);
}

// Throws the page away if nobody holds it and it is clean.
template <class Cache>
void reclaim(Cache& c) {
  auto& page = c.pages[0];
  page.lock();
  if (page.ref.freeze(1)) {
    if (page.dirty.load(relaxed) != 0) {
      page.ref.unfreeze(1);
    } else {
      c.entries[0].store(0, relaxed);
      c.discarded.set(true);
      page.data.destroy();
    }
  }
  page.unlock();
}

template <class Layout, bool Late = false>
void reclaim_against_device(execution& x) {
  auto& c = make_cache<Layout>(x, false);
  x.thread([&c] { device<Late>(c); });
  x.thread([&c] { reclaim(c); });
  x.join();
  check(!(c.written.get() && c.discarded.get()), "what a device wrote is not thrown away");
}

// Saves a dirty page: write-protect, clear the bit, ask, read. Who is pinned keeps its page dirty.
template <bool Hint = false, class Cache>
void writeback(Cache& c) {
  auto& page = c.pages[0];
  c.entries[0].fetch_and(~Cache::writable, relaxed);
  if (page.dirty.exchange(0, std::memory_order_acquire) == 0) return;
  if (Hint ? pinref::page_dma_pinned_hint(page) : pinref::page_dma_pinned(page))
    page.dirty.store(1, std::memory_order_release);
  else
    c.saved.set(page.data.read());
}

template <class Layout, bool Hint = false>
void writeback_against_device(execution& x) {
  auto& c = make_cache<Layout>(x, true);
  x.thread([&c] { device(c); });
  x.thread([&c] { writeback<Hint>(c); });
  x.join();
  check(c.pages[0].dirty.load(relaxed) != 0 || c.saved.get() == c.pages[0].data.read(), "a clean page is a saved page");
}

PROTOCOL("a page that a device wrote to is not reclaimed as clean", reclaim_against_device<pinref::bias64>,
         reclaim_against_device<pinref::split32>)

PROTOCOL("writeback calls no page clean whose data it has not seen", writeback_against_device<pinref::bias64>,
         writeback_against_device<pinref::split32>)

TEST_CASE("marking a page dirty after its unpin is caught") {
  caught("thrown away", reclaim_against_device<pinref::bias64, true>);
}

TEST_CASE("writeback that decides on a hint is caught") {
  caught("data race", writeback_against_device<pinref::bias64, true>);
}

}  // namespace
