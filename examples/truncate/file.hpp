// SPDX-License-Identifier: MIT
#pragma once

// A file in the storage, mapped as a whole. Devices reach its blocks through `pin_user_pages_fast`, for which it is an
// address space; `break_layout` takes blocks away from it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "pinref/pinref.hpp"
#include "storage.hpp"
#include "support/tally.hpp"

namespace examples::truncate {

class file {
 public:
  /// Without the gate, faults are let in while the layout is being broken.
  file(storage& from, std::size_t nr_blocks, bool gated) : storage_(from), gated_(gated), slots_(nr_blocks) {}

  [[nodiscard]] static std::uintptr_t address_of(std::size_t index) noexcept { return index * page_size; }

  // The address space.

  using page = storage_page;
  static constexpr std::size_t page_size = sizeof(block);

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first <= last && last / page_size < slots_.size();
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, pinref::foll) const noexcept {
    return {slots_[address / page_size].mapped.load(std::memory_order_acquire)};
  }
  [[nodiscard]] bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) const noexcept {
    return slots_[address / page_size].mapped.load(std::memory_order_relaxed) == seen.page;
  }
  /// Waits at the gate, and gives the file a block where it has none; with foll::nofault it does neither.
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t address, pinref::foll flags, Use use) noexcept {
    const bool nofault = has(flags, pinref::foll::nofault);
    std::unique_lock guard{mutex_};
    while (gated_ && !gate_.is_open()) {
      if (nofault) return pinref::gup_error::would_block;
      guard.unlock();
      (void)gate_.wait_until_open();
      guard.lock();
    }
    slot& at = slots_[address / page_size];
    if (at.owned == nullptr) {
      if (nofault) return pinref::gup_error::not_mapped;
      at.owned = storage_.allocate();
      if (at.owned == nullptr) return pinref::gup_error::no_memory;
    }
    at.mapped.store(at.owned, std::memory_order_release);
    return use(pinref::mapping<page>{at.owned});
  }

  // The object whose layout is broken.

  [[nodiscard]] pinref::layout_gate<>& gate() noexcept { return gate_; }

  void unmap(std::size_t first, std::size_t last) noexcept {
    const std::lock_guard guard{mutex_};
    for (std::size_t i = first; i <= last; ++i) slots_[i].mapped.store(nullptr, std::memory_order_relaxed);
  }
  [[nodiscard]] page* busy_in(std::size_t first, std::size_t last) noexcept {
    const std::lock_guard guard{mutex_};
    for (std::size_t i = first; i <= last; ++i) {
      if (slots_[i].owned == nullptr || pinref::page_idle(*slots_[i].owned)) continue;
      found_busy_.advance();
      return slots_[i].owned;
    }
    return nullptr;
  }
  /// How often that found a block somebody had to wait for.
  [[nodiscard]] const tally& found_busy() const noexcept { return found_busy_; }

  /// Gives the blocks up. Precondition: the layout is broken, and the gate not open again.
  [[nodiscard]] std::vector<page*> take_away(std::size_t first, std::size_t last) {
    const std::lock_guard guard{mutex_};
    std::vector<page*> taken;
    for (std::size_t i = first; i <= last; ++i) {
      if (slots_[i].owned != nullptr) taken.push_back(slots_[i].owned);
      slots_[i].owned = nullptr;
    }
    return taken;
  }

 private:
  struct slot {
    page* owned = nullptr;  // under the mutex
    std::atomic<page*> mapped{nullptr};
  };

  storage& storage_;
  const bool gated_;
  std::mutex mutex_;
  std::vector<slot> slots_;
  pinref::layout_gate<> gate_;
  tally found_busy_;
};
static_assert(pinref::address_space<file> && pinref::layout_object<file>);

}  // namespace examples::truncate
