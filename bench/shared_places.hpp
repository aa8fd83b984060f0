// SPDX-License-Identifier: MIT
#pragma once

// A table of `place_pins` in memory that processes share, with either barrier.

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "pages.hpp"
#include "place_pins.hpp"

namespace bench {

/// The barrier of all processes that have registered for it: the light side is the compiler's, the heavy side
/// interrupts whatever thread of these is running.
struct global_barriers : pinref::segment_sync {
  [[nodiscard]] static bool registered() noexcept {
    static const bool done = ::syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
    return done;
  }
  BENCH_INLINE static void light_barrier() noexcept { asm volatile("" ::: "memory"); }
  static void heavy_barrier() noexcept {
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) != 0) broken();
  }
};
/// Where that is refused: each side pays for itself.
struct full_fences : pinref::segment_sync {
  [[nodiscard]] static bool registered() noexcept { return true; }
  BENCH_INLINE static void light_barrier() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
  BENCH_INLINE static void heavy_barrier() noexcept { light_barrier(); }
};

/// Every place is a member's; all slots are empty, all pages open. A place takes one cache line.
template <class Sync, unsigned Places, std::uint32_t Pages>
class shared_places {
 public:
  static constexpr unsigned slots = 4;
  using pins = place_pins<Sync, slots>;

  shared_places() {
    if (!Sync::registered()) broken();
    memory_ = ::mmap(nullptr, sizeof(table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) broken();
    it_ = new (memory_) table;
    for (auto& each : it_->places) {
      each.life.init();
      each.use.store(place_use::live, std::memory_order_relaxed);
    }
  }
  shared_places(const shared_places&) = delete;
  shared_places& operator=(const shared_places&) = delete;
  ~shared_places() { ::munmap(memory_, sizeof(table)); }

  [[nodiscard]] BENCH_INLINE pins get() const noexcept { return {it_->places, it_->pages, Places, Pages}; }

 private:
  struct table {
    pin_place<Sync, slots> places[Places];
    pin_page<Sync> pages[Pages];
  };
  static_assert(sizeof(pin_place<Sync, slots>) == 64);

  void* memory_;
  table* it_;
};

}  // namespace bench
