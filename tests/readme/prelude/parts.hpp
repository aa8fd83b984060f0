// SPDX-License-Identifier: MIT
#pragma once

// A space that forks.

#include "words.hpp"

struct entry {};

inline entry parent[2];
inline void share_or_copy(entry&) {}
inline void pin_pages() {}
inline void give_pins_back() {}

using scene = word_scene;
