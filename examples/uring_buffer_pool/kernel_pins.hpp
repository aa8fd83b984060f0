// SPDX-License-Identifier: MIT
#pragma once

// The kernel's own count of pins, of all processes together.

#include <chrono>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "pinref/observe/pin_accounts.hpp"

namespace examples::buffer_pool {

/// Empty where the rights do not allow it, or the kernel does not count.
[[nodiscard]] inline std::optional<pinref::pin_totals> kernel_pins() {
  // Every core counts for itself; this adds them up. Only root may.
  std::ofstream refresh{"/proc/sys/vm/stat_refresh"};
  if (!(refresh << "1" << std::flush)) return std::nullopt;

  std::ifstream vmstat{"/proc/vmstat"};
  pinref::pin_totals totals;
  int found = 0;
  std::string name;
  for (std::uint64_t count = 0; vmstat >> name >> count;) {
    if (name == "nr_foll_pin_acquired") totals.acquired = count, ++found;
    if (name == "nr_foll_pin_released") totals.released = count, ++found;
  }
  if (found != 2) return std::nullopt;
  return totals;
}

/// The same, once the kernel has dropped the pins of what it has completed: that may take it some milliseconds, and
/// nothing tells when.
[[nodiscard]] inline std::optional<pinref::pin_totals> settled_kernel_pins() {
  auto totals = kernel_pins();
  for (int i = 0; i != 20 && totals && totals->acquired != totals->released; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
    totals = kernel_pins();
  }
  return totals;
}

}  // namespace examples::buffer_pool
