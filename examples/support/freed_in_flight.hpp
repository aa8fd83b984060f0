// SPDX-License-Identifier: MIT
#pragma once

// An application that gives its buffers back while a device is still writing to them, on an allocator of its choice.

#include <array>
#include <atomic>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "block.hpp"
#include "command_line.hpp"
#include "device.hpp"
#include "engine.hpp"

namespace examples {

/// What devices deliver: to the n-th page of a buffer block n, in these versions. What the application writes itself
/// has numbers from `own` on.
inline constexpr std::uint32_t delivered = 8;
inline constexpr std::uint32_t versions_delivered = 16;
inline constexpr std::uint64_t own = 1'000'000;

/// How a run went.
struct in_flight_counts {
  std::uint64_t frees = 0;      // buffers that were given back
  std::uint64_t in_flight = 0;  // of those, how many were still being written to
  std::uint64_t corrupted = 0;  // buffers of the application with something else than it had written there
  std::uint64_t mangled = 0;    // deliveries that did not arrive whole where they were to arrive
  std::string first_fault;
};

/// Reads into buffers of a `Memory`, gives them back at once, and writes to the buffers that it gets next.
///
///     std::byte* allocate(std::size_t bytes)        whole pages, on a page boundary
///     void deallocate(std::byte*, std::size_t bytes)
///     std::size_t nr_held()                         buffers that have not gone back to the allocator
///     hold hold_for_transfer(std::byte*)            keeps the buffer as it is until it goes; empty in a control
template <class Memory>
class freeing_application {
 public:
  static constexpr std::uint64_t buffers_per_round = 16;
  static constexpr std::uint64_t rounds = 120;  // 1920 buffers

  freeing_application(Memory& memory, const source& from)
      : memory_(memory),
        from_(from),
        engine_(make_engine("uring", from.file().fd(), nullptr, 0,
                            [this](const transfer& job, long result) { completed(job, result); })) {}

  in_flight_counts run() {
    for (std::uint64_t round = 0; round != rounds; ++round) {
      for (std::uint32_t i = 0; i != buffers_per_round; ++i) {
        start_and_free(i);
        fresh_[i] = memory_.allocate(size_of(i));
        for (std::uint32_t j = 0; j != blocks_of(i); ++j) fill(block_of(fresh_[i], j), own + i, round + j);
      }
      engine_->drain();
      for (std::uint32_t i = 0; i != buffers_per_round; ++i) {
        std::string fault;
        for (std::uint32_t j = 0; j != blocks_of(i) && fault.empty(); ++j)
          fault = find_fault(block_of(fresh_[i], j), own + i, round + j);
        if (!fault.empty()) ++counts_.corrupted;
        if (counts_.first_fault.empty()) counts_.first_fault = fault;
        memory_.deallocate(fresh_[i], size_of(i));
      }
    }
    counts_.mangled = mangled_;
    return counts_;
  }

  [[nodiscard]] const char* engine_name() const noexcept { return engine_->name(); }

 private:
  using hold = decltype(std::declval<Memory&>().hold_for_transfer(nullptr));

  struct delivery {
    hold keeps;
    std::uint32_t number = 0;
    std::uint32_t version = 0;
    std::atomic<bool> done{false};
  };

  static_assert(delivered == 8, "one for each page of the largest buffer");
  // 1, 2, 4 or 8 pages: small ones share slabs, large ones have extents of their own.
  static constexpr std::uint32_t blocks_of(std::uint32_t i) noexcept { return 1U << i % 4; }
  static constexpr std::size_t size_of(std::uint32_t i) noexcept { return blocks_of(i) * sizeof(block); }
  static constexpr std::uint32_t slots = buffers_per_round / 4 * (1 + 2 + 4 + 8);
  static_assert(slots <= engine::depth, "a round must not wait for room");

  static block& block_of(std::byte* memory, std::uint32_t j) noexcept { return reinterpret_cast<block*>(memory)[j]; }

  void start_and_free(std::uint32_t i) {
    if (i == 0) next_ = 0;
    std::byte* const buffer = memory_.allocate(size_of(i));
    hold keeps = memory_.hold_for_transfer(buffer);
    const std::uint32_t first = next_;
    for (std::uint32_t j = 0; j != blocks_of(i); ++j) {
      delivery& each = deliveries_[next_];
      each.keeps = keeps.share();
      each.number = j;
      each.version = 1 + static_cast<std::uint32_t>(counts_.frees) % from_.versions();
      each.done.store(false, std::memory_order_relaxed);
      engine_->submit({direction::read, from_.place(each.number, each.version), next_, &block_of(buffer, j)});
      ++next_;
    }
    keeps.reset();
    memory_.deallocate(buffer, size_of(i));

    ++counts_.frees;
    bool under_way = false;
    for (std::uint32_t j = first; j != next_; ++j)
      under_way = under_way || !deliveries_[j].done.load(std::memory_order_relaxed);
    counts_.in_flight += under_way ? 1 : 0;
  }

  // On a thread of the engine. Only a holder of the buffer may look at it: else it may be anybody's by now.
  void completed(const transfer& job, long result) {
    require_whole(job, result);
    delivery& each = deliveries_[job.frame];
    if (each.keeps && !find_fault(*static_cast<const block*>(job.memory), each.number, each.version).empty())
      ++mangled_;
    each.keeps.reset();
    each.done.store(true, std::memory_order_relaxed);
  }

  Memory& memory_;
  const source& from_;
  std::array<std::byte*, buffers_per_round> fresh_{};
  std::array<delivery, slots> deliveries_{};
  std::uint32_t next_ = 0;
  std::atomic<std::uint64_t> mangled_{0};
  in_flight_counts counts_;
  std::unique_ptr<engine> engine_;  // goes first: its thread uses the others
};

/// Runs the application `times` times: `verified`, or `corrupt` after printing the verdict.
template <class Memory>
int run_in_flight(Memory& memory, const source& from, int times) {
  for (int i = 0; i != times; ++i) {
    freeing_application<Memory> application{memory, from};
    const in_flight_counts counts = application.run();
    if (i == 0)
      std::printf("buffers given back while a device reads into them, by %s, in %s\n", application.engine_name(),
                  from.file().directory().c_str());
    std::printf("  given back %" PRIu64 ", still in flight %" PRIu64 ", corrupted %" PRIu64 "\n", counts.frees,
                counts.in_flight, counts.corrupted);
    if (counts.corrupted != 0 || counts.mangled != 0) {
      std::printf("CORRUPT: %" PRIu64 " of %" PRIu64 " buffers; %s\n", counts.corrupted, counts.frees,
                  counts.first_fault.empty() ? "what was delivered had been written over" : counts.first_fault.c_str());
      return corrupt;
    }
    if (const std::size_t held = memory.nr_held(); held != 0) {
      std::printf("LEAKED: %zu of %" PRIu64 " buffers\n", held, counts.frees);
      return corrupt;
    }
    if (counts.in_flight < counts.frees / 10)
      throw cannot_run("the disk is too fast: nearly nothing was in flight when it was given back");
  }
  return verified;
}

}  // namespace examples
