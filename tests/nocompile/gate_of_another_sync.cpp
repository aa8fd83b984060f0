// SPDX-License-Identifier: MIT

// first: pinref: the gate of a break_layout must have the Sync of the object's pages
#include <cstddef>
#include <pinref/pinref.hpp>

struct block {
  pinref::page_ref<> ref;
  bool resident() noexcept { return true; }
  void on_idle() noexcept {}
};

struct file {
  void unmap(std::size_t, std::size_t) noexcept {}
  block* busy_in(std::size_t, std::size_t) noexcept { return nullptr; }
};

#if defined(PINREF_NOCOMPILE_CONTROL)
using gate_type = pinref::layout_gate<>;
#else
using gate_type = pinref::layout_gate<pinref::shared_sync>;
#endif

pinref::break_result truncate(file& object, gate_type& gate) {
  return pinref::break_layout(object, gate, 0, 1, [] {});
}
