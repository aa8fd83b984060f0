// SPDX-License-Identifier: MIT

#include "pinref/parts/page_stamp.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "pinref/gup/release.hpp"
#include "pinref/handles/page_handle.hpp"
#include "pinref/page/page.hpp"
#include "pinref/ref/page_ref.hpp"

namespace {

struct frame {
  frame() { ref.init(); }
  void free_page() noexcept {}
  pinref::page_stamp<>& stamp() noexcept { return stamp_; }

  [[nodiscard]] bool readable() const {
    pinref::stamp_seen seen;
    return stamp_.read_begin(ref, seen);
  }

  pinref::page_ref<> ref;
  pinref::page_stamp<> stamp_;
};
static_assert(pinref::stamped_page<frame>);

struct unstamped {
  pinref::page_ref<> ref;
  void free_page() noexcept {}
};
static_assert(!pinref::stamped_page<unstamped>);

template <class Change>
bool still_valid_after(Change change) {
  frame page;
  pinref::stamp_seen seen;
  REQUIRE(page.stamp_.read_begin(page.ref, seen));
  change(page);
  return page.stamp_.read_validate(page.ref, seen);
}

}  // namespace

TEST_CASE("a read that begins without a question is refused at its end instead") {
  frame page;
  const auto valid = [&page](const pinref::stamp_seen& seen) { return page.stamp_.read_validate(page.ref, seen); };
  CHECK(valid(page.stamp_.read_begin()));

  REQUIRE(page.ref.try_pin() == pinref::take_result::taken);
  pinref::stamp_seen seen = page.stamp_.read_begin();
  CHECK(!valid(seen));
  page.stamp_.changed();
  (void)page.ref.unpin();
  CHECK(!valid(seen));

  page.stamp_.write_begin();
  seen = page.stamp_.read_begin();
  CHECK(!valid(seen));
  page.stamp_.write_end();
  CHECK(!valid(seen));
  CHECK(valid(page.stamp_.read_begin()));
}

TEST_CASE("a page is read without a hold while it lives, is not pinned and nobody writes") {
  frame page;
  CHECK(page.readable());
  REQUIRE(page.ref.try_pin() == pinref::take_result::taken);
  CHECK(!page.readable());
  (void)page.ref.unpin();
  CHECK(page.readable());
  page.stamp_.write_begin();
  CHECK(!page.readable());
  page.stamp_.write_end();
  CHECK(page.readable());
  page.stamp_.changed();
  CHECK(page.readable());
  REQUIRE(page.ref.freeze(1));
  CHECK(!page.readable());
  page.ref.bury();
  CHECK(!page.readable());
  page.ref.init();
  CHECK(page.readable());
  (void)page.ref.get(1000);
  CHECK(page.readable());
}

TEST_CASE("what was read is whole if nothing was written meanwhile") {
  CHECK(still_valid_after([](frame&) {}));
  CHECK(still_valid_after([](frame& page) {
    (void)page.ref.get();
    (void)page.ref.put();
  }));
  CHECK(!still_valid_after([](frame& page) { page.stamp_.write_begin(); }));
  CHECK(!still_valid_after([](frame& page) {
    page.stamp_.write_begin();
    page.stamp_.write_end();
  }));
  CHECK(!still_valid_after([](frame& page) { page.stamp_.changed(); }));
  CHECK(!still_valid_after([](frame& page) { (void)page.ref.try_pin(); }));
  CHECK(!still_valid_after([](frame& page) { REQUIRE(page.ref.freeze(1)); }));
}

TEST_CASE("every call that releases a pin of a stamped page announces what the device wrote") {
  const auto released_by = [](auto release) {
    return still_valid_after([&](frame& page) {
      REQUIRE(pinref::try_pin_page(page) == pinref::take_result::taken);
      release(page);
      REQUIRE(!pinref::page_dma_pinned(page));
    });
  };
  CHECK(!released_by([](frame& page) { pinref::unpin_user_page(page); }));
  CHECK(!released_by([](frame& page) { (void)pinref::unpin_user_folio(page, 1); }));
  CHECK(!released_by([](frame& page) {
    frame* pages[] = {&page};
    (void)pinref::unpin_user_pages(pages);
  }));
  CHECK(!released_by([](frame& page) { pinref::page_pin<frame>::adopt(page).reset(); }));
  // A reference that goes has written nothing behind its back.
  CHECK(still_valid_after([](frame& page) {
    REQUIRE(pinref::get_page(page) == pinref::take_result::taken);
    pinref::put_page(page);
  }));
}

TEST_CASE("copies beside a writer are whole when they validate") {
  frame page;
  alignas(64) std::uint64_t data[8] = {};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::uint64_t value = 1; !stop.load(std::memory_order_relaxed); ++value) {
      const std::uint64_t all[8] = {value, value, value, value, value, value, value, value};
      page.stamp_.write_begin();
      pinref::copy_in(data, all, 8);
      page.stamp_.write_end();
    }
  });
  std::uint64_t torn = 0;
  for (int valid = 0; valid != 1000;) {
    std::uint64_t copy[8];
    pinref::stamp_seen seen;
    if (!page.stamp_.read_begin(page.ref, seen)) continue;
    pinref::copy_out(copy, data, 8);
    if (!page.stamp_.read_validate(page.ref, seen)) continue;
    ++valid;
    for (const std::uint64_t word : copy) torn += word != copy[0];
  }
  stop.store(true, std::memory_order_relaxed);
  writer.join();
  CHECK(torn == 0);
}

TEST_CASE("words are copied into a page and out of it, all of them and no more") {
  const std::uint64_t from[] = {1, 2, 3};
  std::uint64_t page[] = {0, 0, 0, 9};
  pinref::copy_in(page, from, 3);
  CHECK(page[0] == 1);
  CHECK(page[2] == 3);
  CHECK(page[3] == 9);
  std::uint64_t to[] = {0, 0, 9};
  pinref::copy_out(to, page, 2);
  CHECK(to[0] == 1);
  CHECK(to[1] == 2);
  CHECK(to[2] == 9);
}
