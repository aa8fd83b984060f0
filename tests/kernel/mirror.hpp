// SPDX-License-Identifier: MIT
#pragma once

// One stretch of this process's memory, twice: mapped by the kernel, and as an address space of pinref's default host
// with the same addresses. Every change is made to both.

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "facilities.hpp"
#include "pinref/host/page_table.hpp"
#include "pinref/observe/accounted_ref.hpp"
#include "pinref/pinref.hpp"

namespace kernel {

// The kernel's arithmetic for small pages, and its two counters: of all pins, as the kernel's are.
inline constinit pinref::pin_accounts<> all_pins;
struct find_all_pins {
  pinref::pin_accounts<>& operator()(const void*) const noexcept { return all_pins; }
};

using ref = pinref::accounted_ref<pinref::page_ref<pinref::bias32>, find_all_pins>;

class mirror {
 public:
  using arena = pinref::basic_frame_arena<ref>;
  using space_type = pinref::basic_page_table<ref>;
  using page = space_type::page;

  static constexpr std::size_t small_pages = 1024;
  static constexpr std::size_t huge_pages = 2;
  static constexpr std::size_t nr_pages = small_pages + huge_pages * 512;

  // Everything is a hole at first.
  mirror() : base_(reserve()), frames_(32), space_(frames_, base_, nr_pages) {
    require(frames_.valid() && space_.valid(), "memory for the model");
  }
  mirror(const mirror&) = delete;
  ~mirror() { ::munmap(pointer(base_), nr_pages * page_size); }

  [[nodiscard]] space_type& space() { return space_; }
  // How often the memory was mapped, unmapped, protected or dropped.
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  [[nodiscard]] std::uintptr_t at(std::size_t index) const { return base_ + index * page_size; }
  [[nodiscard]] std::uintptr_t huge_at(std::size_t i) const { return at(small_pages + i * 512); }

  // Private memory, and a page is there already.
  void map_touched(std::size_t first, std::size_t n) {
    map_private(first, n);
    for (std::size_t i = first; i != first + n; ++i) touch(i);
    (void)pinref::fault_in_user_pages(space_, at(first), n, pinref::foll::write);
  }
  // Private memory that nobody has touched.
  void map_private(std::size_t first, std::size_t n) { map_new(first, n, MAP_PRIVATE | MAP_ANONYMOUS, -1); }
  // Shared memory that nobody has touched, of `fd` from its start or nameless.
  void map_shared(std::size_t first, std::size_t n, int fd = -1) {
    map_new(first, n, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd);
  }
  // False if the kernel has no page of 2 MiB; then there is a hole.
  bool map_huge(std::size_t i) {
    constexpr int collapse = 25;  // MADV_COLLAPSE, not in the headers of older systems
    const std::size_t first = small_pages + i * 512;
    unmap(first, 512);
    map_memory(first, 512, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    ::madvise(pointer(at(first)), huge_size, MADV_HUGEPAGE);
    for (std::size_t k = 0; k != 512; ++k) touch(first + k);
    for (unsigned tries = 0; ::madvise(pointer(at(first)), huge_size, collapse) != 0; ++tries)
      if (errno != EAGAIN || tries == 10) {
        unmap(first, 512);
        return false;
      }
    page* const head = frames_.allocate_compound();
    require(head != nullptr, "a compound page of the model");
    space_.map(at(first), 512, pinref::protection::read_write);
    require(space_.map_page(at(first), *head, pinref::protection::read_write), "mapping it");
    return true;
  }

  void unmap(std::size_t first, std::size_t n) {
    ++changes_;
    require(::munmap(pointer(at(first)), n * page_size) == 0, "munmap");
    space_.unmap(at(first), n);
  }
  // The range must be mapped.
  void protect(std::size_t first, std::size_t n, pinref::protection allowed) {
    ++changes_;
    const int bits = allowed == pinref::protection::none   ? PROT_NONE
                     : allowed == pinref::protection::read ? PROT_READ
                                                           : PROT_READ | PROT_WRITE;
    require(::mprotect(pointer(at(first)), n * page_size, bits) == 0, "mprotect");
    space_.map(at(first), n, allowed);
  }
  // Drops the pages and keeps the mapping, as MADV_DONTNEED.
  void drop(std::size_t first, std::size_t n) {
    ++changes_;
    require(::madvise(pointer(at(first)), n * page_size, MADV_DONTNEED) == 0, "MADV_DONTNEED");
    space_.unmap(at(first), n);
    space_.map(at(first), n, pinref::protection::read_write);
  }
  // A store to a page, which makes it present.
  void store(std::size_t index) {
    touch(index);
    (void)pinref::fault_in_user_pages(space_, at(index), 1, pinref::foll::write);
  }

  // Frames of the model that are in use.
  [[nodiscard]] std::size_t frames_in_use() const { return frames_.nr_frames() - frames_.nr_free(); }

  // The page mapped at an address, or null. The slow path's answer: a page that was out of reach for a while is not
  // found by a look-up before somebody has touched it.
  [[nodiscard]] page* page_at(std::uintptr_t address) {
    page* found = nullptr;
    (void)space_.fault_in(address, pinref::foll::nofault, [&found](const pinref::mapping<page>& seen) {
      found = seen.page;
      return pinref::gup_error::none;
    });
    return found;
  }

 private:
  static void* pointer(std::uintptr_t address) { return reinterpret_cast<void*>(address); }
  void touch(std::size_t index) { *static_cast<volatile char*>(pointer(at(index))) = 1; }

  // Room for the stretch in the middle of a gap. A hole in it stays one: whichever end the kernel and the allocator
  // fill first, there is free room before they come to the middle.
  static std::uintptr_t reserve() {
    constexpr std::size_t room = 256u << 20;
    void* const all = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(all != MAP_FAILED, "mmap");
    ::munmap(all, room);
    return (reinterpret_cast<std::uintptr_t>(all) + room / 2) / huge_size * huge_size;
  }

  void map_memory(std::size_t first, std::size_t n, int flags, int fd) {
    void* const at_address = pointer(at(first));
    require(::mmap(at_address, n * page_size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == at_address, "mmap");
  }
  void map_new(std::size_t first, std::size_t n, int flags, int fd) {
    unmap(first, n);
    map_memory(first, n, flags, fd);
    ::madvise(pointer(at(first)), n * page_size, MADV_NOHUGEPAGE);
    space_.map(at(first), n, pinref::protection::read_write);
  }

  std::uintptr_t base_;
  std::uint64_t changes_ = 0;
  arena frames_;
  space_type space_;
};

}  // namespace kernel
