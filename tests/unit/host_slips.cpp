// What a host gets wrong, or leaves out, ends in an answer: nothing loops, nothing is handed out that was not written.

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <mutex>
#include <vector>

#include "pinref/pinref.hpp"

namespace {

using pinref::foll;
using pinref::gup_error;
using pinref::gup_result;
using pinref::release_result;
using pinref::take_result;

// The least a host can have: a word, and somewhere for free pages to go.
struct page {
  pinref::page_ref<> ref{pinref::bias64::of(1)};
  int freed = 0;
};

// Every address maps its page, and says that the entry covers `run` pages.
struct space {
  using page = ::page;
  static constexpr std::size_t page_size = 4096;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept {
    return last < pages.size() * page_size;
  }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t address, foll) noexcept {
    if (!present) return {};
    return {&pages[address / page_size], 0, run};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>&) const noexcept { return true; }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t address, foll, Use use) noexcept {
    if (forgets) return gup_error::none;
    const gup_error done = use(pinref::mapping<page>{&pages[address / page_size], 0, run});
    if (repeats) return use(pinref::mapping<page>{&pages[address / page_size + 1], 0, run});
    return fails_afterwards ? gup_error::no_memory : done;
  }
  void broken_mapping(std::uintptr_t address) noexcept { broken.push_back(address); }

  std::vector<page> pages = std::vector<page>(4);
  std::size_t run = 1;
  bool present = true;
  bool forgets = false;           // to call `use`
  bool repeats = false;           // it, for the next page
  bool fails_afterwards = false;  // though the page was held
  std::vector<std::uintptr_t> broken;
};

// An object whose pages are gone again when they are looked for.
struct forgetful_object {
  using page = ::page;
  static constexpr std::size_t page_size = 4096;

  [[nodiscard]] std::uint64_t size() const noexcept { return page_size; }
  [[nodiscard]] page* find(std::uint64_t) const noexcept { return nullptr; }
  [[nodiscard]] gup_error allocate(std::uint64_t) noexcept {
    ++allocations;
    return gup_error::none;
  }
  unsigned allocations = 0;
};

// Pages with numbers, a lock and a dirty bit.
struct numbered {
  pinref::page_ref<> ref{pinref::bias64::of(1)};
  bool is_dirty = false;
};
numbered ranged[4];

}  // namespace

template <>
struct pinref::page_traits<page> {
  static auto& ref(page& p) noexcept { return p.ref; }
  static void free_page(page& p) noexcept { ++p.freed; }
};

template <>
struct pinref::page_traits<numbered> {
  static auto& ref(numbered& p) noexcept { return p.ref; }
  static std::uint64_t frame_number(numbered& p) noexcept { return static_cast<std::uint64_t>(&p - ranged); }
  static numbered& nth_page(numbered& p, std::size_t i) noexcept { return *(&p + i); }
  static void lock(numbered&) noexcept {}
  static void unlock(numbered&) noexcept {}
  static bool dirty(numbered& p) noexcept { return p.is_dirty; }
  static void set_dirty(numbered& p) noexcept { p.is_dirty = true; }
  static void free_page(numbered&) noexcept {}
};

TEST_CASE("an entry for several pages that have no numbers is taken page by page") {
  space s;
  s.run = 4;
  for (const bool present : {true, false}) {
    s.present = present;
    page* pages[4] = {};
    REQUIRE(pinref::pin_user_pages_fast(s, 0, 4, foll::none, pages) == gup_result{4, gup_error::none});
    for (std::size_t i = 0; i != 4; ++i) {
      CHECK(pages[i] == &s.pages[i]);
      CHECK(pinref::page_pin_count(s.pages[i]) == 1);
    }
    CHECK(pinref::unpin_user_pages(pages, 4).ok());
  }
}

TEST_CASE("a run of no pages is a broken mapping, in both paths") {
  space s;
  s.run = 0;
  page* const untouched = &s.pages[3];
  page* pages[2] = {untouched, untouched};
  for (const bool present : {true, false}) {
    s.present = present;
    s.broken.clear();
    CHECK(pinref::pin_user_pages_fast(s, 4096, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
    CHECK(pinref::get_user_pages(s, 4096, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
    CHECK(pinref::fault_in_user_pages(s, 4096, 2, foll::none) == gup_result{0, gup_error::broken_mapping});
    CHECK(s.broken == std::vector<std::uintptr_t>{4096, 4096, 4096});
  }
  CHECK(s.pages[1].ref.snapshot() == pinref::bias64::of(1));
  for (page* const each : pages) CHECK(each == untouched);
}

TEST_CASE("what a fault_in holds by `use` and then fails, or holds a second time, is given back") {
  space s;
  s.present = false;
  page* const untouched = &s.pages[3];
  const auto both_calls = [&](gup_result expected) {
    for (const auto call : {pinref::pin_user_pages<space>, pinref::get_user_pages<space>}) {
      page* pages[2] = {untouched, untouched};
      CHECK(call(s, 0, 2, foll::none, pages) == expected);
      CHECK(pages[0] == untouched);
      for (const page& each : s.pages) CHECK(each.ref.snapshot() == pinref::bias64::of(1));
    }
  };
  s.fails_afterwards = true;
  both_calls({0, gup_error::no_memory});
  s.repeats = true;
  both_calls({0, gup_error::broken_mapping});
  CHECK(s.broken == std::vector<std::uintptr_t>{0, 0});
}

TEST_CASE("a fault_in that reports success without a page is a broken mapping") {
  space s;
  s.present = false;
  s.forgets = true;
  page* pages[2] = {};
  CHECK(pinref::pin_user_pages_fast(s, 0, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::get_user_pages(s, 0, 2, foll::none, pages) == gup_result{0, gup_error::broken_mapping});
  CHECK(pinref::fault_in_user_pages(s, 0, 2, foll::none) == gup_result{0, gup_error::broken_mapping});
  CHECK(s.broken.size() == 3);
}

TEST_CASE("an object whose new pages are never found is busy in the end") {
  forgetful_object object;
  page* folios[1] = {};
  std::size_t offset = 0;
  CHECK(pinref::pin_object_folios(object, 0, 0, folios, 1, offset) == gup_result{0, gup_error::busy});
  CHECK(object.allocations == pinref::max_object_races + 1);
}

TEST_CASE("an owner's request needs neither page lock nor dirty bit") {
  space s;
  page* pages[4] = {};
  pinref::pin_owner<page, std::mutex> owner{8};
  {
    pinref::owned_pins request{owner};
    CHECK(request.pin_user_pages_fast(s, 0, 4, foll::none, pages) == gup_result{4, gup_error::none});
    CHECK(request.unpin() == gup_result{4, gup_error::none});
    CHECK(request.pin_user_pages(s, 0, 3, foll::none, pages) == gup_result{3, gup_error::none});
  }
  CHECK(owner.live() == 0);
  for (const page& each : s.pages) CHECK(each.ref.snapshot() == pinref::bias64::of(1));
}

TEST_CASE("a release of far more than is held ends at the first refusal of each run, and the other runs are released") {
  page a, b;
  REQUIRE(pinref::try_pin_page(a, 2) == take_result::taken);
  REQUIRE(pinref::try_pin_page(b, 3) == take_result::taken);
  CHECK(pinref::unpin_user_folio(a, std::numeric_limits<std::size_t>::max()) == gup_result{0, gup_error::underflow});
  page* pages[] = {&a, &a, &a, nullptr, &b, &b, &a};
  CHECK(pinref::unpin_user_pages(pages, 7) == gup_result{3, gup_error::underflow});
  CHECK(a.ref.snapshot() == pinref::bias64::of(1, 1));
  CHECK(b.ref.snapshot() == pinref::bias64::of(1, 1));
}

TEST_CASE("a count of pages that is a negative errno is refused and nothing is touched") {
  space s;
  page* pages[4] = {};
  numbered* numbers[4] = {&ranged[0], &ranged[1], &ranged[2], &ranged[3]};
  const std::size_t error = static_cast<std::size_t>(-14);
  REQUIRE(pinref::pin_user_pages_fast(s, 0, 4, foll::none, pages).ok());
  const gup_result refused{0, gup_error::too_many_pages};
  for (const std::size_t n : {error, pinref::max_pages + 1}) {
    CHECK(pinref::unpin_user_pages(pages, n) == refused);
    CHECK(pinref::release_pages(pages, n) == refused);
    CHECK(pinref::unpin_user_pages_dirty_lock(numbers, n, true) == refused);
    CHECK(pinref::unpin_user_page_range(&ranged[0], n) == refused);
    CHECK(pinref::unpin_user_page_range_dirty_lock(&ranged[0], n, true) == refused);
    auto nothing = pinref::pinned_range<page>::adopt(pages, n);
    CHECK(nothing.empty());
    CHECK(nothing.release_front(1) == gup_result{});
    std::size_t offset = 0;
    forgetful_object object;
    CHECK(pinref::pin_object_folios(object, 0, 0, pages, n, offset) == refused);
    CHECK(object.allocations == 0);
    CHECK_FALSE(pinref::pin_user_pages_fast(s, 0, n, foll::none, pages).ok());
    CHECK_FALSE(pinref::get_user_pages(s, 0, n, foll::none, pages).ok());
    CHECK_FALSE(pinref::fault_in_user_pages(s, 0, n, foll::none).ok());
  }
  page* none = nullptr;
  CHECK(pinref::unpin_user_pages(&none, pinref::max_pages + 1) == refused);
  CHECK(pinref::unpin_user_folio(s.pages[0], error) == gup_result{0, gup_error::underflow});
  CHECK(pinref::unpin_user_folio_dirty_lock(ranged[0], error) == gup_result{0, gup_error::underflow});
  for (const numbered& each : ranged) {
    CHECK(each.ref.snapshot() == pinref::bias64::of(1));
    CHECK_FALSE(each.is_dirty);
  }
  for (const page& each : s.pages) CHECK(pinref::bias64::of(1, 1) == each.ref.snapshot());
  CHECK(pinref::unpin_user_pages(pages, 4).ok());
}

TEST_CASE("a deadline at a time point: before the clock began it is over, beyond its end it never comes") {
  using clock = std::chrono::steady_clock;
  using pinref::deadline;
  using std::chrono::hours;
  using std::chrono::milliseconds;
  CHECK(deadline::at(clock::time_point::min()).is_passed());
  CHECK(deadline::at(clock::time_point{}).is_passed());
  CHECK(deadline::at(clock::time_point::max()).left() > 0);
  CHECK(deadline::at(std::chrono::time_point<clock, milliseconds>::max()).is_never());
  CHECK(deadline::at(std::chrono::time_point<clock, milliseconds>::min()).is_passed());
  const auto now = std::chrono::time_point_cast<hours>(clock::now());
  CHECK(deadline::at(now + hours{2}).left() > 3'600'000'000'000);
  CHECK(deadline::at(now + hours{2}).left() <= 7'200'000'000'000);
}
