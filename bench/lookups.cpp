// SPDX-License-Identifier: MIT

// What a page cache does all day: look-ups in an index without a lock, against threads that take pages away, and the
// question whether a page is pinned.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "keys.hpp"
#include "pages.hpp"
#include "paired.hpp"
#include "schemes.hpp"
#include "workloads.hpp"

namespace {

using namespace bench;

/// Speculative look-ups, counted, against the second thread, which drops the owner's reference of every page in turn.
/// Whoever puts last starts the page's next life.
template <class Scheme>
struct freed_lookup {
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
      if (thread != 1) {
        if (page.get()) put(page, i);
      } else if (owners[i].holds.load(std::memory_order_acquire)) {
        owners[i].holds.store(false, std::memory_order_relaxed);
        put(page, i);
      }
    }
    numbers[thread] = mine;
  }
};

/// An index without a lock: a slot for each key with the number of its page. A look-up: slot, speculative get, slot
/// again, put. A replacement freezes a key's page if only the index holds it, puts a spare one under the key, and keeps
/// the frozen page for another key.
template <class Scheme, std::size_t Keys>
class lockless_index {
 public:
  lockless_index() : page_of_(Keys) {
    for (std::uint32_t key = 0; key != Keys; ++key) {
      page_of_[key].store(key, std::memory_order_relaxed);
      all_.data()[key].key = key;
    }
    for (std::uint32_t i = 0; i != nr_spares; ++i) {
      spares_[i] = static_cast<std::uint32_t>(Keys + i);
      if (!all_.data()[spares_[i]].page.freeze()) broken();
    }
  }

  BENCH_INLINE void look_up(std::size_t key) {
    const std::uint32_t number = page_of_[key].load(std::memory_order_acquire);
    slot<Scheme>& found = all_.data()[number];
    if (!found.page.get()) return;
    // Held, but perhaps for another key by now.
    if (page_of_[key].load(std::memory_order_acquire) == number && found.key != key) [[unlikely]]
      broken();
    if (found.page.put()) [[unlikely]]
      broken();
  }

  BENCH_INLINE void replace(std::size_t key) {
    const std::uint32_t old = page_of_[key].load(std::memory_order_relaxed);
    if (!all_.data()[old].page.freeze()) return;
    const std::uint32_t fresh = std::exchange(spares_[next_spare_++ % nr_spares], old);
    all_.data()[fresh].key = static_cast<std::uint32_t>(key);
    all_.data()[fresh].page.unfreeze();
    page_of_[key].store(fresh, std::memory_order_release);
  }

 private:
  static constexpr std::size_t nr_spares = 64;

  pages<Scheme> all_{Keys + nr_spares};
  std::vector<std::atomic<std::uint32_t>> page_of_;
  std::array<std::uint32_t, nr_spares> spares_;
  std::size_t next_spare_ = 0;
};

/// The bare pair on the same keys, and nothing is replaced.
template <std::size_t Keys>
class bare_index {
 public:
  BENCH_INLINE void look_up(std::size_t key) { get_put_once(all_.data()[key].page); }
  BENCH_INLINE void replace(std::size_t key) { look_up(key); }

 private:
  pages<bare> all_{Keys};
};

/// The same job with what the standard library has: a slot is a shared pointer that may be exchanged.
template <std::size_t Keys>
class shared_ptr_index {
 public:
  shared_ptr_index() : page_of_(Keys) {
    for (std::size_t key = 0; key != Keys; ++key) replace(key);
  }

  BENCH_INLINE void look_up(std::size_t key) {
    const std::shared_ptr<std::size_t> held = page_of_[key].load(std::memory_order_acquire);
    if (*held != key) [[unlikely]]
      broken();
  }
  BENCH_INLINE void replace(std::size_t key) {
    page_of_[key].store(std::make_shared<std::size_t>(key), std::memory_order_release);
  }

 private:
  std::vector<std::atomic<std::shared_ptr<std::size_t>>> page_of_;
};

/// The counted thread, and all from the third on, look keys up while the second replaces their pages without a pause.
template <class Index, std::size_t Keys, template <std::size_t> class Distribution>
struct churned {
  static constexpr bool background = true;

  Index index;
  std::vector<Distribution<Keys>> wanted{most_threads()};
  uniform<Keys> victims;

  churned() {
    for (std::size_t i = 0; i != wanted.size(); ++i) wanted[i].seed(i + 1);
    victims.seed(2);
  }
  void operator()(unsigned thread, std::size_t ops) {
    Distribution<Keys>& mine = wanted[thread];
    if (thread != 1)
      for (; ops != 0; --ops) index.look_up(mine.next());
    else
      for (; ops != 0; --ops) index.replace(victims.next());
  }
};

/// Is this page pinned? Asked of random pages, alone or while the other thread pins and unpins them.
template <class Scheme>
struct query {
  static constexpr bool background = true;
  static constexpr std::size_t n = std::size_t{1} << 12;

  pages<Scheme> all{n};
  streams numbers;
  std::size_t nr_pinned = 0;

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    slot<Scheme>* const slots = all.data();
    if (thread == 0)
      for (; ops != 0; --ops) nr_pinned += slots[mine.next() % n].page.pinned();
    else
      for (; ops != 0; --ops) pin_unpin_once(slots[mine.next() % n].page);
    numbers[thread] = mine;
    benchmark::DoNotOptimize(nr_pinned);
  }
};

/// The unit of questions and of look-ups against frees: both threads get and put.
template <std::size_t Pages>
struct bare_pages : random_pages<bare, Pages> {
  static constexpr bool background = true;
};

template <std::size_t Keys, template <std::size_t> class Distribution>
void add_index(const std::string& workload) {
  using base = churned<bare_index<Keys>, Keys, Distribution>;
  using reference = churned<lockless_index<bias64, Keys>, Keys, Distribution>;
  compare<base, reference, churned<lockless_index<linux_small, Keys>, Keys, Distribution>>(workload, "linux_small", 2);
  compare<base, reference, churned<lockless_index<split, Keys>, Keys, Distribution>>(workload, "split", 2);
  compare<base, reference, churned<lockless_index<bias32, Keys>, Keys, Distribution>>(workload, "bias32", 2);
  compare<base, reference, reference>(workload, "bias64", 2);
  compare<base, reference, churned<shared_ptr_index<Keys>, Keys, Distribution>>(workload, "std_atomic_shared", 2);
}

void add_benchmarks() {
  add_index<std::size_t{1} << 12, uniform>("index_4k_uniform");
  add_index<std::size_t{1} << 12, zipf>("index_4k_zipf");
  add_index<std::size_t{1} << 20, uniform>("index_1m_uniform");
  add_index<std::size_t{1} << 20, zipf>("index_1m_zipf");
  add_against<freed_lookup, bare_pages<freed_lookup<bare>::n>>("lookup_freed", 2);
  for (const unsigned threads : {1u, 2u}) {
    using base = bare_pages<query<bias64>::n>;
    add_against<query, base>("query", threads);
    compare<base, query<bias64>, query<linux_large>>("query", "linux_large", threads);
    compare<base, query<bias64>, query<bias64_scan>>("query", "bias64_scan", threads);
  }
}

}  // namespace

BENCH_MAIN(add_benchmarks)
