// SPDX-License-Identifier: MIT

// Taking a page away from whoever holds it by known references: a device's data is never thrown away as clean, and
// waiters and movers do not keep each other waiting.

#include "pinref/protocols/reclaim.hpp"
#include "broken_syncs.hpp"
#include "explored_object.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::deadline;
using pinref::migrate_result;
using pinref::reclaim_result;
using pinref::wait_result;

constexpr auto reached = wait_result::reached;

template <class Layout>
struct cached : object_page<ref_of<Layout>> {
  explorer::ghost<bool> discarded{false};
};

template <class Layout>
cached<Layout>& make(execution& x) {
  auto& p = x.make<cached<Layout>>();
  x.name(p, "page");
  x.name(p.ref, "word");
  x.name(p.data, "data");
  x.name(p.dirty, "dirty");
  p.ref.init();
  return p;
}

// --- Freeze, then look at the dirty bit; against mark, then unpin.

enum class marks { under_the_lock, without_it, after_the_unpin };

template <marks How, class Page>
void device(Page& page) {
  object_page<decltype(page.ref)>* const pinned = &page;
  if (pinref::try_pin_page(*pinned) != taken) return;
  check(!page.discarded.get(), "a discarded page is pinned");
  page.data.write(1);
  if (How == marks::without_it) pinref::page_traits<object_page<decltype(page.ref)>>::set_dirty(page);
  (void)pinref::unpin_user_pages_dirty_lock(&pinned, 1, How == marks::under_the_lock);
  if (How == marks::after_the_unpin) pinref::page_traits<object_page<decltype(page.ref)>>::set_dirty(page);
}

// Looks at the bit first.
template <class Page>
reclaim_result look_and_freeze(Page& page) {
  if (pinref::page_traits<Page>::dirty(page)) return reclaim_result::dirty;
  return page.ref.freeze(1) ? reclaim_result::reclaimed : reclaim_result::busy;
}

template <class Layout, marks How, bool Reversed = false>
void reclaim_against_device(execution& x) {
  auto& page = make<Layout>(x);
  auto& head = static_cast<object_page<ref_of<Layout>>&>(page);
  x.thread([&page] { device<How>(page); });
  x.thread([&page, &head] {
    head.lock.lock();
    if ((Reversed ? look_and_freeze(head) : pinref::reclaim_page(head, 1)) == reclaim_result::reclaimed) {
      page.discarded.set(true);
      check(page.data.read() == 0, "what a device wrote is thrown away");
    }
    head.lock.unlock();
  });
  x.join();
  check(page.discarded.get() || page.ref.snapshot() == Layout::live(1), "kept with its reference");
}

TEST_CASE("a page that a device wrote to is dirty to whoever freezes it") {
  using pinref::bias64, pinref::split32;
  holds({reclaim_against_device<bias64, marks::under_the_lock>, reclaim_against_device<bias64, marks::without_it>,
         reclaim_against_device<split32, marks::under_the_lock>, reclaim_against_device<split32, marks::without_it>,
         reclaim_against_device<tiny, marks::without_it>});
}

TEST_CASE("looking at the dirty bit before freezing, or marking after unpinning, is caught") {
  caught("thrown away", reclaim_against_device<pinref::bias64, marks::without_it, true>);
  caught("thrown away", reclaim_against_device<pinref::bias64, marks::after_the_unpin>);
}

// --- Migration.

template <class Layout, class Sync = explored_sync>
struct moved {
  using page = object_page<ref_of<Layout, Sync>>;

  explicit moved(std::size_t references, std::size_t pins) {
    source.ref.init(references);
    if (pins != 0) (void)source.ref.try_pin(pins);
  }

  migrate_result migrate(const deadline& until = deadline::passed()) {
    const auto move = [](page& from, page& to) {
      to.data.write(from.data.read());
      from.data.destroy();
    };
    return pinref::migrate_page(source, target, 1, move, until);
  }

  page source;
  page target;
};

template <class Layout, class Sync = explored_sync>
moved<Layout, Sync>& make_moved(execution& x, std::size_t references, std::size_t pins) {
  auto& m = x.make<moved<Layout, Sync>>(references, pins);
  x.name(m.source, "source");
  x.name(m.target, "target");
  x.name(m.source.ref, "source word");
  x.name(m.target.ref, "target word");
  return m;
}

// The device finishes; the waiter wakes, whether the page has been moved away meanwhile or not.
template <class Layout, class Sync = explored_sync>
void migrate_against_waiter(execution& x) {
  auto& m = make_moved<Layout, Sync>(x, 1, 1);
  auto& result = x.make<explorer::ghost<int>>(-1);
  x.thread([&m] {
    m.source.data.write(1);
    (void)pinref::unpin_user_page(m.source);
  });
  x.thread([&m] { check(pinref::wait_until_unpinned(m.source) == reached, "nothing else can end the wait"); });
  x.thread([&m, &result] {
    const migrate_result done = m.migrate();
    if (done == migrate_result::migrated) check(m.target.data.read() == 1, "what the device wrote is moved");
    result.set(static_cast<int>(done));
  });
  x.join();
  const auto done = static_cast<migrate_result>(result.get());
  check(done == migrate_result::migrated || done == migrate_result::busy || done == migrate_result::timed_out,
        "nobody cancels");
  const Layout one = Layout::live(1), none{};
  const bool went = done == migrate_result::migrated;
  const Layout left = m.source.ref.snapshot();
  check(went ? left.zone() == pinref::zone::frozen : left == one, "the references are in one place");
  check(m.target.ref.snapshot() == (went ? one : none), "the references are in one place");
}

// A passing reference is waited for, while somebody else waits for the same page.
template <class Layout, class Sync = explored_sync>
void migrate_waits(execution& x) {
  auto& m = make_moved<Layout, Sync>(x, 2, 0);
  x.thread([&m] { (void)pinref::put_page(m.source); });
  x.thread([&m] {
    check(m.migrate(deadline::never()) == migrate_result::migrated, "the reference goes");
    m.source.ref.bury();
  });
  x.thread([&m] { check(m.source.ref.wait_until_idle(1) == reached, "nothing else can end the wait"); });
  x.join();
  check(m.target.ref.snapshot() == Layout::live(1), "the references are moved");
}

// A look-up without a lock takes the page it finds; after the move it is refused.
template <class Layout, class Sync = explored_sync>
void migrate_against_look_up(execution& x) {
  auto& m = make_moved<Layout, Sync>(x, 1, 0);
  x.thread([&m] {
    if (pinref::try_pin_page(m.source) != taken) return;
    m.source.data.write(1);
    (void)pinref::unpin_user_page(m.source);
  });
  x.thread([&m] { (void)m.migrate(); });
  x.join();
  const bool went = m.target.ref.snapshot() == Layout::live(1);
  const Layout left = m.source.ref.snapshot();
  check(went ? left.zone() == pinref::zone::frozen : left == Layout::live(1), "no holder is lost");
}

TEST_CASE("a waiter wakes though its page is frozen and moved away") {
  holds({migrate_against_waiter<pinref::bias64>, migrate_against_waiter<pinref::split32>});
}

TEST_CASE("a migration waits for passing references, beside other waiters") {
  holds({migrate_waits<pinref::bias64>, migrate_waits<pinref::split32>});
}

TEST_CASE("a migration and a look-up without a lock: one of them has the page") {
  holds({migrate_against_look_up<pinref::bias64>, migrate_against_look_up<pinref::split32>,
         migrate_against_look_up<tiny>});
}

TEST_CASE("a migration that looks for holders first and freezes afterwards is caught, and one that wakes nobody") {
  caught("data race", migrate_against_look_up<pinref::bias64, looking_first>);
  caught("lost wake-up", migrate_against_waiter<pinref::bias64, silent>);
  caught("lost wake-up", migrate_waits<pinref::bias64, silent>);
}

}  // namespace
