// SPDX-License-Identifier: MIT
#pragma once

// What the workloads on words share: one pair, random pages, and the rows of a column.

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include "pages.hpp"
#include "paired.hpp"
#include "schemes.hpp"

namespace bench {

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

/// One page that all threads share. Of the bare scheme it is the unit of most ratios.
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

/// A stream of numbers for each thread.
class streams {
 public:
  streams() {
    for (std::size_t i = 0; i != all_.size(); ++i) all_[i].seed(i + 1);
  }
  stream& operator[](unsigned thread) { return all_[thread]; }

 private:
  std::vector<stream> all_{most_threads()};
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

/// `Workload` of every scheme whose pages can die, beside `Base`.
template <template <class> class Workload, class Base>
void add_against(const std::string& workload, unsigned nr_threads) {
  using reference = Workload<bias64>;
  compare<Base, reference, Workload<linux_small>>(workload, "linux_small", nr_threads);
  compare<Base, reference, Workload<split>>(workload, "split", nr_threads);
  compare<Base, reference, Workload<bias32>>(workload, "bias32", nr_threads);
  compare<Base, reference, reference>(workload, "bias64", nr_threads);
}

}  // namespace bench
