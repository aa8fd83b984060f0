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
/// It holds no address, so it may stand in memory that processes share. Its size is 4 KiB: threads count in different
/// cache lines.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "pinref/fwd.hpp"
#include "pinref/ref/sync.hpp"

namespace pinref {

/// Pages pinned and unpinned since their accounts were made. Both only grow.
struct pin_totals {
  std::uint64_t acquired = 0;
  std::uint64_t released = 0;
};

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

  // By where the caller's stack is: threads mostly get lines of their own, and nobody has to keep a number. Two that
  // share one only take longer.
  [[nodiscard]] line& mine() noexcept {
    const char here = 0;
    const std::uint64_t stack = reinterpret_cast<std::uintptr_t>(&here) >> 16;
    return lines_[stack * 0x9e37'79b9'7f4a'7c15 >> (64 - line_bits)];
  }

  line lines_[1u << line_bits];
};

}  // namespace pinref
