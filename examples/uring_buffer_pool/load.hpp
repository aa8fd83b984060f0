// SPDX-License-Identifier: MIT
#pragma once

// Everybody who works on the pool at once: clients, the clock evictor and the writeback thread.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "pool.hpp"

namespace examples::buffer_pool {

/// Runs from construction to destruction.
class load {
 public:
  explicit load(pool& blocks) : blocks_(blocks) {
    servants_.emplace_back([this](const std::stop_token& stop) { evict(stop); });
    servants_.emplace_back([this](const std::stop_token& stop) { write_back(stop); });
    for (unsigned seed = 1; seed <= 2; ++seed)
      clients_.emplace_back([this, seed](const std::stop_token& stop) { work(seed, stop); });
  }
  load(const load&) = delete;
  load& operator=(const load&) = delete;
  ~load() {
    stop_all(clients_);
    stop_all(servants_);  // clients may have waited for the evictor
  }

 private:
  using random = std::mt19937_64;
  struct visitor {
    std::uint32_t number = 0;
    frame_ptr page;
  };

  static void stop_all(std::vector<std::jthread>& threads) {
    for (std::jthread& each : threads) each.request_stop();
    threads.clear();
  }

  // Half of all visits go to an eighth of the blocks.
  [[nodiscard]] std::uint32_t pick(random& dice) const {
    const std::uint64_t span = blocks_.nr_blocks() / (dice() % 2 == 0 ? 8 : 1);
    return static_cast<std::uint32_t>(dice() % span);
  }

  void work(unsigned seed, const std::stop_token& stop) {
    random dice{seed};
    std::array<visitor, 16> window;
    std::deque<visitor> kept;
    while (!stop.stop_requested()) {
      // All reads of a window are under way together, and what is here stays here meanwhile.
      for (visitor& one : window) {
        one.number = pick(dice);
        one.page = blocks_.hold(one.number);
        if (dice() % 32 == 0 && !blocks_.ready(*one.page)) time_out(std::move(one), dice);
      }
      for (visitor& one : window) {
        if (!one.page) continue;
        blocks_.wait_ready(*one.page);
        look_at(one, dice);
        // Some are kept for long; as long as they are, nothing may happen to them.
        if (dice() % 16 == 0)
          kept.push_back(std::move(one));
        else
          one.page.reset();
      }
      while (kept.size() > blocks_.nr_frames() / 8) let_go_oldest(kept, dice);
    }
    while (!kept.empty()) let_go_oldest(kept, dice);
  }

  void let_go_oldest(std::deque<visitor>& kept, random& dice) {
    look_at(kept.front(), dice);
    kept.pop_front();
  }

  void look_at(const visitor& one, random& dice) {
    blocks_.visit(*one.page, one.number);
    if (dice() % 4 == 0) blocks_.update(*one.page, one.number);
  }

  // A caller that does not wait for its read. The transfer cannot be called back, so the frame may not be had again
  // before the completion; but the caller tries, and goes on to something else that needs a frame at once.
  void time_out(visitor gone, random& dice) {
    blocks_.stats.given_up.advance();
    gone.page.reset();
    if (blocks_.evict(gone.number) == eviction::pinned) ++blocks_.stats.given_up_pinned;
    for (int attempt = 0; attempt != 4; ++attempt)
      if (blocks_.overwrite(pick(dice))) return;
  }

  // The hand of the clock goes round while frames are short.
  void evict(const std::stop_token& stop) {
    std::uint32_t hand = 0;
    while (blocks_.wait_until_short(stop)) {
      bool any = false;
      std::optional<std::uint32_t> pinned;
      for (std::size_t i = 0; i != 512; ++i) {
        const eviction result = blocks_.evict_unused(hand);
        any = any || result == eviction::done;
        if (result == eviction::pinned) pinned = hand;
        hand = next(hand);
      }
      if (!any && pinned) blocks_.wait_for_transfer(*pinned);
    }
  }

  // Comes round every few milliseconds, as a kernel's does every few seconds.
  void write_back(const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock guard{mutex};
    std::condition_variable_any stopped;
    while (!stop.stop_requested()) {
      for (std::uint32_t number = 0; number != blocks_.nr_blocks() && !stop.stop_requested(); ++number)
        (void)blocks_.write_back(number);
      stopped.wait_for(guard, stop, 5ms, [] { return false; });
    }
  }

  [[nodiscard]] std::uint32_t next(std::uint32_t number) const noexcept {
    return number + 1 == blocks_.nr_blocks() ? 0 : number + 1;
  }

  pool& blocks_;
  std::vector<std::jthread> servants_;
  std::vector<std::jthread> clients_;
};

}  // namespace examples::buffer_pool
