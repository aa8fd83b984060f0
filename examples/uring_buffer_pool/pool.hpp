// SPDX-License-Identifier: MIT
#pragma once

// The buffer pool: which block is in which frame, and when a frame may be taken away.
//
// A slot per block names its frame and owns one reference to it. Readers add references of their own; a transfer adds a
// pin, from before it is submitted until its completion. So one word per frame answers every question asked here:
//
//   evict       claimed at two references, the slot's and the evictor's: no reader, no transfer. If clean, freed.
//   write back  clean it, pin it, write it. Readers go on.
//   update      not while it is pinned: the disk would get half of it.
//
// Without pins (the control) the same questions get wrong answers, and blocks are corrupted.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <utility>
#include <vector>

#include "pinref/host/frame_arena.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/pinref.hpp"
#include "statistics.hpp"
#include "support/block.hpp"
#include "support/engine.hpp"
#include "support/tally.hpp"

namespace examples::buffer_pool {

using namespace std::chrono_literals;

/// The pins of the whole program.
inline constinit pinref::pin_accounts<> all_pins;
struct find_all_pins {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
};

using reference_word = pinref::accounted_ref<pinref::page_ref<>, find_all_pins>;
using frame_arena = pinref::basic_frame_arena<reference_word>;
using frame = frame_arena::frame;
using frame_ptr = pinref::page_ptr<frame>;
using frame_pin = pinref::page_pin<frame>;

enum class eviction : unsigned char { done, absent, pinned, referenced, dirty };

class pool {
 public:
  /// Every block of the file has version 1.
  pool(frame_arena& frames, std::size_t nr_blocks, bool pins)
      : frames_(frames), pins_(pins), slots_(nr_blocks), versions_(nr_blocks), infos_(frames.nr_frames()) {
    for (auto& version : versions_) version.store(1, std::memory_order_relaxed);
  }

  /// Before anything else.
  void use(engine& disk) noexcept { disk_ = &disk; }

  [[nodiscard]] std::size_t nr_blocks() const noexcept { return slots_.size(); }
  [[nodiscard]] std::size_t nr_frames() const noexcept { return frames_.nr_frames(); }
  [[nodiscard]] std::uint64_t version_of(std::uint32_t number) const noexcept {
    return versions_[number].load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool resident(std::uint32_t number) const noexcept {
    return slots_[number].load(std::memory_order_relaxed) != empty;
  }

  /// A reference to the frame of a block. On a miss the read is under way and the frame not ready yet. Whoever does not
  /// want to wait for the read may let go at any time.
  [[nodiscard]] frame_ptr hold(std::uint32_t number) {
    for (;;) {
      if (frame_ptr found = find(number)) {
        info_of(*found).used.store(true, std::memory_order_relaxed);
        return found;
      }
      frame_ptr fresh = allocate();
      info_of(*fresh).under_way = pin(*fresh);
      if (publish(number, fresh)) {
        ++stats.reads;
        disk_->submit(transfer_of(direction::read, number, *fresh));
        return fresh;
      }
      info_of(*fresh).under_way.reset();
      give_back(std::move(fresh));
    }
  }

  [[nodiscard]] bool ready(const frame& held) const noexcept {
    return info_of(held).ready.load(std::memory_order_acquire) != 0;
  }
  void wait_ready(const frame& held) const noexcept { info_of(held).ready.wait(0, std::memory_order_acquire); }

  /// Looks at a block that is held and ready.
  void visit(frame& held, std::uint32_t number) {
    const std::lock_guard guard{held};
    faults.add(find_fault(content(held), number, version_of(number)));
    ++stats.visits;
  }

  /// Gives a block that is held and ready its next version. Nothing is done if the disk keeps it for too long.
  void update(frame& held, std::uint32_t number) {
    std::unique_lock guard{held};
    if (pinref::page_dma_pinned(held)) ++stats.updates_waited;
    while (pinref::page_dma_pinned(held)) {
      guard.unlock();
      if (pinref::wait_until_unpinned(held, pinref::deadline::in(10s)) != pinref::wait_result::reached) return;
      guard.lock();
    }
    write_next_version(held, number);
    ++stats.updates;
  }

  /// Gives a block its next version without reading the old one. False, and nothing done, if it is in the pool.
  bool overwrite(std::uint32_t number) {
    if (resident(number)) return false;
    frame_ptr fresh = allocate();
    std::unique_lock guard{*fresh};
    if (!publish(number, fresh)) {
      guard.unlock();
      give_back(std::move(fresh));
      return false;
    }
    write_next_version(*fresh, number);
    set_ready(*fresh);
    ++stats.overwrites;
    return true;
  }

  /// Takes the frame of a block away, if nobody uses it.
  eviction evict(std::uint32_t number) noexcept {
    frame_ptr page = find(number);
    if (!page) return eviction::absent;
    const eviction result = try_to_free(page, number);
    switch (result) {
      case eviction::done:
        ++stats.evicted;
        break;
      case eviction::pinned:
        ++stats.refused_pinned;
        break;
      case eviction::referenced:
        ++stats.refused_referenced;
        break;
      case eviction::dirty:
        ++stats.refused_dirty;
        break;
      case eviction::absent:
        break;
    }
    return result;
  }

  /// As evict, for the clock: a block used since the last time round stays for another one.
  eviction evict_unused(std::uint32_t number) noexcept {
    const std::uint32_t slot = slots_[number].load(std::memory_order_relaxed);
    if (slot == empty || infos_[slot - 1].used.exchange(false, std::memory_order_relaxed)) return eviction::absent;
    return evict(number);
  }

  [[nodiscard]] bool short_of_frames() const noexcept { return frames_.nr_free() < frames_.nr_frames() / 16; }
  /// Sleeps until frames are short. False if a stop was requested.
  [[nodiscard]] bool wait_until_short(const std::stop_token& stop) const {
    for (;;) {
      const std::uint64_t seen = shortages_.value();
      if (stop.stop_requested()) return false;
      if (short_of_frames()) return true;
      shortages_.wait_for(seen + 1, stop);
    }
  }
  /// Sleeps until the transfer of a block is over, or for a millisecond.
  void wait_for_transfer(std::uint32_t number) noexcept {
    if (const frame_ptr page = find(number)) (void)pinref::wait_until_unpinned(*page, pinref::deadline::in(1ms));
  }

  /// Starts to write a block to disk. False if there is nothing to write, or it is being written.
  bool write_back(std::uint32_t number) {
    const std::uint32_t slot = slots_[number].load(std::memory_order_relaxed);
    if (slot == empty || !frames_.frame_at(slot - 1).dirty()) return false;  // a look from afar, nothing held
    const frame_ptr page = find(number);
    if (!page) return false;
    {
      const std::lock_guard guard{*page};
      if (!page->clear_dirty()) return false;  // what is being written is not dirty: updates wait for it
      info_of(*page).under_way = pin(*page);
    }
    ++stats.writes;
    disk_->submit(transfer_of(direction::write, number, *page));
    return true;  // from here on the pin alone keeps it
  }

  /// The engine's completion.
  void completed(const transfer& job, long result) {
    require_whole(job, result);
    frame& page = frames_.frame_at(job.frame);
    if (job.way == direction::read) {
      {
        const std::lock_guard guard{page};
        faults.add(find_fault(content(page), job.block, version_of(job.block)));
      }
      set_ready(page);
    }
    info_of(page).under_way.reset();
  }

  statistics stats;
  findings faults;

 private:
  static constexpr std::uint32_t empty = 0;  // a slot holds 1 + the number of its frame

  struct frame_info {
    std::atomic<std::uint32_t> ready{0};
    std::atomic<bool> used{false};
    // The pin of the transfer. There is one at a time: a frame is written back when it was updated, which waits for the
    // one before. So whoever starts a transfer comes after whoever ended the last.
    frame_pin under_way;
  };

  // A look-up without a lock: take what the slot names, then see whether it still does.
  [[nodiscard]] frame_ptr find(std::uint32_t number) noexcept {
    for (;;) {
      const std::uint32_t slot = slots_[number].load(std::memory_order_acquire);
      if (slot == empty) return {};
      frame& page = frames_.frame_at(slot - 1);
      frame_ptr found = frame_ptr::get_page_unless_zero(page);
      if (!found) {
        const std::lock_guard evictor_done{page};  // it has the page frozen, under this lock: back, or gone, after it
        continue;
      }
      if (slots_[number].load(std::memory_order_relaxed) == slot) return found;
    }
  }

  // A block that has no frame yet gets this one, and the slot a reference of its own.
  [[nodiscard]] bool publish(std::uint32_t number, const frame_ptr& fresh) noexcept {
    frame_ptr of_the_slot = fresh.share();
    std::uint32_t expected = empty;
    if (!slots_[number].compare_exchange_strong(expected, slot_of(*fresh), std::memory_order_release,
                                                std::memory_order_relaxed))
      return false;
    (void)of_the_slot.detach();
    return true;
  }

  [[nodiscard]] frame_ptr allocate() {
    for (;;) {
      const std::uint64_t seen = freed_.value();
      frame* const fresh = frames_.allocate();
      if (short_of_frames()) shortages_.advance();
      if (fresh != nullptr) {
        info_of(*fresh).ready.store(0, std::memory_order_relaxed);
        info_of(*fresh).used.store(true, std::memory_order_relaxed);
        return frame_ptr::adopt(*fresh);
      }
      freed_.wait_for(seen + 1);  // the evictor is at work
    }
  }
  // A frame that was not needed after all.
  void give_back(frame_ptr fresh) {
    fresh.reset();
    freed_.advance();
  }

  // The caller's reference is the evictor's own. A slot is emptied under the page lock only, so its reference is there
  // as long as the slot names the page, and both are the evictor's to give up.
  [[nodiscard]] eviction try_to_free(frame_ptr& page, std::uint32_t number) noexcept {
    {
      std::unique_lock guard{*page, std::try_to_lock};
      if (!guard.owns_lock()) return eviction::referenced;
      if (slots_[number].load(std::memory_order_relaxed) != slot_of(*page)) return eviction::absent;
      switch (pinref::reclaim_page(*page, 2)) {
        case pinref::reclaim_result::busy:
          return pinref::page_dma_pinned(*page) ? eviction::pinned : eviction::referenced;
        case pinref::reclaim_result::dirty:
          return eviction::dirty;
        case pinref::reclaim_result::reclaimed:
          break;
      }
      slots_[number].store(empty, std::memory_order_relaxed);
    }
    frames_.free_page(*page.detach());  // both references went when it was claimed
    freed_.advance();
    return eviction::done;
  }

  void write_next_version(frame& page, std::uint32_t number) noexcept {
    const std::uint64_t version = version_of(number) + 1;
    fill(content(page), number, version);
    versions_[number].store(version, std::memory_order_relaxed);
    page.set_dirty();
  }

  void set_ready(const frame& page) noexcept {
    info_of(page).ready.store(1, std::memory_order_release);
    info_of(page).ready.notify_all();
  }

  // Empty without pins.
  [[nodiscard]] frame_pin pin(frame& page) const noexcept { return pins_ ? frame_pin::try_pin(page) : frame_pin{}; }

  [[nodiscard]] std::uint32_t number_of(const frame& page) const noexcept {
    return static_cast<std::uint32_t>(frames_.frame_number(page));
  }
  [[nodiscard]] std::uint32_t slot_of(const frame& page) const noexcept { return number_of(page) + 1; }
  [[nodiscard]] frame_info& info_of(const frame& page) const noexcept { return infos_[number_of(page)]; }
  [[nodiscard]] block& content(const frame& page) const noexcept {
    return *reinterpret_cast<block*>(frames_.data(page));
  }
  [[nodiscard]] transfer transfer_of(direction way, std::uint32_t number, const frame& page) const noexcept {
    return {way, number, number_of(page), frames_.data(page)};
  }

  frame_arena& frames_;
  bool pins_;
  engine* disk_ = nullptr;
  std::vector<std::atomic<std::uint32_t>> slots_;
  std::vector<std::atomic<std::uint64_t>> versions_;  // what every block must hold; changed under its page lock
  mutable std::vector<frame_info> infos_;
  tally freed_;      // frames that went back to the arena
  tally shortages_;  // looks that found few of them there
};

}  // namespace examples::buffer_pool
