// SPDX-License-Identifier: MIT

// What a host, a counter or an observer brings along that may throw is nothing: every call of the library is noexcept
// and would end the program. A type with one such function does not meet the concept that asks for it.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>

#include "pinref/observe/observed_ref.hpp"
#include "pinref/pinref.hpp"

namespace {

using pinref::foll;
using pinref::gup_error;
using pinref::hold;
using pinref::owner_ref;
using pinref::release_result;
using pinref::take_result;
using pinref::wait_result;
using std::size_t;

// A counter all of whose functions but one are noexcept.
enum class call {
  none,
  start,
  bury,
  take_reference,
  take_pin,
  take_if_alive,
  take_held_reference,
  take_held_pin,
  release_reference,
  release_pin,
  release_nothing,
  release_sole,
  freeze,
  dma_pinned,
  idle,
  wait_until_unpinned,
  wait_until_idle,
  snapshot,
  current_site,
  number_of_calls
};

template <call May>
struct counter {
  using layout = pinref::bias64;
  using sync = pinref::std_sync;
  struct site {
    static site current() noexcept(May != call::current_site) { return {}; }
  };

  counter() noexcept = default;
  explicit counter(layout) noexcept {}

  void start(size_t, pinref::zone, site) noexcept(May != call::start) {}
  void bury() noexcept(May != call::bury) {}
  template <hold Mode>
  take_result take(size_t, site) noexcept(May != (Mode == hold::pin ? call::take_pin : call::take_reference)) {
    return take_result::taken;
  }
  take_result take_if_alive(size_t, site) noexcept(May != call::take_if_alive) { return take_result::taken; }
  template <hold Mode>
  take_result take_held(size_t,
                        site) noexcept(May != (Mode == hold::pin ? call::take_held_pin : call::take_held_reference)) {
    return take_result::taken;
  }
  template <hold Mode>
  release_result release(size_t, owner_ref,
                         site) noexcept(May != (Mode == hold::pin ? call::release_pin : call::release_reference)) {
    return release_result::last;
  }
  release_result release_nothing(owner_ref) const noexcept(May != call::release_nothing) {
    return release_result::released;
  }
  release_result release_sole(owner_ref, site) noexcept(May != call::release_sole) { return release_result::last; }
  bool freeze(size_t, site) noexcept(May != call::freeze) { return true; }
  bool dma_pinned() noexcept(May != call::dma_pinned) { return false; }
  bool idle(pinref::at_most) noexcept(May != call::idle) { return true; }
  template <class Canceller>
  wait_result wait(pinref::unpinned, const pinref::deadline&,
                   const Canceller&) noexcept(May != call::wait_until_unpinned) {
    return wait_result::reached;
  }
  template <class Canceller>
  wait_result wait(pinref::at_most, const pinref::deadline&, const Canceller&) noexcept(May != call::wait_until_idle) {
    return wait_result::reached;
  }
  layout snapshot() const noexcept(May != call::snapshot) { return layout{}; }
};

template <int N = 1>
void no_counter_may_throw() {
  if constexpr (N < static_cast<int>(call::number_of_calls)) {
    CAPTURE(N);
    CHECK(!pinref::reference_counter<counter<static_cast<call>(N)>>);
    no_counter_may_throw<N + 1>();
  }
}

// An observer all of whose functions but one are noexcept.
enum class event {
  none,
  starts,
  takes_held_reference,
  takes_held_pin,
  taken_reference,
  taken_pin,
  releases_reference,
  releases_pin,
  done,
  frozen,
  buries,
  number_of_events
};

template <event May>
struct observer : pinref::ref_observer {
  using site = pinref::no_site;
  struct watch {
    explicit operator bool() const noexcept { return true; }
    void done(release_result) const noexcept(May != event::done) {}
  };

  bool starts(const void*, size_t, site) noexcept(May != event::starts) { return true; }
  template <hold Mode>
  bool takes_held(const void*, size_t,
                  site) noexcept(May != (Mode == hold::pin ? event::takes_held_pin : event::takes_held_reference)) {
    return true;
  }
  template <hold Mode>
  void taken(const void*, size_t,
             site) noexcept(May != (Mode == hold::pin ? event::taken_pin : event::taken_reference)) {}
  template <hold Mode>
  watch releases(const void*, size_t,
                 site) noexcept(May != (Mode == hold::pin ? event::releases_pin : event::releases_reference)) {
    return {};
  }
  bool frozen(const void*, size_t, site) noexcept(May != event::frozen) { return true; }
  template <class Layout>
  void buries(const void*, const Layout&) noexcept(May != event::buries) {}
};

template <int N = 1>
void no_observer_may_throw() {
  if constexpr (N < static_cast<int>(event::number_of_events)) {
    CAPTURE(N);
    CHECK(!pinref::word_observer<observer<static_cast<event>(N)>>);
    no_observer_may_throw<N + 1>();
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
  resident,
  on_idle,
  immortal,
  longterm_pinnable,
  exclusive,
  set_exclusive,
  free_page,
  share_count,
  sum,
  mapcount,
  set_head,
  set_nr_pages
};

template <hook May>
struct page {
  pinref::basic_ref<counter<call::none>> ref;
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
  static bool resident(page&) noexcept(May != hook::resident) { return false; }
  static void on_idle(page&) noexcept(May != hook::on_idle) {}
  static bool immortal(page&) noexcept(May != hook::immortal) { return false; }
  static bool longterm_pinnable(page&) noexcept(May != hook::longterm_pinnable) { return true; }
  static bool exclusive(page&) noexcept(May != hook::exclusive) { return true; }
  static void set_exclusive(page&, bool) noexcept(May != hook::set_exclusive) {}
  static void free_page(page&) noexcept(May != hook::free_page) {}
  static users<May> share_count(page&) noexcept(May != hook::share_count) { return {}; }
  static std::uint64_t mapcount(page&) noexcept(May != hook::mapcount) { return 1; }
  static void set_head(page&, page&) noexcept(May != hook::set_head) {}
  static void set_nr_pages(page&, size_t) noexcept(May != hook::set_nr_pages) {}
};

template <hook May>
struct pinref::page_traits<page_of_a_file<May>> {
  using page = page_of_a_file<May>;

  static auto& ref(page& p) noexcept { return p.ref; }
  static bool longterm_pinnable(page&, pinref::foll) noexcept(May != hook::longterm_pinnable) { return true; }
};

namespace {

// A space, an object and a gate in one, all of whose functions but one are noexcept.
enum class question {
  none,
  contains,
  lookup,
  recheck,
  fault_in,
  prefetch,
  broken_mapping,
  relocate,
  fork_seq,
  interrupted,
  size,
  find,
  allocate,
  unmap,
  busy_in,
  close,
  open
};

template <question May>
struct host {
  using page = ::page<hook::none>;
  using sync = pinref::std_sync;
  static constexpr size_t page_size = 4096;

  bool contains(std::uintptr_t, std::uintptr_t) noexcept(May != question::contains) { return true; }
  pinref::mapping<page> lookup(std::uintptr_t, foll) noexcept(May != question::lookup) { return {}; }
  bool recheck(std::uintptr_t, const pinref::mapping<page>&) noexcept(May != question::recheck) { return true; }
  template <class Use>
  gup_error fault_in(std::uintptr_t, foll, Use) noexcept(May != question::fault_in) {
    return gup_error::not_mapped;
  }
  void prefetch(std::uintptr_t) noexcept(May != question::prefetch) {}
  void broken_mapping(std::uintptr_t) noexcept(May != question::broken_mapping) {}
  gup_error relocate(std::uintptr_t, size_t) noexcept(May != question::relocate) { return gup_error::none; }
  auto& fork_seq() noexcept(May != question::fork_seq) { return seq; }
  bool interrupted() noexcept(May != question::interrupted) { return false; }

  std::uint64_t size() noexcept(May != question::size) { return 0; }
  page* find(std::uint64_t) noexcept(May != question::find) { return nullptr; }
  gup_error allocate(std::uint64_t) noexcept(May != question::allocate) { return gup_error::no_memory; }

  void unmap(size_t, size_t) noexcept(May != question::unmap) {}
  page* busy_in(size_t, size_t) noexcept(May != question::busy_in) { return nullptr; }

  void close() noexcept(May != question::close) {}
  void open() noexcept(May != question::open) {}

  pinref::write_protect_seq<> seq;
};

TEST_CASE("a counter with a function that may throw is no reference_counter, and one without makes a reference_word") {
  CHECK(pinref::reference_counter<counter<call::none>>);
  CHECK(pinref::reference_word<pinref::basic_ref<counter<call::none>>>);
  no_counter_may_throw();
}

TEST_CASE("an observer with a function that may throw is none") {
  CHECK(pinref::word_observer<observer<event::none>>);
  no_observer_may_throw();
}

TEST_CASE("a space, an object or a gate with a function that may throw is none") {
  using good = host<question::none>;
  CHECK(pinref::address_space<good>);
  CHECK(pinref::prefetching_space<good>);
  CHECK(pinref::diagnosing_space<good>);
  CHECK(pinref::relocating_space<good>);
  CHECK(pinref::forking_space<good>);
  CHECK(pinref::interrupting_space<good>);
  CHECK(pinref::page_object<good>);
  CHECK(pinref::layout_object<good>);
  CHECK(pinref::access_gate<good>);

  CHECK(!pinref::address_space<host<question::contains>>);
  CHECK(!pinref::address_space<host<question::lookup>>);
  CHECK(!pinref::address_space<host<question::recheck>>);
  CHECK(!pinref::address_space<host<question::fault_in>>);
  CHECK(!pinref::prefetching_space<host<question::prefetch>>);
  CHECK(!pinref::diagnosing_space<host<question::broken_mapping>>);
  CHECK(!pinref::relocating_space<host<question::relocate>>);
  CHECK(!pinref::forking_space<host<question::fork_seq>>);
  CHECK(!pinref::interrupting_space<host<question::interrupted>>);
  CHECK(!pinref::page_object<host<question::size>>);
  CHECK(!pinref::page_object<host<question::find>>);
  CHECK(!pinref::page_object<host<question::allocate>>);
  CHECK(!pinref::layout_object<host<question::unmap>>);
  CHECK(!pinref::layout_object<host<question::busy_in>>);
  CHECK(!pinref::access_gate<host<question::close>>);
  CHECK(!pinref::access_gate<host<question::open>>);
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
  CHECK(pinref::composable_page<good>);

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
  CHECK(!pinref::idle_page<page<hook::resident>>);
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
  CHECK(!pinref::composable_page<page<hook::set_head>>);
  CHECK(!pinref::composable_page<page<hook::set_nr_pages>>);
}

}  // namespace
