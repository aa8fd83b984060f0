#pragma once

// Everybody who works on the pool at once: clients, the clock evictor and the writeback thread.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "pool.hpp"

namespace examples::buffer_pool {

/// Runs from construction to destruction.
class load {
 public:
  explicit load(pool& blocks) : blocks_(blocks) {
    servants_.emplace_back([this] { evict(); });
    servants_.emplace_back([this] { write_back(); });
    for (unsigned seed = 1; seed <= 2; ++seed) clients_.emplace_back([this, seed] { work(seed); });
  }
  load(const load&) = delete;
  load& operator=(const load&) = delete;
  ~load() {
    clients_stop_ = true;
    for (std::thread& client : clients_) client.join();
    servants_stop_ = true;  // clients may have waited for the evictor
    for (std::thread& servant : servants_) servant.join();
  }

 private:
  using random = std::mt19937_64;
  struct visitor {
    std::uint32_t number;
    frame* page;
  };
  static constexpr auto nap = std::chrono::microseconds{500};

  // Half of all visits go to an eighth of the blocks.
  [[nodiscard]] std::uint32_t pick(random& dice) const {
    const std::uint64_t span = blocks_.nr_blocks() / (dice() % 2 == 0 ? 8 : 1);
    return static_cast<std::uint32_t>(dice() % span);
  }

  void work(unsigned seed) {
    random dice{seed};
    std::array<visitor, 16> window{};
    std::deque<visitor> kept;
    while (!clients_stop_) {
      // All reads of a window are under way together, and what is here stays here meanwhile.
      for (visitor& one : window) {
        one.number = pick(dice);
        one.page = &blocks_.hold(one.number);
        if (dice() % 32 == 0 && !blocks_.ready(*one.page)) {
          time_out(one.number, *one.page, dice);
          one.page = nullptr;
        }
      }
      for (const visitor& one : window) {
        if (one.page == nullptr) continue;
        blocks_.wait_ready(*one.page);
        look_at(one, dice);
        if (dice() % 16 == 0)
          kept.push_back(one);
        else
          blocks_.release(*one.page);
      }
      // Some are kept for long; as long as they are, nothing may happen to them.
      while (kept.size() > blocks_.nr_frames() / 8) let_go_oldest(kept, dice);
    }
    while (!kept.empty()) let_go_oldest(kept, dice);
  }

  void let_go_oldest(std::deque<visitor>& kept, random& dice) {
    look_at(kept.front(), dice);
    blocks_.release(*kept.front().page);
    kept.pop_front();
  }

  void look_at(const visitor& one, random& dice) {
    blocks_.visit(*one.page, one.number);
    if (dice() % 4 == 0) blocks_.update(*one.page, one.number);
  }

  // A caller that does not wait for its read. The transfer cannot be called back, so the frame may not be had again
  // before the completion; but the caller tries, and goes on to something else that needs a frame at once.
  void time_out(std::uint32_t number, frame& page, random& dice) {
    ++blocks_.stats.given_up;
    blocks_.release(page);
    if (blocks_.evict(number) == eviction::pinned) ++blocks_.stats.given_up_pinned;
    for (int attempt = 0; attempt != 4; ++attempt)
      if (blocks_.overwrite(pick(dice))) return;
  }

  // The hand of the clock goes round while frames are short.
  void evict() {
    std::uint32_t hand = 0;
    while (!servants_stop_) {
      if (!blocks_.short_of_frames()) {
        std::this_thread::sleep_for(nap);
        continue;
      }
      bool any = false;
      for (std::size_t i = 0; i != 512; ++i) {
        any = blocks_.evict_unused(hand) == eviction::done || any;
        hand = next(hand);
      }
      if (!any) std::this_thread::yield();
    }
  }

  void write_back() {
    while (!servants_stop_) {
      for (std::uint32_t number = 0; number != blocks_.nr_blocks() && !servants_stop_; ++number)
        (void)blocks_.write_back(number);
      std::this_thread::sleep_for(10 * nap);
    }
  }

  [[nodiscard]] std::uint32_t next(std::uint32_t number) const noexcept {
    return number + 1 == blocks_.nr_blocks() ? 0 : number + 1;
  }

  pool& blocks_;
  std::atomic<bool> clients_stop_{false};
  std::atomic<bool> servants_stop_{false};
  std::vector<std::thread> servants_;
  std::vector<std::thread> clients_;
};

}  // namespace examples::buffer_pool
