// SPDX-License-Identifier: MIT

// Words for the process's own addresses: each address has its own, for good, and a range can be taken from everybody.

#include "pinref/host/shadow.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"
#include "real_waits.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;

namespace {

using words = pinref::shadow<>;
constexpr std::size_t page_size = words::page_size;

struct fixture {
  std::unique_ptr<words> all = std::make_unique<words>();
  std::vector<std::byte> memory{20 * page_size};
  std::uintptr_t at = reinterpret_cast<std::uintptr_t>(memory.data()) / page_size * page_size + page_size;
  words::page* pages[16] = {};

  gup_result pin(std::uintptr_t from, std::size_t n, foll flags = foll::none) {
    return pinref::pin_user_pages_fast(*all, from, n, flags, pages);
  }
};

}  // namespace

TEST_CASE_FIXTURE(fixture, "each page of the process has one word, and keeps it") {
  REQUIRE(pin(at, 16).count == 16);
  words::page* const first = pages[0];
  for (int i = 0; i != 16; ++i) {
    CHECK(pages[i] == first + i);
    CHECK(pages[i]->ref.snapshot() == pinref::bias64::live(1, 1));
  }
  CHECK(all->dma_pinned(at + 100, 1));
  CHECK_FALSE(all->dma_pinned(at - page_size, page_size));
  CHECK_FALSE(all->dma_pinned(0, 100));  // where nobody ever asked for a word
  CHECK(pinref::unpin_user_pages(pages, 16).ok());
  CHECK_FALSE(all->dma_pinned(at, 16 * page_size));
  REQUIRE(pin(at, 1, foll::fast_only).count == 1);
  CHECK(pages[0] == first);
  CHECK(pinref::unpin_user_pages(pages, 1).ok());
}

TEST_CASE_FIXTURE(fixture, "a range is closed as a whole, if nobody holds a page of it") {
  REQUIRE(pin(at + 5 * page_size, 1).count == 1);
  words::page* const held = pages[0];
  CHECK(all->close(at, 8 * page_size) == gup_error::busy);
  CHECK(all->close(at, 5 * page_size) == gup_error::none);
  CHECK(all->close(at + 4 * page_size + 5, 1) == gup_error::busy);
  CHECK(pin(at + 4 * page_size, 2) == gup_result{0, gup_error::busy});
  all->open(at, 5 * page_size);
  CHECK(pinref::unpin_user_page(*held) == pinref::release_result::released);
  // Bytes of two pages close both.
  CHECK(all->close(at + page_size - 1, 2) == gup_error::none);
  CHECK(pin(at, 1) == gup_result{0, gup_error::busy});
  CHECK(pin(at + page_size, 1) == gup_result{0, gup_error::busy});
  all->open(at + page_size - 1, 2);
  CHECK(pin(at, 16).count == 16);
  CHECK(pinref::unpin_user_pages(pages, 16).ok());
}

TEST_CASE_FIXTURE(fixture, "a reference keeps a range open as a pin does") {
  REQUIRE(pinref::get_user_pages(*all, at, 1, foll::none, pages).count == 1);
  CHECK(all->close(at, 1) == gup_error::busy);
  CHECK_FALSE(all->dma_pinned(at, 1));
  CHECK(pinref::release_pages(pages, 1).ok());
  CHECK(all->close(at, 1) == gup_error::none);
  all->open(at, 1);
}

TEST_CASE_FIXTURE(fixture, "waiting for the pins of a range") {
  CHECK(all->wait_until_unpinned(at, 16 * page_size) == pinref::wait_result::reached);
  REQUIRE(pin(at + 3 * page_size, 1).count == 1);
  CHECK(all->wait_until_unpinned(at, 16 * page_size, pinref::deadline::passed()) == pinref::wait_result::timed_out);
  std::thread transfer{[&] {
    support::until_watched(pages[0]->ref);
    CHECK(pinref::unpin_user_pages(pages, 1).ok());
  }};
  CHECK(all->wait_until_unpinned(at, 16 * page_size, pinref::deadline::in_nanoseconds(support::long_time)) ==
        pinref::wait_result::reached);
  transfer.join();
}

TEST_CASE_FIXTURE(fixture, "bad ranges are named") {
  CHECK(all->close(at, 0) == gup_error::no_pages);
  CHECK(all->close(UINTPTR_MAX, 2) == gup_error::address_overflow);
  CHECK(all->close(UINTPTR_MAX / 2, 1) == gup_error::out_of_range);
  CHECK(pin(UINTPTR_MAX - page_size + 1, 1) == gup_result{0, gup_error::out_of_range});
  CHECK(all->wait_until_unpinned(at, 0) == pinref::wait_result::reached);
  all->open(at, 0);
}

TEST_CASE("words that cannot be had are a reason, and a close of them undoes what it did") {
  static int left;
  pinref::shadow_memory scarce;
  // Four leaves of four pages of 16 bytes.
  using few = pinref::shadow<pinref::page_ref<>, 8, 6, 4>;
  scarce.map = [](std::size_t bytes) noexcept -> void* {
    if (left-- <= 0) return nullptr;
    auto* const at = static_cast<few::page*>(::operator new(bytes));
    for (std::size_t i = 0; i != bytes / sizeof(few::page); ++i)
      new (at + i) few::page{pinref::page_ref<>{pinref::bias64{0}}};
    return at;
  };
  scarce.unmap = [](void* at, std::size_t) noexcept { ::operator delete(at); };
  few all{scarce};
  few::page* pages[8];
  left = 0;
  CHECK(pinref::pin_user_pages_fast(all, 0, 1, foll::none, pages) == gup_result{0, gup_error::no_memory});
  left = 1;
  CHECK(all.close(0, 100) == gup_error::no_memory);
  left = 1;
  REQUIRE(pinref::pin_user_pages_fast(all, 48, 5, foll::none, pages).count == 5);
  CHECK(all.close(100, 28) == gup_error::busy);
  CHECK(pinref::unpin_user_pages(pages, 5).ok());
  CHECK(all.close(0, 128) == gup_error::none);
  CHECK(all.close(0, 1) == gup_error::busy);
  all.open(0, 128);
  CHECK(pinref::pin_user_pages_fast(all, 0, 8, foll::none, pages).count == 8);
  CHECK(pinref::unpin_user_pages(pages, 8).ok());
}
