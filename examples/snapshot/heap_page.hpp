// SPDX-License-Identifier: MIT
#pragma once

// The heap's own page descriptor. Its members tell pinref about it.

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "pinref/pinref.hpp"
#include "support/block.hpp"

namespace examples::snapshot {

class frames;

/// What a page holds: one half is written by the program, one by a device.
struct halves {
  block program;
  block device;
};

struct heap_page {
  halves* content = nullptr;
  frames* home = nullptr;

  // As pinref asks for them.
  pinref::page_ref<> ref;
  void free_page() noexcept;
  /// Mapped by one heap only?
  [[nodiscard]] bool exclusive() const noexcept { return exclusive_.load(std::memory_order_relaxed); }
  void set_exclusive(bool mark) noexcept { exclusive_.store(mark, std::memory_order_relaxed); }

 private:
  std::atomic<bool> exclusive_{false};
};
static_assert(pinref::freeable_page<heap_page> && pinref::exclusive_page<heap_page>);

using page_ptr = pinref::page_ptr<heap_page>;

/// Pages, and those of them that are free.
class frames {
 public:
  explicit frames(std::size_t nr_pages)
      : pages_(std::make_unique<heap_page[]>(nr_pages)), contents_(std::make_unique<halves[]>(nr_pages)) {
    free_.reserve(nr_pages);
    for (std::size_t i = 0; i != nr_pages; ++i) {
      pages_[i].content = &contents_[i];
      pages_[i].home = this;
      free_.push_back(&pages_[i]);
    }
  }

  /// A page of one heap's own, or none if all are in use.
  [[nodiscard]] page_ptr allocate() noexcept {
    const std::lock_guard guard{mutex_};
    if (free_.empty()) return {};
    heap_page& page = *free_.back();
    free_.pop_back();
    page.set_exclusive(true);
    page.ref.init();
    return page_ptr::adopt(page);
  }
  void free(heap_page& page) noexcept {
    const std::lock_guard guard{mutex_};
    free_.push_back(&page);
  }
  [[nodiscard]] std::size_t nr_free() {
    const std::lock_guard guard{mutex_};
    return free_.size();
  }

 private:
  std::unique_ptr<heap_page[]> pages_;
  std::unique_ptr<halves[]> contents_;
  std::mutex mutex_;
  std::vector<heap_page*> free_;
};

inline void heap_page::free_page() noexcept {
  home->free(*this);
}

}  // namespace examples::snapshot
