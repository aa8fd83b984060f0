// SPDX-License-Identifier: MIT
#pragma once

// What asks the kernel: io_uring's registered buffers, O_DIRECT, process_vm_*, vmsplice and UFFDIO_MOVE, as bare system
// calls. Each says what is lacking where this machine or process may not use it.

#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "descriptor.hpp"

namespace kernel {

inline constexpr std::size_t page_size = 4096;
inline constexpr std::size_t huge_size = 512 * page_size;

// How an operation ended: an errno value or 0, and how much was done, in the unit of the operation.
struct outcome {
  int error = 0;
  std::size_t done = 0;
  friend bool operator==(const outcome&, const outcome&) = default;
};

// Of a system call that returns bytes or -1.
[[nodiscard]] inline outcome outcome_of(ssize_t result) {
  return result < 0 ? outcome{errno, 0} : outcome{0, static_cast<std::size_t>(result)};
}

// An io_uring that no request is ever sent to: only its table of registered buffers is used.
class ring {
 public:
  ring() {
    io_uring_params parameters{};
    fd_ = descriptor{static_cast<int>(::syscall(__NR_io_uring_setup, 1, &parameters))};
    if (!fd_) lacking_ = std::string{"io_uring_setup: "} + std::strerror(errno);
  }

  [[nodiscard]] const std::string& lacking() const { return lacking_; }

  // Pins the pages of all buffers for long, or of none.
  [[nodiscard]] outcome register_buffers(std::span<const iovec> buffers) {
    return call(IORING_REGISTER_BUFFERS, buffers.data(), static_cast<unsigned>(buffers.size()));
  }
  [[nodiscard]] outcome unregister() { return call(IORING_UNREGISTER_BUFFERS, nullptr, 0); }

 private:
  [[nodiscard]] outcome call(unsigned code, const void* argument, unsigned n) {
    return outcome_of(::syscall(__NR_io_uring_register, fd_.get(), code, argument, n));
  }

  descriptor fd_;
  std::string lacking_;
};

// A file without a name, for O_DIRECT. What is read is never what was written: its first half stays full of 'd'.
class direct_file {
 public:
  static constexpr std::size_t half = 4 << 20;

  direct_file() {
    for (const char* folder : {".", "/var/tmp", "/tmp"}) {
      fd_ = descriptor{::open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
      if (!fd_) continue;
      const std::string text(2 * half, 'd');
      if (::pwrite(fd_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
          ::fsync(fd_.get()) != 0 || ::fcntl(fd_.get(), F_SETFL, O_DIRECT) != 0)
        fd_ = descriptor{};
      else
        return;
    }
    lacking_ = "no folder here takes a file with O_DIRECT";
  }

  [[nodiscard]] const std::string& lacking() const { return lacking_; }
  void set_lacking(const char* why) { lacking_ = why; }

  // From the file into memory: the kernel pins the memory to write to it.
  [[nodiscard]] outcome read(std::uintptr_t address, std::size_t n) {
    return outcome_of(::pread(fd_.get(), reinterpret_cast<void*>(address), n, 0));
  }
  // From memory into the file: the kernel pins the memory to read it.
  [[nodiscard]] outcome write(std::uintptr_t address, std::size_t n) {
    return outcome_of(::pwrite(fd_.get(), reinterpret_cast<const void*>(address), n, half));
  }

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  descriptor fd_;
  std::string lacking_;
};

// This process as its own peer: process_vm_readv and writev pin the remote side only.
class remote {
 public:
  remote() : buffer_(huge_size) {
    char from = 1;
    if (const outcome tried = read(reinterpret_cast<std::uintptr_t>(&from), 1); tried.error != 0)
      lacking_ = std::string{"process_vm_readv: "} + std::strerror(tried.error);
  }

  [[nodiscard]] const std::string& lacking() const { return lacking_; }

  [[nodiscard]] outcome read(std::uintptr_t address, std::size_t n) {
    const iovec local{buffer_.data(), n};
    const iovec peer{reinterpret_cast<void*>(address), n};
    return outcome_of(::process_vm_readv(::getpid(), &local, 1, &peer, 1, 0));
  }
  [[nodiscard]] outcome write(std::uintptr_t address, std::size_t n) {
    const iovec local{buffer_.data(), n};
    const iovec peer{reinterpret_cast<void*>(address), n};
    return outcome_of(::process_vm_writev(::getpid(), &local, 1, &peer, 1, 0));
  }

 private:
  std::vector<char> buffer_;
  std::string lacking_;
};

// Plain references to one page, as vmsplice takes them: one for each buffer of a pipe.
class spliced_references {
 public:
  spliced_references(std::uintptr_t address, std::size_t n) {
    while (n != 0) {
      const std::size_t step = n < per_pipe ? n : per_pipe;
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) break;
      pipes_.emplace_back(ends[0]);
      const descriptor in{ends[1]};
      ::fcntl(in.get(), F_SETPIPE_SZ, per_pipe * page_size);
      const std::vector<iovec> same(step, iovec{reinterpret_cast<void*>(address), page_size});
      if (::vmsplice(in.get(), same.data(), step, 0) != static_cast<ssize_t>(step * page_size)) break;
      n -= step;
    }
    complete_ = n == 0;
  }

  // Were all of them taken? Pipes are limited for each user.
  [[nodiscard]] bool complete() const { return complete_; }

 private:
  static constexpr std::size_t per_pipe = 256;  // 1 MiB, which needs no rights

  std::vector<descriptor> pipes_;  // their readers: closing one drops its references
  bool complete_ = false;
};

// Asks the kernel folio_maybe_dma_pinned() of one page: UFFDIO_MOVE refuses with EBUSY just those pages. A page that
// may be moved is moved back.
class page_mover {
 public:
  page_mover() {
    fd_ = descriptor{static_cast<int>(::syscall(__NR_userfaultfd, O_CLOEXEC | user_mode_only))};
    if (!fd_) {
      lacking_ = std::string{"userfaultfd: "} + std::strerror(errno);
      return;
    }
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = feature_move;
    if (::ioctl(fd_.get(), UFFDIO_API, &api) != 0) {
      lacking_ = "userfaultfd has no UFFDIO_MOVE, which Linux 6.8 brought";
      return;
    }
    void* const all = ::mmap(nullptr, 2 * huge_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(all != MAP_FAILED, "mmap");
    mapped_ = reinterpret_cast<std::uintptr_t>(all);
    aside_ = (mapped_ + huge_size - 1) / huge_size * huge_size;
    if (!map_aside()) lacking_ = std::string{"UFFDIO_REGISTER: "} + std::strerror(errno);
  }
  page_mover(const page_mover&) = delete;
  ~page_mover() {
    if (mapped_ != 0) ::munmap(reinterpret_cast<void*>(mapped_), 2 * huge_size);
  }

  [[nodiscard]] const std::string& lacking() const { return lacking_; }

  // 1 or 0, or another errno value as error: the page must be present, private and writable.
  [[nodiscard]] outcome maybe_pinned(std::uintptr_t address, std::size_t size = page_size) {
    // A huge page is moved in one piece only to where no small page ever was.
    if (size == huge_size) require(map_aside(), "mapping a place to move to");
    const int moved = move(aside_, address, size);
    if (moved == EBUSY) return {0, 1};
    if (moved != 0) return {moved, 0};
    // A place can only be moved to while it is registered. Meanwhile nobody touches it.
    require(enlist(address, size) && move(address, aside_, size) == 0, "moving a page back");
    uffdio_range range{address, size};
    require(::ioctl(fd_.get(), UFFDIO_UNREGISTER, &range) == 0, "UFFDIO_UNREGISTER");
    return {0, 0};
  }

 private:
  // Not in the headers of older systems.
  struct move_request {
    std::uint64_t to, from, size, mode;
    std::int64_t moved;
  };
  static constexpr int user_mode_only = 1;
  static constexpr std::uint64_t feature_move = 1u << 16;
  static constexpr unsigned long move_code = _IOWR(UFFDIO, 0x05, move_request);

  // A fresh place of 2 MiB to move pages to.
  bool map_aside() {
    void* const at = reinterpret_cast<void*>(aside_);
    return ::mmap(at, huge_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at &&
           enlist(aside_, huge_size);
  }

  bool enlist(std::uintptr_t address, std::size_t size) {
    uffdio_register place{};
    place.range = {address, size};
    place.mode = UFFDIO_REGISTER_MODE_MISSING;
    return ::ioctl(fd_.get(), UFFDIO_REGISTER, &place) == 0;
  }

  int move(std::uintptr_t to, std::uintptr_t from, std::size_t size) {
    // EAGAIN: somebody has the page locked for a moment.
    for (unsigned tries = 0;; ++tries) {
      move_request request{to, from, size, 0, 0};
      if (::ioctl(fd_.get(), move_code, &request) == 0) return 0;
      if (errno != EAGAIN || tries == 1000) return errno;
    }
  }

  descriptor fd_;
  std::uintptr_t mapped_ = 0;
  std::uintptr_t aside_ = 0;
  std::string lacking_;
};

}  // namespace kernel
