// SPDX-License-Identifier: MIT

// Eight devices in short bursts write to blocks that are taken away and given to another owner, again and again.

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "crew.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/protocols/layout_break.hpp"

using pinref::break_result;
using pinref::foll;
using pinref::gup_error;
using stress::nr_threads;

namespace {

// A device page: its own reference never goes. Each device writes to a place of its own.
template <class Layout>
struct block {
  block() { ref.init(); }

  pinref::page_ref<Layout> ref;
  std::uint64_t data[nr_threads] = {};
};

}  // namespace

template <class Layout>
struct pinref::page_traits<block<Layout>> {
  static auto& ref(block<Layout>& page) noexcept { return page.ref; }
  static bool resident(block<Layout>&) noexcept { return true; }
  static void on_idle(block<Layout>&) noexcept {}
  static void free_page(block<Layout>&) noexcept { FAIL("a device page is never free"); }
};

namespace {

// Four blocks by index, and as many that belong to somebody else. Entries hold no reference.
template <class Layout>
struct file {
  using page = block<Layout>;
  static constexpr std::size_t page_size = 4096;
  static constexpr std::size_t size = 4;

  file() { std::iota(std::begin(number), std::end(number), std::size_t{0}); }

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < size * page_size; }
  // Acquire, also in the second look: what the last owner did to the block comes before what its mapping allows, and an
  // entry may name the same block as it did two owners ago.
  pinref::mapping<page> lookup(std::uintptr_t at, foll) noexcept {
    const std::size_t entry = entries[at / page_size].load(std::memory_order_acquire);
    if (entry == 0) return {};
    return {&blocks[entry - 1], entry};
  }
  bool recheck(std::uintptr_t at, const pinref::mapping<page>& seen) noexcept {
    return entries[at / page_size].load(std::memory_order_acquire) == seen.token;
  }
  template <class Use>
  gup_error fault_in(std::uintptr_t at, foll, Use use) noexcept {
    for (;;) {
      {
        const std::lock_guard guard{mutex};
        if (gate.is_open()) {
          const std::size_t entry = number[at / page_size] + 1;
          entries[at / page_size].store(entry, std::memory_order_release);
          return use(pinref::mapping<page>{&blocks[entry - 1], entry});
        }
      }
      (void)gate.wait_until_open();
    }
  }

  void unmap(std::size_t first, std::size_t last) noexcept {
    const std::lock_guard guard{mutex};
    for (std::size_t i = first; i <= last; ++i) entries[i].store(0, std::memory_order_relaxed);
  }
  page* busy_in(std::size_t first, std::size_t last) noexcept {
    for (std::size_t i = first; i <= last; ++i)
      if (page& each = blocks[number[i]]; !pinref::page_idle(each)) return &each;
    return nullptr;
  }

  std::unique_ptr<page[]> blocks{new page[2 * size]};
  std::size_t number[2 * size];  // the file's blocks, then the others; changes while the gate is closed
  std::atomic<std::size_t> entries[size] = {};
  std::mutex mutex;
  pinref::layout_gate<> gate;
};

constexpr std::uint64_t owners = ~std::uint64_t{0};

}  // namespace

TEST_CASE_TEMPLATE("A4.1, A4.4: a truncation ends under a stream of short pins, and nobody writes to what it took away",
                   Layout, ALL_LAYOUTS) {
  const unsigned rounds = stress::steps(200);
  file<Layout> f;
  std::atomic<bool> stop{false};
  std::atomic<unsigned> failed{0}, late{0};
  stress::crew(nr_threads + 1, [&](unsigned who, stress::random& choices) {
    if (who != nr_threads) {
      while (!stop.load(std::memory_order_relaxed)) {
        block<Layout>* page = nullptr;
        const std::uintptr_t at = choices.below(file<Layout>::size) * file<Layout>::page_size;
        if (!pinref::pin_user_pages_fast(f, at, 1, foll::write, &page).ok()) {
          ++failed;
          continue;
        }
        page->data[who] = who;
        failed += pinref::unpin_user_page(*page) == pinref::release_result::underflow;
        // A device that lost its processor while it holds a pin holds up the truncation: rather lose it here.
        std::this_thread::yield();
      }
      return;
    }
    for (unsigned i = 0; i != rounds; ++i) {
      constexpr std::size_t n = file<Layout>::size;
      const auto hand_over = [&f] {
        for (std::size_t k = 0; k != n; ++k) {
          std::swap(f.number[k], f.number[n + k]);
          for (std::uint64_t& each : f.blocks[f.number[n + k]].data) each = owners;
        }
      };
      failed += pinref::break_layout(f, f.gate, 0, n - 1, hand_over) != break_result::broken;
      std::this_thread::yield();
      for (std::size_t k = 0; k != n; ++k)
        for (const std::uint64_t each : f.blocks[f.number[n + k]].data) late += each != owners;
    }
    stop = true;
  });
  CHECK(failed == 0);
  CHECK(late == 0);
  for (std::size_t k = 0; k != 2 * file<Layout>::size; ++k) CHECK(f.blocks[k].ref.snapshot() == Layout::live(1));
}
