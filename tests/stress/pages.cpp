// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>

#include "crew.hpp"
#include "layouts.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/page/page.hpp"

using pinref::release_result;
using pinref::take_result;
using stress::crew;
using stress::nr_threads;
using stress::steps;

namespace {

// A thread's holds on some words, references and pins apart, and everything unexpected that it saw.
template <class Layout>
struct holder {
  pinref::page_ref<Layout>& ref;
  std::size_t references = 0;
  std::size_t pins = 0;
  unsigned lasts = 0;
  unsigned wrong = 0;

  void count(std::size_t& held, std::size_t n, take_result result) {
    if (result == take_result::taken) held += n;
    wrong += result == take_result::overflow;
  }

  bool drop(std::size_t& held, std::size_t n, release_result result) {
    held -= n;
    lasts += result == release_result::last;
    wrong += result == release_result::underflow || result == release_result::idle;
    return result == release_result::last;
  }

  // True if the page died by it.
  bool step(stress::random& choices) {
    if (choices.once_in(64)) std::this_thread::yield();
    const std::size_t n = 1 + choices.below(3);
    switch (choices.below(9)) {
      case 0:
        count(references, n, ref.try_get(n));
        return false;
      case 1:
        count(pins, n, ref.try_pin(n));
        return false;
      case 2:
        count(references, n, ref.try_get_if_alive(n));
        return false;
      case 3:
        if (references + pins != 0) count(references, n, ref.get(n));
        return false;
      case 4:
        if (pins != 0) count(pins, n, ref.add_pin(n));
        return false;
      case 5:
        return references != 0 && drop(references, 1, ref.put_sole());
      case 6:
        return references >= n && drop(references, n, ref.put(n));
      case 7:
        return pins >= n && drop(pins, n, ref.unpin(n));
      default:
        return let_go();
    }
  }

  bool let_go() {
    if (const std::size_t n = std::min<std::size_t>(pins, 512); n != 0 && drop(pins, n, ref.unpin(n))) return true;
    const std::size_t n = references;
    return n != 0 && drop(references, n, ref.put(n));
  }
};

}  // namespace

TEST_CASE_TEMPLATE("threads that take and release at random: every life ends once, and its end has the page alone",
                   Layout, ALL_LAYOUTS) {
  pinref::page_ref<Layout> ref;
  std::size_t lives = 1;  // by whoever ended the last one, and nobody else
  ref.init();
  std::atomic<bool> founder{true};
  std::atomic<unsigned> lasts{0}, wrong{0};
  crew(nr_threads, [&](unsigned, stress::random& choices) {
    holder<Layout> mine{ref};
    if (founder.exchange(false)) mine.references = 1;
    const auto begin_again = [&] {
      ++lives;
      ref.init();
      mine.references = 1;
    };
    for (unsigned i = 0; i != steps(300'000); ++i)
      if (mine.step(choices)) begin_again();
    while (mine.references + mine.pins != 0) mine.let_go();
    lasts += mine.lasts;
    wrong += mine.wrong;
  });
  CHECK(wrong == 0);
  // The last life of all ended too, and nobody began another.
  CHECK(ref.snapshot().zone() == pinref::zone::dead);
  CHECK(lasts == lives);
  CHECK(lives > 1);
}

TEST_CASE_TEMPLATE("frames of an arena are given out once at a time while others try to take them", Layout,
                   ALL_LAYOUTS) {
  using frame = pinref::basic_frame<pinref::page_ref<Layout>>;
  pinref::basic_frame_arena<pinref::page_ref<Layout>> arena{1};
  REQUIRE(arena.valid());
  // The free list gives the frame that came back last, so these few see all the lives.
  constexpr std::size_t nr_targets = 4;
  std::atomic<bool> owned[nr_targets] = {};
  std::atomic<std::size_t> begun{0}, ended{0};
  std::atomic<unsigned> wrong{0};
  crew(nr_threads, [&](unsigned, stress::random& choices) {
    const auto put = [&](frame& page, bool pin) {
      const release_result result = pin ? pinref::unpin_user_page(page) : pinref::put_page(page);
      ended += result == release_result::last;
      wrong += result == release_result::underflow;
    };
    std::vector<std::pair<frame*, bool>> held;
    for (unsigned i = 0; i != steps(100'000); ++i) {
      frame& target = arena.frame_at(choices.below(nr_targets));
      switch (choices.below(4)) {
        case 0:
          if (frame* const fresh = arena.allocate()) {
            ++begun;
            // Between here and there no allocation may give it to anybody else.
            const auto number = arena.frame_number(*fresh);
            if (number < nr_targets) wrong += owned[number].exchange(true);
            if (choices.once_in(4)) std::this_thread::yield();
            if (number < nr_targets) owned[number] = false;
            held.emplace_back(fresh, false);
          }
          break;
        case 1:
          if (pinref::get_page_unless_zero(target) == take_result::taken) held.emplace_back(&target, false);
          break;
        case 2:
          if (pinref::try_pin_page(target) == take_result::taken) held.emplace_back(&target, true);
          break;
        default:
          break;
      }
      if (choices.once_in(64)) std::this_thread::yield();
      while (held.size() > choices.below(3)) {
        put(*held.back().first, held.back().second);
        held.pop_back();
      }
    }
    for (const auto& [page, pin] : held) put(*page, pin);
  });
  CHECK(wrong == 0);
  CHECK(begun == ended);
  CHECK(arena.nr_free() == arena.nr_frames());
}

TEST_CASE_TEMPLATE("a frozen page is its owner's alone, and those who take it afterwards see what the owner wrote",
                   Layout, ALL_LAYOUTS) {
  pinref::page_ref<Layout> ref;
  ref.init();
  // Plain memory: written only while frozen, read only while held.
  std::size_t first = 0, second = 0;
  std::atomic<std::size_t> frozen{0};
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> takers{nr_threads - 1};
  crew(nr_threads, [&](unsigned index, stress::random& choices) {
    if (index == 0) {
      while (takers != 0 || frozen == 0) {
        if (!ref.freeze(1)) {
          std::this_thread::yield();
          continue;
        }
        ++frozen;
        wrong += ref.dma_pinned_hint() || ref.references() != 0;
        ++first;
        if (choices.once_in(4)) std::this_thread::yield();
        ++second;
        ref.unfreeze(1);
      }
      return;
    }
    for (unsigned i = 0; i != steps(100'000); ++i) {
      const bool pin = choices.once_in(2);
      if ((pin ? ref.try_pin() : ref.try_get()) != take_result::taken) {
        if (choices.once_in(16)) std::this_thread::yield();
        continue;
      }
      if (pin) wrong += !ref.dma_pinned();
      wrong += first != second;
      if (choices.once_in(64)) std::this_thread::yield();
      wrong += (pin ? ref.unpin() : ref.put()) != release_result::released;
    }
    --takers;
  });
  CHECK(wrong == 0);
  CHECK(first == frozen);
  CHECK(second == frozen);
  CHECK(ref.snapshot() == Layout::live(1));
}

namespace {

// A page of a cache: one reference is the cache's. The page lock is left to others before it is taken, as a lock that
// sleeps would be.
template <class Layout>
struct cached {
  pinref::page_ref<Layout> ref;
  std::atomic<bool> locked{false};
  std::atomic<bool> dirty{false};
  unsigned memory[nr_threads] = {};  // each device thread has its own place
  unsigned disk[nr_threads] = {};
};

}  // namespace

template <class Layout>
struct pinref::page_traits<cached<Layout>> {
  using page = cached<Layout>;
  static auto& ref(page& p) noexcept { return p.ref; }
  static void lock(page& p) noexcept {
    do std::this_thread::yield();
    while (p.locked.exchange(true, std::memory_order_acquire));
  }
  static void unlock(page& p) noexcept { p.locked.store(false, std::memory_order_release); }
  static bool dirty(page& p) noexcept { return p.dirty.load(std::memory_order_relaxed); }
  static void set_dirty(page& p) noexcept { p.dirty.store(true, std::memory_order_relaxed); }
  static void free_page(page&) noexcept {}
};

TEST_CASE_TEMPLATE("dirty release against writeback and eviction: no update of a device is lost", Layout, ALL_LAYOUTS) {
  cached<Layout> cache[2];
  for (auto& page : cache) page.ref.init();
  std::atomic<unsigned> devices{nr_threads - 1}, wrong{0};
  std::atomic<std::size_t> written{0};
  crew(nr_threads, [&](unsigned index, stress::random& choices) {
    if (index != 0) {
      for (unsigned done = 0; done != steps(40'000);) {
        auto& page = cache[choices.below(2)];
        if (pinref::try_pin_page(page) != take_result::taken) {
          std::this_thread::yield();
          continue;
        }
        ++page.memory[index];
        ++done;
        if (choices.once_in(64)) std::this_thread::yield();
        cached<Layout>* const pages[] = {&page};
        wrong += !pinref::unpin_user_pages_dirty_lock(pages, 1, true).ok();
      }
      --devices;
      return;
    }
    // A clean page that nobody holds is thrown away and read from disk again; a dirty one is written first.
    while (devices != 0)
      for (auto& page : cache) {
        if (!page.ref.freeze(1)) {
          std::this_thread::yield();
          continue;
        }
        if (page.dirty.exchange(false, std::memory_order_relaxed)) {
          std::copy(std::begin(page.memory), std::end(page.memory), page.disk);
          ++written;
        } else {
          std::copy(std::begin(page.disk), std::end(page.disk), page.memory);
        }
        page.ref.unfreeze(1);
      }
  });
  CHECK(wrong == 0);
  CHECK(cache[0].ref.snapshot() == Layout::live(1));
  CHECK(cache[1].ref.snapshot() == Layout::live(1));
  for (unsigned i = 1; i != nr_threads; ++i) CHECK(cache[0].memory[i] + cache[1].memory[i] == steps(40'000));
}
