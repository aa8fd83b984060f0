#pragma once

// Those who work on the pool at once: two streams, each with a device that writes to the frames, and a writer that
// brings what they wrote to the file.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <vector>

#include "pinref/pinref.hpp"
#include "pool.hpp"
#include "support/block.hpp"
#include "support/device.hpp"
#include "support/direct_file.hpp"

namespace examples::writeback {

/// How often each block was looked at to be written back.
using visit_counts = std::vector<std::atomic<std::uint32_t>>;

/// Gives its half of the blocks to its device, some at a time, and keeps note of what came last.
class stream {
 public:
  static constexpr std::uint32_t window = 8;
  static constexpr std::uint32_t turns = 3;
  static constexpr std::uint32_t versions = 3 * turns;  // that it delivers

  stream(pool& blocks, const source& from, visit_counts& visits, bool pins)
      : blocks_(blocks), device_(from), visits_(visits), pins_(pins) {}

  /// Works on blocks first to last - 1; delivered[n] is the version that block n got last.
  void run(std::uint32_t first, std::uint32_t last, std::vector<std::uint32_t>& delivered) {
    for (std::uint32_t version = 1; version < versions; version += 3)
      for (std::uint32_t at = first; at != last; at += window) {
        take_turn(at, version);
        std::fill_n(delivered.begin() + at, window, version + 2);
      }
  }

 private:
  // The device writes before, while and after the writer looks at the block.
  void take_turn(std::uint32_t first, std::uint32_t version) {
    hold(first);
    const std::uint32_t before = visits_[first].load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; visits_[first].load(std::memory_order_relaxed) - before < 2; ++i)
      deliver(first, version + i % 2);
    deliver(first, version + 2);
    release();
  }

  void deliver(std::uint32_t first, std::uint32_t version) {
    for (std::uint32_t i = 0; i != window; ++i) device_.start(first + i, version, blocks_.content(*pages_[i]));
    device_.finish();
  }

  void hold(std::uint32_t first) {
    const std::uintptr_t start = pool::address_of(first);
    const pinref::gup_result done =
        pins_ ? pinref::pin_user_pages_fast(blocks_, start, window, pinref::foll::write, pages_.data())
              : pinref::get_user_pages_fast(blocks_, start, window, pinref::foll::write, pages_.data());
    if (!done.ok()) std::abort();  // every block is in the pool
  }
  void release() {
    if (pins_)
      (void)pinref::unpin_user_pages_dirty_lock(pages_.data(), window, true);
    else
      (void)pinref::release_pages(pages_.data(), window);
  }

  pool& blocks_;
  device device_;
  visit_counts& visits_;
  bool pins_;
  std::array<frame*, window> pages_{};
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
  static constexpr std::int64_t patience = 2'000'000;  // ns, with if_pinned::wait

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
