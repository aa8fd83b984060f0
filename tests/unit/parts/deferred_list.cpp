// SPDX-License-Identifier: MIT

#include "pinref/parts/deferred_list.hpp"

#include <doctest/doctest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>
#include <string_view>
#include <vector>

namespace {

struct item {
  int value = 0;
  pinref::list_link link;
};

template <class List>
std::vector<int> drained(List& list) {
  std::vector<int> values;
  const std::size_t n = list.drain([&values](item& each) noexcept { values.push_back(each.value); });
  CHECK(n == values.size());
  return values;
}

}  // namespace

TEST_CASE_TEMPLATE("a deferred list gives back all items at once, the last pushed first", List,
                   pinref::deferred_list<item, &item::link>,
                   pinref::deferred_list<item, &item::link, pinref::list_links::offsets>) {
  List list;
  CHECK(list.empty());
  CHECK(drained(list).empty());
  item items[3] = {{1, {}}, {2, {}}, {3, {}}};
  for (item& each : items) list.push(each);
  CHECK(!list.empty());
  CHECK(drained(list) == std::vector{3, 2, 1});
  CHECK(list.empty());
}

TEST_CASE("what is pushed while a deferred list drains stays on it, the drained item too") {
  pinref::deferred_list<item, &item::link> list;
  item items[2] = {{1, {}}, {2, {}}};
  for (item& each : items) list.push(each);
  const std::size_t n = list.drain([&list](item& each) noexcept {
    each.value += 10;
    list.push(each);
  });
  CHECK(n == 2);
  CHECK(drained(list) == std::vector{11, 12});
}

TEST_CASE("a list of offsets is the same list wherever its memory is mapped") {
  struct shared {
    pinref::deferred_list<item, &item::link, pinref::list_links::offsets, pinref::shared_sync> list;
    item items[2];
  };
  const int memory = ::memfd_create("pinref", 0);
  REQUIRE(memory >= 0);
  REQUIRE(::ftruncate(memory, 4096) == 0);
  void* const here = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  void* const there = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  REQUIRE((here != MAP_FAILED && there != MAP_FAILED && here != there));
  auto& first = *new (here) shared;
  auto& second = *static_cast<shared*>(there);
  for (int i = 0; i != 2; ++i) {
    first.items[i].value = i + 1;
    first.list.push(first.items[i]);
  }
  std::vector<const item*> seen;
  CHECK(second.list.drain([&seen](item& each) noexcept { seen.push_back(&each); }) == 2);
  CHECK(seen == std::vector<const item*>{&second.items[1], &second.items[0]});
  ::munmap(here, 4096);
  ::munmap(there, 4096);
  ::close(memory);
}

TEST_CASE("the kinds of links have names") {
  CHECK(std::string_view(to_string(pinref::list_links::addresses)) == "addresses");
  CHECK(std::string_view(to_string(pinref::list_links::offsets)) == "offsets");
}
