// SPDX-License-Identifier: MIT

// The reference word of one page: every scheme under every workload.

#include <array>
#include <cstddef>
#include <string>

#include "pages.hpp"
#include "paired.hpp"
#include "schemes.hpp"
#include "workloads.hpp"

namespace {

using namespace bench;

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

/// What the host's bits in the word cost who only counts.
void add_host_bits() {
  for (unsigned threads : {1u, 2u}) {
    compare<get_put<bare>, get_put<bias64>, get_put<bias64_host_bits>>("get_put", "bias64_host_bits", threads);
    compare<pin_unpin<bare>, pin_unpin<bias64>, pin_unpin<bias64_host_bits>>("pin_unpin", "bias64_host_bits", threads);
  }
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
  for (unsigned threads : {1u, 2u}) {
    add_against<dead, get_put<bare>>("dead", threads);
    compare<get_put<bare>, dead<bias64>, dead<bias64_scan>>("dead", "bias64_scan", threads);
    add_dead_share<0>(threads);
    add_dead_share<20>(threads);
    add_dead_share<50>(threads);
    add_dead_share<90>(threads);
  }
  add_against<last_put, get_put<bare>>("last_put", 1);
  compare<get_put<bare>, last_put<bias64>, last_put<bias64_sole>>("last_put", "bias64_sole", 1);
  add_against<one_life, get_put<bare>>("one_life", 1);
  compare<get_put<bare>, one_life<bias64>, one_life<bias64_sole>>("one_life", "bias64_sole", 1);
  add_batch();
  add_hot();
  add_host_bits();

  benchmark::AddCustomContext("bytes_per_page_bias32", std::to_string(sizeof(pinref::page_ref<pinref::bias32>)));
  benchmark::AddCustomContext("bytes_per_page_bias64", std::to_string(sizeof(pinref::page_ref<pinref::bias64>)));
}

}  // namespace

BENCH_MAIN(add_benchmarks)
