// SPDX-License-Identifier: MIT

// Who holds a page: exactly for handles and requests, between bounds for plain calls; what a full log misses; and that
// data which is poisoned while nobody has it pinned is never poisoned while somebody has.

#include "pinref/observe/holder_log.hpp"

#include <doctest/doctest.h>

#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "hooked_sync.hpp"
#include "logged_host.hpp"
#include "pinref/handles/page_handle.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
#include "pinref/handles/pinned_range.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::hold;
using pinref::on_release;
using pinref::page_holder;
using pinref::protection;
using pinref::release_result;
using pinref::take_result;
using support::candidate;
using support::exactly;

namespace {

using logged_word = support::logged<>;
using frame = pinref::basic_frame<logged_word>;
using pin = pinref::page_pin<frame>;
using reference = pinref::page_ptr<frame>;
using range = pinref::pinned_range<frame>;

// Eight mapped pages. The log goes last: pages are released while the space goes.
struct fixture : support::log_of_a_test<> {
  explicit fixture(std::size_t entries = 256) : log_of_a_test(entries) {
    REQUIRE(space.map(0, 8, protection::read_write));
    for (std::size_t i = 0; i != 8; ++i) {
      REQUIRE(pinref::pin_user_pages(space, i * space.page_size, 1, foll::write, pages + i).ok());
      pinref::unpin_user_page(*pages[i]);
    }
    data = {};
  }
  frame& page() { return *pages[0]; }

  pinref::basic_frame_arena<logged_word> arena{2};
  pinref::basic_page_table<logged_word> space{arena, 0, 8};
  frame* pages[8] = {};
};

// Somewhere else than the other takes.
void pin_elsewhere(frame& page, std::size_t n = 1) {
  REQUIRE(pinref::try_pin_page(page, n) == take_result::taken);
}

}  // namespace

TEST_CASE("a handle is listed with its call, wherever it is moved to, and its second hold as another") {
  fixture f;
  const unsigned line = __LINE__ + 1;
  auto first = pin::try_pin(f.page());
  auto held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(exactly(held[0], 1));
  CHECK(held[0].where.line == line);
  CHECK(std::string(held[0].where.file).find("holder_log.cpp") != std::string::npos);
  CHECK(held[0].thread == pinref::detail::calling_thread());

  pin second = std::move(first);
  pin third;
  third = std::move(second);
  first.reset();
  second.reset();
  const unsigned shared_at = __LINE__ + 1;
  auto fourth = third.share();
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 2);
  CHECK(held[0].where.line == line);
  CHECK(held[1].where.line == shared_at);

  // The one that goes is struck, not the other.
  third.reset();
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(held[0].where.line == shared_at);
  std::swap(third, fourth);
  CHECK(f.pins(&f.page().ref()).size() == 1);
  third = pin::add_pin(f.page());
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(held[0].where.line == __LINE__ - 3);
  third.reset();
  CHECK(f.pins(&f.page().ref()).empty());
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("references of handles are listed beside pins, and each mode apart") {
  fixture f;
  auto p = pin::try_pin(f.page());
  auto r = reference::get_page_unless_zero(f.page());
  auto more = reference::get_page(f.page());
  CHECK(f.of(&f.page().ref()).size() == 4);  // the mapping has one
  CHECK(f.log.leaks(hold::pin) == 1);
  r.reset();
  more.reset();
  CHECK(f.pins(&f.page().ref()).size() == 1);
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("a hold that is detached is a candidate of the call that took it; one that is adopted is a handle's again") {
  fixture f;
  const unsigned line = __LINE__ + 1;
  auto handle = pin::try_pin(f.page());
  const page_holder before = f.pins(&f.page().ref())[0];
  frame& raw = *handle.detach();
  auto held = f.pins(&raw.ref());
  REQUIRE(held.size() == 1);
  CHECK(candidate(held[0], 1, 1));
  CHECK(held[0].where.line == line);
  CHECK(held[0].since == before.since);

  auto adopted = pin::adopt(raw);
  held = f.pins(&raw.ref());
  REQUIRE(held.size() == 1);
  CHECK(exactly(held[0], 1));
  CHECK(held[0].where.line == line);
  CHECK(held[0].since == before.since);

  // Of two places nobody knows which one's it is: it is the adopter's.
  pin_elsewhere(raw);
  REQUIRE(pinref::try_pin_page(raw) == take_result::taken);
  auto one_of_two = pin::adopt(raw);
  held = f.pins(&raw.ref());
  REQUIRE(held.size() == 4);
  CHECK(exactly(held[0], 1));
  CHECK(candidate(held[1], 0, 1));
  CHECK(candidate(held[2], 0, 1));
  CHECK(exactly(held[3], 1));
  CHECK(held[3].where.line == __LINE__ - 7);
  pinref::unpin_user_page(raw);
  adopted.reset();
  one_of_two.reset();
  CHECK(f.pins(&raw.ref()).empty());
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("the pins of a range are listed page by page, and released from either end") {
  fixture f;
  const unsigned line = __LINE__ + 1;
  auto [pins, done] = range::pin_user_pages_fast(f.space, 0, foll::write, f.pages);
  REQUIRE(done.count == 8);
  for (frame* each : f.pages) {
    const auto held = f.pins(&each->ref());
    REQUIRE(held.size() == 1);
    CHECK(exactly(held[0], 1));
    CHECK(held[0].where.line == line);
  }
  range moved = std::move(pins);
  CHECK(moved.unpin_front(2).ok());
  CHECK(moved.unpin_back(3).ok());
  for (std::size_t i = 0; i != 8; ++i) CHECK(f.pins(&f.pages[i]->ref()).size() == (i >= 2 && i < 5 ? 1 : 0));
  const std::span<frame*> raw = moved.detach();
  for (frame* each : raw) CHECK(candidate(f.pins(&each->ref()).at(0), 1, 1));
  moved = range::adopt(raw);
  for (frame* each : raw) CHECK(exactly(f.pins(&each->ref()).at(0), 1));
  CHECK(f.log.leaks(hold::pin) == 3);
  CHECK(moved.reset().ok());
  CHECK(f.log.leaks(hold::pin) == 0);
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("the pages of a compound page are one entry of its head, in part released too") {
  fixture f;
  frame& head = *f.arena.allocate_compound();
  frame* pages[4] = {&head, &head + 1, &head + 2, nullptr};
  pin_elsewhere(head, 3);
  auto pins = range::adopt(pages);
  auto held = f.pins(&head.ref());
  REQUIRE(held.size() == 1);
  CHECK(exactly(held[0], 3));
  auto tail = pin::try_pin(head);
  CHECK(pins.unpin_back(2).ok());
  held = f.pins(&head.ref());
  REQUIRE(held.size() == 2);
  CHECK(exactly(held[0], 2));
  CHECK(pins.reset().ok());
  tail.reset();
  CHECK(f.pins(&head.ref()).empty());
  CHECK(f.log.unmatched() == 0);
  pinref::put_page(head);
}

TEST_CASE("what a call pins and gives back is in no entry") {
  fixture f;
  frame* pages[9];
  CHECK(pinref::pin_user_pages_fast(f.space, 0, foll::write | foll::all, pages).count == 0);
  auto [pins, done] = range::pin_user_pages(f.space, 0, foll::write | foll::all, pages);
  CHECK(done.count == 0);
  CHECK(f.log.leaks(hold::pin) == 0);
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("a request's pins stay its own when its owner releases them, or drains what was put off") {
  fixture f;
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::pin_request request{owner}, other{owner};
  frame *pages[8], *others[8];
  const unsigned line = __LINE__ + 1;
  REQUIRE(request.pin_user_pages_fast(f.space, 0, foll::write, pages).ok());
  REQUIRE(other.pin_user_pages(f.space, 0, foll::write, others).ok());
  auto held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 2);
  CHECK(exactly(held[0], 1));
  CHECK(held[0].where.line == line);
  CHECK(request.unpin().ok());
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(held[0].where.line == line + 1);

  REQUIRE(f.page().try_lock());
  CHECK(other.unpin_dirty_deferred().count == 7);
  CHECK(f.log.leaks(hold::pin) == 1);
  f.page().unlock();
  std::thread([&] { CHECK(owner.drain().count == 1); }).join();
  CHECK(f.log.leaks(hold::pin) == 0);

  REQUIRE(request.pin_user_pages_fast(f.space, 0, foll::write, pages).ok());
  CHECK(f.log.leaks(hold::pin) == 8);
  std::thread([&] { CHECK(owner.unpin_all().count == 8); }).join();
  CHECK(f.log.leaks(hold::pin) == 0);
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("a request that pins again is known by its new call, whatever could not be released before") {
  fixture f;
  pinref::pin_owner<frame, std::mutex> owner;
  pinref::pin_request request{owner};
  frame* pages[1];
  const unsigned first_line = __LINE__ + 1;
  REQUIRE(request.pin_user_pages_fast(f.space, 0, foll::write, pages).ok());
  // Released behind its back, and the reference that would make up for it frozen.
  pinref::unpin_user_page(f.page());
  REQUIRE(f.page().ref().freeze(1));
  CHECK(request.unpin().reason == gup_error::underflow);
  f.page().ref().unfreeze(1);
  REQUIRE(f.pins(&f.page().ref()).size() == 1);
  const unsigned line = __LINE__ + 1;
  REQUIRE(request.pin_user_pages_fast(f.space, 0, foll::write, pages).ok());
  auto held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 2);
  CHECK(exactly(held[0], 1));
  CHECK(exactly(held[1], 1));
  CHECK(held[1].where.line == line);
  CHECK(request.unpin().ok());
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(held[0].where.line == first_line);
}

TEST_CASE("plain calls: a release by another thread leaves candidates, until all is released") {
  fixture f;
  REQUIRE(pinref::try_pin_page(f.page(), 2) == take_result::taken);
  std::uint64_t other_thread = 0;
  std::thread([&] {
    other_thread = pinref::detail::calling_thread();
    pin_elsewhere(f.page());
  }).join();
  auto held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 2);
  CHECK(candidate(held[0], 2, 2));
  CHECK(candidate(held[1], 1, 1));
  CHECK(held[1].thread == other_thread);
  CHECK(held[0].thread != other_thread);
  std::thread([&] { CHECK(pinref::unpin_user_page(f.page()) == release_result::released); }).join();
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 2);
  CHECK(candidate(held[0], 1, 2));
  CHECK(candidate(held[1], 0, 1));
  CHECK(f.log.leaks(hold::pin) == 2);
  pinref::unpin_user_page(f.page());
  CHECK(candidate(f.pins(&f.page().ref())[0], 0, 1));
  pinref::unpin_user_page(f.page());
  CHECK(f.pins(&f.page().ref()).empty());
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("a handle's release strikes nothing of plain calls, and theirs nothing of a handle's") {
  fixture f;
  auto handle = pin::try_pin(f.page());
  pin_elsewhere(f.page());
  pinref::unpin_user_page(f.page());
  auto held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(exactly(held[0], 1));
  pin_elsewhere(f.page());
  handle.reset();
  held = f.pins(&f.page().ref());
  REQUIRE(held.size() == 1);
  CHECK(candidate(held[0], 1, 1));

  // The pin of a handle, released behind its back.
  pin victim = pin::try_pin(f.page());
  pinref::unpin_user_page(f.page());
  CHECK(f.log.unmatched() == 0);
  pinref::unpin_user_page(f.page());
  CHECK(f.log.unmatched() == 1);
  CHECK(f.pins(&f.page().ref()).size() == 1);
  (void)victim.detach();
}

TEST_CASE("a release that the word refuses is none") {
  fixture f;
  logged_word ref;
  ref.init();
  REQUIRE(ref.try_pin(2) == take_result::taken);
  CHECK(ref.unpin(3) == release_result::underflow);
  auto held = f.of(&ref);
  REQUIRE(held.size() == 2);
  CHECK(candidate(held[0], 1, 1));
  CHECK(candidate(held[1], 2, 2));
  CHECK(f.data.poisoned == false);
  CHECK(f.log.unmatched() == 0);
  CHECK(ref.unpin(2) == release_result::released);
  CHECK(ref.unpin() == release_result::underflow);
  CHECK(ref.put(2) == release_result::underflow);
  held = f.of(&ref);
  REQUIRE(held.size() == 1);
  CHECK(candidate(held[0], 1, 1));
  CHECK(ref.put() == release_result::last);
  CHECK(f.log.unmatched() == 0);
  CHECK(f.of(&ref).empty());
}

TEST_CASE("a freeze leaves the holders who gave their references to it; what the page lives on with is theirs first") {
  fixture f(64);
  frame& page = *f.arena.allocate();
  auto handle = reference::get_page_unless_zero(page);
  REQUIRE(page.ref().freeze(2));
  auto held = f.of(&page.ref());
  REQUIRE(held.size() == 2);
  page.ref().unfreeze(2);
  CHECK(f.of(&page.ref()).size() == 2);
  REQUIRE(page.ref().freeze(2));
  page.ref().unfreeze(1);
  held = f.of(&page.ref());
  REQUIRE(held.size() == 1);
  CHECK(exactly(held[0], 1));
  REQUIRE(page.ref().freeze(1));
  page.ref().unfreeze(4);
  held = f.of(&page.ref());
  REQUIRE(held.size() == 2);
  CHECK(candidate(held[1], 3, 3));
  CHECK(held[1].where.line == __LINE__ - 4);
  CHECK(pinref::put_page(page, 3) == release_result::released);
  handle.reset();
  CHECK(f.of(&page.ref()).empty());
  CHECK(f.log.unmatched() == 0);
}

TEST_CASE("nobody holds a page that was buried, and what its handles release later is nobody's") {
  fixture f;
  logged_word ref;
  ref.init();
  pinref::holder_id mine;
  pinref::holder_site by_a_handle = pinref::holder_site::current();
  by_a_handle.holder = &mine;
  REQUIRE(ref.try_pin(1, by_a_handle) == take_result::taken);
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK_FALSE(f.data.poisoned);
  ref.bury();
  CHECK(f.data.poisoned);
  CHECK(f.of(&ref).empty());
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK(ref.unpin(1, pinref::owner_ref::counted, by_a_handle) == release_result::released);
  CHECK(f.log.unmatched() == 1);
  CHECK(f.log.leaks(hold::pin) == 1);
  ref.bury();
}

TEST_CASE("a log that is full says what it has missed, and takes no pin for the last") {
  fixture f(9);  // eight mapped pages have one reference each
  REQUIRE(f.log.missed() == 0);
  {
    auto first = pin::try_pin(f.page());
    CHECK(f.data.firsts == 1);
    auto second = pin::try_pin(f.page());
    auto elsewhere = pin::try_pin(*f.pages[1]);
    CHECK(f.log.missed() == 2);
    CHECK(f.data.firsts == 2);  // of the other page, which the log knows nothing of
    CHECK(f.log.leaks(hold::pin) == 1);
    first.reset();
    CHECK_FALSE(f.data.poisoned);
    CHECK(f.log.leaks(hold::pin) == 0);
  }
  CHECK(f.data.lasts == 0);
  CHECK(f.log.unmatched() == 0);
  // What was missed and is nobody's now is missed all the same.
  {
    pin_elsewhere(f.page());
    auto missed = pin::try_pin(f.page());
    frame& raw = *missed.detach();
    CHECK(f.log.missed() == 3);
    pinref::unpin_user_page(raw);
    pinref::unpin_user_page(raw);
    CHECK(f.log.unmatched() == 1);
  }
  // There is room again.
  auto noted = pin::try_pin(f.page());
  CHECK(f.log.missed() == 3);
  CHECK(f.log.leaks(hold::pin) == 1);
}

TEST_CASE("a log without room lists nothing and counts all that it misses") {
  fixture f(0);
  const std::uint64_t before = f.log.missed(), unmatched = f.log.unmatched();
  {
    auto [pins, done] = range::pin_user_pages_fast(f.space, 0, foll::write, f.pages);
    CHECK(done.ok());
    CHECK(f.log.leaks() == 0);
    CHECK_FALSE(f.log.oldest_pin());
    const std::span<frame*> raw = pins.detach();
    pins = range::adopt(raw);
    CHECK(f.log.leaks() == 0);
  }
  CHECK(f.log.missed() == before + 16);
  CHECK(f.log.unmatched() == unmatched);
  CHECK(f.data.firsts >= 8);
  CHECK(f.data.lasts == 0);
}

TEST_CASE("a state that a word is constructed with is not listed") {
  fixture f;
  logged_word ref{pinref::bias64::live(2, 1)};
  CHECK(f.of(&ref).empty());
  CHECK(ref.unpin() == release_result::released);
  CHECK(ref.put() == release_result::released);
  CHECK(f.log.unmatched() == 2);
  CHECK(ref.put() == release_result::last);
}

TEST_CASE("the oldest pin is the one that was taken first, in whatever hands") {
  fixture f;
  CHECK_FALSE(f.log.oldest_pin());
  auto first = pin::try_pin(*f.pages[3]);
  auto second = pin::try_pin(*f.pages[1]);
  REQUIRE(f.log.oldest_pin());
  CHECK(f.log.oldest_pin()->word == &f.pages[3]->ref());
  pin_elsewhere(*f.pages[2]);
  frame& raw = *first.detach();
  CHECK(f.log.oldest_pin()->word == &raw.ref());
  first = pin::adopt(raw);
  CHECK(f.log.oldest_pin()->word == &raw.ref());
  first.reset();
  CHECK(f.log.oldest_pin()->word == &f.pages[1]->ref());
  second.reset();
  CHECK(f.log.oldest_pin()->word == &f.pages[2]->ref());
  CHECK_FALSE(f.log.oldest_pin()->exact);
  pinref::unpin_user_page(*f.pages[2]);
  CHECK_FALSE(f.log.oldest_pin());
}

namespace {

// Pages of two arenas, each with a log of its own.
using two_log = pinref::holder_log<std::mutex>;
struct of_two {
  two_log& operator()(const void* word) const noexcept;
};
struct two_page {
  pinref::logged_ref<pinref::page_ref<>, of_two> ref;
  two_log* log = nullptr;
  void free_page() noexcept {}
};
two_log& of_two::operator()(const void* word) const noexcept {
  return *static_cast<const two_page*>(word)->log;
}

}  // namespace

TEST_CASE("handles of different logs are told apart, also where a range has pages of both") {
  pinref::holder_entry room[2][16];
  two_log logs[2]{two_log{room[0]}, two_log{room[1]}};
  two_page a, b;
  a.log = &logs[0];
  b.log = &logs[1];
  a.ref.init();
  b.ref.init();
  using two_pin = pinref::page_pin<two_page>;
  auto of_b = two_pin::try_pin(b);
  REQUIRE(pinref::try_pin_page(a) == take_result::taken);
  REQUIRE(pinref::try_pin_page(b) == take_result::taken);
  two_page* pages[2] = {&a, &b};
  auto both = pinref::pinned_range<two_page>::adopt(pages);
  const auto pins_of = [&](two_page& page) {
    std::vector<page_holder> found;
    page.log->for_each_holder(&page.ref, [&](const page_holder& each) noexcept {
      if (each.mode == hold::pin) found.push_back(each);
    });
    return support::log_of_a_test<>::sorted(found);
  };
  REQUIRE(pins_of(b).size() == 2);
  const std::uint64_t of_the_range = pins_of(b)[1].sequence;
  of_b.reset();
  REQUIRE(pins_of(b).size() == 1);
  CHECK(pins_of(b)[0].sequence == of_the_range);
  CHECK(pins_of(a).size() == 1);
  CHECK(both.reset().ok());
  for (two_log& log : logs) {
    CHECK(log.leaks(hold::pin) == 0);
    CHECK(log.unmatched() == 0);
  }
  pinref::put_page(a);
  pinref::put_page(b);
}

TEST_CASE("the first pin and the last are told, and no other") {
  fixture f;
  CHECK(f.data.firsts == 0);
  auto first = pin::try_pin(f.page());
  CHECK_FALSE(f.data.poisoned);
  pin_elsewhere(f.page());
  auto second = first.share();
  first.reset();
  (void)second.detach();
  second = pin::adopt(f.page());
  pinref::unpin_user_page(f.page());
  CHECK(f.data.firsts == 1);
  CHECK(f.data.lasts == 0);
  auto held = reference::get_page(f.page());
  second.reset();
  CHECK(f.data.poisoned);
  CHECK(f.data.lasts == 1);
  CHECK(f.log.leaks(hold::reference) == 9);
}

namespace {

// Another thread may run before each locked operation of a word, and before the log's lock.
struct hooked_lock {
  bool held = false;
  void lock() {
    support::hooked_sync::before_rmw();
    CHECK_FALSE(held);
    held = true;
  }
  void unlock() { held = false; }
};
using hooked_ref = support::logged<pinref::page_ref<pinref::bias64, support::hooked_sync>, hooked_lock>;

// Plays `other` before each step of `one`, on a page with so many pins.
template <class One, class Other>
int interleaved(std::size_t pins, One one, Other other) {
  int steps = 0;
  for (bool reached = true; reached; ++steps) {
    support::log_of_a_test<hooked_lock> holders;
    hooked_ref ref;
    ref.init();
    if (pins != 0) REQUIRE(ref.try_pin(pins) == take_result::taken);
    reached = false;
    support::hooked_sync::interleave([&](int step) {
      if (step != steps) return;
      reached = true;
      other(ref, holders.data);
    });
    one(ref, holders.data);
    support::hooked_sync::hook = nullptr;
    if (!reached) other(ref, holders.data);
    CHECK(holders.data.poisoned == (ref.pins() == 0));
    if (ref.pins() != 0) CHECK(ref.unpin(static_cast<std::size_t>(ref.pins())) == release_result::released);
    CHECK(holders.data.poisoned);
    CHECK(holders.data.firsts == holders.data.lasts);
    CHECK(ref.put() == release_result::last);
    CHECK(holders.log.leaks() == 0);
    CHECK(holders.log.unmatched() == 0);
  }
  return steps;
}

void take(hooked_ref& ref, support::poisoning& data) {
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK_FALSE(data.poisoned);
}
void drop(hooked_ref& ref, support::poisoning& data) {
  CHECK_FALSE(data.poisoned);
  REQUIRE(ref.unpin() == release_result::released);
}
void take_and_drop(hooked_ref& ref, support::poisoning& data) {
  take(ref, data);
  drop(ref, data);
}

}  // namespace

TEST_CASE("a page that is pinned while its last pin goes is not left poisoned, wherever they meet") {
  CHECK(interleaved(1, drop, take) > 2);
  CHECK(interleaved(1, take, drop) > 2);
  CHECK(interleaved(1, drop, take_and_drop) > 2);
  CHECK(interleaved(0, take, take_and_drop) > 2);
  CHECK(interleaved(0, take_and_drop, take_and_drop) > 4);
  CHECK(interleaved(2, drop, drop) > 2);
}

TEST_CASE("holders are struck before their release: a life that begins right after it has its own") {
  for (bool pinned : {false, true}) {
    int steps = 0;
    for (bool reached = true; reached; ++steps) {
      support::log_of_a_test<hooked_lock> holders;
      hooked_ref ref;
      const auto begin = [&] {
        if (ref.snapshot() != pinref::bias64{}) return;
        CHECK(holders.data.poisoned);
        CHECK(holders.log.leaks() == 0);
        ref.init(2);
      };
      ref.init();
      if (pinned) {
        REQUIRE(ref.try_pin() == take_result::taken);
        REQUIRE(ref.put() == release_result::released);
      }
      reached = false;
      support::hooked_sync::interleave([&](int step) {
        if (step != steps) return;
        reached = true;
        begin();
      });
      CHECK((pinned ? ref.unpin() : ref.put()) == release_result::last);
      support::hooked_sync::hook = nullptr;
      begin();
      const auto held = holders.of(&ref);
      REQUIRE(held.size() == 1);
      CHECK(candidate(held[0], 2, 2));
      CHECK(ref.put(2) == release_result::last);
      CHECK(holders.log.unmatched() == 0);
    }
    CHECK(steps > 1);
  }
}

TEST_CASE("threads that take, hand over and release at once leave nothing behind in the log") {
  fixture f;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i != 4; ++i)
    threads.emplace_back([&f] {
      for (unsigned round = 0; round != 200; ++round) {
        frame& page = f.page();
        auto first = pin::try_pin(page);
        auto second = first.share();
        REQUIRE(second);
        frame& raw = *first.detach();
        first = pin::adopt(raw);
        CHECK_FALSE(f.data.poisoned);
        pin_elsewhere(page);
        pinref::unpin_user_page(page);
        std::size_t held = 0;
        f.log.for_each_holder(&page.ref(), [&](const page_holder& each) noexcept { held += each.at_most; });
        CHECK(held >= 2);
        CHECK(f.log.oldest_pin());
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(f.log.leaks(hold::pin) == 0);
  CHECK(f.log.unmatched() == 0);
  CHECK(f.log.missed() == 0);
}

namespace {

struct counted_lock {
  static inline int taken = 0;
  void lock() { ++taken; }
  void unlock() {}
};

}  // namespace

TEST_CASE("whatever is asked or told of holders is under the log's lock") {
  pinref::holder_entry room[8];
  pinref::holder_log<counted_lock> log{room};
  const int word = 0;
  const auto here = pinref::holder_site::current();
  pinref::holder_id id;
  const pinref::holder_site mine{here, &id};
  const auto locks = [&](auto call) {
    const int before = counted_lock::taken;
    call();
    return counted_lock::taken - before;
  };
  CHECK(locks([&] { log.start(&word, 1, here); }) == 1);
  CHECK(locks([&] { log.take(&word, hold::pin, 2, here); }) == 1);
  CHECK(locks([&] { log.hand_on(&word, hold::pin, 1, here, mine); }) == 1);
  CHECK(locks([&] { log.for_each_holder(&word, [](const auto&) noexcept {}); }) == 1);
  CHECK(locks([&] { log.for_each_holder([](const auto&) noexcept {}); }) == 1);
  CHECK(locks([&] { CHECK(log.oldest_pin()); }) == 1);
  CHECK(locks([&] { CHECK(log.leaks(hold::pin) == 2); }) == 1);
  CHECK(locks([&] { CHECK(log.missed() == 0); }) == 1);
  CHECK(locks([&] { CHECK(log.unmatched() == 0); }) == 1);
  const auto release = [&](std::uint64_t n, release_result result) {
    return locks([&] { decltype(log)::release(log, &word, hold::pin, n, here).done(result); });
  };
  // Once to strike what is released, once more if that was wrong.
  CHECK(release(1, release_result::underflow) == 2);
  CHECK(release(1, release_result::released) == 1);
  CHECK(release(1, release_result::released) == 2);
  CHECK(log.unmatched() == 1);
  CHECK(locks([&] { log.bury(&word); }) == 1);
  CHECK(log.leaks() == 0);
}
