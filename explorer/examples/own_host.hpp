// SPDX-License-Identifier: MIT
#pragma once

// A host as somebody might have it: a cache of one block in one buffer, with a page-table entry that says so. It is a
// template of its Sync and of what a buffer holds, and otherwise what runs in production.

#include <pinref/gup.hpp>
#include <pinref/page.hpp>
#include <pinref/sync.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace own_host {

// Mistakes that a host can make. One that is right has none.
enum class mistake { none, no_second_look, asked_too_early };

template <class Sync, class Contents>
struct buffer {
  pinref::page_ref<pinref::bias64, Sync> ref;
  Contents contents;

  void free_page() noexcept {}
};

template <class Sync, class Contents, mistake Made = mistake::none>
class cache {
 public:
  using page = buffer<Sync, Contents>;
  static constexpr std::size_t page_size = 4096;

  // The cache holds its buffer by a reference, and the block stands in it.
  cache() noexcept {
    buffer_.ref.init();
    entry_.store(present, std::memory_order_relaxed);
  }

  // The address space of pinref: address 0 is the block.
  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < page_size; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t, pinref::foll) noexcept {
    const std::uint32_t entry = entry_.load(std::memory_order_relaxed);
    if (entry != present) return {};
    return {&buffer_, entry};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>& seen) const noexcept {
    if constexpr (Made == mistake::no_second_look) return true;
    return entry_.load(std::memory_order_relaxed) == seen.token;
  }
  // Blocks are read by somebody else.
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) noexcept {
    return pinref::gup_error::not_mapped;
  }

  // Gives the buffer to another block, unless a device has it: `fill(contents)` reads that block in.
  template <class Fill>
  bool evict(Fill fill) noexcept {
    const bool asked_early = Made == mistake::asked_too_early && pinref::page_dma_pinned(buffer_);
    entry_.store(absent, std::memory_order_relaxed);
    if (Made == mistake::asked_too_early ? asked_early : pinref::page_dma_pinned(buffer_)) {
      entry_.store(present, std::memory_order_relaxed);
      return false;
    }
    fill(buffer_.contents);
    return true;
  }

  // For whoever looks on.
  [[nodiscard]] const page& frame() const noexcept { return buffer_; }
  [[nodiscard]] const auto& entry() const noexcept { return entry_; }

 private:
  static constexpr std::uint32_t absent = 0, present = 1;

  page buffer_;
  typename Sync::template atomic<std::uint32_t> entry_{absent};
};

}  // namespace own_host
