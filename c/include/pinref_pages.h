// SPDX-License-Identifier: MIT
#ifndef PINREF_PAGES_H
#define PINREF_PAGES_H

/// \file
/// pinref_pages.h: many pages of an address space, from C: pinned and released by tables of the host's functions.
///
/// The host embeds a `pinref_page` in its descriptor, a `pinref_space` in what translates addresses, and says by two
/// tables what they can do. The library owns the protocol: look an address up, take the page, look again, give back on
/// a mismatch, else the host's slow path.
///
/// When not to use it: where there are words and no addresses. pinref.h is enough.
///
/// Example:
///
///     pinref_page *pages[16];
///     const pinref_result held = pinref_pin_user_pages_fast(&space, start, 16, PINREF_FOLL_WRITE, pages);
///     if (held.reason != PINREF_ERROR_NONE) log(pinref_error_to_string(held.reason));   // held.count are pinned
///     start_dma();                                                                      // the device writes to them
///     const pinref_result done = pinref_unpin_user_pages_dirty_lock(pages, held.count, true);
///     if (done.reason != PINREF_ERROR_NONE) log(pinref_error_to_string(done.reason));
///
/// Errors: a pinref_result says how many pages are held, or released, and why not more.
/// Memory order: acquire on every page that is held, release on every page that is released.
/// Progress: the fast calls are lock-free where the pages are present; the slow path blocks where the host's does.
/// Source: Linux get_user_pages(), pin_user_pages(), unpin_user_pages_dirty_lock(); llist.h.

#include "pinref.h"

#if PINREF_WORD_BITS != 64 || PINREF_PROCESS_SHARED
#error "pinref_pages.h: the words of pages are those of 64 bits, of one process"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// Why a call stopped.
typedef enum pinref_error {
  PINREF_ERROR_NONE,              ///< every page was done
  PINREF_ERROR_NO_PAGES,          ///< zero pages were asked for
  PINREF_ERROR_NULL_PAGES,        ///< the page array is null
  PINREF_ERROR_BAD_FLAGS,         ///< flags that the call does not have
  PINREF_ERROR_MISALIGNED,        ///< the start is not on a page boundary
  PINREF_ERROR_ADDRESS_OVERFLOW,  ///< start + length wraps around
  PINREF_ERROR_OUT_OF_RANGE,      ///< the range leaves the address space
  PINREF_ERROR_NOT_MAPPED,        ///< no mapping there, or PINREF_FOLL_NOFAULT and nothing present
  PINREF_ERROR_NO_PERMISSION,     ///< the mapping does not allow the access
  PINREF_ERROR_BROKEN_MAPPING,    ///< the host presented no page, or a dead one
  PINREF_ERROR_NOT_LONGTERM,      ///< a page that may not be pinned for long
  PINREF_ERROR_OVERFLOW,          ///< the page cannot count more holders
  PINREF_ERROR_NO_MEMORY,         ///< the host could not provide the page
  PINREF_ERROR_LIMIT_EXCEEDED,    ///< the owner may not hold that much
  PINREF_ERROR_WOULD_BLOCK,       ///< PINREF_FOLL_FAST_ONLY, and the rest needs the slow path
  PINREF_ERROR_BUSY,              ///< the object is in use, or closed
  PINREF_ERROR_DEAD,              ///< in a forked child: nothing here is the child's
  PINREF_ERROR_INTERRUPTED,       ///< PINREF_FOLL_INTERRUPTIBLE, and the space said to give up; or a wait was cancelled
  PINREF_ERROR_UNDERFLOW,         ///< a release of more than was held; of other pages all was released
  PINREF_ERROR_TOO_MANY_PAGES,    ///< more than an array can hold: an error code taken for a count
  PINREF_ERROR_DIRTY_REFUSED,     ///< released, but a page could not be marked dirty: its data may be lost
} pinref_error;

/// The name of a value: "not_mapped". And the errno value that Linux would return, positive; 0 of none.
const char* pinref_error_to_string(pinref_error error);
int pinref_error_to_errno(pinref_error error);

/// Flags of a call, or-ed.
typedef enum pinref_foll {
  PINREF_FOLL_NONE = 0,                ///< none of these
  PINREF_FOLL_WRITE = 1 << 0,          ///< the pages will be written; the mapping must allow it
  PINREF_FOLL_LONGTERM = 1 << 1,       ///< pinned for long: pages that may not be are refused; with pin only
  PINREF_FOLL_FORCE = 1 << 2,          ///< access that the mapping's protection refuses
  PINREF_FOLL_NOFAULT = 1 << 3,        ///< take what is present, do not fault pages in
  PINREF_FOLL_FAST_ONLY = 1 << 4,      ///< never enter the slow path: nothing blocks
  PINREF_FOLL_INTERRUPTIBLE = 1 << 5,  ///< ask the space before each slow step whether to give up
  PINREF_FOLL_ALL = 1 << 6,            ///< all pages or none
  PINREF_FOLL_GET = 1 << 7,            ///< not the caller's: a space is told so that references are taken
  PINREF_FOLL_PIN = 1 << 8,            ///< not the caller's: a space is told so that pins are taken
} pinref_foll;

/// How far a call came and why it stopped there, together.
typedef struct pinref_result {
  size_t count;         ///< pages held, or released, by this call
  pinref_error reason;  ///< why it stopped
} pinref_result;

/// What the host's descriptor embeds: the word, and what the page can do.
typedef struct pinref_page pinref_page;

/// What a page can do. Functions but `free_page` may be null. They run on descriptors that nobody holds yet where said.
typedef struct pinref_page_ops {
  /// Called by the last release, on whichever thread that is.
  void (*free_page)(pinref_page* page);
  /// The page whose word counts for this one; null: the page itself. May run before anything is held.
  pinref_page* (*head)(pinref_page* page);
  /// The page i further on, of those that one entry maps; null: an entry answers for one page.
  pinref_page* (*nth_page)(pinref_page* page, size_t i);
  /// The lock under which a page is made dirty; null: there is none.
  void (*lock)(pinref_page* head);
  void (*unlock)(pinref_page* head);
  /// Is it dirty? null: that is not known. Mark it dirty; false, or null, refuses.
  bool (*dirty)(pinref_page* head);
  bool (*set_dirty)(pinref_page* head);
  /// May a pin with these flags last without an end? null: yes.
  bool (*longterm_pinnable)(pinref_page* head, unsigned flags);
} pinref_page_ops;

struct pinref_page {
  pinref_word ref;             ///< of a page that is free: PINREF_DEAD_WORD
  const pinref_page_ops* ops;  ///< the same for as long as the descriptor is there
};

/// A take of one page that may be dying, and its release, which calls `free_page` if it is the last. The head counts;
/// a head that changes meanwhile is noticed. Order: as pinref_try_get(), pinref_put() and their like.
pinref_take_result pinref_get_page_unless_zero(pinref_page* page) PINREF_MUST_LOOK;
pinref_release_result pinref_put_page(pinref_page* page);
pinref_take_result pinref_try_pin_page(pinref_page* page) PINREF_MUST_LOOK;
pinref_release_result pinref_unpin_user_page(pinref_page* page);
/// Is the page, or the compound page it belongs to, pinned? As pinref_dma_pinned().
bool pinref_page_dma_pinned(pinref_page* page) PINREF_MUST_LOOK;

/// What a look-up found.
typedef struct pinref_mapping {
  pinref_page* page;  ///< the page at the address, or null
  uint64_t token;     ///< the entry it was read from, in the host's own terms
  size_t run;         ///< pages from this address on that the same entry maps; 0 is 1
} pinref_mapping;

typedef struct pinref_space pinref_space;
typedef struct pinref_use pinref_use;

/// What `fault_in` calls with the mapping that it holds stable.
struct pinref_use {
  pinref_error (*call)(pinref_use* use, const pinref_mapping* mapping);
};

/// How a space translates addresses. The last two may be null. docs/porting.md says what the library relies on.
typedef struct pinref_space_ops {
  /// Does the space reach over these bytes, both included?
  bool (*contains)(pinref_space* space, uintptr_t first, uintptr_t last);
  /// Without a lock: the page mapped there and its token, or no page if the entry does not allow what is asked.
  pinref_mapping (*lookup)(pinref_space* space, uintptr_t address, unsigned flags);
  /// Is the entry still as it was seen? Asked after the take.
  bool (*recheck)(pinref_space* space, uintptr_t address, const pinref_mapping* seen);
  /// The slow path, which may block: makes the page present, calls `use->call(use, &mapping)` once while nothing can
  /// unmap or replace it, and returns what that returned; or returns a reason without calling it.
  pinref_error (*fault_in)(pinref_space* space, uintptr_t address, unsigned flags, pinref_use* use);
  /// Is the caller to give up, as a signal tells it to? Asked under PINREF_FOLL_INTERRUPTIBLE.
  bool (*interrupted)(pinref_space* space);
  /// Told of a mapping that `fault_in` presented without a page, or with a dead one: a bug of the host.
  void (*broken_mapping)(pinref_space* space, uintptr_t address);
} pinref_space_ops;

/// What the host's address space embeds.
struct pinref_space {
  const pinref_space_ops* ops;
  size_t page_size;  ///< in bytes, not 0
};

/// References to the pages of a range, or pins on them. Those of `count` are held; flags are of pinref_foll. May block.
pinref_result pinref_get_user_pages(pinref_space* space, uintptr_t start, size_t nr_pages, unsigned flags,
                                    pinref_page** pages) PINREF_MUST_LOOK;
pinref_result pinref_pin_user_pages(pinref_space* space, uintptr_t start, size_t nr_pages, unsigned flags,
                                    pinref_page** pages) PINREF_MUST_LOOK;
/// The same, without a lock where a page is present.
pinref_result pinref_get_user_pages_fast(pinref_space* space, uintptr_t start, size_t nr_pages, unsigned flags,
                                         pinref_page** pages) PINREF_MUST_LOOK;
pinref_result pinref_pin_user_pages_fast(pinref_space* space, uintptr_t start, size_t nr_pages, unsigned flags,
                                         pinref_page** pages) PINREF_MUST_LOOK;

/// Releases one reference, or one pin, of each of n pages. Null entries are skipped, neighbours of one head go
/// together.
pinref_result pinref_release_pages(pinref_page* const* pages, size_t n);
pinref_result pinref_unpin_user_pages(pinref_page* const* pages, size_t n);
/// With `make_dirty` each page is marked dirty before its pin goes, under its lock if it is clean. May block then.
pinref_result pinref_unpin_user_pages_dirty_lock(pinref_page* const* pages, size_t n, bool make_dirty);

/// What an item of a list of deferred frees embeds, and the list. All zeros is an empty one.
typedef struct pinref_link {
  intptr_t next;
} pinref_link;
typedef struct pinref_deferred_list {
  intptr_t top;
} pinref_deferred_list;

/// Puts an item that is on no list on this one: in `free_page`, where nothing may block. Lock-free. Order: release.
void pinref_defer(pinref_deferred_list* list, pinref_link* item);
/// Takes all items off and frees each, the last first, where that may block; returns how many. Order: acquire.
size_t pinref_drain(pinref_deferred_list* list, void (*free_item)(pinref_link* item, void* context), void* context);

#ifdef __cplusplus
}
#endif

#endif  // PINREF_PAGES_H
