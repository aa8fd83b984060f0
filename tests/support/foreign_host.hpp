// SPDX-License-Identifier: MIT
#pragma once

// A host that shares nothing with the default one: packed descriptors, 64 KiB pages, device and immortal pages, pages
// not for long pins, no page lock. It keeps the contract honest, and lets a test fail any step.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "pinref/gup/address_space.hpp"
#include "pinref/page/page.hpp"
#include "pinref/ref/page_ref.hpp"

namespace support {

enum class kind : std::uint8_t { ordinary, device, immortal, transient_only };

template <class Ref>
struct foreign_page {
  Ref ref;
  std::uint16_t from_head = 0;  // how many descriptors behind its head it stands
  std::uint16_t pages = 1;      // of a head
  kind is = kind::ordinary;
  std::uint8_t freed = 0;
  std::uint16_t idled = 0;
};

template <class Ref>
class foreign_space {
 public:
  using page = foreign_page<Ref>;
  static constexpr std::size_t page_size = 65536;
  static constexpr std::uintptr_t base = 16 * page_size;

  explicit foreign_space(std::size_t n) : pages(new page[n]), slots(n) { number_base_ = pages.get(); }

  // Maps n descriptors from `first` on at the same index of the space, as one compound page if `n` is above one.
  page& map(std::size_t first, std::size_t n = 1, kind is = kind::ordinary, bool writable = true) {
    page& head = pages[first];
    for (std::size_t i = 0; i != n; ++i) {
      pages[first + i].from_head = static_cast<std::uint16_t>(i);
      slots[first + i] = {&pages[first + i], writable, n - i};
    }
    head.pages = static_cast<std::uint16_t>(n);
    head.is = is;
    std::destroy_at(&head.ref);  // whatever life it had
    std::construct_at(&head.ref);
    head.ref.init(1);
    return head;
  }

  [[nodiscard]] static std::uintptr_t address(std::size_t i) { return base + i * page_size; }

  [[nodiscard]] bool contains(std::uintptr_t first, std::uintptr_t last) const noexcept {
    return first >= base && last >= first && (last - base) / page_size < slots.size();
  }

  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t at, pinref::foll flags) const noexcept {
    if (no_fast_path) return {};
    return find(at, flags);
  }

  [[nodiscard]] bool recheck(std::uintptr_t at, const pinref::mapping<page>& seen) noexcept {
    if (before_recheck) before_recheck(index(at));
    return slots[index(at)].mapped == seen.page;
  }

  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t at, pinref::foll flags, Use use) noexcept {
    ++faults;
    const std::size_t i = index(at);
    if (refuse_fault && refuse_fault(i)) return pinref::gup_error::no_memory;
    if (slots[i].mapped == nullptr) {
      if (pinref::has(flags, pinref::foll::nofault) || !demand) return pinref::gup_error::not_mapped;
      map(i);
    }
    if (pinref::has(flags, pinref::foll::write) && !slots[i].writable) return pinref::gup_error::no_permission;
    if (before_use) before_use(i);
    return use(find(at, flags));
  }

  void prefetch(std::uintptr_t at) noexcept { prefetched.push_back(index(at)); }
  void broken_mapping(std::uintptr_t) noexcept { ++broken; }

  struct slot {
    page* mapped = nullptr;
    bool writable = true;
    std::size_t run = 1;
  };

  std::unique_ptr<page[]> pages;
  std::vector<slot> slots;
  bool demand = false;        // a fault on an empty slot maps its page
  bool no_fast_path = false;  // look-ups find nothing, so that every page is faulted in
  int faults = 0;
  int broken = 0;
  std::vector<std::size_t> prefetched;
  std::function<void(std::size_t)> before_recheck;
  std::function<void(std::size_t)> before_use;
  std::function<bool(std::size_t)> refuse_fault;

 private:
  friend struct pinref::page_traits<page>;

  [[nodiscard]] std::size_t index(std::uintptr_t at) const { return (at - base) / page_size; }
  [[nodiscard]] pinref::mapping<page> find(std::uintptr_t at, pinref::foll flags) const noexcept {
    const slot& found = slots[index(at)];
    if (found.mapped == nullptr || (pinref::has(flags, pinref::foll::write) && !found.writable)) return {};
    return {found.mapped, 0, found.run};
  }

  static inline const page* number_base_ = nullptr;  // frame numbers count from the youngest space's first page
};

}  // namespace support

template <class Ref>
struct pinref::page_traits<support::foreign_page<Ref>> {
  using page = support::foreign_page<Ref>;

  static Ref& ref(page& p) noexcept { return p.ref; }
  static page& head(page& p) noexcept { return *(&p - p.from_head); }
  static std::size_t nr_pages(page& head) noexcept { return head.pages; }
  static std::uint64_t frame_number(page& p) noexcept {
    return static_cast<std::uint64_t>(&p - support::foreign_space<Ref>::number_base_);
  }
  static page& nth_page(page& p, std::size_t i) noexcept { return *(&p + i); }
  static bool immortal(page& head) noexcept { return head.is == support::kind::immortal; }
  static bool resident(page& head) noexcept { return head.is == support::kind::device; }
  static void on_idle(page& head) noexcept { ++head.idled; }
  static bool longterm_pinnable(page& head) noexcept { return head.is != support::kind::transient_only; }
  static void free_page(page& head) noexcept { ++head.freed; }
};
