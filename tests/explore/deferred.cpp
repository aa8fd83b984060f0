// SPDX-License-Identifier: MIT

// Pages that die where nothing may block, pushed to a list and freed by whoever drains it.

#include "pinref/parts/deferred_list.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

struct item : freed_once {
  item() { ref.init(); }
  ref_of<tiny> ref;
  pinref::list_link link;
};

template <pinref::list_links Links>
struct host {
  // The release of a holder, where nothing may block.
  void put(item& page) {
    if (page.ref.put() == last) dead.push(page);
  }
  std::size_t drain() {
    return dead.drain([](item& page) noexcept { page.free(); });
  }

  item pages[3];
  pinref::deferred_list<item, &item::link, Links, explored_sync> dead;
};

template <pinref::list_links Links>
host<Links>& make(execution& x) {
  auto& h = x.make<host<Links>>();
  x.name(h.dead, "list");
  for (item& page : h.pages) x.name(page.ref, "word");
  return h;
}

template <pinref::list_links Links>
void two_push_one_drains(execution& x) {
  auto& h = make<Links>(x);
  auto& drained = x.make<explorer::ghost<std::size_t>>(std::size_t{0});
  x.thread([&h] { h.put(h.pages[0]); });
  x.thread([&h] { h.put(h.pages[1]); });
  x.thread([&] { drained.add(h.drain()); });
  x.join();
  drained.add(h.drain());
  check(drained.get() == 2 && h.dead.empty(), "every page was freed");
}

template <pinref::list_links Links>
void two_drain(execution& x) {
  auto& h = make<Links>(x);
  h.put(h.pages[0]);
  h.put(h.pages[1]);
  auto& drained = x.make<explorer::ghost<std::size_t>>(std::size_t{0});
  x.thread([&] { drained.add(h.drain()); });
  x.thread([&] {
    h.put(h.pages[2]);
    drained.add(h.drain());
  });
  x.join();
  drained.add(h.drain());
  check(drained.get() == 3, "every page was freed once");
}

// Its next owner uses a page at once, also for the same list.
void freed_pages_come_back(execution& x) {
  auto& h = make<pinref::list_links::addresses>(x);
  h.put(h.pages[0]);
  x.thread([&h] {
    (void)h.dead.drain([&h](item& page) noexcept {
      page.data.write(2);
      page.ref.init();
      h.put(page);
    });
  });
  x.thread([&h] { h.put(h.pages[1]); });
  x.join();
  std::size_t n = 0;
  (void)h.dead.drain([&n](item&) noexcept { ++n; });
  check(n == 1 || n == 2, "what came back, and what was pushed");
}

// Pages that are written to by whoever gives them up, and by whoever drains them.
template <pinref::list_links Links>
struct shelf {
  struct item {
    pinref::page_ref<pinref::bias64, explored_sync> ref;
    pinref::list_link link;
    explorer::plain<int> data{0};
    explorer::ghost<int> freed{0};
  };
  using list = pinref::deferred_list<item, &item::link, Links, explored_sync>;

  // The last release pushes; the links are plain data of the item.
  void put(item& page, int value) {
    page.data.write(value);
    if (page.ref.put() == last) dead.push(page);
  }
  void drain() {
    (void)dead.drain([](item& page) {
      check(page.data.read() != 0, "the item is seen as its freer left it");
      page.data.write(0);
      page.freed.add(1);
    });
  }

  list dead;
  item items[2];
};

template <pinref::list_links Links>
shelf<Links>& make_shelf(execution& x) {
  auto& s = x.make<shelf<Links>>();
  x.name(s.dead, "list");
  for (auto& each : s.items) {
    x.name(each.data, "data");
    each.ref.init();
  }
  return s;
}

template <pinref::list_links Links>
void drained_by_two(execution& x) {
  auto& s = make_shelf<Links>(x);
  x.thread([&s] {
    s.put(s.items[0], 1);
    s.drain();
  });
  x.thread([&s] {
    s.put(s.items[1], 2);
    s.drain();
  });
  x.join();
  s.drain();
  for (auto& each : s.items) check(each.freed.get() == 1, "each is freed once");
}

// An item comes back while the list that it was on is being drained.
template <pinref::list_links Links>
void pushed_again(execution& x) {
  auto& s = make_shelf<Links>(x);
  s.put(s.items[0], 1);
  x.thread([&s] {
    (void)s.dead.drain([&s](auto& page) {
      page.freed.add(1);
      page.ref.init();
      s.put(page, 2);
    });
  });
  x.thread([&s] { s.put(s.items[1], 3); });
  x.thread([&s] { s.drain(); });
  x.join();
  s.drain();
  check(s.dead.empty(), "nothing is left on it");
  check(s.items[0].freed.get() >= 1 && s.items[1].freed.get() >= 1, "each is freed");
}

constexpr auto addresses = pinref::list_links::addresses;
constexpr auto offsets = pinref::list_links::offsets;

PROTOCOL("pages pushed to a deferred list are freed once, after what their last holders did",
         two_push_one_drains<addresses>, two_push_one_drains<offsets>, two_drain<addresses>, two_drain<offsets>,
         freed_pages_come_back, drained_by_two<addresses>, drained_by_two<offsets>, pushed_again<addresses>)

TEST_CASE("a page that is pushed, or drained, without order is caught") {
  using explorer::op, explorer::weaken;
  constexpr auto relaxed = std::memory_order_relaxed;
  caught("data race", drained_by_two<addresses>,
         {.orders = weaken(op::cas, std::memory_order_release, relaxed, "list")});
  caught("data race", drained_by_two<addresses>,
         {.orders = weaken(op::rmw, std::memory_order_acquire, relaxed, "list")});
}

}  // namespace
