// SPDX-License-Identifier: MIT
#ifndef PINREF_CACHE_H
#define PINREF_CACHE_H

/// \file
/// pinref_cache.h: the registration cache, from C: memory stays registered from one transfer to the next.
///
/// A hit takes no lock: look the address up, pin the region, look again. A pin is a transfer under way; neither
/// eviction nor the end of the memory takes a region from under it. docs/rdma.md says when a transfer is over, and what
/// has to say that memory goes away.
///
/// When not to use it: for buffers that are registered once at the start.
///
/// Example:
///
///     pinref_cache *cache = pinref_cache_init(aligned_alloc(PINREF_CACHE_ALIGNMENT, pinref_cache_size()), &backend,
///                                             1 << 30, SIZE_MAX);
///     const pinref_pinned held = pinref_cache_pin(cache, address, length, access, PINREF_FOLL_NONE, NULL, NULL);
///     if (held.region == NULL) return give_up(pinref_error_to_string(held.reason));
///     post(pinref_region_handle(held.region), address, length);
///     pinref_region_unpin(held.region);                          // when the transfer is over, not before
///     // ... in the allocator, before it gives memory back:
///     if (pinref_cache_close(cache, address, length, 0, NULL) != PINREF_ERROR_NONE) return keep_it(address, length);
///     unmap(address, length);
///     if (!pinref_cache_open(cache, address, length)) give_up("was not closed");
///
/// Errors: those of the backend; busy of a range that is closed, or that `admit` refuses; limit_exceeded if budget or
/// room is used up by regions in use; dead in a forked child.
/// Memory order: acquire on the region; the caller that closes a range sees what the holders of its regions did.
/// Progress: a hit is lock-free; a miss, a close and pinref_cache_reap() block where the backend does.
/// Source: UCX ucs_rcache, libfabric ofi_mr_cache; the closing is pinref's own.

#include "pinref_pages.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A cache, and a registration of memory that it has made.
typedef struct pinref_cache pinref_cache;
typedef struct pinref_region pinref_region;

/// The library that registers memory. Both may block, and may be called by several threads at once.
typedef struct pinref_backend {
  /// Registers `length` bytes and stores a handle; or says why not. `access` are bits of its own. After no_memory and
  /// limit_exceeded it is asked again when something else has been deregistered.
  pinref_error (*register_memory)(void* context, uintptr_t first, size_t length, unsigned access, void** handle);
  /// False if it cannot now; then it is asked again later.
  bool (*deregister)(void* context, void* handle);
  void* context;
} pinref_backend;

/// What a cache needs: memory of this size and alignment, for PINREF_CACHE_REGIONS regions (1024, unless c/pinref.cpp
/// is compiled with another number). Ranges are rounded out to 4096 bytes.
#define PINREF_CACHE_ALIGNMENT 64
size_t pinref_cache_size(void);

/// An empty cache in this memory, with a budget of bytes and of regions, either SIZE_MAX for none. Memory and backend
/// must outlive it. Null if the memory is null or misaligned.
pinref_cache* pinref_cache_init(void* memory, const pinref_backend* backend, size_t bytes, size_t regions);
/// Deregisters everything. Precondition: nobody holds a region, and nobody uses the cache. May block.
void pinref_cache_fini(pinref_cache* cache);

/// A region pinned for one transfer, or why there is none.
typedef struct pinref_pinned {
  pinref_region* region;  ///< or null
  pinref_error reason;    ///< none if there is one
} pinref_pinned;

/// Pins the region of these bytes, registering them if need be, for a transfer with these rights. PINREF_FOLL_FAST_ONLY
/// takes a hit or nothing. `admit`, if not null, is asked after the take: a flag "no new transfers" belongs there.
pinref_pinned pinref_cache_pin(pinref_cache* cache, uintptr_t start, size_t length, unsigned access, unsigned flags,
                               bool (*admit)(void* context), void* context) PINREF_MUST_LOOK;
/// Ends a transfer. Underflow is a bug: of nothing that was held.
pinref_release_result pinref_region_unpin(pinref_region* region);

/// Of a region that is pinned: what the backend made of it, its bytes, both included, and its rights.
void* pinref_region_handle(pinref_region* region);
uintptr_t pinref_region_first(const pinref_region* region);
uintptr_t pinref_region_last(const pinref_region* region);
unsigned pinref_region_access(const pinref_region* region);

/// Takes a range of memory from the cache: afterwards nothing in it is registered, and nothing will be until
/// pinref_cache_open(). Waits for so many nanoseconds for its holders, PINREF_FOREVER, or 0 not at all: busy, and
/// nothing has changed. interrupted if `stop`, which may be null, is cancelled.
pinref_error pinref_cache_close(pinref_cache* cache, uintptr_t start, size_t length, int64_t nanoseconds,
                                const pinref_canceller* stop) PINREF_MUST_LOOK;
/// Gives a closed range back. False if this very range is not closed.
bool pinref_cache_open(pinref_cache* cache, uintptr_t start, size_t length) PINREF_MUST_LOOK;

/// Says that memory is about to go, used or not: for a hook inside free or munmap, on any thread. Lock-free.
void pinref_cache_tell(pinref_cache* cache, uintptr_t start, size_t length);
/// Deregisters what has left and is held no more. May block.
void pinref_cache_reap(pinref_cache* cache);
/// In a forked child, before anything else: the handles belong to the parent.
void pinref_cache_forget_in_child(pinref_cache* cache);

/// What a cache has and has done, at one instant.
typedef struct pinref_cache_counts {
  size_t regions;        ///< registered, or about to be
  size_t bytes;          ///< of these
  uint64_t registered;   ///< registrations that succeeded
  uint64_t failed;       ///< that the backend refused
  uint64_t merged;       ///< regions that gave way to one that overlaps them
  uint64_t evicted;      ///< that gave way to the budget
  uint64_t invalidated;  ///< whose memory was about to go
} pinref_cache_counts;
pinref_cache_counts pinref_cache_count(pinref_cache* cache);

#ifdef __cplusplus
}
#endif

#endif  // PINREF_CACHE_H
