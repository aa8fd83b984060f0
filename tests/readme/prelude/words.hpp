// SPDX-License-Identifier: MIT
#pragma once

// A reference word by itself.

#include <chrono>
#include <mutex>

#include "common.hpp"

// Sleeps on a ticket as it likes: never.
struct lazy_executor {
  template <class Ticket>
  bool await(const Ticket&) {
    return false;
  }
};

struct word_scene {
  pinref::page_ref<> ref{pinref::bias64::live(1)};
  std::atomic<std::int64_t> credits{4};
  lazy_executor executor;

  bool is_clean() const { return ref.pins() == 0 && ref.references() <= 1; }
};
