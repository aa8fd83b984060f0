// SPDX-License-Identifier: MIT

// pin_user_pages_fast of one page costs its steps: look up, pin, look again. There is no call in it, and one locked
// instruction.

#include <pinref/pinref.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

struct frame {
  pinref::page_ref<> ref;
};
void free_it(frame& page) noexcept;

template <>
struct pinref::page_traits<frame> {
  static auto& ref(frame& page) noexcept { return page.ref; }
  static void free_page(frame& page) noexcept { free_it(page); }
};

struct table {
  using page = frame;
  static constexpr std::size_t page_size = 4096;
  static constexpr std::size_t nr_pages = 64;

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last / page_size < nr_pages; }
  pinref::mapping<frame> lookup(std::uintptr_t address, pinref::foll) const noexcept {
    frame* const found = entries[address / page_size].load(std::memory_order_relaxed);
    return {found, reinterpret_cast<std::uintptr_t>(found), 1};
  }
  bool recheck(std::uintptr_t address, const pinref::mapping<frame>& seen) const noexcept {
    return entries[address / page_size].load(std::memory_order_relaxed) == seen.page;
  }
  template <class Use>
  pinref::gup_error fault_in(std::uintptr_t, pinref::foll, Use) noexcept {
    return pinref::gup_error::not_mapped;
  }

  std::atomic<frame*> entries[nr_pages];
};

[[noreturn]] void refused();

// codegen: locked=1 fetches=0
extern "C" void check_pin_one(table& space, std::uintptr_t address, frame*& page) {
  if (!pinref::pin_user_pages_fast(space, address, 1, pinref::foll::write, &page).ok()) refused();
}

// codegen: locked=1 fetches=0
extern "C" void check_get_one(table& space, std::uintptr_t address, frame*& page) {
  if (!pinref::get_user_pages_fast(space, address, 1, pinref::foll::write, &page).ok()) refused();
}
