// SPDX-License-Identifier: MIT

// The hit path of a buffer pool: find a page, hold it, read in it, let it go. By pinref, by what databases do, and by
// caches as one gets them.

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "keys.hpp"
#include "paired.hpp"
#include "pool.hpp"
#include "pool_peers.hpp"
#include "pool_words.hpp"
#include "workloads.hpp"

namespace {

using namespace bench;

constexpr std::size_t many = std::size_t{1} << 16;
constexpr std::size_t few = std::size_t{1} << 14;  // where pages are evicted: every contender has data of its own

/// All are read only, so all contenders share it.
const page_data& common_data() {
  static const page_data data{many};
  return data;
}

/// The page that is read by all threads, in all contenders.
const std::uint32_t the_one = std::random_device{}() % many;

/// Where a thread of a contender begins in the keys: elsewhere than any other, so that none finds in the cache what the
/// one before it has just read.
std::uint64_t fresh_seed() {
  static std::uint64_t last = 0;
  return ++last;
}

/// Every page is here. Those of a Zipf distribution, or one that all threads read.
template <template <std::size_t> class Cache, bool OnePage>
struct all_hits {
  static constexpr bool sleeps = requires { requires Cache<many>::sleeps; };

  Cache<many> cache{common_data()};
  std::vector<zipf<many>> keys{most_threads()};

  all_hits() {
    for (auto& each : keys) each.seed(fresh_seed());
  }
  void operator()(unsigned thread, std::size_t ops) {
    zipf<many> mine = keys[thread];
    for (; ops != 0; --ops)
      while (!cache.read(OnePage ? the_one : static_cast<std::uint32_t>(mine.next()))) {
      }
    keys[thread] = mine;
  }
};

/// Twice as many keys as pages; what is not here is brought in, in place of what the clock finds.
template <template <std::size_t> class Cache>
struct evicting {
  static constexpr bool sleeps = requires { requires Cache<few>::sleeps; };
  static constexpr std::size_t nr_keys = 2 * few;
  struct alignas(128) local {
    zipf<nr_keys> keys;
    std::uint32_t spare = none;
  };
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  page_data data{few};
  Cache<few> cache{data};
  std::vector<local> locals{most_threads()};

  evicting() {
    for (local& each : locals) each.keys.seed(fresh_seed());
  }
  void operator()(unsigned thread, std::size_t ops) {
    local& own = locals[thread];
    zipf<nr_keys> mine = own.keys;
    for (; ops != 0; --ops) {
      const auto key = static_cast<std::uint32_t>(mine.next());
      if (!cache.read(key) && !cache.read_marked(key)) cache.bring(key, own.spare);
    }
    own.keys = mine;
  }
};

template <std::size_t N>
using bare_pool = pool<bare_use, N>;
template <std::size_t N>
using pinned_pool = pool<pinned_use<pinref::bias64>, N>;
template <std::size_t N>
using stamped_pool = pool<stamped_use, N>;
template <std::size_t N>
using vmcache_pool = pool<vmcache_use, N>;
template <std::size_t N>
using pg17_pool = pool<pg17_use, N>;
template <std::size_t N>
using pg19_pool = pool<pg19_use, N>;
template <std::size_t N>
using pg17_whole_pool = pool<postgres_whole<pg17_use>, N>;
template <std::size_t N>
using pg19_whole_pool = pool<postgres_whole<pg19_use>, N>;

/// The unit where pages are evicted: the bare pair on the same keys, with all of them here.
struct bare_hits {
  page_data data{2 * few};
  pool<bare_use, 2 * few> cache{data};
  std::vector<zipf<2 * few>> keys{most_threads()};

  bare_hits() {
    for (auto& each : keys) each.seed(fresh_seed());
  }
  void operator()(unsigned thread, std::size_t ops) {
    zipf<2 * few> mine = keys[thread];
    for (; ops != 0; --ops)
      if (!cache.read(static_cast<std::uint32_t>(mine.next()))) broken();
    keys[thread] = mine;
  }
};

template <template <std::size_t> class Cache, template <std::size_t> class Reference = pinned_pool>
void add_hits(const std::string& scheme) {
  for (const unsigned threads : {1u, 2u}) {
    compare<all_hits<bare_pool, false>, all_hits<Reference, false>, all_hits<Cache, false>>("pool_64k", scheme,
                                                                                            threads);
    compare<all_hits<bare_pool, true>, all_hits<Reference, true>, all_hits<Cache, true>>("pool_hot", scheme, threads);
  }
}

template <template <std::size_t> class Cache, template <std::size_t> class Full = Cache>
void add_cache(const std::string& scheme) {
  add_hits<Cache>(scheme);
  for (const unsigned threads : {1u, 2u})
    compare<bare_hits, evicting<pinned_pool>, evicting<Full>>("pool_evict", scheme, threads);
}

void add_benchmarks() {
  add_hits<bare_pool>("bare");
  add_cache<pinned_pool>("bias64");
  add_cache<stamped_pool>("page_stamp");
  add_cache<vmcache_pool>("vmcache");
  // Over vmcache's way, and the other way round: beside another pool the last one of a round finds less of itself in
  // the caches, whichever it is.
  for (const unsigned threads : {1u, 2u}) {
    compare<all_hits<bare_pool, false>, all_hits<stamped_pool, false>, all_hits<vmcache_pool, false>>(
        "pool_64k_page_stamp", "vmcache", threads);
    compare<all_hits<bare_pool, false>, all_hits<vmcache_pool, false>, all_hits<stamped_pool, false>>(
        "pool_64k_vmcache", "page_stamp", threads);
    compare<all_hits<bare_pool, true>, all_hits<vmcache_pool, true>, all_hits<stamped_pool, true>>(
        "pool_hot_vmcache", "page_stamp", threads);
  }
  add_cache<pg17_pool>("pg17");
  add_cache<pg19_pool>("pg19");
  add_cache<pg17_whole_pool>("pg17_locked");
  add_cache<pg19_whole_pool>("pg19_locked");

#ifdef BENCH_XENIUM
  add_hits<hazard_pointer_table>("hazard_pointer");
  add_hits<epoch_table>("epoch");
#else
  absent("hazard_pointer");
  absent("epoch");
#endif
#ifdef BENCH_ROCKSDB
  add_cache<hyper_clock_cache, full_hyper_clock_cache>("hyper_clock_cache");
  add_cache<lru_cache, full_lru_cache>("lru_cache");
#else
  absent("hyper_clock_cache");
  absent("lru_cache");
#endif
}

}  // namespace

BENCH_MAIN(add_benchmarks)
