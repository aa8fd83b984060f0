// SPDX-License-Identifier: MIT

// first: pinref: the entry of a fork_page must be as fork_entry asks
// An entry that cannot become writable again would stay read-only after the copy.
#include <pinref/pinref.hpp>

struct frame {
  pinref::page_ref<> ref;
  bool exclusive() noexcept { return true; }
  void set_exclusive(bool) noexcept {}
};

struct entry {
  bool writable() noexcept { return true; }
  void write_protect() noexcept {}
#if defined(PINREF_NOCOMPILE_CONTROL)
  void make_writable() noexcept {}
#endif
};

pinref::fork_result fork(frame& page, entry& of_parent) {
  return pinref::fork_page(page, of_parent, 1, [](frame&) {});
}
