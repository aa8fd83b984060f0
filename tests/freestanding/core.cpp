// SPDX-License-Identifier: MIT

// The core without an operating system, a C library or exceptions, on atomics of its own: what a kernel or a firmware
// would bring. without_libraries.py links it against nothing; where it can start by itself it also runs.

#include <pinref/gup/gup.hpp>
#include <pinref/gup/release.hpp>
#include <pinref/handles/page_handle.hpp>
#include <pinref/handles/pin_owner.hpp>
#include <pinref/handles/pin_request.hpp>
#include <pinref/handles/pinned_range.hpp>
#include <pinref/page/page.hpp>
#include <pinref/parts.hpp>
#include <pinref/protocols.hpp>
#include <pinref/ref/hot_ref.hpp>
#include <pinref/word/split_word.hpp>

#include <cstddef>
#include <cstdint>

static_assert(!__STDC_HOSTED__);

namespace {

std::int64_t clock_ticks = 0;

// The compiler's builtins stand for the platform's atomics.
template <class T>
class bare_atomic {
 public:
  static constexpr bool is_always_lock_free = __atomic_always_lock_free(sizeof(T), nullptr);

  constexpr bare_atomic(T value = T{}) noexcept : value_(value) {}
  bare_atomic(const bare_atomic&) = delete;
  bare_atomic& operator=(const bare_atomic&) = delete;

  T load(std::memory_order order) const noexcept {
    T value;
    __atomic_load(&value_, &value, static_cast<int>(order));
    return value;
  }
  void store(T value, std::memory_order order) noexcept { __atomic_store(&value_, &value, static_cast<int>(order)); }
  T exchange(T value, std::memory_order order) noexcept {
    T old;
    __atomic_exchange(&value_, &value, &old, static_cast<int>(order));
    return old;
  }
  T fetch_add(T n, std::memory_order order) noexcept { return __atomic_fetch_add(&value_, n, static_cast<int>(order)); }
  T fetch_sub(T n, std::memory_order order) noexcept { return __atomic_fetch_sub(&value_, n, static_cast<int>(order)); }
  bool compare_exchange_weak(T& seen, T next, std::memory_order success, std::memory_order failure) noexcept {
    return __atomic_compare_exchange(&value_, &seen, &next, true, static_cast<int>(success), static_cast<int>(failure));
  }
  bool compare_exchange_strong(T& seen, T next, std::memory_order success, std::memory_order failure) noexcept {
    return __atomic_compare_exchange(&value_, &seen, &next, false, static_cast<int>(success),
                                     static_cast<int>(failure));
  }

 private:
  T value_;
};

struct bare_sync {
  template <class T>
  using atomic = bare_atomic<T>;
  [[maybe_unused]] static constexpr bool process_shared = false;
  struct futex {};
  template <class T>
  static constexpr unsigned nr_futexes = 1;
  static inline int sleeps = 0;
  static inline int wakes = 0;

  template <class T>
  static futex futex_of(const bare_atomic<T>&, unsigned, T) noexcept {
    return {};
  }
  // One processor and no interrupt: only time passes in a sleep.
  static pinref::sleep_result wait(const futex*, unsigned, const pinref::deadline& until,
                                   std::int64_t = INT64_MAX) noexcept {
    ++sleeps;
    clock_ticks += until.left();
    return pinref::sleep_result::timed_out;
  }
  template <class T>
  static void wake_all(const bare_atomic<T>&) noexcept {
    ++wakes;
  }
  template <class T>
  static void wake_one(const bare_atomic<T>&) noexcept {
    ++wakes;
  }
};

struct frame {
  pinref::page_ref<pinref::bias64, bare_sync> ref;
  bool is_dirty = false;
  int freed = 0;
};

}  // namespace

std::int64_t pinref::monotonic_now() noexcept {
  return clock_ticks;
}

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static bool dirty(frame& page) noexcept { return page.is_dirty; }
  static void set_dirty(frame& page) noexcept { page.is_dirty = true; }
  static void lock(frame&) noexcept {}
  static bool try_lock(frame&) noexcept { return true; }
  static void unlock(frame&) noexcept {}
  static void free_page(frame& page) noexcept { ++page.freed; }
};

namespace {

struct no_lock {
  void lock() noexcept {}
  void unlock() noexcept {}
};

// Four frames behind one another from address 0 on; the last is not mapped.
struct memory {
  using page = frame;
  static constexpr std::size_t page_size = 4096;
  frame frames[4];

  bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first <= last && last < 4 * page_size;
  }
  pinref::mapping<frame> lookup(std::uintptr_t at, pinref::foll) noexcept {
    return at / page_size == 3 ? pinref::mapping<frame>{} : pinref::mapping<frame>{&frames[at / page_size], 0, 1};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<frame>&) noexcept { return true; }
  template <class Use>
  pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) noexcept {
    return pinref::gup_error::not_mapped;
  }
  void broken_mapping(std::uintptr_t) noexcept {}
};

// The line of the first thing that is not so, or 0.
#define EXPECT(...) \
  if (!(__VA_ARGS__)) return __LINE__

template <class Layout, class Sync>
int word() {
  using namespace pinref;
  static_assert(sizeof(page_ref<Layout, Sync>) == sizeof(Layout));
  page_ref<Layout, Sync> ref;
  EXPECT(ref.try_get() == take_result::dead);
  ref.init();
  EXPECT(ref.try_pin() == take_result::taken);
  EXPECT(ref.dma_pinned() && ref.pins() == 1 && ref.references() == 1);
  EXPECT(ref.wait_until_unpinned(deadline::in_nanoseconds(5)) == wait_result::timed_out);
  EXPECT(ref.unpin() == release_result::released);
  EXPECT(ref.wait_until_unpinned() == wait_result::reached);
  EXPECT(ref.freeze(1));
  ref.unfreeze(1);
  wait_canceller<Sync> stop;
  stop.cancel();
  EXPECT(ref.wait_until_idle(0, deadline::never(), stop) == wait_result::given_up);
  EXPECT(ref.put() == release_result::last);
  return 0;
}

// Without threads of an operating system a page stays as it is, and works.
int hot_word() {
  using namespace pinref;
  static constinit hot_threads threads;
  static constinit hot_ref<>::slots counts{threads};
  EXPECT(!threads.enter());
  threads.leave();
  hot_ref<> ref;
  EXPECT(ref.try_get() == take_result::dead);
  ref.init();
  EXPECT(!ref.make_hot(counts) && !ref.is_hot());
  EXPECT(ref.try_pin() == take_result::taken);
  EXPECT(ref.dma_pinned() && ref.unpin() == release_result::released && !ref.dma_pinned());
  EXPECT(ref.make_exact() == release_result::released);
  EXPECT(ref.put() == release_result::last);
  return 0;
}

int pages() {
  using namespace pinref;
  memory space;
  for (frame& each : space.frames) each.ref.init();
  frame* found[4] = {};
  const gup_result some = pin_user_pages_fast(space, 0, 4, foll::write, found);
  EXPECT(some.count == 3 && page_dma_pinned(space.frames[2]));
  {
    auto range = pinned_range<frame, on_release::dirty>::adopt({found, some.count});
    (void)range.unpin_front(1);
    EXPECT(space.frames[0].is_dirty && !page_dma_pinned(space.frames[0]));
  }
  EXPECT(space.frames[2].is_dirty && !page_dma_pinned(space.frames[2]));
  {
    pin_owner<frame, no_lock> owner{2};
    pin_request request{owner};
    EXPECT(request.pin_user_pages_fast(space, 0, foll{}, {found, 3}).reason == gup_error::limit_exceeded);
    EXPECT(request.pin_user_pages_fast(space, 0, foll{}, {found, 2}).count == 2);
    EXPECT(owner.unpin_all().count == 2);
  }
  auto held = page_ptr<frame>::get_page_unless_zero(space.frames[1]);
  EXPECT(put_page(space.frames[1]) == release_result::released);
  held.reset();
  EXPECT(space.frames[1].freed == 1 && try_pin_page(space.frames[1]) == take_result::dead);
  return 0;
}

// An evictor, and what a host is made of.
int parts() {
  using namespace pinref;
  frame page;
  page.ref.init(2);
  EXPECT(reclaim_page(page, 1) == reclaim_result::busy);
  page.is_dirty = true;
  EXPECT(reclaim_page(page, 2) == reclaim_result::dirty);
  page.is_dirty = false;
  EXPECT(reclaim_page(page, 2) == reclaim_result::reclaimed && page.ref.snapshot().zone() == zone::frozen);
  page.ref.bury();
  share_count<bare_sync> users;
  users.map();
  users.map_to_swap();
  EXPECT(users.sum() == 1 && users.swap_entries() == 1);
  write_protect_seq<bare_sync> seq;
  std::uint32_t seen = 0;
  EXPECT(seq.try_read_begin(seen) && !seq.read_retry(seen));
  seq.write_begin();
  EXPECT(seq.active() && seq.read_retry(seen) && !seq.try_read_begin(seen));
  seq.write_end();
  layout_gate<bare_sync> gate;
  gate.close();
  EXPECT(gate.wait_until_open(deadline::in_nanoseconds(1)) == wait_result::timed_out);
  gate.open();
  EXPECT(gate.is_open());
  return 0;
}

int everything() {
  if (const int line = word<pinref::bias64, bare_sync>()) return line;
  if (const int line = word<pinref::bias32, bare_sync>()) return line;
  if (const int line = word<pinref::split32, bare_sync>()) return line;
  EXPECT(bare_sync::sleeps == 3 && bare_sync::wakes == 6);
  if (const int line = hot_word()) return line;
  if (const int line = parts()) return line;
  return pages();
}

}  // namespace

#if defined(__x86_64__) && defined(__linux__)
// There is no start-up code. The exit status is that of everything().
extern "C" [[noreturn, gnu::force_align_arg_pointer]] void start() {
  const long code = everything();
  asm volatile("syscall" : : "a"(231L), "D"(code) : "rcx", "r11", "memory");
  __builtin_unreachable();
}
#else
extern "C" int start() {
  return everything();
}
#endif
