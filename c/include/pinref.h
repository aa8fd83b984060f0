// SPDX-License-Identifier: MIT
#ifndef PINREF_H
#define PINREF_H

/// \file
/// pinref.h: the references and pins of one page in one atomic word, for C11 and for C++.
///
/// A *reference* keeps a page from being freed. A *pin* keeps it too, and says that a device, the kernel or another
/// process may be reading or writing its data. Takes, releases and the question are inline and compile to what the C++
/// library compiles to; what they leave open, and everything else, is in one object, which c/pinref.cpp makes of the
/// C++ headers. A program in C links it with its C compiler alone.
///
/// When not to use it: in C++, where `pinref::page_ref` has more. A word may be used from both languages at a time: a
/// `pinref_word` is a `pinref::page_ref<>`, of which it has size, alignment and meaning.
///
/// Example:
///
///     static pinref_word ref = PINREF_DEAD_WORD;
///     pinref_init(&ref, 1);                                      // alive, one reference
///     if (pinref_try_pin(&ref) != PINREF_TAKE_TAKEN) return give_up("dead, or too many pins");
///     start_dma();                                               // pinref_dma_pinned(&ref) is true until ...
///     if (pinref_unpin(&ref) == PINREF_RELEASE_LAST) free_page(); // ... here; freed if the reference went first
///     if (pinref_put(&ref) == PINREF_RELEASE_LAST) free_page();
///
/// Before it is included, the same in every source that uses a word, may be said
///
///     #define PINREF_WORD_BITS 32         4 bytes a page: 2 097 152 pins, and "maybe pinned" from 1024 references
///     #define PINREF_PROCESS_SHARED 1     words lie in memory of several processes: waits and wake-ups reach all
///     #define PINREF_NO_INLINE 1          nothing is inline: for other languages; with neither of the two above
///
/// Words must be type-stable: a failed take and a release touch the word after the page has died. All zeros is a live
/// page with one holder; a word that is not initialized so begins as PINREF_DEAD_WORD.
///
/// Errors: as the results say. An n above PINREF_MAX_REFERENCES_AT_ONCE or PINREF_MAX_PINS_AT_ONCE is refused and
/// changes nothing; n = 0 changes nothing.
/// Memory order: as each function says.
/// Progress: takes and releases are wait-free while the page is alive, not waited for, and not at its limit; all
/// functions but the waits are lock-free.
/// Source: Linux page_ref_add(), folio_try_get(), folio_put(), page_ref_freeze(), GUP_PIN_COUNTING_BIAS.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// The version of the library, as the C++ headers have it; with another major or minor number layouts may differ.
#define PINREF_VERSION_MAJOR 0
#define PINREF_VERSION_MINOR 1
#define PINREF_VERSION_PATCH 0

#ifndef PINREF_WORD_BITS
#define PINREF_WORD_BITS 64
#endif
#ifndef PINREF_PROCESS_SHARED
#define PINREF_PROCESS_SHARED 0
#endif
#ifndef PINREF_NO_INLINE
#define PINREF_NO_INLINE 0
#endif
#if !defined(__GNUC__)
#error "pinref.h needs the __atomic functions of gcc and clang"
#endif
#if PINREF_NO_INLINE && (PINREF_WORD_BITS != 64 || PINREF_PROCESS_SHARED)
#error "pinref.h: functions that are not inline are for words of 64 bits, of one process"
#endif

// The macros below belong to this header alone.
#define PINREF_MUST_LOOK __attribute__((warn_unused_result))
#define PINREF_RARE __attribute__((cold))
#if !PINREF_NO_INLINE && !defined(PINREF_FUNCTION)
#define PINREF_FUNCTION static inline __attribute__((always_inline, unused))
#elif !defined(PINREF_FUNCTION)
#define PINREF_FUNCTION
#endif
#if PINREF_WORD_BITS == 64 && PINREF_PROCESS_SHARED
#define PINREF_SLOW(name) pinref_slow_##name##_shared64
#elif PINREF_WORD_BITS == 64
#define PINREF_SLOW(name) pinref_slow_##name##_64
#elif PINREF_WORD_BITS == 32 && PINREF_PROCESS_SHARED
#define PINREF_SLOW(name) pinref_slow_##name##_shared32
#elif PINREF_WORD_BITS == 32
#define PINREF_SLOW(name) pinref_slow_##name##_32
#else
#error "pinref.h: PINREF_WORD_BITS is 64 or 32"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// The word. Its integer is `holders - 1` while the page is alive, a reference being one holder and a pin PINREF_PIN.
/// Every other value has the sign bit. PINREF_DEAD_WORD initializes one.
#if PINREF_WORD_BITS == 64
typedef uint64_t pinref_bits;
typedef struct pinref_word {
  __attribute__((aligned(8))) uint64_t raw;
} pinref_word;
#define PINREF_PIN (UINT64_C(1) << 32)
#define PINREF_DEAD (UINT64_C(27) << 59)
#define PINREF_UNPINNED_BELOW ((UINT64_C(1) << 31) - 1)
#define PINREF_MAX_REFERENCES_AT_ONCE (UINT64_C(1) << 51)
#define PINREF_MAX_PINS_AT_ONCE (UINT64_C(1) << 19)
#else
typedef uint32_t pinref_bits;
typedef struct pinref_word {
  __attribute__((aligned(4))) uint32_t raw;
} pinref_word;
#define PINREF_PIN (UINT32_C(1) << 10)
#define PINREF_DEAD (UINT32_C(27) << 27)
#define PINREF_UNPINNED_BELOW ((UINT32_C(1) << 10) - 1)
#define PINREF_MAX_REFERENCES_AT_ONCE (UINT32_C(1) << 19)
#define PINREF_MAX_PINS_AT_ONCE (UINT32_C(1) << 9)
#endif
/// A word of a page that is free.
// clang-format off
#define PINREF_DEAD_WORD { PINREF_DEAD }
// clang-format on
/// The version that laid the word out so, and its size: what the C++ library stamps objects with.
#define PINREF_WORD_STAMP                                                                                       \
  ((uint64_t)(PINREF_VERSION_MAJOR * 1000 + PINREF_VERSION_MINOR) << 40 | (uint64_t)sizeof(pinref_word) << 32 | \
   sizeof(pinref_word))

/// The outcome of taking references or pins.
typedef enum pinref_take_result {
  PINREF_TAKE_TAKEN,     ///< held: the page stays until the matching release
  PINREF_TAKE_DEAD,      ///< nothing taken: the page is free or frozen; look it up again
  PINREF_TAKE_OVERFLOW,  ///< nothing taken: the word cannot count that many, or n is above the limit of one take
} pinref_take_result;

/// The outcome of releasing references or pins. The values are those of C++, which knows one more.
typedef enum pinref_release_result {
  PINREF_RELEASE_RELEASED = 0,   ///< others hold the page, or another caller is freeing it: do not touch it again
  PINREF_RELEASE_LAST = 2,       ///< the caller alone frees the page; the word is dead
  PINREF_RELEASE_UNDERFLOW = 3,  ///< nothing released: more than is held, or n is above the limit; a bug
} pinref_release_result;

/// The outcome of a wait.
typedef enum pinref_wait_result {
  PINREF_WAIT_REACHED,    ///< the page was as asked for, at some instant
  PINREF_WAIT_TIMED_OUT,  ///< it was not before the time was over
  PINREF_WAIT_GIVEN_UP,   ///< the wait was cancelled
} pinref_wait_result;

/// What a word says about its page, apart from the counts.
typedef enum pinref_zone {
  PINREF_ZONE_ALIVE,      ///< its holders are counted; none at all is a page about to die
  PINREF_ZONE_OVERFLOW,   ///< more holders than the word may count are asking: new ones are refused
  PINREF_ZONE_WATCHED,    ///< alive, and a waiter waits for holders to leave
  PINREF_ZONE_FROZEN,     ///< claimed by one exclusive owner
  PINREF_ZONE_DEAD,       ///< free
  PINREF_ZONE_UNDERFLOW,  ///< more was released than was held, and is being given back
} pinref_zone;

/// Ends waits before their time: any number of waits, on any words. All zeros is one that has not been cancelled.
typedef struct pinref_canceller {
  uint32_t cancelled;
} pinref_canceller;

/// The time of a wait that has no end.
#define PINREF_FOREVER INT64_C(-1)

/// The names of the values above, in lower case without their prefix: "taken". "unknown" of any other.
const char* pinref_take_to_string(pinref_take_result result);
const char* pinref_release_to_string(pinref_release_result result);
const char* pinref_wait_to_string(pinref_wait_result result);
const char* pinref_zone_to_string(pinref_zone zone);

/// Were this header, as it is included here, and the object made of one version of the library? Order: none.
PINREF_FUNCTION bool pinref_matches(void);

/// Begins a life with n references. Precondition: the page is dead, and the caller owns it alone. Order: release, so
/// that a take in this life sees the page as prepared. Linux: init_page_count().
PINREF_FUNCTION void pinref_init(pinref_word* word, size_t n);

/// Takes one more reference, or n. Precondition: the caller holds the page. Order: none needed. Linux: folio_ref_add().
PINREF_FUNCTION pinref_take_result pinref_get(pinref_word* word) PINREF_MUST_LOOK;
PINREF_FUNCTION pinref_take_result pinref_get_n(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Takes a reference, or n, of a page that may be dying or dead. Order: acquire. Linux: folio_try_get().
PINREF_FUNCTION pinref_take_result pinref_try_get(pinref_word* word) PINREF_MUST_LOOK;
PINREF_FUNCTION pinref_take_result pinref_try_get_n(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Releases a reference, or n. The caller that is told PINREF_RELEASE_LAST frees the page. Order: release; acquire for
/// that caller. Linux: folio_put_refs().
PINREF_FUNCTION pinref_release_result pinref_put(pinref_word* word) PINREF_MUST_LOOK;
PINREF_FUNCTION pinref_release_result pinref_put_n(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Pins a page n times more. Precondition: the caller has it pinned. Order: none needed. Linux: folio_add_pins().
PINREF_FUNCTION pinref_take_result pinref_add_pin(pinref_word* word) PINREF_MUST_LOOK;
PINREF_FUNCTION pinref_take_result pinref_add_pin_n(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Takes a pin, or n, of a page that may be dying or dead. Order: acquire, so that an unmapper that asks
/// pinref_dma_pinned() and does not see the pin is seen by a look at the mapping after it. Linux:
/// try_grab_folio_fast() with FOLL_PIN.
PINREF_FUNCTION pinref_take_result pinref_try_pin(pinref_word* word) PINREF_MUST_LOOK;
PINREF_FUNCTION pinref_take_result pinref_try_pin_n(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Releases a pin, or n. Order and results as pinref_put(). Linux: unpin_user_folio().
PINREF_FUNCTION pinref_release_result pinref_unpin(pinref_word* word) PINREF_MUST_LOOK;
PINREF_FUNCTION pinref_release_result pinref_unpin_n(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Claims the page exclusively if it is held by exactly n >= 1 references, all the caller's to give up, and no pin. It
/// then looks dead to all takes until pinref_unfreeze() or pinref_bury(). Order: acquire on success. Linux:
/// page_ref_freeze().
PINREF_FUNCTION bool pinref_freeze(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Gives a frozen page back with n references. Precondition: the caller froze it. Order: release. Linux:
/// page_ref_unfreeze().
PINREF_FUNCTION void pinref_unfreeze(pinref_word* word, size_t n);

/// Makes the page dead, whatever it counts. Precondition: the caller froze it, or no other thread can reach it. Order:
/// release.
PINREF_FUNCTION void pinref_bury(pinref_word* word);

/// Is the page pinned? Never false for a pinned page. Clear or write-protect the mapping first, then ask: a pin is
/// either seen here, or sees the mapping changed. Order: acquire and release. Linux: folio_maybe_dma_pinned() behind a
/// full barrier.
PINREF_FUNCTION bool pinref_dma_pinned(pinref_word* word) PINREF_MUST_LOOK;

/// The same by a plain load, for scanners and statistics. Nothing may be concluded from false. Order: none.
PINREF_FUNCTION bool pinref_dma_pinned_hint(const pinref_word* word) PINREF_MUST_LOOK;

/// Has the page at most n holders, a pin counting as PINREF_PIN? To decide on. Order: acquire and release.
PINREF_FUNCTION bool pinref_idle(pinref_word* word, size_t n) PINREF_MUST_LOOK;

/// Sleeps until the page is not pinned at some instant, or for so many nanoseconds: PINREF_FOREVER is no end, 0 only
/// looks. `stop`, if not null, ends it before. Order: acquire. May block. A page that is waited for uses slow paths.
PINREF_FUNCTION pinref_wait_result pinref_wait_until_unpinned(pinref_word* word, int64_t nanoseconds,
                                                              const pinref_canceller* stop) PINREF_MUST_LOOK;
/// The same until it has at most n holders, a pin counting as PINREF_PIN.
PINREF_FUNCTION pinref_wait_result pinref_wait_until_idle(pinref_word* word, size_t n, int64_t nanoseconds,
                                                          const pinref_canceller* stop) PINREF_MUST_LOOK;
/// Ends all waits that were given this canceller, now and later. Order: release, for the waits that end.
PINREF_FUNCTION void pinref_cancel(pinref_canceller* stop);

/// References at some instant; negative if more were put than taken. Pins at some instant. Order: none.
PINREF_FUNCTION int64_t pinref_references(const pinref_word* word);
PINREF_FUNCTION uint64_t pinref_pins(const pinref_word* word);
/// The zone at some instant. Order: none.
PINREF_FUNCTION pinref_zone pinref_zone_of(const pinref_word* word);

// What the inline functions call; not for users.
uint64_t PINREF_SLOW(stamp)(void);
pinref_take_result PINREF_SLOW(take)(pinref_word* word, pinref_bits added) PINREF_RARE;
pinref_release_result PINREF_SLOW(release)(pinref_word* word, pinref_bits removed) PINREF_RARE;
void PINREF_SLOW(start)(pinref_word* word, size_t n, pinref_zone from);
bool PINREF_SLOW(freeze)(pinref_word* word, size_t n);
void PINREF_SLOW(bury)(pinref_word* word);
bool PINREF_SLOW(maybe_pinned)(pinref_bits raw) PINREF_RARE;
bool PINREF_SLOW(idle)(pinref_word* word, size_t n);
pinref_wait_result PINREF_SLOW(wait_until_unpinned)(pinref_word*, int64_t, const pinref_canceller*);
pinref_wait_result PINREF_SLOW(wait_until_idle)(pinref_word*, size_t, int64_t, const pinref_canceller*);
void PINREF_SLOW(cancel)(pinref_canceller* stop);
int64_t PINREF_SLOW(references)(const pinref_word* word);
uint64_t PINREF_SLOW(pins)(const pinref_word* word);
pinref_zone PINREF_SLOW(zone_of)(const pinref_word* word);

#if !PINREF_NO_INLINE

// The flags of a locked add answer "is it negative now?". gcc uses them; clang would fetch the old value and add again,
// so on x86 it gets the instruction itself. A sanitizer does not look into assembly.
#if defined(__clang__) && defined(__GCC_ASM_FLAG_OUTPUTS__) && \
    (defined(__x86_64__) || (defined(__i386__) && PINREF_WORD_BITS == 32))
#if !__has_feature(address_sanitizer) && !__has_feature(hwaddress_sanitizer) && !__has_feature(memory_sanitizer) && \
    !__has_feature(thread_sanitizer)
#define PINREF_FLAG_OUTPUTS
#endif
#endif

#if defined(PINREF_FLAG_OUTPUTS) && PINREF_WORD_BITS == 64
#define PINREF_LOCKED(operation, word, delta, negative)                          \
  __asm__ volatile("lock {" operation "q %2, %0|" operation " qword ptr %0, %2}" \
                   : "+m"((word)->raw), "=@ccs"(negative)                        \
                   : "er"(delta)                                                 \
                   : "memory")
#elif defined(PINREF_FLAG_OUTPUTS)
#define PINREF_LOCKED(operation, word, delta, negative)                          \
  __asm__ volatile("lock {" operation "l %2, %0|" operation " dword ptr %0, %2}" \
                   : "+m"((word)->raw), "=@ccs"(negative)                        \
                   : "ir"(delta)                                                 \
                   : "memory")
#endif

static inline __attribute__((always_inline, unused)) bool pinref_is_negative(pinref_bits raw) {
  return raw >> (PINREF_WORD_BITS - 1) != 0;
}

// Acquire, so that what follows the take sees the page of this life, and the entry as it was write-protected.
static inline __attribute__((always_inline, unused)) pinref_take_result pinref_take(pinref_word* word,
                                                                                    pinref_bits delta) {
  bool negative;
#if defined(PINREF_FLAG_OUTPUTS)
  PINREF_LOCKED("add", word, delta, negative);
#else
  negative = pinref_is_negative(__atomic_add_fetch(&word->raw, delta, __ATOMIC_ACQUIRE));
#endif
  if (__builtin_expect(negative, 0)) return PINREF_SLOW(take)(word, delta);
  return PINREF_TAKE_TAKEN;
}

// The caller holds the page, which gives it all the order it needs.
static inline __attribute__((always_inline, unused)) pinref_take_result pinref_take_held(pinref_word* word,
                                                                                         pinref_bits delta) {
  bool negative;
#if defined(PINREF_FLAG_OUTPUTS)
  PINREF_LOCKED("add", word, delta, negative);
#else
  negative = pinref_is_negative(__atomic_add_fetch(&word->raw, delta, __ATOMIC_RELAXED));
#endif
  if (__builtin_expect(negative, 0)) return PINREF_SLOW(take)(word, delta);
  return PINREF_TAKE_TAKEN;
}

// Release, so that what the holder did with the page happens before it is freed, reused or found free of holders.
static inline __attribute__((always_inline, unused)) pinref_release_result pinref_release(pinref_word* word,
                                                                                          pinref_bits delta) {
  bool negative;
#if defined(PINREF_FLAG_OUTPUTS)
  PINREF_LOCKED("sub", word, delta, negative);
#else
  negative = pinref_is_negative(__atomic_sub_fetch(&word->raw, delta, __ATOMIC_RELEASE));
#endif
  if (__builtin_expect(negative, 0)) return PINREF_SLOW(release)(word, delta);
  return PINREF_RELEASE_RELEASED;
}

#undef PINREF_LOCKED

PINREF_FUNCTION bool pinref_matches(void) {
  return PINREF_SLOW(stamp)() == PINREF_WORD_STAMP;
}

PINREF_FUNCTION void pinref_init(pinref_word* word, size_t n) {
  PINREF_SLOW(start)(word, n, PINREF_ZONE_DEAD);
}

PINREF_FUNCTION pinref_take_result pinref_get_n(pinref_word* word, size_t n) {
  if (__builtin_expect((uint64_t)n > PINREF_MAX_REFERENCES_AT_ONCE, 0)) return PINREF_TAKE_OVERFLOW;
  return pinref_take_held(word, (pinref_bits)n);
}
PINREF_FUNCTION pinref_take_result pinref_get(pinref_word* word) {
  return pinref_take_held(word, 1);
}

PINREF_FUNCTION pinref_take_result pinref_try_get_n(pinref_word* word, size_t n) {
  if (__builtin_expect((uint64_t)n > PINREF_MAX_REFERENCES_AT_ONCE, 0)) return PINREF_TAKE_OVERFLOW;
  return pinref_take(word, (pinref_bits)n);
}
PINREF_FUNCTION pinref_take_result pinref_try_get(pinref_word* word) {
  return pinref_take(word, 1);
}

PINREF_FUNCTION pinref_release_result pinref_put_n(pinref_word* word, size_t n) {
  if (__builtin_expect((uint64_t)n - 1 >= PINREF_MAX_REFERENCES_AT_ONCE, 0))
    return n == 0 ? PINREF_RELEASE_RELEASED : PINREF_RELEASE_UNDERFLOW;
  return pinref_release(word, (pinref_bits)n);
}
PINREF_FUNCTION pinref_release_result pinref_put(pinref_word* word) {
  return pinref_release(word, 1);
}

PINREF_FUNCTION pinref_take_result pinref_add_pin_n(pinref_word* word, size_t n) {
  if (__builtin_expect((uint64_t)n > PINREF_MAX_PINS_AT_ONCE, 0)) return PINREF_TAKE_OVERFLOW;
  return pinref_take_held(word, (pinref_bits)n * PINREF_PIN);
}
PINREF_FUNCTION pinref_take_result pinref_add_pin(pinref_word* word) {
  return pinref_take_held(word, PINREF_PIN);
}

PINREF_FUNCTION pinref_take_result pinref_try_pin_n(pinref_word* word, size_t n) {
  if (__builtin_expect((uint64_t)n > PINREF_MAX_PINS_AT_ONCE, 0)) return PINREF_TAKE_OVERFLOW;
  return pinref_take(word, (pinref_bits)n * PINREF_PIN);
}
PINREF_FUNCTION pinref_take_result pinref_try_pin(pinref_word* word) {
  return pinref_take(word, PINREF_PIN);
}

PINREF_FUNCTION pinref_release_result pinref_unpin_n(pinref_word* word, size_t n) {
  if (__builtin_expect((uint64_t)n - 1 >= PINREF_MAX_PINS_AT_ONCE, 0))
    return n == 0 ? PINREF_RELEASE_RELEASED : PINREF_RELEASE_UNDERFLOW;
  return pinref_release(word, (pinref_bits)n * PINREF_PIN);
}
PINREF_FUNCTION pinref_release_result pinref_unpin(pinref_word* word) {
  return pinref_release(word, PINREF_PIN);
}

PINREF_FUNCTION bool pinref_freeze(pinref_word* word, size_t n) {
  return PINREF_SLOW(freeze)(word, n);
}
PINREF_FUNCTION void pinref_unfreeze(pinref_word* word, size_t n) {
  PINREF_SLOW(start)(word, n, PINREF_ZONE_FROZEN);
}
PINREF_FUNCTION void pinref_bury(pinref_word* word) {
  PINREF_SLOW(bury)(word);
}

PINREF_FUNCTION bool pinref_dma_pinned(pinref_word* word) {
  pinref_bits nothing = 0, raw;
#if defined(PINREF_FLAG_OUTPUTS)
  // A zero that clang cannot see: it would make a full fence and a load of an add of zero.
  __asm__("" : "+r"(nothing));
#endif
  // Acquire and release, and a read-modify-write, so that it comes before a pin or sees it.
  raw = __atomic_fetch_add(&word->raw, nothing, __ATOMIC_ACQ_REL);
  if (__builtin_expect(raw < PINREF_UNPINNED_BELOW, 1)) return false;
  return PINREF_SLOW(maybe_pinned)(raw);
}
PINREF_FUNCTION bool pinref_dma_pinned_hint(const pinref_word* word) {
  const pinref_bits raw = __atomic_load_n(&word->raw, __ATOMIC_RELAXED);
  if (__builtin_expect(raw < PINREF_UNPINNED_BELOW, 1)) return false;
  return PINREF_SLOW(maybe_pinned)(raw);
}
PINREF_FUNCTION bool pinref_idle(pinref_word* word, size_t n) {
  return PINREF_SLOW(idle)(word, n);
}

PINREF_FUNCTION pinref_wait_result pinref_wait_until_unpinned(pinref_word* word, int64_t nanoseconds,
                                                              const pinref_canceller* stop) {
  return PINREF_SLOW(wait_until_unpinned)(word, nanoseconds, stop);
}
PINREF_FUNCTION pinref_wait_result pinref_wait_until_idle(pinref_word* word, size_t n, int64_t nanoseconds,
                                                          const pinref_canceller* stop) {
  return PINREF_SLOW(wait_until_idle)(word, n, nanoseconds, stop);
}
PINREF_FUNCTION void pinref_cancel(pinref_canceller* stop) {
  PINREF_SLOW(cancel)(stop);
}

PINREF_FUNCTION int64_t pinref_references(const pinref_word* word) {
  return PINREF_SLOW(references)(word);
}
PINREF_FUNCTION uint64_t pinref_pins(const pinref_word* word) {
  return PINREF_SLOW(pins)(word);
}
PINREF_FUNCTION pinref_zone pinref_zone_of(const pinref_word* word) {
  return PINREF_SLOW(zone_of)(word);
}

#undef PINREF_FLAG_OUTPUTS
#endif  // !PINREF_NO_INLINE

#undef PINREF_SLOW
#undef PINREF_FUNCTION

#ifdef __cplusplus
}
#endif

#endif  // PINREF_H
