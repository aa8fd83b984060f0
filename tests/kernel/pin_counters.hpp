// SPDX-License-Identifier: MIT
#pragma once

// The kernel's own count of pins: nr_foll_pin_acquired and nr_foll_pin_released of /proc/vmstat, in pages.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "descriptor.hpp"
#include "pinref/observe/pin_accounts.hpp"

namespace kernel {

class pin_counters {
 public:
  pin_counters() : refresh_(::open("/proc/sys/vm/stat_refresh", O_WRONLY)), vmstat_(::open("/proc/vmstat", O_RDONLY)) {
    if (!refresh_)
      lacking_ = "/proc/sys/vm/stat_refresh may not be written (root may)";
    else if (!vmstat_ || text().find(acquired_name) == std::string_view::npos)
      lacking_ = "/proc/vmstat has no nr_foll_pin_acquired";
  }

  // Why there is nothing to read, or empty.
  [[nodiscard]] const std::string& lacking() const { return lacking_; }

  // What all processes have pinned and unpinned. The kernel counts on each CPU and sums lazily: without the write, what
  // this very thread just did may be missing.
  [[nodiscard]] pinref::pin_totals read() {
    require(::pwrite(refresh_.get(), "1", 1, 0) == 1, "/proc/sys/vm/stat_refresh");
    const std::string_view all = text();
    return {value(all, acquired_name), value(all, released_name)};
  }

 private:
  static constexpr std::string_view acquired_name = "nr_foll_pin_acquired ";
  static constexpr std::string_view released_name = "nr_foll_pin_released ";

  [[nodiscard]] std::string_view text() {
    text_.resize(1u << 16);
    std::size_t size = 0;
    for (ssize_t n = 1; n > 0 && size != text_.size(); size += static_cast<std::size_t>(n)) {
      n = ::pread(vmstat_.get(), text_.data() + size, text_.size() - size, static_cast<off_t>(size));
      if (n < 0) break;
    }
    return {text_.data(), size};
  }

  [[nodiscard]] static std::uint64_t value(std::string_view all, std::string_view name) {
    return std::strtoull(all.data() + all.find(name) + name.size(), nullptr, 10);
  }

  descriptor refresh_;
  descriptor vmstat_;
  std::string text_;
  std::string lacking_;
};

}  // namespace kernel
