// SPDX-License-Identifier: MIT
#pragma once

// A pool whose frames are the blocks of a file, mapped one to one. Devices write to them through `pin_user_pages_fast`,
// which asks the pool as an address space; `writeback_page` asks it as a reverse map.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "pinref/host/frame_arena.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/pinref.hpp"
#include "support/block.hpp"
#include "support/direct_file.hpp"

namespace examples::writeback {

/// The pins of the whole program.
inline constinit pinref::pin_accounts<> all_pins;
struct find_all_pins {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
};

using reference_word = pinref::accounted_ref<pinref::page_ref<>, find_all_pins>;
using frame_arena = pinref::basic_frame_arena<reference_word>;
using frame = frame_arena::frame;

class pool {
 public:
  /// The mapping of a block. Write permission is given by a fault and taken back by writeback.
  class entry {
   public:
    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }
    [[nodiscard]] bool maps(const frame& page) const noexcept { return page_.get() == &page; }
    /// Whoever was allowed to write may have done so.
    [[nodiscard]] bool write_protect() noexcept { return writable_.exchange(false, std::memory_order_relaxed); }

   private:
    friend class pool;
    pinref::page_ptr<frame> page_;
    std::atomic<bool> writable_{false};
    std::mutex mutex_;
  };

  explicit pool(std::uint32_t nr_blocks) : entries_(nr_blocks) {
    if (!frames_.valid()) throw cannot_run("no memory for the pool");
    numbers_.resize(frames_.nr_frames());
    for (std::uint32_t number = 0; number != nr_blocks; ++number) {
      frame* const fresh = frames_.allocate();
      if (fresh == nullptr) throw cannot_run("no memory for the pool");
      entries_[number].page_ = pinref::page_ptr<frame>::adopt(*fresh);
      numbers_[frames_.frame_number(*fresh)] = number;
    }
  }

  [[nodiscard]] frame& page_of(std::uint32_t number) noexcept { return *entries_[number].page_; }
  [[nodiscard]] std::uint32_t number_of(const frame& which) const noexcept {
    return numbers_[frames_.frame_number(which)];
  }
  [[nodiscard]] block& content(const frame& which) const noexcept {
    return *reinterpret_cast<block*>(frames_.data(which));
  }
  [[nodiscard]] static std::uintptr_t address_of(std::uint32_t number) noexcept { return number * page_size; }

  // The address space: block after block, from 0 on.

  using page = frame;
  static constexpr std::size_t page_size = frame_arena::frame_size;

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first <= last && last / page_size < entries_.size();
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, pinref::foll flags) const noexcept {
    const entry& at = entries_[address / page_size];
    const bool writable = at.writable_.load(std::memory_order_relaxed);
    if (has(flags, pinref::foll::write) && !writable) return {};
    return {at.page_.get(), writable};
  }
  [[nodiscard]] bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) const noexcept {
    return entries_[address / page_size].writable_.load(std::memory_order_relaxed) == (seen.token != 0);
  }
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t address, pinref::foll flags, Use use) noexcept {
    entry& at = entries_[address / page_size];
    const std::lock_guard guard{at};
    if (has(flags, pinref::foll::write)) at.writable_.store(true, std::memory_order_relaxed);
    return use(pinref::mapping<page>{at.page_.get(), at.writable_.load(std::memory_order_relaxed)});
  }

  // The reverse map: each page has one mapping.

  [[nodiscard]] static bool truncated(const frame&) noexcept { return false; }
  template <class Visit>
  void for_each_mapping(const frame& which, Visit visit) {
    visit(entries_[number_of(which)]);
  }

 private:
  frame_arena frames_{1};
  std::vector<entry> entries_;
  std::vector<std::uint32_t> numbers_;  // by frame number
};
static_assert(pinref::address_space<pool> && pinref::reverse_map<pool, frame>);

}  // namespace examples::writeback
