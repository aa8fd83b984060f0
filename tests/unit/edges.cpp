// What only a mutant of the library would get wrong: found by tools/mutate, held here.

#include <doctest/doctest.h>

#include <limits>
#include <mutex>
#include <new>
#include <optional>

#include "layouts.hpp"
#include "pinref/pinref.hpp"

namespace {

using pinref::foll;
using pinref::gup_error;

struct page {
  pinref::page_ref<> ref{pinref::bias64::of(1)};
  page* head = this;
  bool immortal = false;
  bool exclusive = true;
  bool dirty = false;
  bool locked = false;
};

// Every address maps its page.
struct space {
  using page = ::page;
  static constexpr std::size_t page_size = 4096;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < 4 * page_size; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, foll flags) noexcept {
    ++lookups;
    seen = flags;
    return {&pages[address / page_size], 0, 1};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t address, foll flags, Use use) noexcept {
    seen = flags;
    return use(pinref::mapping<page>{&pages[address / page_size], 0, 1});
  }
  void broken_mapping(std::uintptr_t) noexcept { ++broken; }
  auto& fork_seq() noexcept { return seq; }

  page pages[4];
  pinref::write_protect_seq<> seq;
  foll seen = foll::none;
  int lookups = 0;
  int broken = 0;
};

}  // namespace

template <>
struct pinref::page_traits<page> {
  static auto& ref(page& p) noexcept { return p.ref; }
  static page& head(page& p) noexcept { return *p.head; }
  static std::size_t nr_pages(page&) noexcept { return 1; }
  static bool immortal(page& p) noexcept { return p.immortal; }
  static bool exclusive(page& p) noexcept { return p.exclusive; }
  static void set_exclusive(page& p, bool mark) noexcept { p.exclusive = mark; }
  static bool try_lock(page& p) noexcept { return !std::exchange(p.locked, true); }
  static void lock(page& p) noexcept { p.locked = true; }
  static void unlock(page& p) noexcept { p.locked = false; }
  static bool dirty(page& p) noexcept { return p.dirty; }
  static void set_dirty(page& p) noexcept { p.dirty = true; }
  static void free_page(page&) noexcept {}
};

namespace {

using owner = pinref::pin_owner<page, std::mutex>;
using request = pinref::owned_pins<page, std::mutex>;

TEST_CASE("a number of pages whose bytes wrap around is refused") {
  space s;
  page* pages[1] = {};
  const std::size_t too_many = std::numeric_limits<std::uintptr_t>::max() / space::page_size + 2;
  CHECK(pinref::pin_user_pages_fast(s, 0, too_many, foll::none, pages) ==
        pinref::gup_result{0, gup_error::address_overflow});
}

TEST_CASE("the slow call looks up nothing, also in a space that forks") {
  space s;
  page* pages[2] = {};
  CHECK(pinref::pin_user_pages(s, 0, 2, foll::none, pages).count == 2);
  CHECK(s.lookups == 0);
  (void)pinref::unpin_user_pages(pages, 2);
}

TEST_CASE("the space is told whether a call gets or pins, in both paths") {
  space s;
  page* pages[1] = {};
  (void)pinref::pin_user_pages_fast(s, 0, 1, foll::write, pages);
  CHECK(s.seen == (foll::write | foll::pin));
  (void)pinref::pin_user_pages(s, 0, 1, foll::none, pages);
  CHECK(s.seen == foll::pin);
  (void)pinref::get_user_pages_fast(s, 0, 1, foll::none, pages);
  CHECK(s.seen == foll::get);
  (void)pinref::get_user_pages(s, 0, 1, foll::write, pages);
  CHECK(s.seen == (foll::write | foll::get));
}

TEST_CASE("a shared page is not pinned, and one that fault_in gives is a broken mapping") {
  space s;
  s.pages[0].exclusive = false;
  page* pages[1] = {};
  CHECK(pinref::pin_user_pages_fast(s, 0, 1, foll::none, pages) == pinref::gup_result{0, gup_error::broken_mapping});
  CHECK(s.broken == 1);
  CHECK(s.pages[0].ref.snapshot() == pinref::bias64::of(1));
}

TEST_CASE("the mark of a compound page is its head's") {
  space s;
  s.pages[1].head = &s.pages[0];
  page* pages[1] = {};
  for (const bool exclusive : {false, true})
    for (const auto call : {pinref::pin_user_pages<space>, pinref::pin_user_pages_fast<space>}) {
      s.pages[0].exclusive = exclusive;
      s.pages[1].exclusive = !exclusive;
      CHECK(call(s, space::page_size, 1, foll::none, pages).ok() == exclusive);
      if (exclusive) CHECK(pinref::unpin_user_pages(pages, 1).ok());
      CHECK(s.pages[0].ref.snapshot() == pinref::bias64::of(1));
    }
}

TEST_CASE("an immortal page is pinned though it is shared, and is not marked dirty") {
  space s;
  s.pages[0].exclusive = false;
  s.pages[0].immortal = true;
  page* pages[1] = {};
  REQUIRE(pinref::pin_user_pages_fast(s, 0, 1, foll::none, pages).count == 1);
  CHECK(pinref::unpin_user_pages_dirty_lock(pages, 1, true).count == 1);
  CHECK(!s.pages[0].dirty);

  owner o;
  request r{o};
  REQUIRE(r.pin_user_pages_fast(s, 0, 1, foll::none, pages).count == 1);
  CHECK(r.unpin_dirty_deferred() == 1);
  CHECK(!s.pages[0].dirty);
}

TEST_CASE("an owner reports what one of its requests could not release") {
  space s;
  page* pages[2][1] = {};
  owner o;
  request first{o};
  request second{o};
  REQUIRE(first.pin_user_pages_fast(s, 0, 1, foll::none, pages[0]).count == 1);
  REQUIRE(second.pin_user_pages_fast(s, space::page_size, 1, foll::none, pages[1]).count == 1);
  (void)pinref::unpin_user_page(*pages[1][0]);
  CHECK(o.unpin_all() == pinref::gup_result{1, gup_error::underflow});
  CHECK(o.unpin_all() == pinref::gup_result{0, gup_error::none});
}

TEST_CASE("a request that goes leaves its neighbours with their owner") {
  space s;
  page *pages[1] = {}, *its_pages[1] = {};
  owner o, another;
  std::optional<request> oldest{std::in_place, o};
  std::optional<request> middle{std::in_place, o};
  request youngest{o};
  REQUIRE(youngest.pin_user_pages_fast(s, 0, 1, foll::none, pages).count == 1);

  middle.reset();
  oldest.reset();
  // Whoever still looks there finds pins of somebody else.
  oldest.emplace(another);
  REQUIRE(oldest->pin_user_pages_fast(s, space::page_size, 1, foll::none, its_pages).count == 1);

  CHECK(o.unpin_all().count == 1);
  CHECK(another.live() == 1);
}

TEST_CASE("a request of which nothing was put off can pin again at once") {
  space s;
  page* pages[1] = {};
  owner o;
  request r{o};
  REQUIRE(r.pin_user_pages_fast(s, 0, 1, foll::none, pages).count == 1);
  CHECK(r.unpin_dirty_deferred() == 1);
  CHECK(r.pin_user_pages_fast(s, 0, 1, foll::none, pages).ok());
}

TEST_CASE("entries that the caller has set to null are left out of a deferred release") {
  space s;
  page* pages[3] = {};
  owner o;
  request r{o};
  REQUIRE(r.pin_user_pages_fast(s, 0, 3, foll::none, pages).count == 3);
  for (const int i : {0, 2}) (void)pinref::unpin_user_page(*std::exchange(pages[i], nullptr));
  CHECK(r.unpin_dirty_deferred() == 1);
  CHECK(o.live() == 0);
}

TEST_CASE("split: a number above the limit of one call is refused and changes nothing") {
  using split8 = support::split8;
  using pinref::release_result;
  using pinref::take_result;
  constexpr std::size_t many = pinref::page_ref<split8>::max_references_at_once + 1;
  pinref::page_ref<split8> ref{split8::of(2 * many, many)};
  CHECK(ref.get(many) == take_result::overflow);
  CHECK(ref.try_get(many) == take_result::overflow);
  CHECK(ref.try_get_if_alive(many) == take_result::overflow);
  CHECK(ref.try_pin(many) == take_result::overflow);
  CHECK(ref.put(many) == release_result::underflow);
  CHECK(ref.unpin(many) == release_result::underflow);
  CHECK(ref.snapshot() == split8::of(2 * many, many));
}

TEST_CASE("split: freeze of no reference, or of more than the word counts, is refused") {
  using split8 = support::split8;
  pinref::page_ref<split8> ref{split8::of(1)};
  CHECK_FALSE(ref.freeze(257));
  CHECK_FALSE(ref.freeze(0));
  CHECK(ref.snapshot() == split8::of(1));
  CHECK(ref.put() == pinref::release_result::last);
  CHECK_FALSE(ref.freeze(0));
}

TEST_CASE("split: an unpin whose references somebody has put leaves the pins counted") {
  using split8 = support::split8;
  pinref::page_ref<split8> ref{split8::of(1, 2)};
  CHECK(ref.put(2) == pinref::release_result::released);
  CHECK(ref.unpin(2) == pinref::release_result::underflow);
  CHECK(ref.pins() == 2);
}

}  // namespace

namespace {

// Says another head at each look, the last one from then on.
struct moving_page {
  pinref::page_ref<> ref{pinref::bias64::of(1)};
  moving_page* heads[3] = {this, this, this};
  int looks = 0;
};

}  // namespace

template <>
struct pinref::page_traits<moving_page> {
  static auto& ref(moving_page& p) noexcept { return p.ref; }
  static moving_page& head(moving_page& p) noexcept { return *p.heads[p.looks < 2 ? p.looks++ : 2]; }
  static std::size_t nr_pages(moving_page&) noexcept { return 1; }
  static void free_page(moving_page&) noexcept {}
};

TEST_CASE("a take whose head changes gives back all it took there") {
  moving_page before, after, page;
  for (const bool pins : {false, true}) {
    page.looks = 0;
    page.heads[0] = &before;
    page.heads[1] = page.heads[2] = &after;
    CHECK((pins ? pinref::try_pin_page(page, 3) : pinref::try_get_page(page, 3)) == pinref::take_result::taken);
    CHECK(before.ref.snapshot() == pinref::bias64::of(1));
    CHECK(after.ref.snapshot() == (pins ? pinref::bias64::of(4, 3) : pinref::bias64::of(4)));
  }
}
