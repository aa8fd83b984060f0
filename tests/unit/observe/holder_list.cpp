// SPDX-License-Identifier: MIT

// The list alone: what is found of which page, between which bounds, in how much room.

#include "pinref/observe/holder_list.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using pinref::hold;
using pinref::page_holder;
using pinref::detail::holder_list;
using pinref::detail::holder_note;

namespace {

constexpr char words[8] = {};
constexpr pinref::call_site here{"here", "f", 1}, there{"there", "g", 2};

holder_note note(const char& word, hold mode, std::uint64_t handle = 0, pinref::call_site where = here) {
  return {&word, mode, {handle == 0 ? nullptr : words, handle}, where};
}

std::vector<page_holder> of(const holder_list& list, const char& word) {
  std::vector<page_holder> found;
  auto visit = [&](const page_holder& each) noexcept { found.push_back(each); };
  list.for_each(&word, visit);
  return found;
}

const page_holder* at(const std::vector<page_holder>& found, pinref::call_site where) {
  for (const page_holder& each : found)
    if (each.where.line == where.line) return &each;
  return nullptr;
}

}  // namespace

TEST_CASE("a list finds what is held of each page, however few its places are") {
  for (std::size_t places : {8u, 9u, 16u, 64u}) {
    std::vector<pinref::holder_entry> room(places);
    holder_list list{room};
    for (std::size_t i = 0; i != 8; ++i) REQUIRE(list.add(note(words[i], hold::pin, i + 1), i + 1));
    for (std::size_t i = 0; i != 8; ++i) {
      const auto found = of(list, words[i]);
      REQUIRE(found.size() == 1);
      CHECK(found[0].word == &words[i]);
      CHECK(found[0].at_most == i + 1);
    }
    CHECK(list.total(hold::pin) == 36);
    CHECK(list.total(hold::reference) == 0);
    list.erase(&words[3]);
    CHECK(of(list, words[3]).empty());
    CHECK(list.total(hold::pin) == 32);
  }
}

TEST_CASE("a list that is full says so and has changed nothing; what was struck makes room") {
  std::vector<pinref::holder_entry> room(2);
  holder_list list{room};
  REQUIRE(list.add(note(words[0], hold::pin, 1), 1));
  REQUIRE(list.add(note(words[1], hold::pin, 2), 1));
  CHECK_FALSE(list.add(note(words[0], hold::pin, 3), 1));
  CHECK_FALSE(list.add(note(words[2], hold::pin), 1));
  CHECK(list.add(note(words[1], hold::pin, 2), 1));
  CHECK(list.total(hold::pin) == 3);
  holder_note was;
  CHECK(list.strike(&words[0], hold::pin, {words, 1}, 1, was) == 1);
  CHECK(list.add(note(words[2], hold::pin), 1));
  CHECK_FALSE(list.add(note(words[0], hold::pin, 1), 1));
  CHECK(list.total(hold::pin) == 3);

  holder_list nothing{{}};
  CHECK_FALSE(nothing.add(note(words[0], hold::pin), 1));
  CHECK(nothing.strike(&words[0], hold::pin, {}, 1, was) == 0);
  CHECK_FALSE(nothing.pinned(&words[0]));
  nothing.erase(&words[0]);
  CHECK(nothing.total(hold::pin) == 0);
}

TEST_CASE("one handle's holders are struck and nobody else's") {
  std::vector<pinref::holder_entry> room(8);
  holder_list list{room};
  REQUIRE(list.add(note(words[0], hold::pin, 1), 3));
  REQUIRE(list.add(note(words[0], hold::pin, 2), 1));
  REQUIRE(list.add(note(words[0], hold::reference, 1), 1));
  REQUIRE(list.add(note(words[1], hold::pin, 1), 1));
  REQUIRE(list.add(note(words[0], hold::pin), 1));
  holder_note was;
  CHECK(list.strike(&words[0], hold::pin, {words, 1}, 2, was) == 2);
  CHECK(list.exact(&words[0], hold::pin) == 2);
  CHECK(list.strike(&words[0], hold::pin, {words, 1}, 2, was) == 1);
  CHECK(list.strike(&words[0], hold::pin, {words, 1}, 2, was) == 0);
  CHECK(list.strike(&words[0], hold::pin, {nullptr, 2}, 2, was) == 0);
  CHECK(list.exact(&words[0], hold::pin) == 1);
  CHECK(list.exact(&words[0], hold::reference) == 1);
  CHECK(list.exact(&words[1], hold::pin) == 1);
  CHECK(list.balance(&words[0], hold::pin) == 1);
  CHECK(list.pinned(&words[0]));
}

TEST_CASE("whichever of a page's holders goes, the others are found") {
  for (std::uint64_t gone = 1; gone != 5; ++gone) {
    CAPTURE(gone);
    std::vector<pinref::holder_entry> room(4);
    holder_list list{room};
    for (std::uint64_t handle = 1; handle != 5; ++handle) REQUIRE(list.add(note(words[0], hold::pin, handle), handle));
    holder_note was;
    CHECK(list.strike(&words[0], hold::pin, {words, gone}, gone, was) == gone);
    CHECK(list.exact(&words[0], hold::pin) == 10 - gone);
    CHECK(of(list, words[0]).size() == 3);
    CHECK(list.add(note(words[0], hold::pin, 5), 1));
    CHECK(of(list, words[0]).size() == 4);
  }
}

TEST_CASE("candidates: what each place still holds lies between what others can have released and what is left") {
  std::vector<pinref::holder_entry> room(8);
  holder_list list{room};
  holder_note was;
  const auto release = [&](std::uint64_t n) { return list.strike(&words[0], hold::pin, {}, n, was); };
  REQUIRE(list.add(note(words[0], hold::pin, 0, here), 3));
  CHECK(release(2) == 2);
  auto found = of(list, words[0]);
  REQUIRE(found.size() == 1);
  CHECK(found[0].at_least == 1);
  CHECK(found[0].at_most == 1);
  CHECK(found[0].taken == 3);

  // A release before the second place took was none of its.
  REQUIRE(list.add(note(words[0], hold::pin, 0, there), 2));
  CHECK(list.candidates(&words[0], hold::pin) == 2);
  CHECK(release(1) == 1);
  CHECK(list.balance(&words[0], hold::pin) == 2);
  CHECK(list.total(hold::pin) == 2);
  found = of(list, words[0]);
  REQUIRE(found.size() == 2);
  CHECK(at(found, here)->at_least == 0);
  CHECK(at(found, here)->at_most == 2);
  CHECK(at(found, there)->at_least == 1);
  CHECK(at(found, there)->at_most == 2);

  // More than is left is not struck; and then nobody is a candidate any more.
  CHECK(release(3) == 2);
  CHECK(of(list, words[0]).empty());
  CHECK(release(1) == 0);
  REQUIRE(list.add(note(words[0], hold::pin, 0, there), 1));
  CHECK(of(list, words[0])[0].at_least == 1);
}

TEST_CASE("what was struck can be put back") {
  std::vector<pinref::holder_entry> room(8);
  holder_list list{room};
  REQUIRE(list.add(note(words[0], hold::pin, 1), 2));
  REQUIRE(list.add(note(words[0], hold::pin, 0, here), 2));
  REQUIRE(list.add(note(words[0], hold::pin, 0, there), 1));
  for (std::uint64_t n : {1u, 2u}) {
    holder_note was;
    REQUIRE(list.strike(&words[0], hold::pin, {words, 1}, n, was) == n);
    CHECK(list.put_back(was, n));
    CHECK(list.exact(&words[0], hold::pin) == 2);
  }
  for (std::uint64_t n : {1u, 2u, 3u}) {
    holder_note was;
    REQUIRE(list.strike(&words[0], hold::pin, {}, n, was) == n);
    CHECK(list.put_back(was, n));
    CHECK(list.balance(&words[0], hold::pin) == 3);
  }
  // They were all struck, and of two places the older one stands for both.
  CHECK(list.candidates(&words[0], hold::pin) == 1);
  CHECK(at(of(list, words[0]), here)->at_least == 3);
}

TEST_CASE("an entry says of the older take when, who and which it was") {
  std::vector<pinref::holder_entry> room(8);
  holder_list list{room};
  const std::int64_t before = pinref::monotonic_now();
  REQUIRE(list.add(note(words[0], hold::pin, 1, here), 1));
  REQUIRE(list.add(note(words[0], hold::pin, 0, here), 1));
  REQUIRE(list.add(note(words[0], hold::pin, 0, here), 1));
  auto found = of(list, words[0]);
  REQUIRE(found.size() == 2);
  for (const page_holder& each : found) {
    CHECK(each.sequence == (each.exact ? 1 : 2));
    CHECK(each.since >= before);
    CHECK(each.since <= pinref::monotonic_now());
    CHECK(each.thread == pinref::detail::calling_thread());
  }
  // The handle's becomes a candidate of the same place.
  holder_note was;
  REQUIRE(list.strike(&words[0], hold::pin, {words, 1}, 1, was) == 1);
  was.id = {};
  REQUIRE(list.add(was, 1));
  found = of(list, words[0]);
  REQUIRE(found.size() == 1);
  CHECK(found[0].sequence == 1);
  CHECK(found[0].taken == 3);
}
