// SPDX-License-Identifier: MIT
#pragma once

// What every fragment may call. Nothing here does anything: an example shows calls of the library.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <pinref/pinref.hpp>

inline void give_up(const char*) {}
inline void try_again_later() {}
inline void reuse() {}
inline void start_dma() {}
inline void free_page() {}
template <class Page>
void read_into(Page&) {}
template <class Page>
void give_back(Page&) noexcept {}

struct empty_scene {
  bool is_clean() const { return true; }
};
