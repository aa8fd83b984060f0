// SPDX-License-Identifier: MIT

// The object behind pinref.h, pinref_pages.h and pinref_cache.h, made of the C++ headers. Add this source to a program
// in C, or link the library that the build makes of it. It needs nothing but the C library:
//
//   c++ -std=c++20 -O2 -fno-exceptions -fno-rtti -I include -I c/include -c c/pinref.cpp

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "pinref/host/registration_cache.hpp"
#include "pinref/pinref.hpp"
#include "pinref/sync/layout_stamp.hpp"

// The functions that are inline elsewhere are defined here, for other languages.
#define PINREF_FUNCTION
#include "pinref_cache.h"

#ifndef PINREF_CACHE_REGIONS
#define PINREF_CACHE_REGIONS 1024
#endif

namespace {

/// An object of the C headers as the object of C++ that it is, or that stands in its place.
template <class Cxx, class C>
Cxx& as(C* object) noexcept {
  return *std::launder(reinterpret_cast<Cxx*>(object));
}

/// The words of pinref.h, whatever it is told before it is included.
struct word_of_32_bits {
  alignas(4) std::uint32_t raw;
};

pinref::deadline deadline_of(std::int64_t time) noexcept {
  return time < 0 ? pinref::deadline::never() : pinref::deadline::in_nanoseconds(time);
}

template <class Word, class Layout, class Sync>
class words {
 public:
  using ref = pinref::page_ref<Layout, Sync>;
  using counter = pinref::zoned_word<typename Layout::zones, Layout::pin_bias, Sync>;
  using bits = typename Layout::word_type;
  using canceller = pinref::wait_canceller<Sync>;
  static_assert(sizeof(ref) == sizeof(Word) && sizeof(counter) == sizeof(Word) && sizeof(Word) == sizeof(bits) &&
                alignof(ref) == alignof(Word) && std::is_standard_layout_v<ref> && std::is_standard_layout_v<counter>);
  static_assert(sizeof(canceller) == sizeof(pinref_canceller) && std::is_standard_layout_v<canceller>);

  static ref& of(Word* word) noexcept { return as<ref>(word); }
  static const ref& of(const Word* word) noexcept { return as<const ref>(word); }

  static std::uint64_t stamp() noexcept { return pinref::layout_stamp<ref>{}.raw(); }
  static pinref_take_result take(Word* word, bits added) noexcept {
    return static_cast<pinref_take_result>(as<counter>(word).resolve_take(added));
  }
  static pinref_release_result release(Word* word, bits removed) noexcept {
    return static_cast<pinref_release_result>(as<counter>(word).resolve_release(removed, pinref::owner_ref::counted));
  }
  static void start(Word* word, std::size_t n, pinref_zone from) noexcept {
    from == PINREF_ZONE_FROZEN ? of(word).unfreeze(n) : of(word).init(n);
  }
  static bool maybe_pinned(bits raw) noexcept { return Layout{raw}.maybe_pinned(); }
  static pinref_zone zone_of(const Word* word) noexcept { return static_cast<pinref_zone>(of(word).snapshot().zone()); }

  static void cancel(pinref_canceller* stop) noexcept { as<canceller>(stop).cancel(); }
  static pinref_wait_result wait_until_unpinned(Word* word, std::int64_t time, const pinref_canceller* stop) noexcept {
    return wait(time, stop, [word](const auto& until, const auto& canceller) noexcept {
      return of(word).wait_until_unpinned(until, canceller);
    });
  }
  static pinref_wait_result wait_until_idle(Word* word, std::size_t n, std::int64_t time,
                                            const pinref_canceller* stop) noexcept {
    return wait(time, stop, [word, n](const auto& until, const auto& canceller) noexcept {
      return of(word).wait_until_idle(n, until, canceller);
    });
  }

 private:
  template <class Wait>
  static pinref_wait_result wait(std::int64_t time, const pinref_canceller* stop, Wait wait) noexcept {
    const auto until = deadline_of(time);
    const auto result =
        stop == nullptr ? wait(until, pinref::never_cancelled{}) : wait(until, as<const canceller>(stop));
    return static_cast<pinref_wait_result>(result);
  }
};

template <class C, class Cxx>
constexpr bool same(C a, Cxx b) noexcept {
  return static_cast<int>(a) == static_cast<int>(b);
}
using pinref::release_result, pinref::take_result, pinref::wait_result, pinref::zone;
static_assert(same(PINREF_TAKE_TAKEN, take_result::taken) && same(PINREF_TAKE_DEAD, take_result::dead) &&
              same(PINREF_TAKE_OVERFLOW, take_result::overflow));
static_assert(same(PINREF_RELEASE_RELEASED, release_result::released) &&
              same(PINREF_RELEASE_LAST, release_result::last) &&
              same(PINREF_RELEASE_UNDERFLOW, release_result::underflow));
static_assert(same(PINREF_WAIT_REACHED, wait_result::reached) && same(PINREF_WAIT_TIMED_OUT, wait_result::timed_out) &&
              same(PINREF_WAIT_GIVEN_UP, wait_result::given_up));
static_assert(same(PINREF_ZONE_ALIVE, zone::alive) && same(PINREF_ZONE_OVERFLOW, zone::overflow) &&
              same(PINREF_ZONE_WATCHED, zone::watched) && same(PINREF_ZONE_FROZEN, zone::frozen) &&
              same(PINREF_ZONE_DEAD, zone::dead) && same(PINREF_ZONE_UNDERFLOW, zone::underflow));

static_assert(PINREF_PIN == pinref::bias64::pin_bias && PINREF_DEAD == pinref::bias64::zones::dead);
static_assert(PINREF_UNPINNED_BELOW == pinref::bias64::live(PINREF_PIN / 2).raw());
static_assert(sizeof(std::size_t) < 8 || (PINREF_MAX_REFERENCES_AT_ONCE == pinref::bias64::max_references_at_once &&
                                          PINREF_MAX_PINS_AT_ONCE == pinref::bias64::max_pins_at_once));

using pinref::gup_error, pinref::foll;
static_assert(same(PINREF_ERROR_NONE, gup_error::none) && same(PINREF_ERROR_NO_PAGES, gup_error::no_pages) &&
              same(PINREF_ERROR_NULL_PAGES, gup_error::null_pages) &&
              same(PINREF_ERROR_BAD_FLAGS, gup_error::bad_flags) &&
              same(PINREF_ERROR_MISALIGNED, gup_error::misaligned) &&
              same(PINREF_ERROR_ADDRESS_OVERFLOW, gup_error::address_overflow) &&
              same(PINREF_ERROR_OUT_OF_RANGE, gup_error::out_of_range) &&
              same(PINREF_ERROR_NOT_MAPPED, gup_error::not_mapped) &&
              same(PINREF_ERROR_NO_PERMISSION, gup_error::no_permission) &&
              same(PINREF_ERROR_BROKEN_MAPPING, gup_error::broken_mapping) &&
              same(PINREF_ERROR_NOT_LONGTERM, gup_error::not_longterm) &&
              same(PINREF_ERROR_OVERFLOW, gup_error::overflow) && same(PINREF_ERROR_NO_MEMORY, gup_error::no_memory) &&
              same(PINREF_ERROR_LIMIT_EXCEEDED, gup_error::limit_exceeded) &&
              same(PINREF_ERROR_WOULD_BLOCK, gup_error::would_block) && same(PINREF_ERROR_BUSY, gup_error::busy) &&
              same(PINREF_ERROR_DEAD, gup_error::dead) && same(PINREF_ERROR_INTERRUPTED, gup_error::interrupted) &&
              same(PINREF_ERROR_UNDERFLOW, gup_error::underflow) &&
              same(PINREF_ERROR_TOO_MANY_PAGES, gup_error::too_many_pages) &&
              same(PINREF_ERROR_DIRTY_REFUSED, gup_error::dirty_refused));
static_assert(same(PINREF_FOLL_WRITE, foll::write) && same(PINREF_FOLL_LONGTERM, foll::longterm) &&
              same(PINREF_FOLL_FORCE, foll::force) && same(PINREF_FOLL_NOFAULT, foll::nofault) &&
              same(PINREF_FOLL_FAST_ONLY, foll::fast_only) && same(PINREF_FOLL_INTERRUPTIBLE, foll::interruptible) &&
              same(PINREF_FOLL_ALL, foll::all) && same(PINREF_FOLL_GET, foll::get) && same(PINREF_FOLL_PIN, foll::pin));

pinref_error to_c(gup_error error) noexcept {
  return static_cast<pinref_error>(error);
}
pinref_result to_c(pinref::gup_result done) noexcept {
  return {done.count, to_c(done.reason)};
}

/// A pinref_page, with what its table says as members.
struct page {
  pinref::page_ref<> ref;
  const pinref_page_ops* ops;

  void free_page() noexcept { ops->free_page(c()); }
  page& head() noexcept { return ops->head == nullptr ? *this : as<page>(ops->head(c())); }
  // The two that only ranges of descriptors ask for.
  static std::size_t nr_pages() noexcept { return 1; }
  static std::uint64_t frame_number() noexcept { return 0; }
  page& nth_page(std::size_t i) noexcept { return as<page>(ops->nth_page(c(), i)); }
  void lock() noexcept {
    if (ops->lock != nullptr) ops->lock(c());
  }
  void unlock() noexcept {
    if (ops->unlock != nullptr) ops->unlock(c());
  }
  bool dirty() noexcept { return ops->dirty != nullptr && ops->dirty(c()); }
  bool set_dirty() noexcept { return ops->set_dirty != nullptr && ops->set_dirty(c()); }
  bool longterm_pinnable(foll flags) noexcept {
    return ops->longterm_pinnable == nullptr || ops->longterm_pinnable(c(), static_cast<unsigned>(flags));
  }

  pinref_page* c() noexcept { return reinterpret_cast<pinref_page*>(this); }
};
static_assert(sizeof(page) == sizeof(pinref_page) && std::is_standard_layout_v<page>);
static_assert(pinref::freeable_page<page> && pinref::compound_page<page> && pinref::numbered_page<page> &&
              pinref::lockable_page<page> && pinref::dirty_page<page> && pinref::longterm_page<page>);

/// A pinref_space, in pages instead of bytes: its page size is known at run time only.
class space {
 public:
  using page = ::page;
  static constexpr std::size_t page_size = 1;

  explicit space(pinref_space& of) noexcept : of_(of) {}

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) noexcept {
    return of_.ops->contains(&of_, bytes(first), bytes(last) + (of_.page_size - 1));
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t at, foll flags) noexcept {
    return to_cxx(of_.ops->lookup(&of_, bytes(at), static_cast<unsigned>(flags)));
  }
  [[nodiscard]] bool recheck(std::uintptr_t at, const pinref::mapping<page>& seen) noexcept {
    const pinref_mapping as_seen{seen.page->c(), seen.token, seen.run};
    return of_.ops->recheck(&of_, bytes(at), &as_seen);
  }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t at, foll flags, Use use) noexcept {
    struct call : pinref_use {
      explicit call(Use& that) noexcept : pinref_use{run}, use(that) {}
      static pinref_error run(pinref_use* self, const pinref_mapping* mapping) noexcept {
        return to_c(static_cast<call*>(self)->use(to_cxx(*mapping)));
      }
      Use& use;
    } self{use};
    return static_cast<gup_error>(of_.ops->fault_in(&of_, bytes(at), static_cast<unsigned>(flags), &self));
  }
  [[nodiscard]] bool interrupted() noexcept { return of_.ops->interrupted != nullptr && of_.ops->interrupted(&of_); }
  void broken_mapping(std::uintptr_t at) noexcept {
    if (of_.ops->broken_mapping != nullptr) of_.ops->broken_mapping(&of_, bytes(at));
  }

 private:
  [[nodiscard]] std::uintptr_t bytes(std::uintptr_t at) const noexcept { return at * of_.page_size; }
  static pinref::mapping<page> to_cxx(const pinref_mapping& seen) noexcept {
    if (seen.page == nullptr) return {};
    return {&as<page>(seen.page), seen.token, seen.run == 0 || seen.page->ops->nth_page == nullptr ? 1 : seen.run};
  }

  pinref_space& of_;
};
static_assert(pinref::address_space<space> && pinref::interrupting_space<space> && pinref::diagnosing_space<space>);

/// Calls `walk(space, first_page, nr_pages, flags, pages)`, unless something is wrong with the bytes.
template <class Walk>
pinref_result in_pages(pinref_space* of, std::uintptr_t start, std::size_t nr_pages, unsigned flags, foll mode,
                       pinref_page** pages, Walk walk) noexcept {
  const std::size_t size = of->page_size;
  const auto callers = static_cast<foll>(flags);
  gup_error bad = pinref::check_flags(callers, mode, pages != nullptr);
  if (bad == gup_error::none && nr_pages == 0) bad = gup_error::no_pages;
  if (bad == gup_error::none && start % size != 0) bad = gup_error::misaligned;
  if (bad == gup_error::none && (nr_pages > UINTPTR_MAX / size || start > UINTPTR_MAX - (nr_pages * size - 1)))
    bad = gup_error::address_overflow;
  if (bad != gup_error::none) return {0, to_c(bad)};
  space in{*of};
  const std::uintptr_t first = start / size;
  page** const held = reinterpret_cast<page**>(pages);
  return to_c(walk(in, first, nr_pages, callers, held));
}

struct item {
  pinref::list_link link;
};
using deferred = pinref::deferred_list<item, &item::link>;
static_assert(sizeof(deferred) == sizeof(pinref_deferred_list) && sizeof(item) == sizeof(pinref_link));

/// A pinref_backend as the cache asks for it.
struct backend {
  using handle = void*;
  static constexpr std::size_t granule = 4096;

  const pinref_backend* of;

  [[nodiscard]] gup_error register_memory(std::uintptr_t first, std::size_t length, unsigned access,
                                          void*& made) noexcept {
    return static_cast<gup_error>(of->register_memory(of->context, first, length, access, &made));
  }
  [[nodiscard]] bool deregister(void*& made) noexcept { return of->deregister(of->context, made); }
};

struct cache {
  backend nic;
  pinref::registration_cache<backend, PINREF_CACHE_REGIONS> of;

  cache(const pinref_backend* that, const pinref::registration_budget& budget) noexcept : nic{that}, of(nic, budget) {}
};
using region = decltype(cache::of)::region;
static_assert(alignof(cache) <= PINREF_CACHE_ALIGNMENT);

}  // namespace

extern "C" {

const char* pinref_take_to_string(pinref_take_result result) {
  return to_string(static_cast<take_result>(result));
}
const char* pinref_release_to_string(pinref_release_result result) {
  return to_string(static_cast<release_result>(result));
}
const char* pinref_wait_to_string(pinref_wait_result result) {
  return to_string(static_cast<wait_result>(result));
}
const char* pinref_zone_to_string(pinref_zone where) {
  return to_string(static_cast<zone>(where));
}

// What the inline functions of pinref.h call, of each kind of word.
// clang-format off
#define PINREF_WORDS(suffix, Word, ...)                                                                                \
  using words_##suffix = words<Word, __VA_ARGS__>;                                                                     \
  std::uint64_t pinref_slow_stamp_##suffix() { return words_##suffix::stamp(); }                                       \
  pinref_take_result pinref_slow_take_##suffix(Word* word, words_##suffix::bits added) {                               \
    return words_##suffix::take(word, added);                                                                          \
  }                                                                                                                    \
  pinref_release_result pinref_slow_release_##suffix(Word* word, words_##suffix::bits removed) {                       \
    return words_##suffix::release(word, removed);                                                                     \
  }                                                                                                                    \
  void pinref_slow_start_##suffix(Word* word, std::size_t n, pinref_zone from) {                                       \
    words_##suffix::start(word, n, from);                                                                              \
  }                                                                                                                    \
  bool pinref_slow_freeze_##suffix(Word* word, std::size_t n) { return words_##suffix::of(word).freeze(n); }           \
  void pinref_slow_bury_##suffix(Word* word) { words_##suffix::of(word).bury(); }                                      \
  bool pinref_slow_maybe_pinned_##suffix(words_##suffix::bits raw) { return words_##suffix::maybe_pinned(raw); }       \
  bool pinref_slow_idle_##suffix(Word* word, std::size_t n) { return words_##suffix::of(word).idle(n); }               \
  pinref_wait_result pinref_slow_wait_until_unpinned_##suffix(Word* word, std::int64_t time,                           \
                                                              const pinref_canceller* stop) {                          \
    return words_##suffix::wait_until_unpinned(word, time, stop);                                                      \
  }                                                                                                                    \
  pinref_wait_result pinref_slow_wait_until_idle_##suffix(Word* word, std::size_t n, std::int64_t time,                \
                                                          const pinref_canceller* stop) {                              \
    return words_##suffix::wait_until_idle(word, n, time, stop);                                                       \
  }                                                                                                                    \
  void pinref_slow_cancel_##suffix(pinref_canceller* stop) { words_##suffix::cancel(stop); }                           \
  std::int64_t pinref_slow_references_##suffix(const Word* word) { return words_##suffix::of(word).references(); }     \
  std::uint64_t pinref_slow_pins_##suffix(const Word* word) { return words_##suffix::of(word).pins(); }                \
  pinref_zone pinref_slow_zone_of_##suffix(const Word* word) { return words_##suffix::zone_of(word); }
// clang-format on

PINREF_WORDS(64, pinref_word, pinref::bias64, pinref::std_sync)
PINREF_WORDS(shared64, pinref_word, pinref::bias64, pinref::shared_sync)
PINREF_WORDS(32, word_of_32_bits, pinref::bias32, pinref::std_sync)
PINREF_WORDS(shared32, word_of_32_bits, pinref::bias32, pinref::shared_sync)

const char* pinref_error_to_string(pinref_error error) {
  return to_string(static_cast<gup_error>(error));
}
int pinref_error_to_errno(pinref_error error) {
  return to_errno(static_cast<gup_error>(error));
}

pinref_take_result pinref_get_page_unless_zero(pinref_page* that) {
  return static_cast<pinref_take_result>(pinref::get_page_unless_zero(as<page>(that)));
}
pinref_release_result pinref_put_page(pinref_page* that) {
  return static_cast<pinref_release_result>(pinref::put_page(as<page>(that)));
}
pinref_take_result pinref_try_pin_page(pinref_page* that) {
  return static_cast<pinref_take_result>(pinref::try_pin_page(as<page>(that)));
}
pinref_release_result pinref_unpin_user_page(pinref_page* that) {
  return static_cast<pinref_release_result>(pinref::unpin_user_page(as<page>(that)));
}
bool pinref_page_dma_pinned(pinref_page* that) {
  return pinref::page_dma_pinned(as<page>(that));
}

pinref_result pinref_get_user_pages(pinref_space* of, std::uintptr_t start, std::size_t nr_pages, unsigned flags,
                                    pinref_page** pages) {
  return in_pages(of, start, nr_pages, flags, foll::get, pages,
                  [](auto&... what) noexcept { return pinref::get_user_pages(what...); });
}
pinref_result pinref_pin_user_pages(pinref_space* of, std::uintptr_t start, std::size_t nr_pages, unsigned flags,
                                    pinref_page** pages) {
  return in_pages(of, start, nr_pages, flags, foll::pin, pages,
                  [](auto&... what) noexcept { return pinref::pin_user_pages(what...); });
}
pinref_result pinref_get_user_pages_fast(pinref_space* of, std::uintptr_t start, std::size_t nr_pages, unsigned flags,
                                         pinref_page** pages) {
  return in_pages(of, start, nr_pages, flags, foll::get, pages,
                  [](auto&... what) noexcept { return pinref::get_user_pages_fast(what...); });
}
pinref_result pinref_pin_user_pages_fast(pinref_space* of, std::uintptr_t start, std::size_t nr_pages, unsigned flags,
                                         pinref_page** pages) {
  return in_pages(of, start, nr_pages, flags, foll::pin, pages,
                  [](auto&... what) noexcept { return pinref::pin_user_pages_fast(what...); });
}

pinref_result pinref_release_pages(pinref_page* const* pages, std::size_t n) {
  return to_c(pinref::release_pages(reinterpret_cast<page* const*>(pages), n));
}
pinref_result pinref_unpin_user_pages(pinref_page* const* pages, std::size_t n) {
  return to_c(pinref::unpin_user_pages(reinterpret_cast<page* const*>(pages), n));
}
pinref_result pinref_unpin_user_pages_dirty_lock(pinref_page* const* pages, std::size_t n, bool make_dirty) {
  return to_c(pinref::unpin_user_pages_dirty_lock(reinterpret_cast<page* const*>(pages), n, make_dirty));
}

void pinref_defer(pinref_deferred_list* list, pinref_link* link) {
  as<deferred>(list).push(as<item>(link));
}
std::size_t pinref_drain(pinref_deferred_list* list, void (*free_item)(pinref_link*, void*), void* context) {
  return as<deferred>(list).drain(
      [free_item, context](item& each) noexcept { free_item(reinterpret_cast<pinref_link*>(&each), context); });
}

std::size_t pinref_cache_size() {
  return sizeof(cache);
}
pinref_cache* pinref_cache_init(void* memory, const pinref_backend* that, std::size_t bytes, std::size_t regions) {
  if (memory == nullptr || reinterpret_cast<std::uintptr_t>(memory) % PINREF_CACHE_ALIGNMENT != 0) return nullptr;
  new (memory) cache(that, {bytes, regions});
  return static_cast<pinref_cache*>(memory);
}
void pinref_cache_fini(pinref_cache* that) {
  as<cache>(that).~cache();
}
pinref_pinned pinref_cache_pin(pinref_cache* that, std::uintptr_t start, std::size_t length, unsigned access,
                               unsigned flags, bool (*admit)(void*), void* context) {
  const auto held = as<cache>(that).of.pin(start, length, access, static_cast<foll>(flags),
                                           [admit, context]() noexcept { return admit == nullptr || admit(context); });
  return {reinterpret_cast<pinref_region*>(held.region), to_c(held.reason)};
}
pinref_release_result pinref_region_unpin(pinref_region* that) {
  return static_cast<pinref_release_result>(pinref::unpin_user_page(as<region>(that)));
}
void* pinref_region_handle(pinref_region* that) {
  return as<region>(that).handle();
}
std::uintptr_t pinref_region_first(const pinref_region* that) {
  return as<const region>(that).first();
}
std::uintptr_t pinref_region_last(const pinref_region* that) {
  return as<const region>(that).last();
}
unsigned pinref_region_access(const pinref_region* that) {
  return as<const region>(that).access();
}
pinref_error pinref_cache_close(pinref_cache* that, std::uintptr_t start, std::size_t length, std::int64_t time,
                                const pinref_canceller* stop) {
  auto& of = as<cache>(that).of;
  const auto until = deadline_of(time);
  return to_c(stop == nullptr ? of.close(start, length, until)
                              : of.close(start, length, until, as<const pinref::wait_canceller<>>(stop)));
}
bool pinref_cache_open(pinref_cache* that, std::uintptr_t start, std::size_t length) {
  return as<cache>(that).of.open(start, length);
}
void pinref_cache_tell(pinref_cache* that, std::uintptr_t start, std::size_t length) {
  as<cache>(that).of.tell(start, length);
}
void pinref_cache_reap(pinref_cache* that) {
  as<cache>(that).of.reap();
}
void pinref_cache_forget_in_child(pinref_cache* that) {
  as<cache>(that).of.forget_in_child();
}
pinref_cache_counts pinref_cache_count(pinref_cache* that) {
  const auto counts = as<cache>(that).of.counts();
  return {counts.regions, counts.bytes,   counts.registered, counts.failed,
          counts.merged,  counts.evicted, counts.invalidated};
}

}  // extern "C"
