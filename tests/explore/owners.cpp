// SPDX-License-Identifier: MIT

// Requests and their owner: whoever releases, each pin is released once.

#include <optional>
#include <span>
#include <utility>

#include "broken_syncs.hpp"
#include "explored_host.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
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
  using request_type = pinref::pin_request<page, lock>;

  static constexpr foll flags = foll::write | foll::fast_only;

  desk() {
    for (std::size_t i = 0; i != 2; ++i) {
      this->pages[i].ref.init();
      this->entries[i].store(space::entry_of(i), std::memory_order_relaxed);
    }
  }

  bool pin(request_type& request, page** out, std::size_t n = 1, std::uintptr_t from = 0) {
    return request.pin_user_pages_fast(*this, from, flags, std::span(out, n)).count == n;
  }
  void check_released() {
    check(owner.live() == 0, "the owner holds nothing");
    for (auto& each : this->pages) check(each.ref.snapshot() == Layout::live(1), "each pin is released once");
  }

  owner_type owner{2};
  page* array[2] = {};
  page* other_array[2] = {};
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
    x.thread([&request, &released] { released.add(request.unpin_dirty_deferred().count); });
  }
  x.thread([&d, &released] {
    d.pages[0].unlock();
    released.add(d.owner.drain().count);
  });
  x.join();
  released.add(d.owner.drain().count);
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
  for (auto* array : {d.array, d.other_array}) {
    auto& request = make_request(x, d);
    x.thread([&d, &request, array] {
      if (!d.pin(request, array, 2)) return;
      check(d.pages[0].ref.pins() == 1, "the limit holds");
      (void)request.unpin();
    });
  }
  x.join();
  d.check_released();
}

// A request that does not fit beside one that does.
template <class Layout, class Sync = explored_sync>
void beside_one_that_never_fits(execution& x) {
  auto& d = make<desk<Layout, Sync>>(x);
  auto& holder = make_request(x, d);
  check(d.pin(holder, d.array), "nothing is in the way");
  auto& too_big = make_request(x, d);
  auto& small = make_request(x, d);
  x.thread([&d, &too_big] { check(!d.pin(too_big, d.other_array, 2), "the limit holds"); });
  x.thread([&d, &small] { check(d.pin(small, d.array + 1), "what fits is not refused"); });
  x.join();
  (void)holder.unpin();
  (void)small.unpin();
  d.check_released();
}

// Who has a page locked makes a request, and ends one, before the page is unlocked that a drain sleeps on.
template <class Layout, class Sync = explored_sync>
void made_under_a_page_lock(execution& x) {
  using desk_type = desk<Layout, Sync>;
  auto& d = make<desk_type>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array), "nothing is in the way");
  d.pages[0].lock();
  check(request.unpin_dirty_deferred().count == 0, "put off");
  x.thread([&d] { (void)d.owner.drain(); });
  x.thread([&d] {
    {
      typename desk_type::request_type another{d.owner};
      check(d.pin(another, d.other_array), "nothing is in the way");
    }
    d.pages[0].unlock();
  });
  x.join();
  d.check_released();
}

// The same with requests that the owner is to release as well: it has one in hand at a time.
template <class Layout, class Sync = explored_sync>
void ended_under_a_page_lock(execution& x, bool defer) {
  auto& d = make<desk<Layout, Sync>>(x);
  auto& second = make_request(x, d);
  auto& first = make_request(x, d);
  check(d.pin(first, d.array) && d.pin(second, d.other_array, 1, 1), "nothing is in the way");
  d.pages[0].lock();
  if (defer) {
    d.pages[1].lock();
    check(first.unpin_dirty_deferred().count + second.unpin_dirty_deferred().count == 0, "put off");
    d.pages[1].unlock();
  }
  x.thread([&d, defer] {
    if (defer)
      (void)d.owner.drain();
    else
      (void)d.owner.unpin_all_dirty_lock();
  });
  x.thread([&d, &second] {
    explorer::destroy(second);
    d.pages[0].unlock();
  });
  x.join();
  d.check_released();
}
template <class Layout>
void held_under_a_page_lock(execution& x) {
  ended_under_a_page_lock<Layout>(x, false);
}
template <class Layout>
void put_off_under_a_page_lock(execution& x) {
  ended_under_a_page_lock<Layout>(x, true);
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

// The request pins as much as the limit allows, again, as soon as its owner lets it.
template <class Layout>
void pinned_to_the_limit_again(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array, 2), "nothing is in the way");
  x.thread([&d, &request] {
    (void)request.unpin();
    const auto done = request.pin_user_pages_fast(d, 0, d.flags, d.array);
    check(done.ok() || done.reason == pinref::gup_error::busy, "what the owner has released is not counted any more");
  });
  x.thread([&d] { (void)d.owner.unpin_all(); });
  x.join();
  (void)request.unpin();
  d.check_released();
}

// Of two requests that are put off one goes, and comes again with another owner, while two drain.
template <class Layout>
void gone_while_drained(execution& x) {
  using desk_type = desk<Layout>;
  using request_type = typename desk_type::request_type;
  auto& d = make<desk_type>(x);
  auto& another_owner = x.make<typename desk_type::owner_type>();
  auto& rest = make_request(x, d);
  auto& first = x.make<std::optional<request_type>>(std::in_place, d.owner);
  x.name(first, "first");
  check(d.pin(*first, d.array) && d.pin(rest, d.other_array), "nothing is in the way");
  d.pages[0].lock();
  check(first->unpin_dirty_deferred().count + rest.unpin_dirty_deferred().count == 0, "put off");
  d.pages[0].unlock();
  x.thread([&first, &another_owner] { first.emplace(another_owner); });
  x.thread([&d] { (void)d.owner.drain(); });
  x.join();
  check(!pinref::page_dma_pinned(d.pages[0]), "all that was put off is drained");
  d.check_released();
}

// Of two requests that are put off one is used again, and put off again, while the owner drains.
template <class Layout>
void put_off_again_while_drained(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& rest = make_request(x, d);
  auto& first = make_request(x, d);
  check(d.pin(first, d.array) && d.pin(rest, d.other_array), "nothing is in the way");
  d.pages[0].lock();
  check(first.unpin_dirty_deferred().count + rest.unpin_dirty_deferred().count == 0, "put off");
  x.thread([&d, &first] {
    d.pages[0].unlock();
    if (!d.pin(first, d.array)) return;
    d.pages[0].lock();
    (void)first.unpin_dirty_deferred();
    d.pages[0].unlock();
  });
  x.thread([&d] { (void)d.owner.drain(); });
  x.join();
  (void)d.owner.drain();
  d.check_released();
}

// What is put off is drained by two, and the rest released by a third.
template <class Layout>
void drained_by_two(execution& x, bool release_the_rest) {
  auto& d = make<desk<Layout>>(x);
  auto& second = make_request(x, d);
  auto& first = make_request(x, d);
  check(d.pin(first, d.array) && d.pin(second, d.other_array), "nothing is in the way");
  d.pages[0].lock();
  auto& released = x.make<explorer::ghost<std::size_t>>();
  check(first.unpin_dirty_deferred().count == 0, "put off");
  if (!release_the_rest) check(second.unpin_dirty_deferred().count == 0, "put off");
  d.pages[0].unlock();
  x.thread([&d, &released] { released.add(d.owner.drain().count); });
  x.thread([&d, &released, release_the_rest] {
    released.add((release_the_rest ? d.owner.unpin_all() : d.owner.drain()).count);
  });
  x.join();
  check(released.get() == 2, "each is released once");
  d.check_released();
}
template <class Layout>
void two_drains(execution& x) {
  drained_by_two<Layout>(x, false);
}
template <class Layout>
void drain_beside_unpin_all(execution& x) {
  drained_by_two<Layout>(x, true);
}

// A completion handler puts a request off and then says so, without order: who hears of it and drains misses nothing
// once it has synchronized with the handler.
template <class Layout>
void drain_after_the_handler(execution& x) {
  auto& d = make<desk<Layout>>(x);
  auto& request = make_request(x, d);
  auto& done = x.make<explorer::atomic<std::uint32_t>>(0u);
  check(d.pin(request, d.array), "nothing is in the way");
  d.pages[0].lock();
  x.thread([&d, &request, &done] {
    check(request.unpin_dirty_deferred().count == 0, "put off");
    d.pages[0].unlock();
    done.store(1, std::memory_order_release);
  });
  x.thread([&d, &done] {
    if (done.load(std::memory_order_acquire) == 0) return;
    (void)d.owner.drain();
    check(d.owner.live() == 0, "a drain finds what was put off before it");
  });
  x.join();
  (void)d.owner.drain();
  d.check_released();
}

// A request goes away, sleeping as long as its owner has it in hand.
template <class Layout, class Sync = explored_sync>
void destroyed_while_drained(execution& x) {
  auto& d = make<desk<Layout, Sync>>(x);
  auto& request = make_request(x, d);
  check(d.pin(request, d.array), "nothing is in the way");
  d.pages[0].lock();
  check(request.unpin_dirty_deferred().count == 0, "put off");
  x.thread([&request] { explorer::destroy(request); });
  x.thread([&d] { (void)d.owner.drain(); });
  d.pages[0].unlock();
  x.join();
  d.check_released();
}

PROTOCOL("of a request and its owner exactly one releases", released_by_both<pinref::bias64>,
         released_by_both<pinref::split32>, pinned_again<pinref::bias64>)

PROTOCOL("an owner's release comes before what its request does next", pinned_to_the_limit_again<pinref::bias64>)

PROTOCOL("what is put off is drained once", deferred<pinref::bias64>, two_deferred<pinref::bias64>,
         deferred_again<pinref::bias64>, two_drains<pinref::bias64>, drain_beside_unpin_all<pinref::bias64>,
         drain_after_the_handler<pinref::bias64>)

PROTOCOL("the end or the next use of one request costs no other its drain", gone_while_drained<pinref::bias64>,
         put_off_again_while_drained<pinref::bias64>)

PROTOCOL("a request may go while its owner releases or drains", destroyed<pinref::bias64>,
         destroyed_while_deferred<pinref::bias64>, destroyed_while_drained<pinref::bias64>)

PROTOCOL("two requests do not pass the limit together", limited<pinref::bias64>)

PROTOCOL("a request is refused only if it does not fit", beside_one_that_never_fits<pinref::bias64>)

PROTOCOL("nobody sleeps on a page while others need the owner", made_under_a_page_lock<pinref::bias64>,
         held_under_a_page_lock<pinref::bias64>, put_off_under_a_page_lock<pinref::bias64>)

PROTOCOL("whoever releases a request sees its pages as they were pinned", claimed_on_the_right_head<pinref::bias64>,
         drained_on_the_right_head<pinref::bias64>)

TEST_CASE("an owner that wakes nobody is caught") {
  caught("lost wake-up: T1 sleeps on request", destroyed<pinref::bias64, silent>);
  caught("lost wake-up: T1 sleeps on request", destroyed_while_drained<pinref::bias64, silent>);
}

TEST_CASE("a claim that looks first and then writes is caught") {
  caught("the owner holds nothing", released_by_both<pinref::bias64, looking_first>);
  caught("use after destroy", destroyed<pinref::bias64, looking_first>);
}

TEST_CASE("a limit that is looked at first and charged afterwards is caught") {
  caught("the limit holds", limited<pinref::bias64, blind>);
}

}  // namespace
