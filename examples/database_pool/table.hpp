// SPDX-License-Identifier: MIT
#pragma once

// Which frame has which block: a hash table of chains. Found without a lock; changed under the lock of a partition.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "frame.hpp"

namespace examples::database_pool {

class table {
 public:
  explicit table(frame_array& frames) : frames_(frames), heads_(2 * std::size_t{frames.size()}) {
    for (auto& head : heads_) head.store(none, std::memory_order_relaxed);
  }

  /// The frame that seems to have the block, or null. Held by nobody: look at its number again when it is. May miss one
  /// that is there, as chains may be changed meanwhile.
  [[nodiscard]] frame* find(std::uint32_t number) noexcept {
    std::uint32_t at = head_of(number).load(std::memory_order_acquire);
    for (std::uint32_t step = 0; at != none && step != frames_.size(); ++step) {
      if (frames_[at].number.load(std::memory_order_relaxed) == number) return &frames_[at];
      at = frames_[at].next.load(std::memory_order_acquire);
    }
    return nullptr;
  }

  /// Who has it finds what is there, puts in and takes out.
  [[nodiscard]] std::mutex& lock_of(std::uint32_t number) noexcept {
    return partitions_[hash(number) % partitions_.size()];
  }
  /// Precondition: under the lock of its number.
  void put_in(frame& page) noexcept {
    auto& head = head_of(page.number.load(std::memory_order_relaxed));
    page.next.store(head.load(std::memory_order_relaxed), std::memory_order_release);
    head.store(frames_.index_of(page), std::memory_order_release);
  }
  /// Precondition: under the lock of its number, and it is there.
  void take_out(frame& page) noexcept {
    auto* link = &head_of(page.number.load(std::memory_order_relaxed));
    while (link->load(std::memory_order_relaxed) != frames_.index_of(page))
      link = &frames_[link->load(std::memory_order_relaxed)].next;
    link->store(page.next.load(std::memory_order_relaxed), std::memory_order_release);
  }

 private:
  [[nodiscard]] std::size_t hash(std::uint32_t number) const noexcept {
    return number * std::size_t{0x9e3779b1} % heads_.size();
  }
  [[nodiscard]] std::atomic<std::uint32_t>& head_of(std::uint32_t number) noexcept { return heads_[hash(number)]; }

  frame_array& frames_;
  std::vector<std::atomic<std::uint32_t>> heads_;
  std::array<std::mutex, 16> partitions_;  // each of whole chains
};

}  // namespace examples::database_pool
