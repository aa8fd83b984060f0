// The reference word of one page: every scheme under every workload.

#include <array>
#include <atomic>
#include <cstddef>
#include <string>

#include "pages.hpp"
#include "paired.hpp"
#include "schemes.hpp"

namespace {

using namespace bench;

template <class Scheme>
BENCH_INLINE void get_put_once(Scheme& page) {
  if (!page.get()) [[unlikely]]
    broken();
  if (page.put()) [[unlikely]]
    broken();
}

template <class Scheme>
BENCH_INLINE void pin_unpin_once(Scheme& page) {
  if (!page.pin()) [[unlikely]]
    broken();
  if (page.unpin()) [[unlikely]]
    broken();
}

template <class Scheme>
struct get_put {
  one_page<Scheme> page;

  void operator()(unsigned, std::size_t ops) {
    Scheme& shared = *page;
    for (; ops != 0; --ops) get_put_once(shared);
  }
};

template <class Scheme>
struct pin_unpin {
  one_page<Scheme> page;

  void operator()(unsigned, std::size_t ops) {
    Scheme& shared = *page;
    for (; ops != 0; --ops) pin_unpin_once(shared);
  }
};

/// One thread gets while the other pins.
template <class Scheme>
struct mixed {
  one_page<Scheme> page;

  void operator()(unsigned thread, std::size_t ops) {
    Scheme& shared = *page;
    if (thread % 2 == 0)
      for (; ops != 0; --ops) get_put_once(shared);
    else
      for (; ops != 0; --ops) pin_unpin_once(shared);
  }
};

class streams {
 public:
  streams() {
    for (std::size_t i = 0; i != all_.size(); ++i) all_[i].seed(i + 1);
  }
  stream& operator[](unsigned thread) { return all_[thread]; }

 private:
  std::array<stream, 2> all_;
};

/// Get and put of random pages: the look-up of a page cache.
template <class Scheme, std::size_t Pages>
struct random_pages {
  pages<Scheme> all{Pages};
  streams numbers;

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    slot<Scheme>* const slots = all.data();
    for (; ops != 0; --ops) get_put_once(slots[mine.next() % Pages].page);
    numbers[thread] = mine;
  }
};

template <class Scheme>
using random4k = random_pages<Scheme, std::size_t{1} << 12>;
template <class Scheme>
using random64k = random_pages<Scheme, std::size_t{1} << 16>;
template <class Scheme>
using random1m = random_pages<Scheme, std::size_t{1} << 20>;

/// A get that is refused.
template <class Scheme>
struct dead {
  one_page<Scheme> page;
  dead() { (*page).kill(); }

  void operator()(unsigned, std::size_t ops) {
    Scheme& shared = *page;
    for (; ops != 0; --ops)
      if (shared.get()) [[unlikely]]
        broken();
  }
};

/// Random pages, of which Percent of a hundred are dead.
template <class Scheme, unsigned Percent>
struct dead_share {
  static constexpr std::size_t n = std::size_t{1} << 16;
  pages<Scheme> all{n};
  streams numbers;

  dead_share() {
    stream which;
    which.seed(99);
    for (std::size_t i = 0; i != n; ++i)
      if (which.next() % 100 < Percent) all.data()[i].page.kill();
  }

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    slot<Scheme>* const slots = all.data();
    for (; ops != 0; --ops) {
      Scheme& page = slots[mine.next() % n].page;
      if (page.get() && page.put()) [[unlikely]]
        broken();
    }
    numbers[thread] = mine;
  }
};

/// The put that frees, of a word put into its state by a plain store.
template <class Scheme>
struct last_put {
  one_page<Scheme> page;
  last_put() { (*page).kill(); }

  void operator()(unsigned, std::size_t ops) {
    Scheme& own = *page;
    for (; ops != 0; --ops) {
      own.place();
      if (!own.put()) [[unlikely]]
        broken();
    }
  }
};

/// A whole life with one holder: revived as an allocator must, and put.
template <class Scheme>
struct one_life {
  one_page<Scheme> page;
  one_life() { (*page).kill(); }

  void operator()(unsigned, std::size_t ops) {
    Scheme& own = *page;
    for (; ops != 0; --ops) {
      own.revive();
      if (!own.put()) [[unlikely]]
        broken();
    }
  }
};

/// Speculative look-ups, counted, against a thread that drops the owner's reference of every page in turn. Whoever puts
/// last starts the page's next life.
template <class Scheme>
struct lookup {
  static constexpr bool background = true;
  static constexpr std::size_t n = 64;

  struct alignas(64) owner {
    std::atomic<bool> holds{true};
  };
  pages<Scheme> all{n};
  std::array<owner, n> owners;
  streams numbers;

  BENCH_INLINE void put(Scheme& page, std::size_t i) {
    if (!page.put()) return;
    page.revive();
    owners[i].holds.store(true, std::memory_order_release);
  }

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    slot<Scheme>* const slots = all.data();
    for (; ops != 0; --ops) {
      const std::size_t i = mine.next() % n;
      Scheme& page = slots[i].page;
      if (thread == 0) {
        if (page.get()) put(page, i);
      } else if (owners[i].holds.load(std::memory_order_acquire)) {
        owners[i].holds.store(false, std::memory_order_relaxed);
        put(page, i);
      }
    }
    numbers[thread] = mine;
  }
};

/// What look-ups are compared with: the same two threads on as many pages, none of which ever dies.
struct bare_lookup : random_pages<bare, lookup<bare>::n> {
  static constexpr bool background = true;
};

/// Holds 32 random pages at once, with or without asking for their lines first.
template <class Scheme, bool Prefetch>
struct batch {
  static constexpr std::size_t n = std::size_t{1} << 20;
  pages<Scheme> all{n};
  streams numbers;

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    slot<Scheme>* const slots = all.data();
    std::array<Scheme*, 32> held;
    for (; ops != 0; --ops) {
      for (Scheme*& page : held) {
        page = &slots[mine.next() % n].page;
        if constexpr (Prefetch) __builtin_prefetch(page, 1);
      }
      for (Scheme* page : held)
        if (!page->get()) [[unlikely]]
          broken();
      for (Scheme* page : held)
        if (page->put()) [[unlikely]]
          broken();
    }
    numbers[thread] = mine;
  }
};

template <class Scheme>
using batch32 = batch<Scheme, false>;
template <class Scheme>
using batch32_prefetched = batch<Scheme, true>;

/// `Work` beside `Base`, and in between `Reference`, which the counter over compares with.
template <class Base, class Reference, class Work>
void compare(const std::string& workload, const std::string& scheme, unsigned nr_threads, double items = 1) {
  add(workload, scheme, nr_threads, [items](benchmark::State& state, unsigned n) {
    Base base;
    Work work;
    if constexpr (std::is_same_v<Reference, Work>) {
      measure(state, n, {contender_of(base, items), contender_of(work, items)});
    } else {
      Reference reference;
      measure(state, n, {contender_of(base, items), contender_of(reference, items), contender_of(work, items)});
    }
  });
}

/// A workload in which every scheme does the same.
template <template <class> class Workload>
void add_all(const std::string& workload, unsigned nr_threads) {
  using base = Workload<bare>;
  using reference = Workload<bias64>;
  compare<base, reference, base>(workload, "bare", nr_threads);
  compare<base, reference, Workload<linux_small>>(workload, "linux_small", nr_threads);
  compare<base, reference, Workload<linux_large>>(workload, "linux_large", nr_threads);
  compare<base, reference, Workload<split>>(workload, "split", nr_threads);
  compare<base, reference, Workload<bias32>>(workload, "bias32", nr_threads);
  compare<base, reference, reference>(workload, "bias64", nr_threads);
}

/// A workload whose unit is the bare pair on one page.
template <template <class> class Workload, class Base = get_put<bare>>
void add_against_pair(const std::string& workload, unsigned nr_threads) {
  using reference = Workload<bias64>;
  compare<Base, reference, Workload<linux_small>>(workload, "linux_small", nr_threads);
  compare<Base, reference, Workload<split>>(workload, "split", nr_threads);
  compare<Base, reference, Workload<bias32>>(workload, "bias32", nr_threads);
  compare<Base, reference, reference>(workload, "bias64", nr_threads);
}

template <unsigned Percent>
void add_dead_share(unsigned nr_threads) {
  const std::string workload = "dead_share_" + std::to_string(Percent);
  using base = random64k<bare>;
  using reference = dead_share<bias64, Percent>;
  compare<base, reference, dead_share<linux_small, Percent>>(workload, "linux_small", nr_threads);
  compare<base, reference, reference>(workload, "bias64", nr_threads);
  compare<base, reference, dead_share<bias64_scan, Percent>>(workload, "bias64_scan", nr_threads);
}

/// One page, hot, beside the same page counted in one word.
void add_hot() {
  for (unsigned threads : {1u, 2u}) {
    compare<get_put<bare>, get_put<bias64>, get_put<hot>>("get_put", "hot", threads);
    compare<pin_unpin<bare>, pin_unpin<bias64>, pin_unpin<hot>>("pin_unpin", "hot", threads);
  }
  compare<mixed<bare>, mixed<bias64>, mixed<hot>>("mixed", "hot", 2);
}

void add_batch() {
  using base = batch32<bare>;
  using best = batch32_prefetched<bias64>;
  compare<base, best, base>("batch32", "bare", 1, 32);
  compare<base, best, batch32<linux_small>>("batch32", "linux_small", 1, 32);
  compare<base, best, batch32<bias64>>("batch32", "bias64", 1, 32);
  compare<base, best, batch32_prefetched<bare>>("batch32_prefetched", "bare", 1, 32);
  compare<base, best, batch32_prefetched<linux_small>>("batch32_prefetched", "linux_small", 1, 32);
  compare<base, best, best>("batch32_prefetched", "bias64", 1, 32);
}

void add_benchmarks() {
  add_all<get_put>("get_put", 1);
  add_all<get_put>("get_put", 2);
  add_all<pin_unpin>("pin_unpin", 1);
  add_all<pin_unpin>("pin_unpin", 2);
  add_all<mixed>("mixed", 2);
  add_all<random4k>("random4k", 1);
  add_all<random4k>("random4k", 2);
  add_all<random64k>("random64k", 1);
  add_all<random64k>("random64k", 2);
  add_all<random1m>("random1m", 1);
  add_all<random1m>("random1m", 2);
  add_against_pair<lookup, bare_lookup>("lookup", 2);
  for (unsigned threads : {1u, 2u}) {
    add_against_pair<dead>("dead", threads);
    compare<get_put<bare>, dead<bias64>, dead<bias64_scan>>("dead", "bias64_scan", threads);
    add_dead_share<0>(threads);
    add_dead_share<20>(threads);
    add_dead_share<50>(threads);
    add_dead_share<90>(threads);
  }
  add_against_pair<last_put>("last_put", 1);
  compare<get_put<bare>, last_put<bias64>, last_put<bias64_sole>>("last_put", "bias64_sole", 1);
  add_against_pair<one_life>("one_life", 1);
  compare<get_put<bare>, one_life<bias64>, one_life<bias64_sole>>("one_life", "bias64_sole", 1);
  add_batch();
  add_hot();

  benchmark::AddCustomContext("bytes_per_page_bias32", std::to_string(sizeof(pinref::page_ref<pinref::bias32>)));
  benchmark::AddCustomContext("bytes_per_page_bias64", std::to_string(sizeof(pinref::page_ref<pinref::bias64>)));
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_all(argc, argv, add_benchmarks);
}
