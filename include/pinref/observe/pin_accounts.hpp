// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// pin_accounts: how many pins were acquired and released, as Linux's nr_foll_pin_acquired and _released say.
///
/// An object of the host's: one for the process, one for each arena, one for each tenant. The words that count in it
/// are `accounted_ref`.
///
/// When not to use it: to limit pins. That is `pin_owner`, which knows whose they are.
///
/// Example:
///
///     pinref::pin_accounts<> accounts;
///     // ... much later:
///     const pinref::pin_totals now = accounts.totals();
///     std::printf("%llu pins are held\n", static_cast<unsigned long long>(now.acquired - now.released));
///
/// It holds no address, so it may stand in memory that processes share. Its size is a little more than 4 KiB: threads
/// count in different cache lines.
///
/// Errors: none.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux nr_foll_pin_acquired and nr_foll_pin_released of /proc/vmstat.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/sync/layout_stamp.hpp"
#include "pinref/sync/std_sync.hpp"

namespace pinref::inline v0_1 {

/// Pages pinned and unpinned since their accounts were made. Both only grow.
struct pin_totals {
  std::uint64_t acquired = 0;  ///< pages pinned
  std::uint64_t released = 0;  ///< pages unpinned
};

/// The counts of pins, and the sums over them.
template <class Sync>
class pin_accounts {
 public:
  pin_accounts() noexcept = default;
  pin_accounts(const pin_accounts&) = delete;
  pin_accounts& operator=(const pin_accounts&) = delete;

  /// The sums over all words that count here, in pages. Memory order: none; what other threads do meanwhile is seen or
  /// not. Acquired minus released is the number of live pins at any moment when no call is under way. Wait-free.
  [[nodiscard]] pin_totals totals() const noexcept {
    pin_totals sum;
    for (const line& one : lines_) {
      sum.acquired += one.acquired.load(std::memory_order_relaxed);
      sum.released += one.released.load(std::memory_order_relaxed);
    }
    return sum;
  }

  /// Was it made by a version that lays it out as this one does? To be asked of accounts that another object hands
  /// over.
  [[nodiscard]] constexpr bool of_this_layout() const noexcept { return stamp_.matches(); }

  /// Counts n pages pinned, or unpinned. For words; wait-free.
  void add_acquired(std::uint64_t n) noexcept { mine().acquired.fetch_add(n, std::memory_order_relaxed); }
  void add_released(std::uint64_t n) noexcept { mine().released.fetch_add(n, std::memory_order_relaxed); }

 private:
  using counter = typename Sync::template atomic<std::uint64_t>;
  struct alignas(64) line {
    counter acquired{0};
    counter released{0};
  };

  static constexpr unsigned line_bits = 6;

  // By the address of the caller's stack: threads mostly get lines of their own, without a number to keep. Two threads
  // that share a line only take longer.
  [[nodiscard]] line& mine() noexcept {
    const char here = 0;
    const std::uint64_t stack = reinterpret_cast<std::uintptr_t>(&here) >> 16;
    return lines_[stack * 0x9e37'79b9'7f4a'7c15 >> (64 - line_bits)];
  }

  line lines_[1u << line_bits];
  layout_stamp<pin_accounts> stamp_;
};

}  // namespace pinref::inline v0_1
