// SPDX-License-Identifier: MIT

// What programs use today in place of a reference word: take and release of one object that threads share, each peer
// the way its manual says. Peers that are not installed are reported as absent.

#include <atomic>
#include <memory>
#include <shared_mutex>
#include <string>

#include "pages.hpp"
#include "paired.hpp"
#include "schemes.hpp"
#include "workloads.hpp"

#if __has_include(<urcu/ref.h>)
#define BENCH_LIBURCU 1
#include <assert.h>
#include <limits.h>
#include <urcu/ref.h>
#endif

#if __has_include(<boost/smart_ptr/intrusive_ref_counter.hpp>)
#define BENCH_BOOST 1
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/smart_ptr/make_shared.hpp>
#include <boost/smart_ptr/shared_ptr.hpp>
#include <boost/smart_ptr/weak_ptr.hpp>
#endif

#if __has_include(<ck_rwlock.h>)
#define BENCH_CK 1
#include <ck_rwlock.h>
#endif

#if __has_include(<xenium/reclamation/lock_free_ref_count.hpp>)
#define BENCH_XENIUM 1
#include <xenium/reclamation/hazard_pointer.hpp>
#include <xenium/reclamation/lock_free_ref_count.hpp>
#endif

#ifdef BENCH_DPDK
#include <rte_mbuf.h>
#endif

#ifdef BENCH_ROCKSDB
#include <rocksdb/cache.h>
#endif

namespace {

using namespace bench;

/// Repeats `pair` of a shared object that starts on a cache line of its own.
template <class Peer>
struct repeat {
  alignas(128) Peer peer;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) peer.pair();
  }
};

/// A look-up through a pointer that may have expired: std::weak_ptr.
struct std_weak_lock {
  std::shared_ptr<int> owner = std::make_shared<int>(1);
  std::weak_ptr<int> weak = owner;

  BENCH_INLINE void pair() {
    const std::shared_ptr<int> held = weak.lock();
    if (!held) [[unlikely]]
      broken();
  }
};

/// Another holder of an object at hand.
struct std_shared_copy {
  std::shared_ptr<int> owner = std::make_shared<int>(1);

  BENCH_INLINE void pair() {
    const std::shared_ptr<int> held = owner;
    benchmark::DoNotOptimize(held.get());
  }
};

/// A look-up through a pointer that others may exchange.
struct std_atomic_shared {
  std::atomic<std::shared_ptr<int>> slot{std::make_shared<int>(1)};

  BENCH_INLINE void pair() {
    const std::shared_ptr<int> held = slot.load(std::memory_order_acquire);
    if (!held) [[unlikely]]
      broken();
  }
};

struct std_shared_mutex {
  std::shared_mutex mutex;

  BENCH_INLINE void pair() { const std::shared_lock held{mutex}; }
};

#ifdef BENCH_LIBURCU
struct liburcu {
  urcu_ref ref{1};

  BENCH_INLINE void pair() {
    if (!urcu_ref_get_unless_zero(&ref)) [[unlikely]]
      broken();
    urcu_ref_put(&ref, [](urcu_ref*) { broken(); });
  }
};
#endif

#ifdef BENCH_BOOST
/// Never asks whether the object is dead: the bare pair with a destructor.
struct boost_intrusive {
  struct object : boost::intrusive_ref_counter<object, boost::thread_safe_counter> {};
  boost::intrusive_ptr<object> owner{new object};

  BENCH_INLINE void pair() {
    const boost::intrusive_ptr<object> held = owner;
    benchmark::DoNotOptimize(held.get());
  }
};

struct boost_weak_lock {
  boost::shared_ptr<int> owner = boost::make_shared<int>(1);
  boost::weak_ptr<int> weak{owner};

  BENCH_INLINE void pair() {
    const boost::shared_ptr<int> held = weak.lock();
    if (!held) [[unlikely]]
      broken();
  }
};
#endif

#ifdef BENCH_CK
/// Concurrency Kit counts nothing unless zero; its reader lock keeps the object instead.
struct ck_reader_lock {
  ck_rwlock_t lock = CK_RWLOCK_INITIALIZER;

  BENCH_INLINE void pair() {
    ck_rwlock_read_lock(&lock);
    ck_rwlock_read_unlock(&lock);
  }
};
#endif

#ifdef BENCH_XENIUM
/// A look-up through a pointer that others may exchange, by one of its reclamation schemes.
template <class Scheme>
struct xenium_guard {
  struct object : Scheme::template enable_concurrent_ptr<object> {};
  using pointer = typename Scheme::template concurrent_ptr<object>;
  pointer slot;

  xenium_guard() {
    typename pointer::guard_ptr fresh{new object};
    slot.store(fresh, std::memory_order_release);
  }
  BENCH_INLINE void pair() {
    typename pointer::guard_ptr held;
    held.acquire(slot, std::memory_order_acquire);
    if (!held) [[unlikely]]
      broken();
  }
};

/// The nearest to a page's word: the object's own count, an increment and a look whether the pointer still says so.
using xenium_ref_count = xenium_guard<xenium::reclamation::lock_free_ref_count<>>;
/// Writes to no shared line; who frees looks at all threads.
using xenium_hazard_pointer = xenium_guard<xenium::reclamation::hazard_pointer<>>;
#endif

#ifdef BENCH_DPDK
/// With the second holder that rules out the shortcut for a sole owner, which is not safe on two threads.
struct dpdk_mbuf {
  std::unique_ptr<rte_mbuf> buffer = std::make_unique<rte_mbuf>();
  dpdk_mbuf() { rte_mbuf_refcnt_set(buffer.get(), 2); }

  BENCH_INLINE void pair() {
    rte_mbuf_refcnt_update(buffer.get(), 1);
    if (rte_mbuf_refcnt_update(buffer.get(), -1) == 0) [[unlikely]]
      broken();
  }
};
#endif

#ifdef BENCH_ROCKSDB
/// Look-up by key and release; the only peer that hashes.
struct rocksdb_hyper_clock {
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::HyperClockCacheOptions(1 << 20, 1 << 10).MakeSharedCache();
  std::string key = std::string(16, 'k');

  rocksdb_hyper_clock() {
    if (!cache->Insert(key, this, 1, [](const rocksdb::Slice&, void*) {}).ok()) broken();
  }
  BENCH_INLINE void pair() {
    rocksdb::Cache::Handle* const held = cache->Lookup(key);
    if (held == nullptr) [[unlikely]]
      broken();
    cache->Release(held);
  }
};
#endif

template <class Peer>
void add_peer(const std::string& name) {
  for (const unsigned threads : {1u, 2u})
    compare<get_put<bare>, get_put<bias64>, repeat<Peer>>("get_put", name, threads);
}

void add_benchmarks() {
  add_peer<std_weak_lock>("std_weak_lock");
  add_peer<std_shared_copy>("std_shared_copy");
  add_peer<std_atomic_shared>("std_atomic_shared");
  add_peer<std_shared_mutex>("std_shared_mutex");
#ifdef BENCH_LIBURCU
  add_peer<liburcu>("liburcu");
#else
  absent("liburcu");
#endif
#ifdef BENCH_BOOST
  add_peer<boost_weak_lock>("boost_weak_lock");
  add_peer<boost_intrusive>("boost_intrusive");
#else
  absent("boost_weak_lock");
  absent("boost_intrusive");
#endif
#ifdef BENCH_CK
  add_peer<ck_reader_lock>("ck_reader_lock");
#else
  absent("ck_reader_lock");
#endif
#ifdef BENCH_XENIUM
  add_peer<xenium_ref_count>("xenium_ref_count");
  add_peer<xenium_hazard_pointer>("xenium_hazard_pointer");
#else
  absent("xenium_ref_count");
  absent("xenium_hazard_pointer");
#endif
#ifdef BENCH_DPDK
  add_peer<dpdk_mbuf>("dpdk_mbuf");
#else
  absent("dpdk_mbuf");
#endif
#ifdef BENCH_ROCKSDB
  add_peer<rocksdb_hyper_clock>("rocksdb_hyper_clock");
#else
  absent("rocksdb_hyper_clock");
#endif
}

}  // namespace

BENCH_MAIN(add_benchmarks)
