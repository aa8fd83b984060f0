// SPDX-License-Identifier: MIT
#pragma once

// What every block must hold, and what was found instead.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "support/block.hpp"

namespace examples::database_pool {

/// Versions of the blocks. One change of a block at a time: from `begin` to `end` readers may find either version.
class book {
 public:
  explicit book(std::size_t nr_blocks) : entries_(nr_blocks) {}

  [[nodiscard]] std::uint64_t begin(std::uint32_t number) { return entries_[number].newest.fetch_add(1) + 1; }
  void end(std::uint32_t number) { entries_[number].settled.store(entries_[number].newest.load()); }
  [[nodiscard]] std::uint64_t newest(std::uint32_t number) const { return entries_[number].newest.load(); }
  /// Before a read: the oldest version that it may find.
  [[nodiscard]] std::uint64_t settled(std::uint32_t number) const { return entries_[number].settled.load(); }

  /// What a read found that began when `oldest` was settled.
  void check(const block& found, std::uint32_t number, std::uint64_t oldest) {
    const bool in_time = found.version >= oldest && found.version <= newest(number);
    ++checked_;
    add(find_fault(found, number, in_time ? found.version : oldest));
  }
  /// As find_fault tells it; empty is none.
  void add(const std::string& fault) {
    if (fault.empty()) return;
    const std::lock_guard guard{mutex_};
    if (nr_faults_++ == 0) first_fault_ = fault;
  }

  [[nodiscard]] std::uint64_t checked() const { return checked_; }
  [[nodiscard]] std::uint64_t nr_faults() const { return nr_faults_; }
  [[nodiscard]] const std::string& first_fault() const { return first_fault_; }

 private:
  struct entry {
    std::atomic<std::uint64_t> newest{1}, settled{1};
  };
  std::vector<entry> entries_;
  std::atomic<std::uint64_t> checked_{0};
  std::mutex mutex_;
  std::atomic<std::uint64_t> nr_faults_{0};
  std::string first_fault_;
};

}  // namespace examples::database_pool
