// SPDX-License-Identifier: MIT
#pragma once

// A file that really goes around the page cache, with no name, so that nothing is left behind.

#include <fcntl.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "block.hpp"

namespace examples {

/// This machine lacks something that the program cannot do without.
struct cannot_run : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class direct_file {
 public:
  /// In the given directory, or, if it is empty, in the first usual one that can.
  explicit direct_file(const std::string& directory) {
    std::vector<std::string> candidates{directory};
    if (directory.empty()) {
      const char* const chosen = std::getenv("TMPDIR");
      candidates = {chosen != nullptr ? chosen : "/tmp", "/var/tmp", "."};
    }
    for (const std::string& candidate : candidates) {
      const std::string reason = open_in(candidate);
      if (reason.empty()) return;
      std::fprintf(stderr, "%s: %s\n", candidate.c_str(), reason.c_str());
    }
    throw cannot_run("no directory here takes O_DIRECT; name one with --directory");
  }
  direct_file(const direct_file&) = delete;
  direct_file& operator=(const direct_file&) = delete;
  ~direct_file() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }

  /// The blocks may be under a device meanwhile. So this is pwritev2, which the thread sanitizer does not take for a
  /// reader: it is the disk that reads.
  void write(std::span<const block> blocks, std::uint64_t first) const {
    const iovec from{const_cast<block*>(blocks.data()), blocks.size_bytes()};
    const ssize_t done = ::pwritev2(fd_, &from, 1, offset_of(first), 0);
    check(done, blocks.size_bytes(), "write");
  }
  void read(std::span<block> blocks, std::uint64_t first) const {
    const ssize_t done = ::pread(fd_, blocks.data(), blocks.size_bytes(), offset_of(first));
    check(done, blocks.size_bytes(), "read");
  }

 private:
  static off_t offset_of(std::uint64_t number) noexcept { return static_cast<off_t>(number * sizeof(block)); }

  static void check(ssize_t done, std::size_t wanted, const char* what) {
    if (done < 0) throw std::system_error(errno, std::generic_category(), what);
    if (static_cast<std::size_t>(done) != wanted) throw std::runtime_error(std::string("short ") + what);
  }

  // Empty if it worked, else why not.
  std::string open_in(const std::string& directory) {
    constexpr long tmpfs = 0x01021994;
    struct statfs about {};
    if (::statfs(directory.c_str(), &about) != 0) return std::strerror(errno);
    if (static_cast<long>(about.f_type) == tmpfs) return "is memory, not a disk: O_DIRECT would copy";

    std::string name = directory + "/pinref-XXXXXX";
    fd_ = ::mkostemp(name.data(), O_DIRECT | O_CLOEXEC);
    if (fd_ < 0) return std::strerror(errno);
    ::unlink(name.c_str());
    const auto probe = std::make_unique<block[]>(1);
    if (::pwrite(fd_, probe.get(), sizeof(block), 0) == sizeof(block)) {
      directory_ = directory;
      return {};
    }
    const int error = errno;
    ::close(fd_);
    fd_ = -1;
    return std::string("refuses direct writes: ") + std::strerror(error);
  }

  int fd_ = -1;
  std::string directory_;
};

}  // namespace examples
