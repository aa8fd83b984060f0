// SPDX-License-Identifier: MIT

// Which ways to give memory back break a registration.
//
//   purge [--directory DIR]
//
// 64 pages are registered with io_uring, which pins them, and an allocator's ways to give memory back are tried on
// them. The kernel asks its own pins before it reclaims a page, so what is only advice harms nothing. What takes the
// page out of the mapping at once is done all the same: the next touch finds another page, and what the device delivers
// arrives in the old one. The device calls every read done.
//
// Exit code: 0 as docs/allocators.md says, 1 otherwise, 2 wrong usage or failed I/O, 77 this machine cannot run it.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "support/block.hpp"
#include "support/command_line.hpp"
#include "support/device.hpp"
#include "support/engine.hpp"

namespace examples::purge {
namespace {

constexpr std::uint32_t nr_pages = 64;
constexpr std::size_t size = nr_pages * sizeof(block);
constexpr std::uint64_t own = 1'000'000;  // the numbers of blocks that the program writes itself

/// Pages of this program: private memory, or those of a file in memory.
class area {
 public:
  explicit area(bool shared) {
    if (shared) {
      fd_ = ::memfd_create("area", MFD_CLOEXEC);
      if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(size)) != 0) throw cannot_run("no memory file");
    }
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags(), fd_, 0);
    if (memory == MAP_FAILED) throw cannot_run("no memory");
    blocks_ = static_cast<block*>(memory);
    for (std::uint32_t i = 0; i != nr_pages; ++i) fill(blocks_[i], own + i, 0);
  }
  area(const area&) = delete;
  area& operator=(const area&) = delete;
  ~area() {
    ::munmap(blocks_, size);
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] block* blocks() const noexcept { return blocks_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] int flags() const noexcept { return fd_ >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS; }
  /// Pages that are as they were filled.
  [[nodiscard]] std::uint32_t kept() const {
    std::uint32_t n = 0;
    for (std::uint32_t i = 0; i != nr_pages; ++i) n += find_fault(blocks_[i], own + i, 0).empty() ? 1 : 0;
    return n;
  }

 private:
  block* blocks_ = nullptr;
  int fd_ = -1;
};

bool advise(const area& pages, int advice) {
  return ::madvise(pages.blocks(), size, advice) == 0;
}

bool map_over(const area& pages, int protection) {
  return ::mmap(pages.blocks(), size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool protect(const area& pages, int protection) {
  return ::mprotect(pages.blocks(), size, protection) == 0;
}

/// A way to give memory back.
struct way {
  const char* name;
  bool (*give_back)(const area&);
  bool breaks;  // loses what a device delivers
  bool shared = false;
};

constexpr way ways[] = {
    {"MADV_DONTNEED", [](const area& pages) { return advise(pages, MADV_DONTNEED); }, true},
    {"mapped over", [](const area& pages) { return map_over(pages, PROT_READ | PROT_WRITE); }, true},
    {"mapped over PROT_NONE, then protected",
     [](const area& pages) { return map_over(pages, PROT_NONE) && protect(pages, PROT_READ | PROT_WRITE); }, true},
    {"MADV_FREE", [](const area& pages) { return advise(pages, MADV_FREE); }, false},
    {"MADV_COLD", [](const area& pages) { return advise(pages, MADV_COLD); }, false},
    {"MADV_PAGEOUT", [](const area& pages) { return advise(pages, MADV_PAGEOUT); }, false},
    {"MADV_FREE, then MADV_PAGEOUT",
     [](const area& pages) { return advise(pages, MADV_FREE) && advise(pages, MADV_PAGEOUT); }, false},
    {"mprotect PROT_NONE, and back",
     [](const area& pages) { return protect(pages, PROT_NONE) && protect(pages, PROT_READ | PROT_WRITE); }, false},
    {"MADV_DONTNEED of a memfd", [](const area& pages) { return advise(pages, MADV_DONTNEED); }, false, true},
    {"MADV_REMOVE of a memfd", [](const area& pages) { return advise(pages, MADV_REMOVE); }, true, true},
    {"FALLOC_FL_PUNCH_HOLE of a memfd",
     [](const area& pages) {
       return ::fallocate(pages.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size)) == 0;
     },
     true, true},
};

/// Is it as expected? Prints the row.
bool try_way(const way& each, const source& from) {
  const area plain{each.shared};
  const area registered{each.shared};
  const std::unique_ptr<engine> ring =
      make_engine("registered", from.file().fd(), registered.blocks(), size, require_whole);
  if (!ring->registered()) throw cannot_run("no buffers can be registered with io_uring here");

  if (!each.give_back(plain) || !each.give_back(registered)) {
    std::printf("  %-38s not on this kernel\n", each.name);
    return true;
  }
  const std::uint32_t plain_kept = plain.kept();
  const std::uint32_t registered_kept = registered.kept();
  for (std::uint32_t i = 0; i != nr_pages; ++i)
    ring->submit({direction::read, from.place(i, 1), i, &registered.blocks()[i]});
  ring->drain();
  std::uint32_t lost = 0;
  for (std::uint32_t i = 0; i != nr_pages; ++i) lost += find_fault(registered.blocks()[i], i, 1).empty() ? 0 : 1;
  const bool expected = lost == (each.breaks ? nr_pages : 0);
  std::printf("  %-38s %5u %13u %11u%s\n", each.name, plain_kept, registered_kept, lost,
              expected ? "" : "   UNEXPECTED");
  return expected;
}

int main_job(const command_line& chosen) {
  const source from{chosen.directory(), nr_pages, 1};
  std::printf("  of %u pages                 still there: plain   registered   reads lost\n", nr_pages);
  bool expected = true;
  for (const way& each : ways) expected = try_way(each, from) && expected;
  if (!expected) {
    std::puts("CHANGED: this kernel does something else than docs/allocators.md says");
    return corrupt;
  }
  std::puts("OK: only what takes pages out of a mapping at once loses what a device delivers");
  return verified;
}

}  // namespace
}  // namespace examples::purge

int main(int argc, char** argv) {
  const examples::command_line chosen{argc, argv, {}};
  return examples::run([&] { return examples::purge::main_job(chosen); });
}
