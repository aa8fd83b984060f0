#pragma once

// The heap's own page descriptor, and what it takes to tell pinref about it.

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stdexcept>
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
  pinref::page_ref<> ref;
  std::atomic<bool> exclusive{false};  // mapped by one heap only
  halves* content = nullptr;
  frames* home = nullptr;
};

/// Pages, and those of them that are free.
class frames {
 public:
  explicit frames(std::size_t nr_pages)
      : pages_(std::make_unique<heap_page[]>(nr_pages)), contents_(std::make_unique<halves[]>(nr_pages)) {
    for (std::size_t i = 0; i != nr_pages; ++i) {
      pages_[i].content = &contents_[i];
      pages_[i].home = this;
      free_.push_back(&pages_[i]);
    }
  }

  /// With one reference, for one heap.
  [[nodiscard]] heap_page& allocate() {
    const std::lock_guard guard{mutex_};
    if (free_.empty()) throw std::runtime_error("out of pages");
    heap_page* const page = free_.back();
    free_.pop_back();
    page->exclusive.store(true, std::memory_order_relaxed);
    page->ref.reset();
    return *page;
  }
  void free(heap_page& page) {
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

}  // namespace examples::snapshot

template <>
struct pinref::page_traits<examples::snapshot::heap_page> {
  using page = examples::snapshot::heap_page;

  static auto& ref(page& p) noexcept { return p.ref; }
  static void free_page(page& p) noexcept { p.home->free(p); }
  static bool exclusive(page& p) noexcept { return p.exclusive.load(std::memory_order_relaxed); }
  static void set_exclusive(page& p, bool mark) noexcept { p.exclusive.store(mark, std::memory_order_relaxed); }
};
