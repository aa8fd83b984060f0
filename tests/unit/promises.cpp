// A host's functions that may throw are none: every call of the library is noexcept and would end the program. A word
// or a page with one such function is no reference_word, and has not the capability that the function belongs to.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>

#include "pinref/pinref.hpp"

namespace {

using pinref::release_result;
using pinref::take_result;
using pinref::wait_result;
using std::size_t;

// A word all of whose functions but one are noexcept.
enum class call {
  none,
  reset,
  get,
  try_get,
  try_get_if_alive,
  put,
  put_to_idle,
  put_sole,
  try_pin,
  add_pin,
  unpin,
  unpin_to_idle,
  freeze,
  unfreeze,
  bury,
  dma_pinned,
  idle,
  wait_until_unpinned,
  wait_until_idle,
  dma_pinned_hint,
  snapshot,
  number_of_calls
};

template <call May>
struct word {
  using layout = pinref::bias64;
  using sync = pinref::std_sync;
  static constexpr size_t max_references_at_once = 1;
  static constexpr size_t max_pins_at_once = 1;

  void reset(size_t) noexcept(May != call::reset) {}
  take_result get(size_t) noexcept(May != call::get) { return take_result::taken; }
  take_result try_get(size_t) noexcept(May != call::try_get) { return take_result::taken; }
  take_result try_get_if_alive(size_t) noexcept(May != call::try_get_if_alive) { return take_result::taken; }
  release_result put(size_t) noexcept(May != call::put) { return release_result::last; }
  release_result put(size_t, size_t) noexcept(May != call::put_to_idle) { return release_result::last; }
  release_result put_sole() noexcept(May != call::put_sole) { return release_result::last; }
  take_result try_pin(size_t) noexcept(May != call::try_pin) { return take_result::taken; }
  take_result add_pin(size_t) noexcept(May != call::add_pin) { return take_result::taken; }
  release_result unpin(size_t) noexcept(May != call::unpin) { return release_result::last; }
  release_result unpin(size_t, size_t) noexcept(May != call::unpin_to_idle) { return release_result::last; }
  bool freeze(size_t) noexcept(May != call::freeze) { return true; }
  void unfreeze(size_t) noexcept(May != call::unfreeze) {}
  void bury() noexcept(May != call::bury) {}
  bool dma_pinned() noexcept(May != call::dma_pinned) { return false; }
  bool idle(size_t) noexcept(May != call::idle) { return true; }
  wait_result wait_until_unpinned() noexcept(May != call::wait_until_unpinned) { return wait_result::reached; }
  wait_result wait_until_idle(size_t) noexcept(May != call::wait_until_idle) { return wait_result::reached; }
  bool dma_pinned_hint() const noexcept(May != call::dma_pinned_hint) { return false; }
  layout snapshot() const noexcept(May != call::snapshot) { return layout{}; }
};

template <int N = 1>
void no_word_may_throw() {
  if constexpr (N < static_cast<int>(call::number_of_calls)) {
    CAPTURE(N);
    CHECK(!pinref::reference_word<word<static_cast<call>(N)>>);
    no_word_may_throw<N + 1>();
  }
}

// A page all of whose functions but one are noexcept.
enum class hook {
  none,
  ref,
  head,
  nr_pages,
  frame_number,
  nth_page,
  lock,
  try_lock,
  unlock,
  dirty,
  set_dirty,
  clear_dirty,
  idle_level,
  on_idle,
  immortal,
  longterm_pinnable,
  exclusive,
  set_exclusive,
  free_page,
  share_count,
  sum,
  mapcount
};

template <hook May>
struct page {
  word<call::none> ref;
};

template <hook May>
struct users {
  std::uint64_t sum() const noexcept(May != hook::sum) { return 1; }
};

// One that is asked by the flags of the call.
template <hook May>
struct page_of_a_file : page<hook::none> {};

}  // namespace

template <hook May>
struct pinref::page_traits<page<May>> {
  using page = ::page<May>;

  static auto& ref(page& p) noexcept(May != hook::ref) { return p.ref; }
  static page& head(page& p) noexcept(May != hook::head) { return p; }
  static size_t nr_pages(page&) noexcept(May != hook::nr_pages) { return 1; }
  static std::uint64_t frame_number(page&) noexcept(May != hook::frame_number) { return 0; }
  static page& nth_page(page& p, size_t) noexcept(May != hook::nth_page) { return p; }
  static void lock(page&) noexcept(May != hook::lock) {}
  static bool try_lock(page&) noexcept(May != hook::try_lock) { return true; }
  static void unlock(page&) noexcept(May != hook::unlock) {}
  static bool dirty(page&) noexcept(May != hook::dirty) { return true; }
  static void set_dirty(page&) noexcept(May != hook::set_dirty) {}
  static bool clear_dirty(page&) noexcept(May != hook::clear_dirty) { return true; }
  static size_t idle_level(page&) noexcept(May != hook::idle_level) { return 0; }
  static void on_idle(page&) noexcept(May != hook::on_idle) {}
  static bool immortal(page&) noexcept(May != hook::immortal) { return false; }
  static bool longterm_pinnable(page&) noexcept(May != hook::longterm_pinnable) { return true; }
  static bool exclusive(page&) noexcept(May != hook::exclusive) { return true; }
  static void set_exclusive(page&, bool) noexcept(May != hook::set_exclusive) {}
  static void free_page(page&) noexcept(May != hook::free_page) {}
  static users<May> share_count(page&) noexcept(May != hook::share_count) { return {}; }
  static std::uint64_t mapcount(page&) noexcept(May != hook::mapcount) { return 1; }
};

template <hook May>
struct pinref::page_traits<page_of_a_file<May>> {
  using page = page_of_a_file<May>;

  static auto& ref(page& p) noexcept { return p.ref; }
  static bool longterm_pinnable(page&, pinref::foll) noexcept(May != hook::longterm_pinnable) { return true; }
};

namespace {

TEST_CASE("a word with a function that may throw is no reference_word") {
  CHECK(pinref::reference_word<word<call::none>>);
  no_word_may_throw();
}

TEST_CASE("a page with a function that may throw has not its capability") {
  using good = page<hook::none>;
  CHECK(pinref::host_page<good>);
  CHECK(pinref::compound_page<good>);
  CHECK(pinref::numbered_page<good>);
  CHECK(pinref::lockable_page<good>);
  CHECK(pinref::trylockable_page<good>);
  CHECK(pinref::dirty_page<good>);
  CHECK(pinref::cleanable_page<good>);
  CHECK(pinref::idle_page<good>);
  CHECK(pinref::immortal_page<good>);
  CHECK(pinref::longterm_page<good>);
  CHECK(pinref::exclusive_page<good>);
  CHECK(pinref::freeable_page<good>);
  CHECK(pinref::share_counted_page<good>);
  CHECK(pinref::mapcounted_page<good>);
  CHECK(pinref::longterm_page<page_of_a_file<hook::none>>);

  CHECK(!pinref::host_page<page<hook::ref>>);
  CHECK(!pinref::compound_page<page<hook::head>>);
  CHECK(!pinref::compound_page<page<hook::nr_pages>>);
  CHECK(!pinref::numbered_page<page<hook::frame_number>>);
  CHECK(!pinref::numbered_page<page<hook::nth_page>>);
  CHECK(!pinref::lockable_page<page<hook::lock>>);
  CHECK(!pinref::lockable_page<page<hook::unlock>>);
  CHECK(!pinref::trylockable_page<page<hook::try_lock>>);
  CHECK(!pinref::trylockable_page<page<hook::unlock>>);
  CHECK(!pinref::dirty_page<page<hook::dirty>>);
  CHECK(!pinref::dirty_page<page<hook::set_dirty>>);
  CHECK(!pinref::cleanable_page<page<hook::clear_dirty>>);
  CHECK(!pinref::cleanable_page<page<hook::set_dirty>>);
  CHECK(!pinref::idle_page<page<hook::idle_level>>);
  CHECK(!pinref::idle_page<page<hook::on_idle>>);
  CHECK(!pinref::immortal_page<page<hook::immortal>>);
  CHECK(!pinref::longterm_page<page<hook::longterm_pinnable>>);
  CHECK(!pinref::exclusive_page<page<hook::exclusive>>);
  CHECK(!pinref::exclusive_page<page<hook::set_exclusive>>);
  CHECK(!pinref::freeable_page<page<hook::free_page>>);
  CHECK(!pinref::share_counted_page<page<hook::share_count>>);
  CHECK(!pinref::share_counted_page<page<hook::sum>>);
  CHECK(!pinref::mapcounted_page<page<hook::mapcount>>);
  CHECK(!pinref::longterm_page<page_of_a_file<hook::longterm_pinnable>>);
}

}  // namespace
