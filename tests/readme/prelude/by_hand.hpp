// SPDX-License-Identifier: MIT
#pragma once

// One page of a space.

#include <stdexcept>

#include "pages.hpp"

[[noreturn]] inline void broken() {
  throw std::runtime_error("broken");
}

struct scene : page_scene {
  std::uintptr_t address = start;
  frame* page = nullptr;

  bool is_clean() {
    pinref::unpin_user_page(*page);
    return page_scene::is_clean();
  }
};
