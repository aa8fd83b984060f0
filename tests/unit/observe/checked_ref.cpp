// SPDX-License-Identifier: MIT

#include "pinref/observe/checked_ref.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "foreign_host.hpp"
#include "layouts.hpp"
#include "pinref/gup/release.hpp"
#include "remember_misuse.hpp"

// A twin of the word that keeps references and pins apart: what it lets pass, what it reports and what it then does.

using pinref::gup_error;
using pinref::misuse_kind;
using pinref::release_result;
using pinref::take_result;
using support::foreign_space;
using support::last_misuse;
using support::misuses;
using support::remember;

namespace {

template <class Layout = pinref::bias64>
using checked = pinref::checked_ref<pinref::page_ref<Layout>, support::remember>;

// Whether the call is reported, once, and as this.
template <class Call>
void reports(misuse_kind kind, Call call) {
  const int before = support::misuses;
  call();
  CHECK(support::misuses == before + 1);
  CHECK(support::last_misuse.kind == kind);
}

template <class Call>
void passes(Call call) {
  const int before = support::misuses;
  call();
  CHECK(support::misuses == before);
}

}  // namespace

TEST_CASE_TEMPLATE("a page that is pinned, and not referenced, can be got, pinned once more and released", Layout,
                   ALL_LAYOUTS) {
  checked<Layout> ref;
  passes([&] {
    ref.init();
    CHECK(ref.get() == take_result::taken);
    REQUIRE(ref.try_pin() == take_result::taken);
    CHECK(ref.put(2) == release_result::released);
    CHECK(ref.add_pin(2) == take_result::taken);
    CHECK(ref.get() == take_result::taken);
    CHECK(ref.try_get_if_alive() == take_result::taken);
    CHECK(ref.put(2) == release_result::released);
    CHECK(ref.unpin(3) == release_result::last);
  });
}

TEST_CASE_TEMPLATE("a new life where only references, or only pins, are left is reported and not begun", Layout,
                   ALL_LAYOUTS) {
  checked<Layout> ref;
  ref.init();
  reports(misuse_kind::start_of_a_live_page, [&] { ref.init(3); });
  CHECK(ref.snapshot() == Layout::live(1));
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  reports(misuse_kind::start_of_a_live_page, [&] { ref.unfreeze(3); });
  CHECK(ref.snapshot() == Layout::live(0, 1));
}

TEST_CASE_TEMPLATE("each release of what is not held is told apart", Layout, ALL_LAYOUTS) {
  checked<Layout> ref;
  ref.init();
  reports(misuse_kind::over_release, [&] { CHECK(ref.put(2) == release_result::underflow); });
  reports(misuse_kind::unpin_of_a_reference, [&] { CHECK(ref.unpin() == release_result::underflow); });
  REQUIRE(ref.try_pin() == take_result::taken);
  reports(misuse_kind::unpin_of_a_reference, [&] { CHECK(ref.unpin(2) == release_result::underflow); });
  REQUIRE(ref.put() == release_result::released);
  reports(misuse_kind::put_of_a_pin, [&] { CHECK(ref.put() == release_result::underflow); });
  reports(misuse_kind::put_of_a_pin, [&] { CHECK(ref.put_sole() == release_result::underflow); });
  CHECK(ref.snapshot() == Layout::live(0, 1));
  REQUIRE(ref.unpin() == release_result::last);
  reports(misuse_kind::use_after_death, [&] { CHECK(ref.put_sole() == release_result::underflow); });
  reports(misuse_kind::use_after_death, [&] { CHECK(ref.get() == take_result::dead); });
  CHECK(ref.snapshot() == Layout{});
}

TEST_CASE("a bulk release above the limit is refused, unreported, and nothing is booked") {
  using layout = support::bias16_exact;
  checked<layout> ref;
  const std::size_t most = ref.max_references_at_once, most_pins = ref.max_pins_at_once;
  ref.init();
  REQUIRE(ref.try_get(most) == take_result::taken);
  passes([&] { CHECK(ref.put(most + 1) == release_result::underflow); });
  for (std::size_t i = 0; i != 2; ++i) REQUIRE(ref.try_pin(most_pins) == take_result::taken);
  passes([&] { CHECK(ref.unpin(most_pins + 1) == release_result::underflow); });
  passes([&] {
    for (std::size_t i = 0; i != 2; ++i) CHECK(ref.unpin(most_pins) == release_result::released);
    CHECK(ref.put(most) == release_result::released);
    CHECK(ref.put() == release_result::last);
  });
}

TEST_CASE_TEMPLATE("a freeze takes the references off the books, one that fails does not", Layout, ALL_LAYOUTS) {
  checked<Layout> ref;
  ref.init(2);
  CHECK_FALSE(ref.freeze(1));
  passes([&] {
    CHECK(ref.put() == release_result::released);
    REQUIRE(ref.freeze(1));
  });
  reports(misuse_kind::use_after_death, [&] { CHECK(ref.put() == release_result::underflow); });
  passes([&] {
    ref.unfreeze(1);
    CHECK(ref.put_sole() == release_result::last);
  });
}

TEST_CASE("a freeze of what are not references is reported, and the page given back as it was") {
  // Where pins are not exact, one pin stands in the word as so many references.
  using layout = pinref::bias32;
  checked<layout> ref;
  const std::size_t a_pin = layout::pin_bias;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  reports(misuse_kind::freeze_of_a_pin, [&] { CHECK_FALSE(ref.freeze(a_pin)); });
  CHECK(ref.snapshot() == layout::live(0, 1));
  passes([&] {
    CHECK(ref.get() == take_result::taken);
    CHECK_FALSE(ref.freeze(1));
    CHECK(ref.unpin() == release_result::released);
    REQUIRE(ref.freeze(1));
    ref.unfreeze(3);
    CHECK(ref.put(3) == release_result::last);
  });
}

TEST_CASE_TEMPLATE("a page that is buried is off the books, held or frozen", Layout, ALL_LAYOUTS) {
  checked<Layout> ref;
  ref.init(2);
  REQUIRE(ref.try_pin() == take_result::taken);
  passes([&] { ref.bury(); });
  reports(misuse_kind::use_after_death, [&] { CHECK(ref.unpin() == release_result::underflow); });
  reports(misuse_kind::use_after_death, [&] { CHECK(ref.put() == release_result::underflow); });
  passes([&] {
    ref.init();
    REQUIRE(ref.freeze(1));
    ref.bury();
    ref.init();
    CHECK(ref.put() == release_result::last);
  });
}

TEST_CASE("a wait without a thread is passed on") {
  checked<> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  CHECK_FALSE(ref.prepare_wait_until_unpinned().reached);
  CHECK_FALSE(ref.prepare_wait_until_idle(1).reached);
  ref.abandon_wait();
  CHECK(ref.unpin() == release_result::released);
  CHECK(ref.prepare_wait_until_unpinned().reached);
}

TEST_CASE("references and a pin that make up a number to freeze are told from references") {
  using layout = pinref::bias32;
  checked<layout> ref;
  const std::size_t a_pin = layout::pin_bias;
  ref.init(2);
  REQUIRE(ref.try_pin() == take_result::taken);
  reports(misuse_kind::freeze_of_a_pin, [&] { CHECK_FALSE(ref.freeze(a_pin + 2)); });
  CHECK(ref.unpin() == release_result::released);
  passes([&] {
    CHECK(ref.get(a_pin) == take_result::taken);
    REQUIRE(ref.freeze(a_pin + 2));
    CHECK(ref.get(0) == take_result::dead);
    ref.unfreeze(1);
    CHECK(ref.put() == release_result::last);
  });
}

TEST_CASE_TEMPLATE("a call for no holders is never reported, and answers as the word itself does", Layout,
                   ALL_LAYOUTS) {
  checked<Layout> ref;
  pinref::page_ref<Layout> bare;
  const auto as_bare = [&] {
    CHECK(ref.get(0) == bare.get(0));
    CHECK(ref.try_get(0) == bare.try_get(0));
    CHECK(ref.try_get_if_alive(0) == bare.try_get_if_alive(0));
    CHECK(ref.try_pin(0) == bare.try_pin(0));
    CHECK(ref.add_pin(0) == bare.add_pin(0));
    CHECK(ref.put(0) == bare.put(0));
    CHECK(ref.put(0, pinref::owner_ref::resident) == bare.put(0, pinref::owner_ref::resident));
    CHECK(ref.unpin(0) == bare.unpin(0));
    CHECK(ref.freeze(0) == bare.freeze(0));
    CHECK(ref.snapshot() == bare.snapshot());
  };
  passes([&] {
    as_bare();  // dead
    ref.init();
    bare.init();
    as_bare();  // one reference
    REQUIRE(ref.try_pin() == take_result::taken);
    REQUIRE(bare.try_pin() == take_result::taken);
    REQUIRE(ref.put() == release_result::released);
    REQUIRE(bare.put() == release_result::released);
    as_bare();  // one pin
    CHECK(ref.unpin() == release_result::last);
  });
}

TEST_CASE_TEMPLATE("what is taken at once may be released in parts, and in parts what is released at once", Layout,
                   ALL_LAYOUTS) {
  checked<Layout> ref;
  passes([&] {
    ref.init(2);
    CHECK(ref.get(3) == take_result::taken);
    CHECK(ref.try_get(2) == take_result::taken);
    CHECK(ref.try_pin(2) == take_result::taken);
    CHECK(ref.add_pin(3) == take_result::taken);
    CHECK(ref.put(4) == release_result::released);
    CHECK(ref.unpin(1) == release_result::released);
    CHECK(ref.put(3) == release_result::released);
  });
  reports(misuse_kind::put_of_a_pin, [&] { CHECK(ref.put() == release_result::underflow); });
  reports(misuse_kind::over_release, [&] { CHECK(ref.unpin(5) == release_result::underflow); });
  passes([&] { CHECK(ref.unpin(4) == release_result::last); });
}

TEST_CASE("unless told otherwise a misuse is printed with its place, and ends the process") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    pinref::checked_ref<pinref::page_ref<>> ref;
    (void)ref.put();
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char piece[256];
  for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) said.append(piece, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
  CHECK(said.find("pinref: use of a page nobody holds at ") == 0);
  CHECK(said.find("checked_ref.cpp:") != std::string::npos);
}

TEST_CASE_TEMPLATE("A2.5: the checked twin diagnoses the put too many where it is made", Layout, ALL_LAYOUTS) {
  pinref::checked_ref<pinref::page_ref<Layout>, remember> ref;
  misuses = 0;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  REQUIRE(ref.put() == release_result::released);
  const unsigned line = __LINE__ + 1;
  CHECK(ref.put() == release_result::underflow);
  CHECK(misuses == 1);
  CHECK(last_misuse.kind == pinref::misuse_kind::put_of_a_pin);
  CHECK(last_misuse.where.line == line);
  CHECK(ref.dma_pinned());
  CHECK(ref.unpin() == release_result::last);
}

TEST_CASE_TEMPLATE("A1.5: a release with the wrong call is diagnosed where it is made, by every release call", Layout,
                   ALL_LAYOUTS) {
  using ref = pinref::checked_ref<pinref::page_ref<Layout>, remember>;
  using kind_of = pinref::misuse_kind;
  foreign_space<ref> space(1);
  auto& page = space.map(0);
  support::foreign_page<ref>* one[] = {&page};
  misuses = 0;
  const auto found = [](kind_of kind, unsigned line) {
    return last_misuse.kind == kind && last_misuse.where.line == line &&
           std::string_view{last_misuse.where.file} == __FILE__ && std::exchange(misuses, 0) == 1;
  };

  REQUIRE(pinref::try_pin_page(page, 2) == take_result::taken);
  REQUIRE(page.ref.put() == release_result::released);
  // Two pins are left, and no reference.
  CHECK((pinref::put_page(page) == release_result::underflow && found(kind_of::put_of_a_pin, __LINE__)));
  CHECK((pinref::release_pages(one, 1).reason == gup_error::underflow && found(kind_of::put_of_a_pin, __LINE__)));
  CHECK((pinref::get_page(page) == take_result::taken && misuses == 0));
  REQUIRE(pinref::unpin_user_folio(page, 2).count == 2);
  // One reference is left, and no pin.
  CHECK((pinref::unpin_user_page(page) == release_result::underflow && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((!pinref::unpin_user_pages(one, 1).ok() && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((!pinref::unpin_user_page_range(&page, 1).ok() && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((!pinref::unpin_user_folio(page, 1).ok() && found(kind_of::unpin_of_a_reference, __LINE__)));
  CHECK((pinref::add_pin(page) == take_result::dead && found(kind_of::add_pin_to_an_unpinned_page, __LINE__)));
  const unsigned reset_line = __LINE__ + 1;
  page.ref.init();
  CHECK(found(kind_of::start_of_a_live_page, reset_line));
  CHECK((pinref::put_page(page, 2) == release_result::underflow && found(kind_of::over_release, __LINE__)));
  CHECK(page.freed == 0);
  CHECK(pinref::put_page(page) == release_result::last);
  CHECK(page.freed == 1);
  CHECK((pinref::put_page(page) == release_result::underflow && found(kind_of::use_after_death, __LINE__)));
  CHECK((pinref::get_page(page) == take_result::dead && found(kind_of::use_after_death, __LINE__)));
  CHECK(misuses == 0);
}

TEST_CASE_TEMPLATE("A1.5: in a release build the wrong call may leak the page and never frees it early", Layout,
                   ALL_LAYOUTS) {
  foreign_space<pinref::page_ref<Layout>> space(1);
  auto& page = space.map(0);
  SUBCASE("put on a pin") {
    REQUIRE(pinref::try_pin_page(page) == take_result::taken);
    REQUIRE(pinref::put_page(page) == release_result::released);
    (void)pinref::put_page(page);
    if constexpr (!std::is_same_v<Layout, pinref::split32>) CHECK(page.freed == 0);
    (void)pinref::unpin_user_page(page);
    CHECK(page.freed <= 1);
  }
  SUBCASE("unpin on a reference") {
    CHECK(pinref::unpin_user_page(page) == release_result::underflow);
    CHECK(page.freed == 0);
    CHECK(page.ref.snapshot() == Layout::live(1));
  }
}
