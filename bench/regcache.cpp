// SPDX-License-Identifier: MIT

// The hit path of a registration cache, and one extent of any length: look up, hold, release.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#ifdef BENCH_UCX
#include <sys/mman.h>

extern "C" {
#include <ucs/memory/rcache.h>
}
#endif

#ifdef BENCH_LIBFABRIC
#include "fabric_cache.hpp"
#endif
#include "pages.hpp"
#include "paired.hpp"
#include "pinref/gup/extent.hpp"
#include "pinref/host/registration_cache.hpp"
#include "pinref/page/page.hpp"
#include "pinref/page/page_members.hpp"
#include "schemes.hpp"
#include "workloads.hpp"

namespace {

using namespace bench;

constexpr std::size_t region_bytes = 60 << 10;
constexpr std::size_t region_stride = 64 << 10;  // of the regions: they do not touch
constexpr std::size_t max_regions = 1024, max_bytes = std::size_t{1} << 30;
constexpr unsigned rights = 3;

/// Registers nothing, and is never asked to in a measured loop.
struct no_device {
  using handle = std::uint64_t;
  static constexpr std::size_t granule = 4096;

  pinref::gup_error register_memory(std::uintptr_t first, std::size_t, unsigned, handle& key) noexcept {
    key = first;
    return pinref::gup_error::none;
  }
  bool deregister(handle&) noexcept { return true; }
};

/// Addresses that nobody touches.
constexpr std::uintptr_t address_of(std::size_t region) {
  return (std::uintptr_t{1} << 32) + region * region_stride;
}

/// `registration_cache`, with its evictor's mark.
struct pinref_cache {
  no_device device;
  std::unique_ptr<pinref::registration_cache<no_device, max_regions>> cache;

  explicit pinref_cache(std::size_t regions)
      : cache(std::make_unique<pinref::registration_cache<no_device, max_regions>>(
            device, pinref::registration_budget{.bytes = max_bytes, .regions = max_regions})) {
    for (std::size_t i = 0; i != regions; ++i) hold_and_release(address_of(i));
  }
  BENCH_INLINE void hold_and_release(std::uintptr_t address) {
    const auto held = cache->pin(address, region_bytes, rights);
    if (held.region == nullptr || held.region->handle() > address) [[unlikely]]
      broken();
    (void)pinref::unpin_user_page(*held.region);
  }
};

/// A mutex, a tree and a count: what is written first.
struct mutex_cache {
  static constexpr bool sleeps = true;

  struct region {
    std::uintptr_t first, last;
    std::uint64_t key;
    int count;
  };
  std::mutex lock;
  std::map<std::uintptr_t, region> regions;

  explicit mutex_cache(std::size_t n) {
    for (std::size_t i = 0; i != n; ++i)
      regions.emplace(address_of(i), region{address_of(i), address_of(i) + region_bytes - 1, i, 0});
  }
  BENCH_INLINE void hold_and_release(std::uintptr_t address) {
    region* held;
    {
      const std::lock_guard guard{lock};
      auto next = regions.upper_bound(address);
      if (next == regions.begin()) broken();
      held = &std::prev(next)->second;
      if (held->last < address + region_bytes - 1) broken();
      ++held->count;
    }
    const std::lock_guard guard{lock};
    --held->count;
  }
};

#ifdef BENCH_UCX
/// UCX's, as its transports use it: without a look at frame numbers, and bounded, so that it evicts as pinref's does.
struct ucx_cache {
  struct region {
    ucs_rcache_region_t super;
    std::uint64_t key;
  };
  ucs_rcache_t* cache = nullptr;

  explicit ucx_cache(std::size_t regions) {
    static const ucs_rcache_ops_t ops = {
        [](void*, ucs_rcache_t*, void*, ucs_rcache_region_t* r, std::uint16_t) {
          reinterpret_cast<region*>(r)->key = r->super.start;
          return UCS_OK;
        },
        [](void*, ucs_rcache_t*, ucs_rcache_region_t*) {},
        [](void*, ucs_rcache_t*, ucs_rcache_region_t*, char* text, std::size_t) { *text = '\0'; },
    };
    ucs_rcache_params_t how{};
    how.region_struct_size = sizeof(region);
    how.alignment = UCS_RCACHE_MIN_ALIGNMENT;
    how.max_alignment = 4096;
    how.ops = &ops;
    how.flags = UCS_RCACHE_FLAG_NO_PFN_CHECK;
    how.max_regions = max_regions;
    how.max_size = max_bytes;
    how.max_unreleased = SIZE_MAX;
    if (ucs_rcache_create(&how, "bench", nullptr, &cache) != UCS_OK) broken();
    for (std::size_t i = 0; i != regions; ++i) hold_and_release(address_of(i));
  }
  ~ucx_cache() { ucs_rcache_destroy(cache); }
  BENCH_INLINE void hold_and_release(std::uintptr_t address) {
    ucs_rcache_region_t* held;
    if (ucs_rcache_get(cache, reinterpret_cast<void*>(address), region_bytes, PROT_READ | PROT_WRITE, nullptr, &held) !=
        UCS_OK)
      broken();
    if (reinterpret_cast<region*>(held)->key > address) broken();
    ucs_rcache_region_put(cache, held);
  }
};
#endif

#ifdef BENCH_LIBFABRIC
/// libfabric's, as its verbs provider has it, on a card that is not there.
struct fabric_cache {
  static constexpr bool sleeps = true;  // one mutex for all caches of the process

  fabric_domain on{max_regions, max_bytes};

  explicit fabric_cache(std::size_t regions) {
    for (std::size_t i = 0; i != regions; ++i) hold_and_release(address_of(i));
  }
  BENCH_INLINE void hold_and_release(std::uintptr_t address) {
    fid_mr* held = nullptr;
    if (::fi_mr_reg(on.get(), reinterpret_cast<void*>(address), region_bytes, FI_SEND | FI_RECV, 0, 0, 0, &held,
                    nullptr) != 0) [[unlikely]]
      broken();
    if (::fi_close(&held->fid) != 0) [[unlikely]]
      broken();
  }
};
#endif

enum class pattern { one, own, random };

/// Hits on one region, on one of each thread's own, or on any of 1000.
template <class Cache, pattern Which>
struct hits {
  static constexpr bool sleeps = requires { requires Cache::sleeps; };
  static constexpr std::size_t n = Which == pattern::one ? 1 : 1000;
  Cache cache{Which == pattern::own ? most_threads() : n};
  streams numbers;

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    for (; ops != 0; --ops)
      cache.hold_and_release(address_of(Which == pattern::one ? 0 : Which == pattern::own ? thread : mine.next() % n));
    numbers[thread] = mine;
  }
};

template <class Cache, pattern Which>
void add_hits(const std::string& workload, const std::string& scheme) {
  for (const unsigned threads : {1u, 2u})
    compare<get_put<bare>, hits<pinref_cache, Which>, hits<Cache, Which>>(workload, scheme, threads);
}

template <class Cache>
void add_cache(const std::string& scheme) {
  add_hits<Cache, pattern::one>("regcache_one", scheme);
  add_hits<Cache, pattern::own>("regcache_own", scheme);
  add_hits<Cache, pattern::random>("regcache_1000", scheme);
}

/// One object of many bytes, in a space of extents that has a slot for each GiB.
struct one_extent {
  struct object {
    pinref::page_ref<> ref{pinref::bias64::live(1)};
    void free_page() noexcept { broken(); }
  };
  struct space {
    using page = object;
    struct extent {
      object* page = nullptr;
      std::uintptr_t first = 0, last = 0;
      std::uint64_t key = 0;
    };
    static constexpr unsigned shift = 30;
    std::array<std::atomic<object*>, 16> slots{};

    [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept {
      return last >> shift < slots.size();
    }
    [[nodiscard]] BENCH_INLINE extent lookup(const pinref::extent_request& want) const noexcept {
      const std::uintptr_t first = want.at >> shift << shift;
      return {slots[want.at >> shift].load(std::memory_order_acquire), first, first + ((1u << shift) - 1), first};
    }
    [[nodiscard]] BENCH_INLINE bool recheck(const pinref::extent_request& want, const extent& seen) const noexcept {
      return slots[want.at >> shift].load(std::memory_order_relaxed) == seen.page;
    }
    template <class Use>
    [[nodiscard]] pinref::gup_error fault_in(const pinref::extent_request&, Use) noexcept {
      return pinref::gup_error::not_mapped;
    }
  };

  alignas(64) object whole;
  space over;
  std::size_t length;

  explicit one_extent(std::size_t bytes) : length(bytes) { over.slots[4].store(&whole, std::memory_order_release); }

  void operator()(unsigned, std::size_t ops) {
    const std::uintptr_t start = (std::uintptr_t{4} << space::shift) + 100;
    object* held = nullptr;
    pinref::extent_part<space::extent> part;
    for (; ops != 0; --ops) {
      if (!pinref::pin_extents(over, start, length, pinref::foll::write, {&held, 1}, {&part, 1}).ok()) [[unlikely]]
        broken();
      (void)pinref::unpin_user_page(*held);
    }
    if (part.length != length || part.offset != 100) broken();
  }
};

/// One try_pin and one unpin of a word at hand.
struct one_word {
  one_page<bias64> page;

  void operator()(unsigned, std::size_t ops) {
    bias64& own = *page;
    for (; ops != 0; --ops) pin_unpin_once(own);
  }
};

void add_extents() {
  for (const std::size_t kib : {std::size_t{4}, std::size_t{1} << 10, std::size_t{64} << 10}) {
    const std::string name = kib < 1024 ? std::to_string(kib) + "k" : std::to_string(kib >> 10) + "m";
    add("extent_" + name, "bias64", 1, [kib](benchmark::State& state, unsigned threads) {
      get_put<bare> base;
      one_word word;
      one_extent work(kib << 10);
      measure(state, threads, {contender_of(base), contender_of(word), contender_of(work)});
    });
  }
}

void add_benchmarks() {
  add_extents();
  add_cache<pinref_cache>("registration_cache");
  add_cache<mutex_cache>("mutex_and_count");
#ifdef BENCH_UCX
  add_cache<ucx_cache>("ucx_rcache");
#else
  absent("ucx_rcache");
#endif
#ifdef BENCH_LIBFABRIC
  if (fabric_domain::has_cache(max_regions, max_bytes)) return add_cache<fabric_cache>("libfabric_cache");
#endif
  absent("libfabric_cache");
}

}  // namespace

BENCH_MAIN(add_benchmarks)
