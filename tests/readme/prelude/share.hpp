// SPDX-License-Identifier: MIT
#pragma once

// A segment with one member, whose pages 7 and 8 live.

#include <pinref/share.hpp>

#include "common.hpp"

inline void clean_up_after_its_owner() {}
inline void send_descriptor(int) {}
inline bool revoke_key(std::uint32_t) noexcept {
  return true;
}
inline bool queue_pair_is_in_error(std::uint32_t) {
  return true;
}

struct scene {
  pinref::segment pool;
  pinref::member me;
  pinref::ledger_memory<pinref::shared_traits> parts;
  unsigned place = 0;
  std::uint64_t size_of_file = 0;

  scene() {
    const pinref::segment_shape shape{.places = 16, .slots = 256, .pages = 1024};
    if (pool.create(shape) != pinref::segment_error::none) give_up("no memory");
    if (me.join(pool.memory()) != pinref::join_result::joined) give_up("no place");
    for (int i = 0; i != 9; ++i) (void)me.allocate();
    parts = pool.memory();
    place = me.place();
    size_of_file = pinref::segment_stamp::of<pinref::shared_traits>(shape).total;
  }

  bool is_clean() const { return pool.page(7).snapshot().pins() == 0 && pool.page(8).snapshot().pins() == 0; }
};
