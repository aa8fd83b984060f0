// SPDX-License-Identifier: MIT
#pragma once

// What the default host has not: a zero page outside all counting, and pages of a file that may not be pinned for long.
// Its addresses are those of the real memory it stands for.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "facilities.hpp"
#include "mirror.hpp"
#include "pinref/pinref.hpp"

namespace kernel {

struct small_page {
  kernel::ref ref;
  bool is_zero_page = false;
  bool of_file = false;
  bool dirty = false;
};

}  // namespace kernel

template <>
struct pinref::page_traits<kernel::small_page> {
  using page = kernel::small_page;
  static kernel::ref& ref(page& p) noexcept { return p.ref; }
  static bool immortal(page& p) noexcept { return p.is_zero_page; }
  static bool longterm_pinnable(page& p) noexcept { return !p.of_file; }
  static void lock(page&) noexcept {}
  static void unlock(page&) noexcept {}
  static bool dirty(page& p) noexcept { return p.dirty; }
  static void set_dirty(page& p) noexcept { p.dirty = true; }
  static void free_page(page&) noexcept {}
};

namespace kernel {

class small_space {
 public:
  using page = small_page;
  static constexpr std::size_t page_size = kernel::page_size;

  // n pages of memory, or of a file, that nobody has touched.
  small_space(std::uintptr_t base, std::size_t n, bool of_file) : base_(base), of_file_(of_file), entries_(n) {
    zero_.is_zero_page = true;
  }
  ~small_space() {
    for (const entry& each : entries_)
      if (each.mapped != nullptr) (void)pinref::put_page(*each.mapped);
  }

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first >= base_ && last >= first && (last - base_) / page_size < entries_.size();
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, pinref::foll flags) const noexcept {
    const entry& at = entries_[index(address)];
    if (has(flags, pinref::foll::write) && !at.writable) return {};
    return {at.mapped};
  }
  [[nodiscard]] bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) const noexcept {
    return entries_[index(address)].mapped == seen.page;
  }
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t address, pinref::foll flags, Use use) noexcept {
    entry& at = entries_[index(address)];
    const bool write = has(flags, pinref::foll::write);
    if (of_file_ && write && has(flags, pinref::foll::longterm)) return pinref::gup_error::not_longterm;
    // A long pin of a reader gets a page of its own too.
    const bool own = write || has(flags, pinref::foll::longterm);
    if (at.mapped == nullptr && !of_file_ && !own) at.mapped = &zero_;
    if (at.mapped == nullptr || (own && at.mapped == &zero_)) {
      at.mapped = &pages_.emplace_back();
      at.mapped->of_file = of_file_;
      at.mapped->ref.init();
    }
    at.writable = at.writable || write;
    return use(pinref::mapping<page>{at.mapped});
  }

  [[nodiscard]] bool all_dirty() const {
    for (const entry& each : entries_)
      if (each.mapped == nullptr || !each.mapped->dirty) return false;
    return true;
  }

 private:
  struct entry {
    page* mapped = nullptr;
    bool writable = false;
  };
  [[nodiscard]] std::size_t index(std::uintptr_t address) const { return (address - base_) / page_size; }

  std::uintptr_t base_;
  bool of_file_;
  std::vector<entry> entries_;
  std::deque<page> pages_;
  page zero_;
};

}  // namespace kernel
