// SPDX-License-Identifier: MIT

#include "pinref/handles/pin_owner.hpp"

#include <doctest/doctest.h>

#include <mutex>

namespace {

struct frame {
  pinref::page_ref<> ref;
  void free_page() noexcept {}
  bool dirty() noexcept { return false; }
  void set_dirty() noexcept {}
  void lock() noexcept {}
  void unlock() noexcept {}
};

TEST_CASE("an owner is whole without the header of its requests") {
  pinref::pin_owner<frame, std::mutex> owner{4};
  CHECK(owner.unpin_all().ok());
  CHECK(owner.unpin_all_dirty_lock().ok());
  CHECK(owner.drain().ok());
  CHECK(owner.live() == 0);
}

}  // namespace

template class pinref::pin_owner<frame, std::mutex>;
