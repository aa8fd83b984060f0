// SPDX-License-Identifier: MIT
#pragma once

// Everybody who works on the pool at once: clients, and a thread that makes the pool smaller and larger again.

#include <chrono>
#include <cstdint>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "pool.hpp"

namespace examples::database_pool {

/// Runs from construction to destruction.
class load {
 public:
  load(pool& blocks, residents& all, std::uint32_t nr_blocks) : blocks_(blocks), all_(all), nr_blocks_(nr_blocks) {
    for (unsigned seed = 1; seed <= 3; ++seed)
      threads_.emplace_back([this, seed](const std::stop_token& stop) { work(seed, stop); });
    threads_.emplace_back([this](const std::stop_token& stop) { resize(stop); });
  }

 private:
  using random = std::minstd_rand;

  void work(unsigned seed, const std::stop_token& stop) {
    random dice{seed};
    while (!stop.stop_requested()) {
      const std::uint32_t number = pick(dice);
      switch (dice() % 64) {
        case 0:
          blocks_.update(number);
          break;
        case 1:
          (void)blocks_.refresh(number);
          break;
        case 2:
          blocks_.prefetch(number);
          break;
        default:
          look_at(number, dice);
      }
    }
  }

  // Half of all visits go to a few blocks.
  [[nodiscard]] std::uint32_t pick(random& dice) const {
    return static_cast<std::uint32_t>(dice() % (dice() % 2 == 0 ? 16 : nr_blocks_));
  }

  // Some reads are slow, and the block is refreshed in the middle of the copy.
  void look_at(std::uint32_t number, random& dice) {
    const std::uint64_t oldest = all_.versions.settled(number);
    block copy;
    blocks_.read(number, copy, [&] {
      if (dice() % 64 != 0 || !blocks_.refresh(number)) return;
      if (dice() % 2 == 0)
        blocks_.settle(number);
      else
        std::this_thread::sleep_for(std::chrono::microseconds{dice() % 100});
    });
    all_.versions.check(copy, number, oldest);
  }

  // Nobody else may have a frame that has left the pool.
  void resize(const std::stop_token& stop) {
    constexpr std::uint64_t mine = 1'000'000;
    random dice{99};
    block content;
    fill(content, mine, 1);
    while (!stop.stop_requested()) {
      frame* const gone = blocks_.retire(static_cast<std::uint32_t>(dice() % all_.frames.size()));
      if (gone == nullptr) continue;
      block& memory = all_.frames.content(*gone);
      pinref::copy_in(words_of(memory), words_of(std::as_const(content)), block_words);
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
      all_.versions.add(find_fault(memory, mine, 1));
      all_.give(*gone);
    }
  }

  pool& blocks_;
  residents& all_;
  std::uint32_t nr_blocks_;
  std::vector<std::jthread> threads_;
};

}  // namespace examples::database_pool
