// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "crew.hpp"
#include "layouts.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using stress::crew;
using stress::nr_threads;
using stress::steps;

TEST_CASE_TEMPLATE(
    "requests against their owner: every pin is released once, by the request, by unpin_all or by the drain", Layout,
    ALL_LAYOUTS) {
  using ref = pinref::page_ref<Layout>;
  using frame = pinref::basic_frame<ref>;
  constexpr std::size_t nr_pages = 6, limit = 20;
  pinref::basic_frame_arena<ref> arena{1};
  pinref::basic_page_table<ref> space{arena, 0, nr_pages};
  REQUIRE(space.map(0, nr_pages, pinref::protection::read_write));
  frame* all[nr_pages];
  REQUIRE(pinref::get_user_pages_fast(space, 0, nr_pages, foll::write, all).ok());

  pinref::pin_owner<frame, std::mutex> owner{limit};
  std::atomic<std::size_t> pinned{0}, released{0};
  std::atomic<unsigned> wrong{0}, busy_requests{nr_threads - 2};
  crew(nr_threads, [&](unsigned index, stress::random& choices) {
    if (index == 0) {
      // The owner goes away again and again.
      while (busy_requests != 0) {
        switch (choices.below(3)) {
          case 0:
            released += owner.unpin_all().count;
            break;
          case 1:
            released += owner.unpin_all_dirty_lock().count;
            break;
          default:
            released += owner.drain().count;
        }
        wrong += owner.live() > limit;
        std::this_thread::yield();
      }
      return;
    }
    if (index == 1) {
      // Somebody who works on the pages under their locks, and cleans them.
      while (busy_requests != 0) {
        frame& page = *all[choices.below(nr_pages)];
        page.lock();
        (void)page.clear_dirty();
        std::this_thread::yield();
        page.unlock();
      }
      return;
    }
    frame* pages[nr_pages];
    std::optional<pinref::pin_request<frame, std::mutex>> request(std::in_place, owner);
    for (unsigned i = 0; i != steps(16'000); ++i) {
      const std::size_t first = choices.below(nr_pages), n = 1 + choices.below(nr_pages - first);
      const gup_result done = request->pin_user_pages_fast(space, first * 4096, foll::write, std::span(pages, n));
      wrong += done.count != (done.ok() ? n : 0);
      wrong += !done.ok() && done.reason != gup_error::busy && done.reason != gup_error::limit_exceeded;
      pinned += done.count;
      if (choices.once_in(8)) std::this_thread::yield();
      switch (choices.below(4)) {
        case 0:
          released += request->unpin().count;
          break;
        case 1:
          released += request->unpin_dirty_lock().count;
          break;
        default:
          released += request->unpin_dirty_deferred().count;
      }
    }
    // Until nothing of this request is held or put off, so that its end releases nothing uncounted.
    released += request->unpin().count;
    released += owner.drain().count;
    request.reset();
    --busy_requests;
  });
  CHECK(wrong == 0);
  CHECK(pinned > 0);
  CHECK(released == pinned);
  CHECK(owner.live() == 0);
  for (frame* page : all) CHECK(page->ref().snapshot() == Layout::live(2));
  CHECK(pinref::release_pages(all, nr_pages).ok());
}
