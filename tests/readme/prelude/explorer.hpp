// SPDX-License-Identifier: MIT
#pragma once

// A program for the explorer: a message and its flag.

#include <cstdio>
#include <cstdlib>
#include <pinref/explorer/explorer.hpp>

#include "common.hpp"

#define CHECK(condition) ((condition) ? void() : (std::puts(#condition), std::abort()))

inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto relaxed = std::memory_order_relaxed;
using explorer::explore;

inline const auto program = [](explorer::execution& x) {
  auto& data = x.make<explorer::plain<int>>(0);
  auto& flag = x.make<explorer::atomic<bool>>(false);
  x.thread([&] {
    data.write(1);
    flag.store(true, std::memory_order_release);
  });
  x.thread([&] {
    if (flag.load(std::memory_order_acquire)) (void)data.read();
  });
};

using scene = empty_scene;
