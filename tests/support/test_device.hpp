// SPDX-License-Identifier: MIT
#pragma once

// A device for registration caches: it knows what is registered, notices what is deregistered twice, and fails, blocks
// or calls back when it is told to.

#include <doctest/doctest.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "pinref/gup/gup_result.hpp"

namespace support {

struct test_device {
  using handle = int;
  static constexpr std::size_t granule = 4096;

  struct registration {
    std::uintptr_t first;
    std::size_t length;
    unsigned access;
  };

  pinref::gup_error register_memory(std::uintptr_t first, std::size_t length, unsigned access, int& key) noexcept {
    if (inside) inside(first, length);
    std::unique_lock locked{lock};
    if (blocked) {
      ++waiting;
      changed.notify_all();
      opened.wait(locked, [&] { return !blocked; });
    }
    if (refuse)
      if (const auto reason = refuse({first, length, access}); reason != pinref::gup_error::none) return reason;
    key = ++last_key;
    live[key] = {first, length, access};
    bytes += length;
    return pinref::gup_error::none;
  }
  bool deregister(int& key) noexcept {
    if (const auto first = std::exchange(ending, nullptr)) first();
    const std::lock_guard locked{lock};
    if (stuck || (refuse_end && refuse_end())) return false;
    const auto found = live.find(key);
    if (found == live.end()) {
      ++wrong;
      return true;
    }
    bytes -= found->second.length;
    live.erase(found);
    return true;
  }

  // Registrations wait in the device from now on; until one does; until none has to.
  void block() {
    const std::lock_guard locked{lock};
    blocked = true;
    waiting = 0;
  }
  void until_waiting() {
    std::unique_lock locked{lock};
    changed.wait(locked, [&] { return waiting != 0; });
  }
  void unblock() {
    const std::lock_guard locked{lock};
    blocked = false;
    opened.notify_all();
  }
  [[nodiscard]] std::size_t nr_live() {
    const std::lock_guard locked{lock};
    return live.size();
  }
  [[nodiscard]] bool covers(std::uintptr_t address) {
    const std::lock_guard locked{lock};
    for (const auto& [key, each] : live)
      if (each.first <= address && address - each.first < each.length) return true;
    return false;
  }

  std::mutex lock;
  std::condition_variable opened, changed;
  std::map<int, registration> live;
  std::function<pinref::gup_error(const registration&)> refuse;  // under the lock
  std::function<bool()> refuse_end;                              // likewise
  std::function<void(std::uintptr_t, std::size_t)> inside;       // not under it
  std::function<void()> ending;                                  // once, when a registration ends; not under it
  std::size_t bytes = 0;
  int last_key = 0, wrong = 0, waiting = 0;
  bool blocked = false, stuck = false;
};

}  // namespace support
