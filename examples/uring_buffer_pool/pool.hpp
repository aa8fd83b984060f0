#pragma once

// The buffer pool: which block is in which frame, and when a frame may be taken away.
//
// A slot per block names its frame and owns one reference to it. Readers add references of their own; a transfer adds a
// pin, from before it is submitted until its completion. So one word per frame answers every question asked here:
//
//   evict       frozen at two references, the slot's and the evictor's: no reader, no transfer. Then, if clean, free.
//   write back  clean it, pin it, write it. Readers go on.
//   update      not while it is pinned: the disk would get half of it.
//
// Without pins (the control) the same questions get wrong answers, and blocks are corrupted.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "pinref/host/frame_arena.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/pinref.hpp"
#include "statistics.hpp"
#include "support/block.hpp"
#include "support/engine.hpp"

namespace examples::buffer_pool {

/// The pins of the whole program.
inline constinit pinref::pin_accounts<> all_pins;
struct find_all_pins {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
};

using reference_word = pinref::accounted_ref<pinref::page_ref<>, find_all_pins>;
using frame_arena = pinref::basic_frame_arena<reference_word>;
using frame = frame_arena::frame;

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
  [[nodiscard]] bool short_of_frames() const noexcept { return frames_.nr_free() < frames_.nr_frames() / 16; }

  /// A reference to the frame of a block. On a miss the read is under way and the frame not ready yet.
  [[nodiscard]] frame& hold(std::uint32_t number) {
    for (;;) {
      if (frame* const found = find(number)) {
        info_of(*found).used.store(true, std::memory_order_relaxed);
        return *found;
      }
      frame& fresh = allocate();
      (void)pinref::get_page(fresh);  // the caller's, beside the slot's
      pin(fresh);
      if (publish(number, fresh)) {
        ++stats.reads;
        disk_->submit(transfer_of(direction::read, number, fresh));
        return fresh;
      }
      unpin(fresh);
      (void)pinref::put_page(fresh, 2);
    }
  }

  [[nodiscard]] bool ready(frame& held) const noexcept {
    return info_of(held).ready.load(std::memory_order_acquire) != 0;
  }
  void wait_ready(frame& held) const noexcept { info_of(held).ready.wait(0, std::memory_order_acquire); }

  /// Looks at a block that is held and ready.
  void visit(frame& held, std::uint32_t number) {
    held.lock();
    faults.add(find_fault(content(held), number, version_of(number)));
    held.unlock();
    ++stats.visits;
  }

  /// Gives a block that is held and ready its next version.
  void update(frame& held, std::uint32_t number) {
    held.lock();
    if (pinref::page_dma_pinned(held)) {
      ++stats.updates_waited;
      do {
        held.unlock();
        std::this_thread::sleep_for(std::chrono::microseconds{20});
        held.lock();
      } while (pinref::page_dma_pinned(held));
    }
    write_next_version(held, number);
    held.unlock();
    ++stats.updates;
  }

  /// Gives a block its next version without reading the old one. False, and nothing done, if it is in the pool.
  bool overwrite(std::uint32_t number) {
    if (resident(number)) return false;
    frame& fresh = allocate();
    fresh.lock();
    const bool mine = publish(number, fresh);
    if (mine) {
      write_next_version(fresh, number);
      set_ready(fresh);
      ++stats.overwrites;
    }
    fresh.unlock();
    if (!mine) (void)pinref::put_page(fresh);
    return mine;
  }

  /// Drops a reference that hold gave. Whoever does not want to wait for the read may do so at any time.
  void release(frame& held) noexcept { (void)pinref::put_page(held); }

  /// Takes the frame of a block away, if nobody uses it.
  eviction evict(std::uint32_t number) noexcept {
    frame* const page = find(number);
    if (page == nullptr) return eviction::absent;
    const eviction result = try_to_free(*page, number);
    switch (result) {
      case eviction::done:
        ++stats.evicted;
        return result;  // our reference went with the page
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
    (void)pinref::put_page(*page);
    return result;
  }

  /// As evict, for the clock: a block used since the last time round stays for another one.
  eviction evict_unused(std::uint32_t number) noexcept {
    const std::uint32_t slot = slots_[number].load(std::memory_order_relaxed);
    if (slot == empty || infos_[slot - 1].used.exchange(false, std::memory_order_relaxed)) return eviction::absent;
    return evict(number);
  }

  /// Starts to write a block to disk. False if there is nothing to write, or it is being written.
  bool write_back(std::uint32_t number) {
    const std::uint32_t slot = slots_[number].load(std::memory_order_relaxed);
    if (slot == empty || !frames_.frame_at(slot - 1).dirty()) return false;  // a look from afar, nothing held
    frame* const page = find(number);
    if (page == nullptr) return false;
    page->lock();
    const bool start = page->clear_dirty();  // what is being written is not dirty: updates wait for it
    if (start) pin(*page);
    page->unlock();
    if (start) {
      ++stats.writes;
      disk_->submit(transfer_of(direction::write, number, *page));
    }
    (void)pinref::put_page(*page);  // from here on the pin alone keeps it
    return start;
  }

  /// The engine's completion.
  void completed(const transfer& job, long result) {
    require_whole(job, result);
    frame& page = frames_.frame_at(job.frame);
    if (job.way == direction::read) {
      page.lock();
      faults.add(find_fault(content(page), job.block, version_of(job.block)));
      page.unlock();
      set_ready(page);
    }
    unpin(page);
  }

  statistics stats;
  findings faults;

 private:
  static constexpr std::uint32_t empty = 0;  // a slot holds 1 + the number of its frame

  struct frame_info {
    std::atomic<std::uint32_t> ready{0};
    std::atomic<bool> used{false};
  };

  // A look-up without a lock: take what the slot names, then see whether it still does.
  [[nodiscard]] frame* find(std::uint32_t number) noexcept {
    for (;;) {
      const std::uint32_t slot = slots_[number].load(std::memory_order_acquire);
      if (slot == empty) return nullptr;
      frame& page = frames_.frame_at(slot - 1);
      if (pinref::try_get_page(page) != pinref::take_result::taken) {
        std::this_thread::yield();  // an evictor has it frozen: back, or gone, in a moment
        continue;
      }
      if (slots_[number].load(std::memory_order_relaxed) == slot) return &page;
      (void)pinref::put_page(page);
    }
  }

  [[nodiscard]] bool publish(std::uint32_t number, frame& fresh) noexcept {
    std::uint32_t expected = empty;
    return slots_[number].compare_exchange_strong(expected, slot_of(fresh), std::memory_order_release,
                                                  std::memory_order_relaxed);
  }

  [[nodiscard]] frame& allocate() {
    for (;;) {
      if (frame* const fresh = frames_.allocate()) {
        info_of(*fresh).ready.store(0, std::memory_order_relaxed);
        info_of(*fresh).used.store(true, std::memory_order_relaxed);
        return *fresh;
      }
      std::this_thread::sleep_for(std::chrono::microseconds{50});  // the evictor is at work
    }
  }

  // The caller's reference is the evictor's own. A slot is emptied under the page lock only, so its reference is there
  // as long as the slot names the page, and both are the evictor's to give up.
  [[nodiscard]] eviction try_to_free(frame& page, std::uint32_t number) noexcept {
    if (!page.try_lock()) return eviction::referenced;
    eviction result = eviction::done;
    if (slots_[number].load(std::memory_order_relaxed) != slot_of(page)) {
      result = eviction::absent;
    } else if (!page.ref().freeze(2)) {
      result = pinref::page_dma_pinned(page) ? eviction::pinned : eviction::referenced;
    } else if (page.dirty()) {  // asked while frozen: nobody can be about to set it
      page.ref().unfreeze(2);
      result = eviction::dirty;
    } else {
      slots_[number].store(empty, std::memory_order_relaxed);
    }
    page.unlock();
    if (result == eviction::done) frames_.free_page(page);
    return result;
  }

  void write_next_version(frame& page, std::uint32_t number) noexcept {
    const std::uint64_t version = version_of(number) + 1;
    fill(content(page), number, version);
    versions_[number].store(version, std::memory_order_relaxed);
    page.set_dirty();
  }

  void set_ready(frame& page) noexcept {
    info_of(page).ready.store(1, std::memory_order_release);
    info_of(page).ready.notify_all();
  }

  void pin(frame& page) noexcept {
    if (pins_) (void)pinref::try_pin_page(page);  // held already, so it cannot be refused
  }
  void unpin(frame& page) noexcept {
    if (pins_) (void)pinref::unpin_user_page(page);
  }

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
};

}  // namespace examples::buffer_pool
