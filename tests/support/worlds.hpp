// SPDX-License-Identifier: MIT
#pragma once

// The two hosts behind one face: a range of small pages, of one compound page, or mixed, in an address space.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "foreign_host.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/page/page.hpp"

namespace support {

enum class shape { small, compound, mixed };
inline constexpr shape all_shapes[] = {shape::small, shape::compound, shape::mixed};

// One of `runs`: pages of one head, from an index of the range on.
struct head_run {
  std::size_t first;
  std::size_t pages;
};

template <class Ref>
class default_world {
 public:
  using page = pinref::basic_frame<Ref>;
  using layout = typename Ref::layout;
  static constexpr std::size_t page_size = 4096;
  static constexpr bool can_mark_dirty = true;

  explicit default_world(shape of) {
    const std::size_t huge = 512;
    space_.map(0, 3 * huge, pinref::protection::read_write);
    if (of == shape::small)
      for (std::size_t i = 0; i != 6; ++i) add_small(i);
    if (of != shape::small) {
      // Compound pages start on their boundary, so the mixed range ends and begins with the neighbours of one.
      first_ = of == shape::mixed ? huge - 2 : huge;
      if (of == shape::mixed)
        for (std::size_t i : {huge - 2, huge - 1}) add_small(i);
      space_.map_page(huge * page_size, *arena_.allocate_compound(), pinref::protection::read_write);
      runs.push_back({huge - first_, huge});
      if (of == shape::mixed)
        for (std::size_t i : {2 * huge, 2 * huge + 1}) add_small(i);
    }
    for (const head_run& run : runs) n += run.pages;
  }

  pinref::basic_page_table<Ref>& space() { return space_; }
  std::uintptr_t start() const { return first_ * page_size; }
  page& at(std::size_t i) { return *space_.lookup((first_ + i) * page_size, pinref::foll::none).page; }
  // The mapping of this page's head goes, and its reference with it.
  void unmap(std::size_t i) { space_.unmap((first_ + i) * page_size, 1); }
  std::size_t nr_free() { return arena_.nr_free(); }
  std::size_t nr_frames() { return arena_.nr_frames(); }

  static pinref::gup_result unpin_after_write(page** pages, std::size_t count) {
    return pinref::unpin_user_pages_dirty_lock(pages, count, true);
  }

  std::vector<head_run> runs;
  std::size_t n = 0;

 private:
  void add_small(std::size_t i) {
    page* only[1];
    (void)pinref::get_user_pages(space_, i * page_size, 1, pinref::foll::write, only);
    (void)pinref::release_pages(only, 1);
    runs.push_back({i - first_, 1});
  }

  pinref::basic_frame_arena<Ref> arena_{4};
  pinref::basic_page_table<Ref> space_{arena_, 0, 3 * 512};
  std::size_t first_ = 0;
};

template <class Ref>
class foreign_world {
 public:
  using page = foreign_page<Ref>;
  using layout = typename Ref::layout;
  static constexpr std::size_t page_size = foreign_space<Ref>::page_size;
  static constexpr bool can_mark_dirty = false;

  explicit foreign_world(shape of) {
    if (of != shape::compound) add(1), add(1);
    if (of != shape::small) add(4);
    if (of == shape::mixed) add(2), add(1);
    if (of == shape::small) add(1), add(1);
  }

  foreign_space<Ref>& space() { return space_; }
  std::uintptr_t start() const { return foreign_space<Ref>::address(0); }
  page& at(std::size_t i) { return space_.pages[i]; }
  void unmap(std::size_t i) {
    page& head = pinref::compound_head(at(i));
    const auto first = static_cast<std::size_t>(&head - space_.pages.get());
    for (std::size_t k = first; k != first + head.pages; ++k) space_.slots[k].mapped = nullptr;
    (void)pinref::put_page(head);
  }

  static pinref::gup_result unpin_after_write(page** pages, std::size_t count) {
    return pinref::unpin_user_pages(pages, count);
  }

  std::vector<head_run> runs;
  std::size_t n = 0;

 private:
  void add(std::size_t pages) {
    space_.map(n, pages);
    runs.push_back({n, pages});
    n += pages;
  }

  foreign_space<Ref> space_{16};
};

}  // namespace support

#define WORLDS_OF(Layout) \
  support::default_world<pinref::page_ref<Layout>>, support::foreign_world<pinref::page_ref<Layout>>
#define ALL_WORLDS WORLDS_OF(pinref::bias64), WORLDS_OF(pinref::bias32), WORLDS_OF(pinref::split32)
