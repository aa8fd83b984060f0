// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// process_identity: which process, for good: its number, and when it began. And survivor_hooks, which ask by it.
///
/// The number of a process that is gone is given to another. So a process is gone if there is none of that number, or
/// one that began at another time, or if its pidfd says that it has ended: then its files are closed, too, unless
/// another process has inherited or been sent them.
///
/// When not to use it: for threads. Whether a thread lives its life_lock says.
///
/// Example:
///
///     const auto me = pinref::process_identity::self();
///     if (pinref::look_at(me) != pinref::process_state::running) give_up("I am not");
///
/// Errors: what cannot be found out is `unknown`: the process is in another name space, or there is no /proc.
/// Memory order: none.
/// Progress: system calls.
/// Source: pidfd_open(2), proc_pid_stat(5).

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "pinref/share/recovery_report.hpp"

namespace pinref::inline v0_1 {

/// What is known of a process.
enum class process_state : unsigned char {
  running,  ///< or stopped, or on its way out with files still open
  gone,     ///< and its files are closed
  unknown,  ///< it cannot be told from here
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(process_state state) noexcept {
  switch (state) {
    case process_state::running:
      return "running";
    case process_state::gone:
      return "gone";
    case process_state::unknown:
      return "unknown";
  }
  return "unknown";
}

namespace detail {

/// When a process began; 0 if that cannot be read.
[[nodiscard]] inline std::uint64_t start_of_process(std::uint32_t process) noexcept {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%u/stat", process);
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[1024];
  const ::ssize_t n = ::read(file, text, sizeof text - 1);
  ::close(file);
  if (n <= 0) return 0;
  text[n] = '\0';
  // The name in brackets may have anything in it, brackets too. The time is the twentieth number behind it.
  const char* at = std::strrchr(text, ')');
  for (int i = 0; at != nullptr && i != 20; ++i) at = std::strchr(at + 1, ' ');
  return at == nullptr ? 0 : std::strtoull(at, nullptr, 10);
}

[[nodiscard]] inline std::uint64_t name_space_of_pids() noexcept {
  struct ::stat it {};
  return ::stat("/proc/self/ns/pid", &it) == 0 ? static_cast<std::uint64_t>(it.st_ino) : 0;
}

/// Has the process of a pidfd ended?
[[nodiscard]] inline bool has_ended(int pidfd) noexcept {
  ::pollfd it{pidfd, POLLIN, 0};
  return ::poll(&it, 1, 0) == 1;
}

}  // namespace detail

/// A process of this machine since it was booted.
struct process_identity {
  std::uint32_t process = 0;  ///< its number
  std::uint64_t started = 0;  ///< in ticks since boot, or 0 if there is no /proc
  std::uint64_t pids = 0;     ///< the name space of the number, or 0

  /// The caller's.
  [[nodiscard]] static process_identity self() noexcept {
    const auto process = static_cast<std::uint32_t>(::getpid());
    return {process, detail::start_of_process(process), detail::name_space_of_pids()};
  }

  [[nodiscard]] friend bool operator==(const process_identity&, const process_identity&) noexcept = default;
};

/// What is known of a process now. One that is gone stays gone.
[[nodiscard]] inline process_state look_at(const process_identity& who) noexcept {
  if (who.pids == 0 || who.pids != detail::name_space_of_pids()) return process_state::unknown;
#ifdef SYS_pidfd_open
  constexpr long open_pidfd = SYS_pidfd_open;
#else
  constexpr long open_pidfd = 434;
#endif
  // First the descriptor, then the time: both are of one process, unless that has ended in between.
  const int pidfd = static_cast<int>(::syscall(open_pidfd, static_cast<::pid_t>(who.process), 0));
  if (pidfd < 0) return errno == ESRCH ? process_state::gone : process_state::unknown;
  const std::uint64_t started = detail::start_of_process(who.process);
  const bool ended = detail::has_ended(pidfd);
  ::close(pidfd);
  if (ended) return process_state::gone;
  // No time of a process that has not ended: /proc does not show it.
  if (started == 0 || who.started == 0) return process_state::unknown;
  return started == who.started ? process_state::running : process_state::gone;
}

/// Hooks that know whether a process is gone. `quiet` is the host's; here no device is.
struct survivor_hooks : no_hooks {
  /// True also of the caller's own process, whose thread has died: it knows its devices itself.
  [[nodiscard]] static bool process_gone(const dead_member& dead) noexcept {
    const process_identity who{dead.process, dead.started, dead.pids};
    return who == process_identity::self() || pinref::look_at(who) == process_state::gone;
  }
};

}  // namespace pinref::inline v0_1
