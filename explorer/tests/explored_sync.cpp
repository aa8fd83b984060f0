// SPDX-License-Identifier: MIT

// The explorer under the library's own types, as somebody who uses the library sees it.

#include "pinref/explorer/explored_sync.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "pinref/ref/hot_ref.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/sync/word_sync.hpp"

namespace {

using explorer::check;
using explorer::execution;
using explorer::explored_hot_sync;
using explorer::explored_sync;
using pinref::release_result;
using pinref::take_result;

static_assert(pinref::word_sync<explored_sync>);
static_assert(pinref::hot_word_sync<explored_hot_sync>);

struct frame {
  pinref::page_ref<pinref::bias64, explored_sync> ref;
  explorer::plain<int> data{1};

  void released(release_result how) {
    if (how == release_result::last) data.destroy();
  }
};

// One releases, another takes and looks; a careless one looks without having taken.
template <bool Careless>
void released_and_taken(execution& x) {
  auto& page = x.make<frame>();
  x.name(page.ref, "word");
  x.name(page.data, "data");
  page.ref.init();
  x.thread([&page] { page.released(page.ref.put()); });
  x.thread([&page] {
    if (!Careless && page.ref.try_get() != take_result::taken) return;
    page.data.read();
    if (!Careless) page.released(page.ref.put());
  });
}

}  // namespace

TEST_CASE("a page that is looked at while it is held is there, and one that is not held is not") {
  const auto good = explorer::explore({}, released_and_taken<false>);
  CHECK_MESSAGE(!good.failed, good.text());
  CHECK(good.exhausted);
  const auto bad = explorer::explore({}, released_and_taken<true>);
  CHECK_MESSAGE(bad.failed, bad.text());
  CHECK(bad.trace.find("word") != std::string::npos);
}

TEST_CASE("a waiter sleeps until the last pin goes, and its deadline may pass at any moment") {
  std::set<std::string> ends;
  const auto r = explorer::explore({}, [&ends](execution& x) {
    auto& page = x.make<frame>();
    page.ref.init();
    (void)page.ref.try_pin();
    x.thread([&page] {
      page.data.write(2);
      (void)page.ref.unpin();
    });
    x.thread([&page] {
      check(page.ref.wait_until_unpinned() == pinref::wait_result::reached, "nothing else can end the wait");
      check(page.data.read() == 2, "the waiter sees what the holder wrote");
    });
    x.thread([&page, &ends] {
      const auto some_day = pinref::deadline::in_nanoseconds(INT64_MAX / 2);
      ends.insert(pinref::to_string(page.ref.wait_until_unpinned(some_day)));
    });
  });
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK(r.exhausted);
  CHECK(ends == std::set<std::string>{"reached", "timed_out"});
}

TEST_CASE("a hot page is one thread's until the other makes it exact") {
  using ref_type = pinref::hot_ref<pinref::bias64, explored_hot_sync, 2>;
  struct hot_frame {
    ref_type ref;
    explored_hot_sync::threads numbers;
    ref_type::slots counts{numbers};
    explorer::plain<int> data{1};
  };
  const auto r = explorer::explore({}, [](execution& x) {
    auto& page = x.make<hot_frame>();
    page.ref.init();
    check(page.ref.make_hot(page.counts), "there is a barrier");
    x.thread([&page] {
      if (page.ref.try_pin() != take_result::taken) return;
      page.data.read();
      if (page.ref.unpin() == release_result::last) page.data.destroy();
    });
    x.thread([&page] {
      (void)page.ref.make_exact();
      if (page.ref.put() == release_result::last) page.data.destroy();
    });
  });
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK(r.exhausted);
}

TEST_CASE("whoever asks is told of every exploration") {
  static int programs;
  programs = 0;
  const auto before =
      std::exchange(explorer::when_explored,
                    [](const explorer::options&, const explorer::result& what) { programs += what.exhausted ? 1 : 0; });
  (void)explorer::explore({}, released_and_taken<false>);
  (void)explorer::explore({.max_executions = 1}, released_and_taken<false>);
  explorer::when_explored = before;
  CHECK(programs == 1);
}
