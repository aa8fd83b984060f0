// SPDX-License-Identifier: MIT
#pragma once

// Devices that write to the blocks of a file, under one short pin after the other.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stop_token>
#include <utility>

#include "file.hpp"
#include "pinref/pinref.hpp"
#include "support/device.hpp"
#include "support/held_pages.hpp"
#include "support/tally.hpp"

namespace examples::truncate {

/// A few blocks of a file, held for one delivery. Without pins: looked up, and held by nothing.
template <std::size_t Width>
class grip {
 public:
  grip(file& of, std::size_t first, bool pins) noexcept
      : file_(of), first_(first), how_(pins ? keep::pinned : keep::looked_up) {}

  /// False if `flags` refuse to wait and the blocks are not there now.
  [[nodiscard]] bool take(pinref::foll flags) { return blocks_.take(file_, file::address_of(first_), flags, how_); }
  void let_go() noexcept { blocks_.reset(); }
  void fill_by(device& writer, std::uint32_t version) {
    for (std::size_t i = 0; i != Width; ++i)
      writer.start(static_cast<std::uint32_t>(first_ + i), version, *blocks_[i].content);
    writer.finish();
  }

 private:
  file& file_;
  std::size_t first_;
  keep how_;
  held_pages<file, Width> blocks_;
};

/// How many deliveries may begin while one truncate waits for those before it. When there are more, the truncate is
/// called off: others overtake it again and again.
class patience {
 public:
  static constexpr std::uint64_t limit = 500;

  void begin() noexcept { later_.store(0, std::memory_order_relaxed), waiting_.store(true, std::memory_order_release); }
  void end() noexcept { waiting_.store(false, std::memory_order_relaxed); }
  void count() noexcept {
    if (!waiting_.load(std::memory_order_acquire)) return;
    if (later_.fetch_add(1, std::memory_order_relaxed) + 1 == limit) over.cancel();
  }

  pinref::wait_canceller<> over;

 private:
  std::atomic<bool> waiting_{false};
  std::atomic<std::uint64_t> later_{0};
};

/// Fills the same blocks of a file over and over, and lets go of one filling only when it has the blocks for the next:
/// of itself it is never without a pin.
class stream {
 public:
  static constexpr std::size_t width = 2;
  static constexpr std::size_t most_held = 2 * width;

  stream(file& into, std::size_t first, const source& from, bool pins, patience& truncates)
      : device_(from), one_(into, first, pins), other_(into, first, pins), truncates_(truncates) {}

  void run(const std::stop_token& stop) {
    grip<width>* now = &one_;
    grip<width>* next = &other_;
    take_waiting(*now);
    while (!stop.stop_requested()) {
      // A truncate waits for whoever holds a pin. So nobody waits for the truncate with a pin in his hand.
      if (!next->take(pinref::foll::nofault)) {
        now->let_go();
        take_waiting(*next);
      }
      truncates_.count();
      next->fill_by(device_, 1 + static_cast<std::uint32_t>(rounds_.value() % 2));
      now->let_go();
      std::swap(now, next);
      rounds_.advance();
    }
    now->let_go();
  }

  [[nodiscard]] const tally& rounds() const noexcept { return rounds_; }

 private:
  static void take_waiting(grip<width>& one) {
    if (!one.take(pinref::foll::none)) std::abort();  // the file grows on demand
  }

  device device_;
  grip<width> one_;
  grip<width> other_;
  patience& truncates_;
  tally rounds_;
};

}  // namespace examples::truncate
