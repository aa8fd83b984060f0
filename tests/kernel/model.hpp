// SPDX-License-Identifier: MIT
#pragma once

// What the kernel's callers of pin_user_pages do around it, done with pinref: io_uring's table of buffers, O_DIRECT,
// process_vm_readv and writev.

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "facilities.hpp"
#include "pinref/pinref.hpp"

namespace kernel {

struct page_range {
  std::uintptr_t start;
  std::size_t nr_pages;
};

// All pages that hold a byte of the range. pinref, as the kernel's pin_user_pages, counts in pages from a page's start.
[[nodiscard]] inline page_range round_out(std::uintptr_t address, std::size_t bytes) {
  const std::uintptr_t inside = address % page_size;
  if (bytes == 0) return {address - inside, 0};
  return {address - inside, bytes / page_size + (inside + bytes % page_size + page_size - 1) / page_size};
}

// A table of buffers: pinned for long, all pages of all buffers or none.
template <class Space>
class buffer_table {
 public:
  using page = typename Space::page;

  // `merges`: the kernel is one that keeps a single pin of each page of 2 MiB that a buffer is made of, and releases
  // the others at once.
  outcome register_buffers(Space& space, std::span<const iovec> buffers, bool merges) {
    using pinref::foll;
    for (const iovec& each : buffers) {
      if (each.iov_base == nullptr && each.iov_len == 0) continue;
      const page_range range = round_out(reinterpret_cast<std::uintptr_t>(each.iov_base), each.iov_len);
      std::vector<page*> pages(range.nr_pages != 0 ? range.nr_pages : 1);
      const pinref::gup_result done = pinref::pin_user_pages_fast(
          space, range.start, range.nr_pages, foll::write | foll::longterm | foll::all, pages.data());
      if (!done.ok()) {
        (void)unregister();
        return {pinref::to_errno(done.reason), 0};
      }
      if constexpr (pinref::compound_page<page>)
        if (merges) merge(pages);
      held_.push_back(pages);
    }
    return {};
  }

  outcome unregister() {
    for (const auto& pages : held_) (void)pinref::unpin_user_pages(pages.data(), pages.size());
    held_.clear();
    return {};
  }

 private:
  static void merge(std::vector<page*>& pages) {
    for (page* each : pages)
      if (pinref::page_traits<page>::nr_pages(pinref::compound_head(*each)) == 1) return;
    std::vector<page*> heads;
    for (std::size_t i = 0, n; i != pages.size(); i += n) {
      page& head = pinref::compound_head(*pages[i]);
      for (n = 1; i + n != pages.size() && &pinref::compound_head(*pages[i + n]) == &head;) ++n;
      (void)pinref::unpin_user_folio(head, n - 1);
      heads.push_back(&head);
    }
    pages = heads;
  }

  std::vector<std::vector<page*>> held_;
};

// O_DIRECT: pins what there is, and is done with the pages before it returns. The device has written to the pages of a
// read, so they go dirty. A range that is not wholly there is an error, however much of it was.
template <class Space>
outcome direct_access(Space& space, std::uintptr_t address, std::size_t bytes, bool device_writes) {
  const page_range range = round_out(address, bytes);
  std::vector<typename Space::page*> pages(range.nr_pages);
  const pinref::gup_result done = pinref::pin_user_pages_fast(
      space, range.start, range.nr_pages, device_writes ? pinref::foll::write : pinref::foll::none, pages.data());
  (void)pinref::unpin_user_pages_dirty_lock(pages.data(), done.count, device_writes);
  return done.ok() ? outcome{0, bytes} : outcome{pinref::to_errno(done.reason), 0};
}

// process_vm_readv and writev: as far as the pages go, and an error only if there is not even the first.
template <class Space>
outcome remote_access(Space& space, std::uintptr_t address, std::size_t bytes, bool writes) {
  const page_range range = round_out(address, bytes);
  std::vector<typename Space::page*> pages(range.nr_pages);
  const pinref::gup_result done = pinref::pin_user_pages(
      space, range.start, range.nr_pages, writes ? pinref::foll::write : pinref::foll::none, pages.data());
  (void)pinref::unpin_user_pages_dirty_lock(pages.data(), done.count, writes);
  if (done.count == 0) return {pinref::to_errno(done.reason), 0};
  return {0, done.ok() ? bytes : done.count * page_size - address % page_size};
}

// The kernel looks at a page while it holds a reference of its own, which counts towards the edge of "maybe".
template <class Page>
outcome maybe_pinned(Page& page) {
  if (pinref::get_page_unless_zero(page) != pinref::take_result::taken) return {ESTALE, 0};
  const bool pinned = pinref::page_dma_pinned(page);
  (void)pinref::put_page(page);
  return {0, pinned ? 1u : 0u};
}

}  // namespace kernel
