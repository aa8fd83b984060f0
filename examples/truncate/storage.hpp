// SPDX-License-Identifier: MIT
#pragma once

// Storage whose blocks are pages: a device writes to a block itself, not to a copy of it.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "pinref/pinref.hpp"
#include "support/block.hpp"

namespace examples::truncate {

/// The descriptor of a block.
struct storage_page {
  pinref::page_ref<> ref;
  block* content = nullptr;
};

}  // namespace examples::truncate

template <>
struct pinref::page_traits<examples::truncate::storage_page> {
  using page = examples::truncate::storage_page;

  static auto& ref(page& p) noexcept { return p.ref; }
  // The storage keeps a reference of its own as long as it exists. Who is left with that one is idle; nothing is freed.
  static bool resident(page&) noexcept { return true; }
  static void on_idle(page&) noexcept {}
  static void free_page(page&) noexcept { std::abort(); }
};
static_assert(pinref::idle_page<examples::truncate::storage_page>);
static_assert(pinref::freeable_page<examples::truncate::storage_page>);

namespace examples::truncate {

/// Blocks, and those of them that belong to no file.
class storage {
 public:
  explicit storage(std::size_t nr_blocks)
      : nr_blocks_(nr_blocks),
        pages_(std::make_unique<storage_page[]>(nr_blocks)),
        blocks_(std::make_unique<block[]>(nr_blocks)) {
    for (std::size_t i = 0; i != nr_blocks; ++i) {
      pages_[i].content = &blocks_[i];
      pages_[i].ref.init();
      unused_.push_back(&pages_[i]);
    }
  }

  /// Does somebody hold a block?
  [[nodiscard]] bool busy() const noexcept {
    return std::any_of(pages_.get(), pages_.get() + nr_blocks_,
                       [](storage_page& each) { return !pinref::page_idle(each); });
  }

  /// Null if the storage is full.
  [[nodiscard]] storage_page* allocate() noexcept {
    const std::lock_guard guard{mutex_};
    if (unused_.empty()) return nullptr;
    storage_page* const page = unused_.back();
    unused_.pop_back();
    return page;
  }
  /// Precondition: the page is idle.
  void free(storage_page& page) {
    const std::lock_guard guard{mutex_};
    unused_.push_back(&page);
  }

 private:
  std::size_t nr_blocks_;
  std::unique_ptr<storage_page[]> pages_;
  std::unique_ptr<block[]> blocks_;
  std::mutex mutex_;
  std::vector<storage_page*> unused_;
};

}  // namespace examples::truncate
