// Requests and their owner: whoever releases, each pin is released once.

#include "broken_syncs.hpp"
#include "explored_host.hpp"
#include "pinref/hold/pin_owner.hpp"
#include "pinref/host/sleeping_lock.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::foll;

using lock = pinref::detail::sleeping_lock<explored_sync>;

template <class Layout, class Sync = explored_sync, bool Compound = false>
struct desk : explored_space<ref_of<Layout, Sync>, Compound> {
  using space = explored_space<ref_of<Layout, Sync>, Compound>;
  using page = typename space::page;
  using owner_type = pinref::pin_owner<page, lock>;
  using request_type = pinref::owned_pins<page, lock>;

  static constexpr foll flags = foll::write | foll::fast_only;

  desk() {
    for (std::size_t i = 0; i != 2; ++i) {
      this->pages[i].ref.reset();
      this->entries[i].store(space::entry_of(i), std::memory_order_relaxed);
    }
  }

  bool pin(request_type& request, page** out, std::size_t n = 1) {
    return request.pin_user_pages_fast(*this, 0, n, flags, out).count == n;
  }
  void check_released() {
    check(owner.live() == 0, "the owner holds nothing");
    for (auto& each : this->pages) check(each.ref.snapshot() == Layout::of(1), "each pin is released once");
  }

  owner_type owner{2};
  page* array[2] = {};
};

template <class Desk>
Desk& make(execution& x) {
  auto& d = make_space<Desk>(x);
  x.name(d.owner, "owner");
  return d;
}

template <class Desk>
auto& make_request(execution& x, Desk& d) {
  auto& request = x.make<typename Desk::request_type>(d.owner);
  x.name(request, "request");
  return request;
}

// The request and its owner release at the same time.
template <class Layout, class Sync = explored_sync>
void released_by_both(execution& x) {
  auto& d = make<desk<Layout, Sync>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array, 2), "nothing is in the way");
  auto& released = x.make<explorer::ghost<std::size_t>>();
  x.thread([&request, &released] { released.add(request.unpin().count); });
  x.thread([&d, &released] { released.add(d.owner.unpin_all().count); });
  x.join();
  check(released.get() == 2, "exactly one has released");
  d.check_released();
}

// The request goes on to pin again while the owner releases.
template <class Layout>
void pinned_again(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& request = make_request(x, d);
  x.thread([&d, &request] {
    check(d.pin(request, d.array), "an empty request can pin");
    (void)request.unpin();
    (void)d.pin(request, d.array);
  });
  x.thread([&d] { (void)d.owner.unpin_all(); });
  x.join();
  (void)request.unpin();
  d.check_released();
}

// A completion handler puts its request off when somebody has the page locked; the owner drains meanwhile.
template <class Layout>
void deferred(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array), "nothing is in the way");
  x.thread([&request] { (void)request.unpin_dirty_deferred(); });
  x.thread([&d] {
    if (!d.pages[0].try_lock()) return;
    d.pages[0].unlock();
  });
  x.thread([&d] { (void)d.owner.drain(); });
  x.join();
  (void)d.owner.drain();
  check(d.pages[0].dirty.load(std::memory_order_relaxed) != 0, "marked dirty");
  d.check_released();
}

// Two requests are put off, and two drain.
template <class Layout, class Sync = explored_sync>
void two_deferred(execution& x) {
  auto& d = make<desk<Layout, Sync>>(x);
  d.pages[0].lock();
  auto& released = x.make<explorer::ghost<std::size_t>>();
  for (int i = 0; i < 2; ++i) {
    auto& request = make_request(x, d);
    check(d.pin(request, &d.array[i]), "nothing is in the way");
    x.thread([&request, &released] { released.add(request.unpin_dirty_deferred()); });
  }
  x.thread([&d, &released] {
    d.pages[0].unlock();
    released.add(d.owner.drain());
  });
  x.join();
  released.add(d.owner.drain());
  check(released.get() == 2, "each is released once");
  d.check_released();
}

// A put-off request is used again after the drain, and put off again.
template <class Layout>
void deferred_again(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array), "nothing is in the way");
  d.pages[0].lock();
  x.thread([&d, &request] {
    (void)request.unpin_dirty_deferred();
    d.pages[0].unlock();
    if (d.pin(request, d.array)) (void)request.unpin_dirty_deferred();
  });
  x.thread([&d] { (void)d.owner.drain(); });
  x.join();
  (void)d.owner.drain();
  d.check_released();
}

// A request goes away while its owner releases everything.
template <class Layout, class Sync = explored_sync>
void destroyed(execution& x) {
  auto& d = make<desk<Layout, Sync>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array), "nothing is in the way");
  x.thread([&request] { explorer::destroy(request); });
  x.thread([&d] { (void)d.owner.unpin_all(); });
  x.join();
  d.check_released();
}

template <class Layout>
void destroyed_while_deferred(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array), "nothing is in the way");
  d.pages[0].lock();
  x.thread([&request] {
    (void)request.unpin_dirty_deferred();
    explorer::destroy(request);
  });
  x.thread([&d] { d.pages[0].unlock(); });
  x.thread([&d] { (void)d.owner.unpin_all_dirty_lock(); });
  x.join();
  d.check_released();
}

// Two requests, of which the limit allows one.
template <class Layout, class Sync = explored_sync>
void limited(execution& x) {
  auto& d = make<desk<Layout, Sync>>(x);
  auto& pinned = x.make<explorer::ghost<std::size_t>>();
  auto& most = x.make<explorer::ghost<std::size_t>>();
  using page = typename desk<Layout, Sync>::page;
  page** arrays[2] = {d.array, x.make<std::array<page*, 2>>().data()};
  for (auto* array : arrays) {
    auto& request = make_request(x, d);
    x.thread([&d, &request, &pinned, &most, array] {
      if (!d.pin(request, array, 2)) return;
      pinned.add(2);
      if (pinned.get() > most.get()) most.set(pinned.get());
      pinned.add(static_cast<std::size_t>(-2));
      (void)request.unpin();
    });
  }
  x.join();
  check(most.get() <= 2, "the limit holds");
  d.check_released();
}

// The page's head has changed just before it was pinned: whoever releases must see the head it was pinned on.
template <class Layout>
void released_on_the_right_head(execution& x, bool defer) {
  using desk_type = desk<Layout, explored_sync, true>;
  auto& d = make<desk_type>(x);
  auto& request = make_request(x, d);
  d.pages[0].head_is.store(&d.pages[1], std::memory_order_relaxed);
  x.thread([&d, &request, defer] {
    d.pages[0].head_is.store(nullptr, std::memory_order_relaxed);
    if (!d.pin(request, d.array)) return;
    if (!defer) return;
    d.pages[0].lock();
    (void)request.unpin_dirty_deferred();
    d.pages[0].locked.store(0, std::memory_order_relaxed);  // orders nothing: only the queue may
    d.pages[0].locked.notify_one();
  });
  x.thread([&d, defer] {
    if (defer)
      (void)d.owner.drain();
    else
      (void)d.owner.unpin_all();
  });
  x.join();
  (void)request.unpin();
  (void)d.owner.drain();
  d.check_released();
}

template <class Layout>
void claimed_on_the_right_head(execution& x) {
  released_on_the_right_head<Layout>(x, false);
}
template <class Layout>
void drained_on_the_right_head(execution& x) {
  released_on_the_right_head<Layout>(x, true);
}

PROTOCOL("of a request and its owner exactly one releases", released_by_both<pinref::bias64>,
         released_by_both<pinref::split>, pinned_again<pinref::bias64>)

PROTOCOL("what is put off is drained once", deferred<pinref::bias64>, two_deferred<pinref::bias64>,
         deferred_again<pinref::bias64>)

PROTOCOL("a request may go while its owner releases or drains", destroyed<pinref::bias64>,
         destroyed_while_deferred<pinref::bias64>)

PROTOCOL("two requests do not pass the limit together", limited<pinref::bias64>)

PROTOCOL("whoever releases a request sees its pages as they were pinned", claimed_on_the_right_head<pinref::bias64>,
         drained_on_the_right_head<pinref::bias64>)

TEST_CASE("a claim that looks first and then writes is caught") {
  caught("the owner holds nothing", released_by_both<pinref::bias64, looking_first>);
  caught("", destroyed<pinref::bias64, looking_first>);
}

TEST_CASE("a request that is put on the queue over another is caught") {
  caught("each is released once", two_deferred<pinref::bias64, blind>);
}

TEST_CASE("a limit that is looked at first and charged afterwards is caught") {
  caught("", limited<pinref::bias64, torn>);
}

}  // namespace
