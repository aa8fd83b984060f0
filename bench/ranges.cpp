// SPDX-License-Identifier: MIT

// Many pages at once, on the default host: pin and unpin of a range, and the release that marks pages dirty.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "counting_sync.hpp"
#include "pages.hpp"
#include "paired.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/pinref.hpp"
#include "schemes.hpp"
#include "workloads.hpp"

namespace {

using namespace bench;

constexpr std::uintptr_t base_address = std::uintptr_t{1} << 32;
/// Where the pages of a range lie: 4 KiB each in the order of their frames or in any order, or compound pages of 2 MiB.
enum class layout { in_order, scattered, huge };

/// The frames of n pages in a layout's order.
std::vector<std::size_t> frame_numbers(layout pages, std::size_t n) {
  std::vector<std::size_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  if (pages == layout::scattered) std::shuffle(numbers.begin(), numbers.end(), std::mt19937_64{7});
  return numbers;
}

/// A range of `n` pages out of `all`: always the first ones, or each time others.
struct extent {
  std::size_t n;
  std::size_t all = n;
};

/// Where the next call starts.
class moving_start {
 public:
  explicit moving_start(extent of) : starts_(of.all - of.n + 1) { numbers_.seed(1); }
  [[nodiscard]] BENCH_INLINE std::size_t next() noexcept { return starts_ == 1 ? 0 : numbers_.next() % starts_; }

 private:
  std::size_t starts_;
  stream numbers_;
};

/// Pages of the default host, all present. Nobody touches their memory, so it takes none.
template <class Ref>
struct area {
  using frame = pinref::basic_frame<Ref>;
  static constexpr std::size_t per_block = pinref::basic_frame_arena<Ref>::frames_per_block;

  pinref::basic_frame_arena<Ref> arena;
  pinref::basic_page_table<Ref> space;
  std::vector<frame*> held;
  moving_start start;

  area(layout pages, extent of)
      : arena((of.all + per_block - 1) / per_block),
        space(arena, base_address, arena.nr_frames()),
        held(of.n),
        start(of) {
    if (!arena.valid() || !space.valid()) broken();
    space.map(base_address, arena.nr_frames(), pinref::protection::read_write);
    if (pages == layout::huge) {
      for (std::size_t i = 0; i < of.all; i += per_block) map(i, arena.allocate_compound());
    } else {
      std::vector<frame*> frames(of.all);
      for (frame*& each : frames) each = arena.allocate();
      std::sort(frames.begin(), frames.end());
      std::size_t i = 0;
      for (const std::size_t number : frame_numbers(pages, of.all)) map(i++, frames[number]);
    }
  }

  void map(std::size_t i, frame* page) {
    if (page == nullptr || !space.map_page(address(i), *page, pinref::protection::read_write)) broken();
  }
  [[nodiscard]] std::uintptr_t address(std::size_t i) const { return base_address + i * space.page_size; }

  void pin() {
    if (!pinref::pin_user_pages_fast(space, address(start.next()), held.size(), pinref::foll::write, held.data()).ok())
      broken();
  }
  void unpin() {
    if (!pinref::unpin_user_pages(held.data(), held.size()).ok()) broken();
  }
};

/// pin_user_pages_fast, unpin_user_pages.
template <class Ref>
struct range {
  area<Ref> over;

  range(layout pages, extent of) : over(pages, of) {}

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      over.pin();
      over.unpin();
    }
  }
};

/// A range of descriptors that nobody but their owner holds, claimed and given back: freeze_page_range,
/// thaw_page_range.
struct freeze_range {
  area<pinref::page_ref<>> over;

  freeze_range(layout pages, extent of) : over(pages, of) {}

  void operator()(unsigned, std::size_t ops) {
    auto& first = over.arena.frame_at(0);
    const std::size_t n = over.held.size();
    for (; ops != 0; --ops) {
      if (!pinref::freeze_page_range(first, n)) [[unlikely]]
        broken();
      pinref::thaw_page_range(first, n);
    }
  }
};

/// As range, every page through the slow path.
struct range_slow : range<pinref::page_ref<>> {
  using range::range;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      const std::uintptr_t first = over.address(over.start.next());
      if (!pinref::pin_user_pages(over.space, first, over.held.size(), pinref::foll::write, over.held.data()).ok())
        broken();
      over.unpin();
    }
  }
};

/// As range, for a caller that knows its pages are neighbours and need not be looked at one by one.
struct range_by_run : range<pinref::page_ref<>> {
  using range::range;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      over.pin();
      if (!pinref::unpin_user_page_range(over.held[0], over.held.size()).ok()) broken();
    }
  }
};

/// One page at an address, taken by `Pin` and released by a call on the page.
template <class Pin>
struct one_page_at {
  area<pinref::page_ref<>> over;

  one_page_at(layout pages, extent of) : over(pages, of) {}

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      Pin::pin(over.space, over.address(over.start.next()), over.held[0]);
      if (pinref::unpin_user_page(*over.held[0]) != pinref::release_result::released) [[unlikely]]
        broken();
    }
  }
};

struct by_call {
  using table = pinref::page_table;

  BENCH_INLINE static void pin(table& space, std::uintptr_t address, table::page*& out) {
    if (!pinref::pin_user_pages_fast(space, address, 1, pinref::foll::write, &out).ok()) [[unlikely]]
      broken();
  }
};

/// The same steps by hand: is the address one of the space's, look up, pin, look again, give back on a mismatch.
struct by_steps {
  using table = pinref::page_table;

  BENCH_INLINE static void pin(table& space, std::uintptr_t address, table::page*& out) {
    if (address % table::page_size != 0 || !space.contains(address, address + table::page_size - 1)) [[unlikely]]
      broken();
    const auto seen = space.lookup(address, pinref::foll::write | pinref::foll::pin);
    if (seen.page == nullptr || pinref::try_pin_page(*seen.page) != pinref::take_result::taken) [[unlikely]]
      broken();
    if (!space.recheck(address, seen)) [[unlikely]] {
      (void)pinref::unpin_user_page(*seen.page);
      broken();
    }
    out = seen.page;
  }
};

/// No addresses, no array: n pins of one folio.
struct folio : range<pinref::page_ref<>> {
  folio(layout pages, extent of) : range(pages, of) { over.pin(), over.unpin(); }

  void operator()(unsigned, std::size_t ops) {
    const std::size_t n = over.held.size();
    auto& head = *over.held[0];
    for (; ops != 0; --ops) {
      if (pinref::try_pin_page(head, n) != pinref::take_result::taken) broken();
      if (!pinref::unpin_user_folio(head, n).ok()) broken();
    }
  }
};

/// The same job by hand for small pages: descriptors as large as the default host's, entries as small as can be. A page
/// may be part of a compound page, so the count is its head's.
struct handwritten {
  struct frame {
    std::atomic<std::uint64_t> word{1};
    frame* head = this;
    std::atomic<std::uint32_t> lock{0};
    std::atomic<std::uint32_t> dirty{0};
    std::array<std::byte, sizeof(pinref::frame_arena::frame) - 3 * sizeof(void*)> rest{};
  };
  static_assert(sizeof(frame) == sizeof(pinref::frame_arena::frame));
  static constexpr std::uint64_t bias = std::uint64_t{1} << 32;

  std::vector<frame> frames;
  std::vector<std::atomic<std::uint64_t>> entries;
  std::vector<frame*> held;
  moving_start start;

  handwritten(layout pages, extent of) : frames(of.all), entries(of.all), held(of.n), start(of) {
    std::size_t i = 0;
    for (const std::size_t number : frame_numbers(pages, of.all)) entries[i++] = number << 12 | 3;
  }
};

/// Bare atomics, no checks. Flat: on a host without compound pages.
template <bool Flat>
struct by_hand_loop : handwritten {
  using handwritten::handwritten;

  BENCH_INLINE static frame& head_of(frame& page) { return Flat ? page : *page.head; }

  BENCH_INLINE void pin() {
    const std::atomic<std::uint64_t>* const first = entries.data() + start.next();
    for (std::size_t i = 0; i != held.size(); ++i) {
      frame& page = frames[first[i].load(std::memory_order_acquire) >> 12];
      head_of(page).word.fetch_add(bias, std::memory_order_relaxed);
      held[i] = &page;
    }
  }
  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      pin();
      for (frame* page : held) head_of(*page).word.fetch_sub(bias, std::memory_order_relaxed);
    }
  }
};

using by_hand = by_hand_loop<false>;
using by_hand_flat = by_hand_loop<true>;

/// With Linux's steps: permission, add unless zero, the rest of the bias, entry and head looked at again, last holder
/// noticed.
struct by_hand_linux : handwritten {
  using handwritten::handwritten;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      const std::atomic<std::uint64_t>* const first = entries.data() + start.next();
      for (std::size_t i = 0; i != held.size(); ++i) {
        const std::uint64_t entry = first[i].load(std::memory_order_acquire);
        if ((entry & 3) != 3) [[unlikely]]
          broken();
        frame& page = frames[entry >> 12];
        frame& head = *page.head;
        std::uint64_t seen = head.word.load(std::memory_order_relaxed);
        do
          if (seen == 0) [[unlikely]]
            broken();
        while (!head.word.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire, std::memory_order_relaxed));
        head.word.fetch_add(bias - 1, std::memory_order_relaxed);
        if (first[i].load(std::memory_order_relaxed) != entry || page.head != &head) [[unlikely]]
          broken();
        held[i] = &page;
      }
      for (frame* page : held)
        if (page->head->word.fetch_sub(bias, std::memory_order_acq_rel) == bias) [[unlikely]]
          broken();
    }
  }
};

/// Which pages are dirty before they are released as written to.
enum class written { none, half, all };

[[nodiscard]] BENCH_INLINE bool is_written(written before, std::size_t i) noexcept {
  return before == written::all || (before == written::half && i % 2 == 0);
}

/// pin_user_pages_fast and unpin_user_pages_dirty_lock of pages that somebody cleans in between.
template <class Ref>
struct dirty_release {
  area<Ref> over;
  written before;

  dirty_release(written pages, extent of) : over(layout::in_order, of), before(pages) {}

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      over.pin();
      for (std::size_t i = 0; i != over.held.size(); ++i)
        if (!is_written(before, i)) (void)over.held[i]->clear_dirty();
      if (!pinref::unpin_user_pages_dirty_lock(over.held.data(), over.held.size(), true).ok()) broken();
    }
  }
};

/// The same by hand: a lock of one bit, nobody sleeping on it.
struct by_hand_dirty : by_hand {
  written before;

  by_hand_dirty(written pages, extent of) : by_hand(layout::in_order, of), before(pages) {}

  BENCH_INLINE static void release(frame& head) {
    if (head.dirty.load(std::memory_order_relaxed) == 0) {
      while (head.lock.exchange(1, std::memory_order_acquire) != 0) bench::pause();
      head.dirty.store(1, std::memory_order_release);
      head.lock.store(0, std::memory_order_release);
    }
    head.word.fetch_sub(bias, std::memory_order_release);
  }
  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      pin();
      for (std::size_t i = 0; i != held.size(); ++i)
        if (!is_written(before, i)) (void)held[i]->dirty.exchange(0, std::memory_order_acquire);
      for (frame* page : held) release(*page->head);
    }
  }
};

/// `Work(kind, of)` beside the bare pair; the counter over compares with the loop by hand.
template <class Work, class Hand = by_hand, class Kind>
void add_range(const std::string& workload, const std::string& scheme, Kind kind, extent of) {
  add(workload, scheme, 1, [=](benchmark::State& state, unsigned threads) {
    const double items = double(of.n);
    get_put<bare> base;
    Work work(kind, of);
    if constexpr (std::is_same_v<Work, Hand>) {
      measure(state, threads, {contender_of(base), contender_of(work, items)});
    } else {
      Hand reference(kind, of);
      measure(state, threads, {contender_of(base), contender_of(reference, items), contender_of(work, items)});
    }
  });
}

template <class Layout>
using ref_of = pinref::page_ref<Layout>;

/// Locked operations of one pin and unpin of a range.
std::size_t locked_operations(layout pages, std::size_t n) {
  area<pinref::page_ref<pinref::bias64, counting_sync>> over{pages, {n}};
  counting_sync::locked = 0;
  over.pin();
  over.unpin();
  return counting_sync::locked;
}

void add_small(const std::string& workload, layout pages, extent of) {
  add_range<by_hand>(workload, "by_hand", pages, of);
  add_range<by_hand_flat>(workload, "by_hand_flat", pages, of);
  add_range<by_hand_linux>(workload, "linux_small", pages, of);
  add_range<range<ref_of<pinref::split32>>>(workload, "split", pages, of);
  add_range<range<ref_of<pinref::bias32>>>(workload, "bias32", pages, of);
  add_range<range<ref_of<pinref::bias64>>>(workload, "bias64", pages, of);
}

void add_dirty(const std::string& workload, written before) {
  const extent of{512};
  add_range<by_hand_dirty, by_hand_dirty>(workload, "by_hand", before, of);
  add_range<dirty_release<ref_of<pinref::bias32>>, by_hand_dirty>(workload, "bias32", before, of);
  add_range<dirty_release<ref_of<pinref::bias64>>, by_hand_dirty>(workload, "bias64", before, of);
}

void add_benchmarks() {
  for (const std::size_t n : {std::size_t{1}, std::size_t{16}, std::size_t{512}, std::size_t{32768}}) {
    const std::string small = "range_4k_" + std::to_string(n);
    add_small(small, layout::in_order, {n});
    add_range<range_slow>(small, "bias64_slow", layout::in_order, {n});

    const std::string large = "range_2m_" + std::to_string(n);
    add_range<range<ref_of<pinref::split32>>>(large, "split", layout::huge, {n});
    add_range<range<ref_of<pinref::bias32>>>(large, "bias32", layout::huge, {n});
    add_range<range<ref_of<pinref::bias64>>>(large, "bias64", layout::huge, {n});
    add_range<range_by_run>(large, "bias64_by_run", layout::huge, {n});
    if (n <= area<ref_of<pinref::bias64>>::per_block) add_range<folio>(large, "bias64_folio", layout::huge, {n});
  }
  using one_by_steps = one_page_at<by_steps>;
  add_range<one_by_steps, one_by_steps>("one_page", "by_hand", layout::in_order, {1});
  add_range<one_page_at<by_call>, one_by_steps>("one_page", "bias64", layout::in_order, {1});
  add_small("range_cold_512", layout::scattered, {512, std::size_t{1} << 18});
  add_range<freeze_range, freeze_range>("freeze_512", "bias64", layout::in_order, {512});
  add_dirty("dirty_clean", written::none);
  add_dirty("dirty_mixed", written::half);
  add_dirty("dirty_dirty", written::all);

  benchmark::AddCustomContext("range_pin_atomics_1_page", std::to_string(locked_operations(layout::in_order, 1)));
  benchmark::AddCustomContext("range_pin_atomics_512_pages", std::to_string(locked_operations(layout::huge, 512)));
}

}  // namespace

BENCH_MAIN(add_benchmarks)
