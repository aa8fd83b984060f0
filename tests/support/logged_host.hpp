// SPDX-License-Identifier: MIT
#pragma once

// A holder_log for the words of a test, what it has listed, and pages to hold.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "pinref/host/page_table.hpp"
#include "pinref/observe/logged_ref.hpp"

namespace support {

// Whether data that nobody may touch without a pin is poisoned, and how often that has changed.
struct poisoning {
  struct hooks {
    poisoning* told = nullptr;
    void first_pin(const void*) noexcept {
      if (told == nullptr) return;
      told->poisoned = false;
      ++told->firsts;
    }
    void last_pin(const void*) noexcept {
      if (told == nullptr) return;
      told->poisoned = true;
      ++told->lasts;
    }
  };
  bool poisoned = true;
  int firsts = 0, lasts = 0;
};

template <class Lock>
using test_log = pinref::holder_log<Lock, poisoning::hooks>;

// Finds the log of the test that runs.
template <class Lock>
struct find_test_log {
  static inline test_log<Lock>* current = nullptr;
  test_log<Lock>& operator()(const void*) const noexcept { return *current; }
};

template <class Ref = pinref::page_ref<>, class Lock = std::mutex>
using logged = pinref::logged_ref<Ref, find_test_log<Lock>>;

// A log for as long as it stands.
template <class Lock = std::mutex>
struct log_of_a_test {
  explicit log_of_a_test(std::size_t entries = 256) : room(entries) { find_test_log<Lock>::current = &log; }
  ~log_of_a_test() { find_test_log<Lock>::current = nullptr; }

  [[nodiscard]] std::vector<pinref::page_holder> all() const {
    std::vector<pinref::page_holder> found;
    log.for_each_holder([&](const pinref::page_holder& each) noexcept { found.push_back(each); });
    return sorted(found);
  }
  [[nodiscard]] std::vector<pinref::page_holder> of(const void* word) const {
    std::vector<pinref::page_holder> found;
    log.for_each_holder(word, [&](const pinref::page_holder& each) noexcept { found.push_back(each); });
    return sorted(found);
  }
  // The pins alone.
  [[nodiscard]] std::vector<pinref::page_holder> pins(const void* word) const {
    std::vector<pinref::page_holder> found = of(word);
    found.erase(
        std::remove_if(found.begin(), found.end(), [](const auto& each) { return each.mode != pinref::hold::pin; }),
        found.end());
    return found;
  }
  static std::vector<pinref::page_holder> sorted(std::vector<pinref::page_holder> found) {
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
    return found;
  }

  std::vector<pinref::holder_entry> room;
  poisoning data;
  test_log<Lock> log{room, {&data}};
};

inline bool exactly(const pinref::page_holder& found, std::uint64_t n) {
  return found.exact && found.at_least == n && found.at_most == n;
}
inline bool candidate(const pinref::page_holder& found, std::uint64_t at_least, std::uint64_t at_most) {
  return !found.exact && found.at_least == at_least && found.at_most == at_most;
}

}  // namespace support
