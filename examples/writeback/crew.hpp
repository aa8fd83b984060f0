// SPDX-License-Identifier: MIT
#pragma once

// Those who work on the pool at once: two streams, each with a device that writes to the frames, and a writer that
// brings what they wrote to the file.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "pinref/pinref.hpp"
#include "pool.hpp"
#include "support/block.hpp"
#include "support/device.hpp"
#include "support/direct_file.hpp"
#include "support/held_pages.hpp"
#include "support/tally.hpp"

namespace examples::writeback {

using namespace std::chrono_literals;

/// How often each block was looked at to be written back.
using visit_counts = std::vector<std::atomic<std::uint32_t>>;

/// Gives its half of the blocks to its device, some at a time, and keeps note of what came last.
class stream {
 public:
  static constexpr std::uint32_t window = 8;
  static constexpr std::uint32_t turns = 3;
  static constexpr std::uint32_t versions = 3 * turns;  // that it delivers

  /// `deliveries` is told of each.
  stream(pool& blocks, const source& from, visit_counts& visits, tally& deliveries, keep how)
      : blocks_(blocks), device_(from), visits_(visits), deliveries_(deliveries), how_(how) {}

  /// Works on blocks first to last - 1; delivered[n] is the version that block n got last.
  void run(std::uint32_t first, std::uint32_t last, std::vector<std::uint32_t>& delivered) {
    for (std::uint32_t version = 1; version < versions; version += 3)
      for (std::uint32_t at = first; at != last; at += window) {
        take_turn(at, version);
        std::fill_n(delivered.begin() + at, window, version + 2);
      }
  }

 private:
  using page_array = std::array<frame*, window>;

  void take_turn(std::uint32_t first, std::uint32_t version) {
    if (how_ != keep::pinned) {
      held_pages<pool, window> held;
      if (!held.take(blocks_, pool::address_of(first), pinref::foll::none, how_)) std::abort();
      page_array pages;
      for (std::size_t i = 0; i != window; ++i) pages[i] = &held[i];
      deliver_all(pages, first, version);
      return;
    }
    page_array pages{};
    pinref::pin_request request{owner_};
    if (!request.pin_user_pages_fast(blocks_, pool::address_of(first), pinref::foll::write, pages).ok())
      std::abort();  // every block is in the pool, and the owner may have so many
    deliver_all(pages, first, version);
    // As a completion handler does, which must not wait for the page lock that the writer may have. What was put off is
    // released where waiting is allowed.
    (void)request.unpin_dirty_deferred();
    (void)owner_.drain();
  }

  // The device writes before, while and after the writer looks at the block.
  void deliver_all(const page_array& pages, std::uint32_t first, std::uint32_t version) {
    const std::uint32_t before = visits_[first].load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; visits_[first].load(std::memory_order_relaxed) - before < 2; ++i)
      deliver(pages, first, version + i % 2);
    deliver(pages, first, version + 2);
  }

  void deliver(const page_array& pages, std::uint32_t first, std::uint32_t version) {
    for (std::uint32_t i = 0; i != window; ++i) device_.start(first + i, version, blocks_.content(*pages[i]));
    device_.finish();
    deliveries_.advance();
  }

  pool& blocks_;
  device device_;
  visit_counts& visits_;
  tally& deliveries_;
  keep how_;
  pinref::pin_owner<frame, std::mutex> owner_{window};  // of the device: it may have so many pages pinned
};

/// Writes dirty blocks to the file, by one policy for those that are pinned.
class writer {
 public:
  writer(pool& blocks, const direct_file& file, visit_counts& visits, pinref::if_pinned policy)
      : blocks_(blocks), file_(file), visits_(visits), policy_(policy) {}

  /// Looks at every block once.
  void pass() {
    for (std::uint32_t number = 0; number != visits_.size(); ++number) {
      const pinref::writeback_result result = pinref::writeback_page(
          blocks_.page_of(number), blocks_, policy_, [this](frame& page, bool copy) { return write(page, copy); },
          pinref::deadline::in(patience));
      ++results_.at(static_cast<std::size_t>(result));
      visits_[number].fetch_add(1, std::memory_order_relaxed);
    }
  }

  /// How often a block was met with this result.
  [[nodiscard]] std::uint64_t count(pinref::writeback_result result) const {
    return results_.at(static_cast<std::size_t>(result));
  }

 private:
  static constexpr std::chrono::milliseconds patience = 2ms;  // with if_pinned::wait

  bool write(const frame& page, bool from_copy) {
    const block* from = &blocks_.content(page);
    if (from_copy) {
      copy_under_device(*copy_, *from);
      from = copy_.get();
    }
    try {
      file_.write({from, 1}, blocks_.number_of(page));
    } catch (const std::system_error&) {
      return false;
    }
    return true;
  }

  pool& blocks_;
  const direct_file& file_;
  visit_counts& visits_;
  pinref::if_pinned policy_;
  std::unique_ptr<block> copy_ = std::make_unique<block>();
  std::array<std::uint64_t, 6> results_{};  // by writeback_result
};

}  // namespace examples::writeback
