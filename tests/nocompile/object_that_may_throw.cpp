// SPDX-License-Identifier: MIT

// first: pinref: the object of a break_layout must be as layout_object asks
// What breaks a layout has closed the gate, and must open it again.
#include <cstddef>
#include <pinref/pinref.hpp>

struct block {
  pinref::page_ref<> ref;
  bool resident() noexcept { return true; }
  void on_idle() noexcept {}
};

struct file {
#if defined(PINREF_NOCOMPILE_CONTROL)
  void unmap(std::size_t, std::size_t) noexcept {}
#else
  void unmap(std::size_t, std::size_t) {}
#endif
  block* busy_in(std::size_t, std::size_t) noexcept {
    return nullptr;
  }
};

pinref::break_result truncate(file& object, pinref::layout_gate<>& gate) {
  return pinref::break_layout(object, gate, 0, 1, [] {});
}
