// SPDX-License-Identifier: MIT

// Many pages by tables of callbacks: a host in C with an array of frames and a table of entries.

#include <errno.h>
#include <pinref_pages.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "cases.h"

#define NR_PAGES 8u
#define PAGE_SIZE 4096u

typedef struct frame {
  pinref_page page;
  struct frame* head;
  bool locked, dirty, refuses_dirt, movable;
  int freed;
  pinref_link link;
} frame;

typedef struct table {
  pinref_space space;
  frame* entries[NR_PAGES];
  bool writable[NR_PAGES];
  uint64_t version[NR_PAGES];
  bool interrupted;
  int faults, broken, rechecks;
  unsigned unmap_at;  // the entry that another thread takes away after its look-up; NR_PAGES: none
} table;

static frame frames[NR_PAGES];
static table space;
static pinref_deferred_list deferred;

static frame* frame_of(pinref_page* page) {
  return (frame*)page;
}
static table* table_of(pinref_space* of) {
  return (table*)of;
}

static void defer_frame(pinref_page* page) {
  pinref_defer(&deferred, &frame_of(page)->link);
}
static pinref_page* head_of(pinref_page* page) {
  return &frame_of(page)->head->page;
}
static pinref_page* nth_frame(pinref_page* page, size_t i) {
  return &(frame_of(page) + i)->page;
}
static void lock_frame(pinref_page* page) {
  CHECK(!frame_of(page)->locked);
  frame_of(page)->locked = true;
}
static void unlock_frame(pinref_page* page) {
  frame_of(page)->locked = false;
}
static bool is_dirty(pinref_page* page) {
  return frame_of(page)->dirty;
}
static bool make_dirty(pinref_page* page) {
  CHECK(frame_of(page)->locked && pinref_page_dma_pinned(page));
  if (frame_of(page)->refuses_dirt) return false;
  return frame_of(page)->dirty = true;
}
static bool stays(pinref_page* page, unsigned flags) {
  CHECK((flags & PINREF_FOLL_PIN) != 0);
  return !frame_of(page)->movable;
}

static const pinref_page_ops frame_ops = {defer_frame,  head_of,  nth_frame,  lock_frame,
                                          unlock_frame, is_dirty, make_dirty, stays};

static bool contains(pinref_space* of, uintptr_t first, uintptr_t last) {
  (void)of;
  // Both ends are included.
  CHECK(first % PAGE_SIZE == 0 && (last + 1) % PAGE_SIZE == 0);
  return first <= last && last < NR_PAGES * PAGE_SIZE;
}
static pinref_mapping entry_at(table* of, uintptr_t address) {
  const size_t i = address / PAGE_SIZE;
  pinref_mapping found = {NULL, of->version[i], 0};
  if (of->entries[i] == NULL) return found;
  found.page = &of->entries[i]->page;
  while (i + found.run < NR_PAGES && of->entries[i + found.run] == of->entries[i] + found.run &&
         of->entries[i + found.run]->head == of->entries[i]->head)
    ++found.run;
  return found;
}
static pinref_mapping lookup(pinref_space* of, uintptr_t address, unsigned flags) {
  const pinref_mapping none = {NULL, 0, 0};
  CHECK(address % PAGE_SIZE == 0);
  if ((flags & PINREF_FOLL_WRITE) != 0 && !table_of(of)->writable[address / PAGE_SIZE]) return none;
  return entry_at(table_of(of), address);
}
static bool recheck(pinref_space* of, uintptr_t address, const pinref_mapping* seen) {
  table* const in = table_of(of);
  ++in->rechecks;
  if (in->unmap_at == address / PAGE_SIZE) {
    in->unmap_at = NR_PAGES;
    in->entries[address / PAGE_SIZE] = NULL;
    ++in->version[address / PAGE_SIZE];
  }
  return in->version[address / PAGE_SIZE] == seen->token && entry_at(in, address).page == seen->page;
}
static pinref_error fault_in(pinref_space* of, uintptr_t address, unsigned flags, pinref_use* use) {
  table* const in = table_of(of);
  const size_t i = address / PAGE_SIZE;
  pinref_mapping held;
  ++in->faults;
  if ((flags & PINREF_FOLL_NOFAULT) != 0 && in->entries[i] == NULL) return PINREF_ERROR_NOT_MAPPED;
  if ((flags & PINREF_FOLL_WRITE) != 0 && !in->writable[i]) return PINREF_ERROR_NO_PERMISSION;
  if (in->entries[i] == NULL) in->entries[i] = &frames[i];
  held = entry_at(in, address);
  return use->call(use, &held);
}
static bool interrupted(pinref_space* of) {
  return table_of(of)->interrupted;
}
static void broken_mapping(pinref_space* of, uintptr_t address) {
  (void)address;
  ++table_of(of)->broken;
}

static const pinref_space_ops table_ops = {contains, lookup, recheck, fault_in, interrupted, broken_mapping};

// Every frame alive with the host's reference, and mapped.
static void set_up(void) {
  static const table fresh = {{&table_ops, PAGE_SIZE}, {0}, {0}, {0}, false, 0, 0, 0, NR_PAGES};
  static const frame dead = {{PINREF_DEAD_WORD, &frame_ops}, NULL, false, false, false, false, 0, {0}};
  space = fresh;
  deferred.top = 0;
  for (unsigned i = 0; i != NR_PAGES; ++i) {
    frames[i] = dead;
    frames[i].head = &frames[i];
    pinref_init(&frames[i].page.ref, 1);
    space.entries[i] = &frames[i];
    space.writable[i] = true;
  }
}

static void count_freed(pinref_link* link, void* context) {
  frame* const each = (frame*)((char*)link - offsetof(frame, link));
  ++each->freed;
  ++*(int*)context;
}
static bool nobody_holds(void) {
  for (unsigned i = 0; i != NR_PAGES; ++i)
    if (pinref_pins(&frames[i].page.ref) != 0 || pinref_references(&frames[i].page.ref) > 1) return false;
  return true;
}

static void pins_of_a_range(void) {
  pinref_page* pages[NR_PAGES];
  pinref_result done;
  set_up();
  done = pinref_pin_user_pages_fast(&space.space, PAGE_SIZE, 3, PINREF_FOLL_WRITE, pages);
  CHECK(done.count == 3 && done.reason == PINREF_ERROR_NONE && space.faults == 0 && space.rechecks == 3);
  CHECK(pages[0] == &frames[1].page && pages[2] == &frames[3].page);
  CHECK(pinref_page_dma_pinned(pages[1]) && !pinref_page_dma_pinned(&frames[0].page));
  done = pinref_unpin_user_pages(pages, 3);
  CHECK(done.count == 3 && done.reason == PINREF_ERROR_NONE && nobody_holds());

  done = pinref_get_user_pages_fast(&space.space, 0, NR_PAGES, PINREF_FOLL_NONE, pages);
  CHECK(done.count == NR_PAGES && pinref_references(&frames[7].page.ref) == 2);
  done = pinref_release_pages(pages, NR_PAGES);
  CHECK(done.count == NR_PAGES && nobody_holds());

  done = pinref_pin_user_pages(&space.space, 0, 2, PINREF_FOLL_NONE, pages);
  CHECK(done.count == 2 && space.faults == 2 && pinref_unpin_user_pages(pages, 2).count == 2);
  done = pinref_get_user_pages(&space.space, 0, 2, PINREF_FOLL_NONE, pages);
  CHECK(done.count == 2 && space.faults == 4 && pinref_release_pages(pages, 2).count == 2 && nobody_holds());
}

// A compound page is taken in one step, by its head.
static void one_entry_of_several_pages(void) {
  pinref_page* pages[NR_PAGES];
  pinref_result done;
  set_up();
  for (unsigned i = 4; i != NR_PAGES; ++i) frames[i].head = &frames[4];
  done = pinref_pin_user_pages_fast(&space.space, 4 * PAGE_SIZE, 4, PINREF_FOLL_NONE, pages);
  CHECK(done.count == 4 && space.rechecks == 1 && pinref_pins(&frames[4].page.ref) == 4);
  CHECK(pages[3] == &frames[7].page && pinref_page_dma_pinned(pages[3]));
  CHECK(pinref_unpin_user_page(pages[3]) == PINREF_RELEASE_RELEASED && pinref_pins(&frames[4].page.ref) == 3);
  done = pinref_unpin_user_pages(pages, 3);
  CHECK(done.count == 3 && nobody_holds());
}

static void an_entry_that_goes_meanwhile(void) {
  pinref_page* pages[NR_PAGES];
  pinref_result done;
  set_up();
  space.unmap_at = 1;
  done = pinref_pin_user_pages_fast(&space.space, 0, 3, PINREF_FOLL_FAST_ONLY, pages);
  CHECK(done.count == 1 && done.reason == PINREF_ERROR_WOULD_BLOCK && space.faults == 0);
  CHECK(pinref_pins(&frames[1].page.ref) == 0 && pinref_unpin_user_pages(pages, 1).count == 1 && nobody_holds());

  set_up();
  space.unmap_at = 1;
  done = pinref_pin_user_pages_fast(&space.space, 0, 3, PINREF_FOLL_NONE, pages);
  CHECK(done.count == 3 && space.faults == 1 && pinref_unpin_user_pages(pages, 3).count == 3 && nobody_holds());
}

static void what_is_refused(void) {
  pinref_page* pages[NR_PAGES];
  pinref_result done;
  pinref_space* const in = &space.space;
  const size_t error_code = (size_t)-EFAULT;
  set_up();
  CHECK(pinref_pin_user_pages_fast(in, 0, 0, 0, pages).reason == PINREF_ERROR_NO_PAGES);
  CHECK(pinref_pin_user_pages_fast(in, 0, 1, 0, NULL).reason == PINREF_ERROR_NULL_PAGES);
  CHECK(pinref_pin_user_pages_fast(in, 0, 1, PINREF_FOLL_PIN, pages).reason == PINREF_ERROR_BAD_FLAGS);
  CHECK(pinref_get_user_pages(in, 0, 1, PINREF_FOLL_LONGTERM, pages).reason == PINREF_ERROR_BAD_FLAGS);
  CHECK(pinref_pin_user_pages_fast(in, 1, 1, 0, pages).reason == PINREF_ERROR_MISALIGNED);
  CHECK(pinref_pin_user_pages_fast(in, 0, NR_PAGES + 1, 0, pages).reason == PINREF_ERROR_OUT_OF_RANGE);
  CHECK(pinref_pin_user_pages_fast(in, 0, error_code, 0, pages).reason == PINREF_ERROR_ADDRESS_OVERFLOW);
  CHECK(pinref_pin_user_pages_fast(in, UINTPTR_MAX - PAGE_SIZE + 1, 2, 0, pages).reason ==
        PINREF_ERROR_ADDRESS_OVERFLOW);
  CHECK(pinref_unpin_user_pages(pages, error_code).reason == PINREF_ERROR_TOO_MANY_PAGES);
  CHECK(nobody_holds() && space.faults == 0);

  space.writable[1] = false;
  done = pinref_pin_user_pages_fast(in, 0, 2, PINREF_FOLL_WRITE, pages);
  CHECK(done.count == 1 && done.reason == PINREF_ERROR_NO_PERMISSION && pinref_unpin_user_pages(pages, 1).count == 1);
  done = pinref_pin_user_pages_fast(in, 0, 2, PINREF_FOLL_WRITE | PINREF_FOLL_ALL, pages);
  CHECK(done.count == 0 && pages[0] == NULL && nobody_holds());

  space.entries[2] = NULL;
  CHECK(pinref_pin_user_pages_fast(in, 2 * PAGE_SIZE, 1, PINREF_FOLL_NOFAULT, pages).reason == PINREF_ERROR_NOT_MAPPED);
  space.interrupted = true;
  CHECK(pinref_pin_user_pages_fast(in, 2 * PAGE_SIZE, 1, PINREF_FOLL_INTERRUPTIBLE, pages).reason ==
        PINREF_ERROR_INTERRUPTED);

  frames[3].movable = true;
  CHECK(pinref_pin_user_pages_fast(in, 3 * PAGE_SIZE, 1, PINREF_FOLL_LONGTERM, pages).reason ==
        PINREF_ERROR_NOT_LONGTERM);
  CHECK(nobody_holds() && space.broken == 0);

  // A mapping of a dead page is a bug of the host, of which it is told.
  CHECK(pinref_put_page(&frames[5].page) == PINREF_RELEASE_LAST);
  CHECK(pinref_pin_user_pages_fast(in, 5 * PAGE_SIZE, 1, 0, pages).reason == PINREF_ERROR_BROKEN_MAPPING);
  CHECK(space.broken == 1);
}

static void dirty_release(void) {
  pinref_page* pages[3];
  pinref_result done;
  set_up();
  frames[1].dirty = true;
  done = pinref_pin_user_pages_fast(&space.space, 0, 3, PINREF_FOLL_WRITE, pages);
  CHECK(done.count == 3);
  done = pinref_unpin_user_pages_dirty_lock(pages, 3, true);
  CHECK(done.count == 3 && done.reason == PINREF_ERROR_NONE);
  CHECK(frames[0].dirty && frames[2].dirty && !frames[0].locked && nobody_holds());

  set_up();
  frames[1].refuses_dirt = true;
  done = pinref_pin_user_pages_fast(&space.space, 0, 3, PINREF_FOLL_WRITE, pages);
  CHECK(done.count == 3);
  done = pinref_unpin_user_pages_dirty_lock(pages, 3, true);
  CHECK(done.count == 3 && done.reason == PINREF_ERROR_DIRTY_REFUSED && nobody_holds());
  CHECK(frames[2].dirty && !frames[1].dirty);

  set_up();
  done = pinref_pin_user_pages_fast(&space.space, 0, 1, PINREF_FOLL_NONE, pages);
  done = pinref_unpin_user_pages_dirty_lock(pages, done.count, false);
  CHECK(done.count == 1 && !frames[0].dirty);
}

// The last release only defers; what has died is freed where that may block.
static void deferred_frees(void) {
  pinref_page* pages[2];
  int freed = 0;
  set_up();
  CHECK(pinref_pin_user_pages_fast(&space.space, 0, 2, PINREF_FOLL_NONE, pages).count == 2);
  CHECK(pinref_put_page(&frames[0].page) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_put_page(&frames[1].page) == PINREF_RELEASE_RELEASED);
  CHECK(pinref_drain(&deferred, count_freed, &freed) == 0);
  CHECK(pinref_unpin_user_pages(pages, 2).count == 2);
  CHECK(frames[0].freed == 0 && pinref_drain(&deferred, count_freed, &freed) == 2 && freed == 2);
  CHECK(frames[0].freed == 1 && frames[1].freed == 1 &&
        pinref_get_page_unless_zero(&frames[0].page) == PINREF_TAKE_DEAD);
  CHECK(pinref_try_pin_page(&frames[0].page) == PINREF_TAKE_DEAD);
}

// A page that can do nothing but be freed, in a space with no more than it must have.
static int freed_plainly;
static void free_plainly(pinref_page* page) {
  (void)page;
  ++freed_plainly;
}
static void what_may_be_null(void) {
  static const pinref_page_ops only_free = {free_plainly, NULL, NULL, NULL, NULL, NULL, NULL, NULL};
  static const pinref_space_ops only_needed = {contains, lookup, recheck, fault_in, NULL, NULL};
  pinref_page* pages[2];
  pinref_result done;
  set_up();
  space.space.ops = &only_needed;
  frames[0].page.ops = frames[1].page.ops = &only_free;
  frames[1].head = &frames[0];  // an entry of several pages that cannot name them is an entry of one
  done = pinref_pin_user_pages_fast(&space.space, 0, 2, PINREF_FOLL_LONGTERM | PINREF_FOLL_INTERRUPTIBLE, pages);
  CHECK(done.count == 2 && pinref_pins(&frames[0].page.ref) == 1 && pinref_pins(&frames[1].page.ref) == 1);
  done = pinref_unpin_user_pages_dirty_lock(pages, 2, true);
  CHECK(done.count == 2 && done.reason == PINREF_ERROR_DIRTY_REFUSED);
  CHECK(pinref_put_page(&frames[0].page) == PINREF_RELEASE_LAST && freed_plainly == 1);
  CHECK(pinref_put_page(&frames[1].page) == PINREF_RELEASE_LAST && freed_plainly == 2);
}

static void errors(void) {
  static const char* const names[] = {
      "none",         "no_pages",       "null_pages",    "bad_flags",      "misaligned",   "address_overflow",
      "out_of_range", "not_mapped",     "no_permission", "broken_mapping", "not_longterm", "overflow",
      "no_memory",    "limit_exceeded", "would_block",   "busy",           "dead",         "interrupted",
      "underflow",    "too_many_pages", "dirty_refused"};
  for (int i = 0; i != sizeof names / sizeof names[0]; ++i) {
    CHECK(strcmp(pinref_error_to_string((pinref_error)i), names[i]) == 0);
    CHECK((pinref_error_to_errno((pinref_error)i) == 0) == (i == 0));
  }
  CHECK(pinref_error_to_errno(PINREF_ERROR_NOT_MAPPED) == EFAULT);
  CHECK(pinref_error_to_errno(PINREF_ERROR_WOULD_BLOCK) == EAGAIN);
}

int main(void) {
  static const check_case cases[] = {
      {"pins of a range", pins_of_a_range},
      {"one entry of several pages", one_entry_of_several_pages},
      {"an entry that goes meanwhile", an_entry_that_goes_meanwhile},
      {"what is refused", what_is_refused},
      {"dirty release", dirty_release},
      {"deferred frees", deferred_frees},
      {"what may be null", what_may_be_null},
      {"errors", errors},
  };
  return check_all(cases, sizeof cases / sizeof cases[0]);
}
