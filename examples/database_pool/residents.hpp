// SPDX-License-Identifier: MIT
#pragma once

// Which blocks are in frames: brought in, written back, evicted by the clock.
//
// Who is at a frame holds it by a reference, a transfer by a pin. So one exchange decides whether a frame may be taken
// away: the table's reference is the only hold, there is no pin, and it is not dirty. A transfer's completion announces
// what was written, and then drops the pin and changes the bits by one exchange.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "book.hpp"
#include "frame.hpp"
#include "options.hpp"
#include "support/engine.hpp"
#include "support/tally.hpp"
#include "table.hpp"

namespace examples::database_pool {

class residents {
 public:
  residents(std::size_t nr_blocks, std::size_t nr_frames, const mistakes& wrong)
      : versions(nr_blocks), frames(nr_frames), table_(frames), wrong_(wrong) {
    for (std::uint32_t i = 0; i != frames.size(); ++i) free_.push_back(&frames[i]);
  }
  /// Before anything else.
  void use(engine& disk) noexcept { disk_ = &disk; }

  /// Perhaps the frame of a block, held by nobody.
  [[nodiscard]] frame* find(std::uint32_t number) noexcept { return table_.find(number); }

  /// A reference to the frame of a block. Its read may be under way.
  [[nodiscard]] frame_ptr hold(std::uint32_t number) {
    for (;;) {
      const std::uint64_t seen = retired_.value();
      frame* const found = table_.find(number);
      if (found == nullptr) {
        if (frame_ptr fresh = bring_in(number)) return fresh;
        continue;
      }
      frame_ptr page = frame_ptr::get_page_unless_zero(*found);
      if (!page) {
        const std::lock_guard until_it_is_gone{table_.lock_of(number)};
        continue;
      }
      if (page->number.load(std::memory_order_relaxed) != number) continue;
      // Looked at after the take: whoever closes it finds this holder, or this holder finds the bit.
      if ((page->ref.host_bits() & closed) == 0) return page;
      page.reset();
      retired_.wait_for(seen + 1);
    }
  }

  /// Freezes a frame that is clean and has no holds but these references, all of them the caller's to give up. Who
  /// meets it frozen waits for the lock.
  [[nodiscard]] bool take_away(frame& page, std::size_t references) {
    const std::uint32_t number = page.number.load(std::memory_order_relaxed);
    const std::lock_guard guard{table_.lock_of(number)};
    if (page.number.load(std::memory_order_relaxed) != number) return false;
    if (!page.ref.freeze_if(references, dirty, 0)) return false;
    table_.take_out(page);
    page.number.store(none, std::memory_order_release);
    return true;
  }

  /// A frame has left the pool: who waits for its block looks again.
  void has_gone() { retired_.advance(); }
  /// Gives a frame to the pool that nobody else has.
  void give(frame& page) {
    const std::lock_guard guard{mutex_};
    free_.push_back(&page);
  }

  /// Starts to write a frame to the file, if that is to be done and nobody is at the content. Precondition: the caller
  /// holds the frame, until the transfer has its pin.
  void write_back(frame& page) {
    if ((page.ref.host_bits() & dirty) == 0 || !page.try_lock()) return;
    if ((page.ref.clear_host_bits(dirty) & dirty) == 0) return page.unlock();
    start(direction::write, page);
    ++stats.written_back;
  }

  /// Starts a transfer. Precondition: busy is the caller's, and passes to the transfer.
  void start(direction way, frame& page) {
    if (!wrong_.no_pins) (void)page.ref.try_pin();
    disk_->submit({way, page.number.load(std::memory_order_relaxed), frames.index_of(page), &frames.content(page)});
  }

  /// The engine's completion.
  void completed(const transfer& job, long result) {
    require_whole(job, result);
    frame& page = frames[job.frame];
    const bool written = job.way == direction::read;
    const bool late = written && wrong_.bump_after_unpin && (page.ref.host_bits() & valid) != 0;
    if (written) versions.end(job.block);
    if (written && !late) page.stamp.changed();
    if (wrong_.no_pins) {
      page.ref.set_host_bits(valid);
      page.ref.clear_host_bits(busy);
    } else {
      (void)page.ref.unpin_and_change({.set = valid, .clear = busy});
    }
    if (late) {
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
      page.stamp.changed();
    }
  }

  /// Frames that nobody has, once everything is at rest.
  [[nodiscard]] std::uint32_t nr_idle() {
    auto idle = static_cast<std::uint32_t>(free_.size());
    for (std::uint32_t i = 0; i != frames.size(); ++i) idle += frames[i].ref.idle(1) ? 1 : 0;
    return idle;
  }

  statistics stats;
  book versions;
  frame_array frames;

 private:
  // Empty if another thread was faster.
  [[nodiscard]] frame_ptr bring_in(std::uint32_t number) {
    frame& fresh = allocate();
    std::unique_lock guard{table_.lock_of(number)};
    if (table_.find(number) != nullptr) {
      guard.unlock();
      give(fresh);
      return {};
    }
    fresh.number.store(number, std::memory_order_release);
    fresh.ref.clear_host_bits(valid | dirty);
    fresh.ref.set_host_bits(busy | used);
    fresh.stamp.changed();
    fresh.ref.unfreeze(2);  // the table's reference, and the caller's
    frame_ptr page = frame_ptr::adopt(fresh);
    table_.put_in(fresh);
    guard.unlock();
    start(direction::read, fresh);
    ++stats.brought_in;
    return page;
  }

  // A frozen frame. The clock goes round until it has one.
  [[nodiscard]] frame& allocate() {
    for (;;) {
      if (frame* const idle = pop_free()) return *idle;
      frame* under_way = nullptr;
      for (std::uint32_t i = 0; i != 2 * frames.size(); ++i) {
        frame& page = frames[hand_.fetch_add(1, std::memory_order_relaxed) % frames.size()];
        const bits seen = page.ref.host_bits();
        if ((seen & used) != 0) {
          page.ref.clear_host_bits(used);
        } else if ((seen & dirty) != 0) {
          if (const frame_ptr held = frame_ptr::get_page_unless_zero(page)) write_back(*held);
        } else if (take_away(page, 1)) {
          ++stats.evicted;
          return page;
        }
        if ((seen & busy) != 0) under_way = &page;
      }
      if (under_way != nullptr) (void)under_way->ref.wait_until_clear(busy);
    }
  }

  [[nodiscard]] frame* pop_free() {
    const std::lock_guard guard{mutex_};
    if (free_.empty()) return nullptr;
    frame* const last = free_.back();
    free_.pop_back();
    return last;
  }

  table table_;
  const mistakes& wrong_;
  engine* disk_ = nullptr;
  std::atomic<std::uint32_t> hand_{0};
  std::mutex mutex_;
  std::vector<frame*> free_;  // frozen
  tally retired_;
};

}  // namespace examples::database_pool
