// SPDX-License-Identifier: MIT

// first: pinref: the gate of a break_layout must be as access_gate asks
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

struct own_gate {
  using sync = pinref::std_sync;
  void close() noexcept {}
#if defined(PINREF_NOCOMPILE_CONTROL)
  void open() noexcept {}
#else
  void open() {}
#endif
};

pinref::break_result truncate(file& object, own_gate& gate) {
  return pinref::break_layout(object, gate, 0, 1, [] {});
}
