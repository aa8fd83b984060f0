// Many pages at once: pin and unpin of a range on the default host, of pages of 4 KiB and of one compound page of 2
// MiB.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "counting_sync.hpp"
#include "pages.hpp"
#include "paired.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/pinref.hpp"
#include "schemes.hpp"

namespace {

using namespace bench;

constexpr std::uintptr_t base_address = std::uintptr_t{1} << 32;
constexpr std::size_t most_pages = 512;

enum class size { small, large };

/// An area of the default host with its pages present.
template <class Ref>
struct area {
  using frame = pinref::basic_frame<Ref>;

  pinref::basic_frame_arena<Ref> arena{2};
  pinref::basic_page_table<Ref> space{arena, base_address, most_pages};
  std::array<frame*, most_pages> held{};

  explicit area(size pages) {
    if (!arena.valid() || !space.valid()) broken();
    space.map(base_address, most_pages, pinref::protection::read_write);
    if (pages == size::large) {
      frame* const head = arena.allocate_compound();
      if (head == nullptr || !space.map_page(base_address, *head, pinref::protection::read_write)) broken();
    }
    pin(most_pages);
    unpin(most_pages);
  }

  void pin(std::size_t n) {
    if (!pinref::pin_user_pages_fast(space, base_address, n, pinref::foll::write, held.data()).ok()) broken();
  }
  void unpin(std::size_t n) {
    if (!pinref::unpin_user_pages(held.data(), n).ok()) broken();
  }
};

/// pin_user_pages_fast, unpin_user_pages.
template <class Ref>
struct range {
  area<Ref> over;
  std::size_t n;

  range(size pages, std::size_t count) : over(pages), n(count) {}

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      over.pin(n);
      over.unpin(n);
    }
  }
};

/// As range, every page through the slow path.
struct range_slow : range<pinref::page_ref<>> {
  using range::range;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      if (!pinref::pin_user_pages(over.space, base_address, n, pinref::foll::write, over.held.data()).ok()) broken();
      over.unpin(n);
    }
  }
};

/// As range, for a caller that knows its pages are neighbours and need not be looked at one by one.
struct range_by_run : range<pinref::page_ref<>> {
  using range::range;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      over.pin(n);
      if (!pinref::unpin_user_page_range_dirty_lock(over.held[0], n, false).ok()) broken();
    }
  }
};

/// No addresses, no array: n pins of one folio.
struct folio : range<pinref::page_ref<>> {
  using range::range;

  void operator()(unsigned, std::size_t ops) {
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
    std::array<std::byte, sizeof(pinref::frame_arena::frame) - 2 * sizeof(void*)> rest{};
  };
  static constexpr std::uint64_t bias = std::uint64_t{1} << 32;

  std::array<frame, most_pages> frames{};
  std::array<std::atomic<std::uint64_t>, most_pages> entries{};
  std::array<frame*, most_pages> held{};
  std::size_t n;

  explicit handwritten(std::size_t count) : n(count) {
    for (std::size_t i = 0; i != most_pages; ++i) entries[i] = i << 12 | 3;
  }
};

/// Bare atomics, no checks. Flat: on a host without compound pages.
template <bool Flat>
struct by_hand_loop : handwritten {
  using handwritten::handwritten;

  BENCH_INLINE static frame& head_of(frame& page) { return Flat ? page : *page.head; }

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      for (std::size_t i = 0; i != n; ++i) {
        frame& page = frames[entries[i].load(std::memory_order_acquire) >> 12];
        head_of(page).word.fetch_add(bias, std::memory_order_relaxed);
        held[i] = &page;
      }
      for (std::size_t i = 0; i != n; ++i) head_of(*held[i]).word.fetch_sub(bias, std::memory_order_relaxed);
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
      for (std::size_t i = 0; i != n; ++i) {
        const std::uint64_t entry = entries[i].load(std::memory_order_acquire);
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
        if (entries[i].load(std::memory_order_relaxed) != entry || page.head != &head) [[unlikely]]
          broken();
        held[i] = &page;
      }
      for (std::size_t i = 0; i != n; ++i)
        if (held[i]->head->word.fetch_sub(bias, std::memory_order_acq_rel) == bias) [[unlikely]]
          broken();
    }
  }
};

/// The unit: the bare pair on one page.
struct bare_pair {
  one_page<bare> page;

  void operator()(unsigned, std::size_t ops) {
    bare& word = *page;
    for (; ops != 0; --ops) {
      (void)word.get();
      (void)word.put();
    }
  }
};

/// `Work(arguments...)` on n pages beside the bare pair; the counter over compares with the loop by hand.
template <class Work, class... Arguments>
void compare(const std::string& workload, const std::string& scheme, std::size_t n, Arguments... arguments) {
  add(workload, scheme, 1, [=](benchmark::State& state, unsigned threads) {
    bare_pair base;
    Work work(arguments...);
    by_hand reference(n);
    if constexpr (std::is_same_v<Work, by_hand>)
      measure(state, threads, {contender_of(base), contender_of(work, double(n))});
    else
      measure(state, threads, {contender_of(base), contender_of(reference, double(n)), contender_of(work, double(n))});
  });
}

template <class Layout>
using ref_of = pinref::page_ref<Layout>;

/// Locked operations of one pin and unpin of a range.
std::size_t locked_operations(size pages, std::size_t n) {
  area<pinref::page_ref<pinref::bias64, counting_sync>> over{pages};
  counting_sync::locked = 0;
  over.pin(n);
  over.unpin(n);
  return counting_sync::locked;
}

void add_benchmarks() {
  for (const std::size_t n : {std::size_t{1}, std::size_t{8}, std::size_t{64}, std::size_t{512}}) {
    const std::string small = "range_4k_" + std::to_string(n);
    compare<by_hand>(small, "by_hand", n, n);
    compare<by_hand_flat>(small, "by_hand_flat", n, n);
    compare<by_hand_linux>(small, "linux_small", n, n);
    compare<range<ref_of<pinref::split>>>(small, "split", n, size::small, n);
    compare<range<ref_of<pinref::bias32>>>(small, "bias32", n, size::small, n);
    compare<range<ref_of<pinref::bias64>>>(small, "bias64", n, size::small, n);
    compare<range_slow>(small, "bias64_slow", n, size::small, n);

    const std::string large = "range_2m_" + std::to_string(n);
    compare<range<ref_of<pinref::split>>>(large, "split", n, size::large, n);
    compare<range<ref_of<pinref::bias32>>>(large, "bias32", n, size::large, n);
    compare<range<ref_of<pinref::bias64>>>(large, "bias64", n, size::large, n);
    compare<range_by_run>(large, "bias64_by_run", n, size::large, n);
    compare<folio>(large, "bias64_folio", n, size::large, n);
  }

  benchmark::AddCustomContext("range_pin_atomics_1_page", std::to_string(locked_operations(size::small, 1)));
  benchmark::AddCustomContext("range_pin_atomics_512_pages", std::to_string(locked_operations(size::large, 512)));
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_all(argc, argv, add_benchmarks);
}
