// SPDX-License-Identifier: MIT

// The races of the registration cache: whoever is told that memory is nobody's may do with it what it likes, and no
// transfer goes through a registration that has ended.

#include <cstdint>
#include <type_traits>

#include "broken_syncs.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/range_queue.hpp"
#include "pinref/host/region_index.hpp"
#include "pinref/host/registration_cache.hpp"
#include "pinref/host/shadow.hpp"
#include "pinref/page/page.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::deadline;
using pinref::foll;
using pinref::gup_error;

constexpr unsigned rights = 1;

// --- The parts.

// One range is there all the time, and two more come while it is looked for.
template <bool Visit>
void finding(execution& x) {
  using index = pinref::detail::region_index<3, explored_sync>;
  auto& all = x.make<index>();
  const auto stays = [](std::uint32_t) noexcept { return false; };
  all.change(stays, {10, 19, 1});
  x.thread([&all, stays] {
    all.change(stays, {0, 9, 0});
    all.change(stays, {20, 29, 2});
  });
  x.thread([&all] {
    bool found = !Visit && all.find(15) == 1;
    if (Visit) all.for_each_in(12, 13, [&found](std::uint32_t number) noexcept { found = found || number == 1; });
    check(found, "what is there all the time is found");
  });
}

// What was written before a range came is seen by who finds it.
void finding_after(execution& x) {
  using index = pinref::detail::region_index<2, explored_sync>;
  auto& all = x.make<index>();
  auto& data = x.make<explorer::plain<int>>(0);
  x.thread([&] {
    data.write(1);
    all.change([](std::uint32_t) noexcept { return false; }, {10, 19, 1});
  });
  x.thread([&] {
    if (all.find(15) == 1) check(data.read() == 1, "as it was published");
  });
  x.thread([&] {
    all.for_each_in(15, 15, [&](std::uint32_t number) noexcept {
      if (number == 1) (void)data.read();
    });
  });
}

PROTOCOL("a range that stays is found while others come, and as it was published", finding<false>, finding<true>,
         finding_after)

// Either the range is drained, or who pushed it sees what came before the drain.
void telling(execution& x) {
  struct shared {
    pinref::detail::range_queue<2, explored_sync> told;
    explored_sync::atomic<int> published{0};
    explorer::ghost<int> heard{0}, seen{0};
  };
  auto& s = x.make<shared>();
  x.thread([&s] {
    s.told.push(3, 5);
    s.seen.set(s.published.load(std::memory_order_relaxed));
  });
  x.thread([&s] {
    s.published.store(1, std::memory_order_relaxed);
    s.told.drain([&s](std::uintptr_t first, std::uintptr_t last) noexcept {
      check(first == 3 && last == 5, "the range is whole");
      s.heard.set(1);
    });
  });
  x.join();
  check(s.heard.get() == 1 || s.seen.get() == 1, "one of the two sees the other");
}

// Nothing is lost when the room is used up, or used again.
void telling_more(execution& x) {
  struct shared {
    pinref::detail::range_queue<1, explored_sync> told;
    explorer::ghost<int> heard{0};
    void drain() {
      told.drain([this](std::uintptr_t first, std::uintptr_t last) noexcept {
        check((first == 0 && last == UINTPTR_MAX) || first + 1 == last, "the range is whole");
        for (const int each : {1, 2})
          if (first <= static_cast<std::uintptr_t>(10 * each) && static_cast<std::uintptr_t>(10 * each) < last)
            heard.set(heard.get() | each);
      });
    }
  };
  auto& s = x.make<shared>();
  for (const std::uintptr_t each : {std::uintptr_t{10}, std::uintptr_t{20}})
    x.thread([&s, each] { s.told.push(each, each + 1); });
  x.thread([&s] { s.drain(); });
  x.join();
  s.drain();
  check(s.heard.get() == 3, "both are heard");
}

PROTOCOL("a range that is told is heard, whoever comes first", telling, telling_more)

// --- The shadow.

// Words come from memory that is made ready like this; in a program they are zeros.
template <class Page>
pinref::shadow_memory words() {
  pinref::shadow_memory from;
  from.map = [](std::size_t bytes) noexcept -> void* {
    auto* const at = static_cast<Page*>(::operator new(bytes));
    for (std::size_t i = 0; i != bytes / sizeof(Page); ++i) new (at + i) Page{decltype(Page::ref)(pinref::bias64{0})};
    return at;
  };
  from.unmap = [](void* at, std::size_t bytes) noexcept {
    for (std::size_t i = 0; i != bytes / sizeof(Page); ++i) static_cast<Page*>(at)[i].~Page();
    ::operator delete(at);
  };
  return from;
}

void shadow_close(execution& x) {
  using words_of = pinref::shadow<ref_of<pinref::bias64>, 2, 1, 0>;
  struct shared {
    words_of all{words<words_of::page>()};
    explorer::plain<int> memory{0};
    void transfer() {
      words_of::page* page = nullptr;
      if (!pinref::pin_user_pages_fast(all, 1, 1, foll::none, &page).ok()) return;
      (void)memory.read();
      (void)pinref::unpin_user_pages(&page, 1);
    }
  };
  auto& s = x.make<shared>();
  x.thread([&s] { s.transfer(); });
  x.thread([&s] {
    if (s.all.close(0, 2) != gup_error::none) return;
    s.memory.write(1);
    s.all.open(0, 2);
  });
}

PROTOCOL("whoever has closed a range of the shadow has the memory alone", shadow_close)

// --- The cache.

// Transfers read what a registration stands for; the end of a registration writes it.
struct key {
  explorer::plain<int> live{0};
  int began = 0;  // what `news` was
};

template <bool KnowsOnlyRanges = false>
struct device {
  using handle = key;
  static constexpr std::size_t granule = 1;

  gup_error register_memory(std::uintptr_t, std::size_t, unsigned, key& k) noexcept {
    k.live.write(1);
    k.began = news.get();
    registered.add(1);
    newest.set(&k);
    return gup_error::none;
  }
  bool deregister(key& k) noexcept {
    check(k.live.read() == 1, "a registration ends once");
    (KnowsOnlyRanges ? *newest.get() : k).live.write(0);
    registered.add(-1);
    return true;
  }

  explorer::ghost<int> registered{0}, news{0};
  explorer::ghost<key*> newest{nullptr};
};

template <class Sync = explored_sync, std::size_t Max = 2, class Device = device<>>
struct world {
  using cache_type = pinref::registration_cache<Device, Max, Sync, 1>;
  using region = typename cache_type::region;

  static region* pin(cache_type& from, std::uintptr_t at, std::size_t length, foll flags = foll::none) {
    return from.pin(at, length, rights, flags).region;
  }
  region* pin(std::uintptr_t at, std::size_t length = 1, foll flags = foll::none) {
    return pin(cache, at, length, flags);
  }
  void unpin(region* held) {
    check(pinref::unpin_user_page(*held) == pinref::release_result::released, "the cache still holds it");
  }
  // One transfer from the memory.
  void transfer(std::uintptr_t at, foll flags = foll::none) {
    region* const held = pin(at, 1, flags);
    if (held == nullptr) return;
    use(held);
    unpin(held);
  }
  void use(region* held) {
    check(held->handle().live.read() == 1, "no transfer through a registration that has ended");
    (void)memory.read();
  }
  void take_away(const deadline& until) {
    if (cache.close(0, 1, until) != gup_error::none) return;
    memory.write(memory.read() + 1);
    check(cache.open(0, 1), "it was closed");
  }

  Device nic;
  cache_type cache{nic};
  explorer::plain<int> memory{0};
  explored_sync::atomic<int> told{0};
};

template <class Sync, std::size_t Max = 2, class Device = device<>>
auto& make_world(execution& x, std::uintptr_t cached = 0) {
  auto& w = x.make<world<Sync, Max, Device>>();
  x.name(w.memory, "memory");
  w.transfer(cached);
  return w;
}

template <class Sync>
void hit_against_close(execution& x) {
  auto& w = make_world<Sync>(x);
  x.thread([&w] { w.transfer(0, foll::fast_only); });
  x.thread([&w] { w.take_away(deadline::passed()); });
}

template <class Sync>
void hit_against_waiting_close(execution& x) {
  auto& w = make_world<Sync>(x);
  x.thread([&w] { w.transfer(0, foll::fast_only); });
  x.thread([&w] { w.take_away(deadline::never()); });
  x.join();
  check(w.memory.read() == 1, "the range was closed in the end");
  check(w.nic.registered.get() == 0, "nothing is registered there");
}

template <class Sync>
void miss_against_close(execution& x) {
  auto& w = make_world<Sync>(x, 5);
  x.thread([&w] { w.transfer(0); });
  x.thread([&w] { w.take_away(deadline::passed()); });
}

PROTOCOL("whoever has closed a range has the memory alone, and a transfer has its registration",
         hit_against_close<explored_sync>, hit_against_waiting_close<explored_sync>, miss_against_close<explored_sync>)

// After a range was told no transfer begins on a registration from before.
template <class Sync>
void hit_against_tell(execution& x) {
  auto& w = make_world<Sync>(x);
  x.thread([&w] {
    w.cache.tell(0, 1);
    w.told.store(1, std::memory_order_release);
  });
  x.thread([&w] {
    const bool gone = w.told.load(std::memory_order_acquire) != 0;
    auto* const held = w.pin(0, 1, foll::fast_only);
    if (held == nullptr) return;
    check(!gone, "no transfer begins after a range was told");
    w.use(held);
    w.unpin(held);
  });
}

template <class Sync>
void publishing_against_tell(execution& x) {
  auto& w = make_world<Sync>(x, 5);
  x.thread([&w] {
    w.nic.news.set(1);
    w.cache.tell(0, 1);
    w.told.store(1, std::memory_order_release);
  });
  x.thread([&w] { w.transfer(0); });
  x.join();
  auto* const held = w.pin(0, 1, foll::fast_only);
  if (held == nullptr) return;
  check(held->handle().began == 1, "no transfer begins after a range was told");
  w.unpin(held);
}

PROTOCOL("after a range is told no transfer begins in it", hit_against_tell<explored_sync>)

template <class Sync>
void merge_against_hit(execution& x) {
  auto& w = make_world<Sync>(x);
  x.thread([&w] { w.transfer(0, foll::fast_only); });
  x.thread([&w] {
    auto* const held = w.pin(0, 2);
    check(held != nullptr && held->length() == 2, "there is room for it");
    w.use(held);
    w.unpin(held);
  });
  x.join();
  w.cache.reap();
  check(w.nic.registered.get() == 1, "the merged region is left");
}

template <class Sync>
void evict_against_hit(execution& x) {
  auto& w = make_world<Sync, 1>(x);
  x.thread([&w] { w.transfer(0, foll::fast_only); });
  x.thread([&w] { w.transfer(5); });
  x.join();
  check(w.nic.registered.get() == 1, "there is room for one");
}

// The old registration ends in one thread while the same range is registered by the other.
template <class Device>
void ending_against_registering(execution& x) {
  auto& w = make_world<explored_sync, 2, Device>(x);
  auto* const old = w.pin(0);
  w.cache.tell(0, 1);
  x.thread([&w, old] {
    w.use(old);
    w.unpin(old);
    w.cache.reap();
  });
  x.thread([&w] { w.transfer(0); });
  x.join();
  w.cache.reap();
  check(w.nic.registered.get() == 1, "the new one is left");
}

template <class Sync>
void missing_twice(execution& x) {
  auto& w = make_world<Sync>(x, 5);
  for (int i = 0; i != 2; ++i) x.thread([&w] { w.transfer(0); });
  x.join();
  check(w.nic.registered.get() == 2, "registered once");
}

// Too big to be seen whole.
void holds_within(int switches, const program& big) {
  const auto r = explorer::explore({.preemption_bound = switches}, big);
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK_MESSAGE(r.exhausted, "too big to see every execution");
}

TEST_CASE("a registration that is published after its range was told is not used") {
  holds_within(3, publishing_against_tell<explored_sync>);
}

TEST_CASE("a region that gives way to another is there until its last pin") {
  holds_within(2, merge_against_hit<explored_sync>);
  holds_within(1, evict_against_hit<explored_sync>);
}

TEST_CASE("a registration that ends is not taken for the new one of its range") {
  holds_within(2, ending_against_registering<device<>>);
}

TEST_CASE("two misses of one range register once") {
  holds_within(2, missing_twice<explored_sync>);
}

// --- Broken variants.

// A region is claimed by a look and a write, instead of by one exchange.
struct claiming_by_a_look : explored_sync {
  template <class T>
  using atomic = std::conditional_t<sizeof(T) == 8, looking_first::atomic<T>, explorer::atomic<T>>;
};

// Bits are not set: those of the queue's news, or those of the regions' words.
template <std::size_t Size, class Base = explored_sync>
struct setting_no_bits : Base {
  template <class T>
  struct atomic : Base::template atomic<T> {
    using base = typename Base::template atomic<T>;
    using base::base;
    T fetch_or(T mask, std::memory_order how, explorer::place at = {}) noexcept {
      return sizeof(T) == Size ? this->load(std::memory_order_acquire, at) : base::fetch_or(mask, how, at);
    }
  };
};

TEST_CASE("a close and an eviction that do not claim the region at once are caught") {
  caught("data race", hit_against_close<claiming_by_a_look>, {.preemption_bound = 2});
  caught("data race", evict_against_hit<claiming_by_a_look>, {.preemption_bound = 2});
}

// Each of the two is enough.
TEST_CASE("a merge that neither closes the region nor claims it at once is caught") {
  caught("data race", merge_against_hit<setting_no_bits<8, claiming_by_a_look>>, {.preemption_bound = 2});
}

TEST_CASE("a hit that does not look again is caught") {
  caught("no transfer begins after a range was told", [](execution& x) {
    using world_type = world<>;
    auto& w = make_world<explored_sync>(x);
    x.thread([&w] {
      w.cache.tell(0, 1);
      w.told.store(1, std::memory_order_release);
    });
    x.thread([&w] {
      struct trusting : world_type::cache_type::view<> {
        using view = world_type::cache_type::view<>;
        using view::view;
        bool recheck(const pinref::extent_request&, const view::extent&) noexcept { return true; }
      };
      trusting space{w.cache, rights};
      world_type::region* held = nullptr;
      pinref::extent_part<trusting::extent> part;
      const bool gone = w.told.load(std::memory_order_acquire) != 0;
      if (!pinref::pin_extents(space, 0, 1, foll::fast_only, {&held, 1}, {&part, 1}).ok()) return;
      check(!gone, "no transfer begins after a range was told");
      w.unpin(held);
    });
  });
}

TEST_CASE("a range that is told and not queued, or queued and not closed, is caught") {
  caught("no transfer begins after a range was told", publishing_against_tell<setting_no_bits<4>>,
         {.preemption_bound = 2});
  caught("no transfer begins after a range was told", hit_against_tell<setting_no_bits<8>>);
}

TEST_CASE("a close that nobody wakes is caught") {
  caught("lost wake-up", hit_against_waiting_close<silent>);
}

// Closed for new transfers, but not waited for.
TEST_CASE("memory that is taken away after a close that was refused is caught") {
  caught("data race", [](execution& x) {
    auto& w = make_world<explored_sync>(x);
    x.thread([&w] { w.transfer(0, foll::fast_only); });
    x.thread([&w] {
      w.cache.tell(0, 1);
      w.memory.write(1);
    });
  });
}

TEST_CASE("a device that ends registrations by their range, and not by their handle, is caught") {
  caught("data race", ending_against_registering<device<true>>);
}

}  // namespace
