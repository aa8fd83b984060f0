// SPDX-License-Identifier: MIT

// What a segment refuses, and that it says why.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "audit.hpp"
#include "pinref/share.hpp"

namespace {

using pinref::join_result;
using pinref::segment;
using pinref::segment_error;
using pinref::segment_shape;
using pinref::segment_stamp;

constexpr segment_shape shape{.places = 2, .slots = 3, .pages = 70, .page_size = 4096, .user_bytes = 100};

int file_of(const void* bytes, std::size_t n, std::size_t size, int seals = F_SEAL_SHRINK) {
  const int file = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(file >= 0);
  REQUIRE(::ftruncate(file, static_cast<::off_t>(size)) == 0);
  REQUIRE(::pwrite(file, bytes, n, 0) == static_cast<::ssize_t>(n));
  if (seals != 0) REQUIRE(::fcntl(file, F_ADD_SEALS, seals) == 0);
  return file;
}

// A copy of a segment's first bytes, with something changed.
template <class Change>
segment_error attach_changed(Change change, std::size_t size = 0, int seals = F_SEAL_SHRINK,
                             pinref::segment_seal seal = pinref::segment_seal::required) {
  segment good;
  REQUIRE(good.create(shape) == segment_error::none);
  struct {
    segment_stamp stamp;
    std::uint32_t made;
  } first;
  REQUIRE(::pread(good.descriptor(), &first, sizeof first, 0) == sizeof first);
  CHECK(first.made == 1);
  const std::size_t whole = static_cast<std::size_t>(first.stamp.total);
  change(first);
  const int file = file_of(&first, sizeof first, size == 0 ? whole : size, seals);
  segment copy;
  const segment_error error = copy.attach(file, seal);
  if (error != segment_error::none) CHECK(copy.memory().head == nullptr);
  segment looked_at;
  CHECK(looked_at.attach_read_only(file, seal) == error);
  ::close(file);
  return error;
}
// The same with a checksum that is right, as another build would have written it.
template <class Change>
segment_error attach_other(Change change) {
  return attach_changed([&](auto& first) {
    change(first.stamp);
    // FNV-1a, as documented in the header.
    std::uint64_t h = 0xcbf2'9ce4'8422'2325;
    const auto add = [&h](std::uint64_t field) {
      for (int i = 0; i != 8; ++i) h = (h ^ (field >> 8 * i & 255)) * 0x100'0000'01b3;
    };
    const segment_stamp& s = first.stamp;
    for (const std::uint64_t field : {s.magic, std::uint64_t{s.version}, std::uint64_t{s.byte_order}}) add(field);
    for (const std::uint32_t width : s.widths) add(width);
    for (const std::uint64_t field :
         {std::uint64_t{s.shape.places}, std::uint64_t{s.shape.slots}, std::uint64_t{s.shape.pages},
          std::uint64_t{s.shape.page_size}, s.shape.user_bytes, s.total})
      add(field);
    first.stamp.checksum = h;
  });
}

}  // namespace

TEST_CASE("a segment is as it was asked for, and the same to all who attach") {
  segment pool;
  REQUIRE(pool.create(shape) == segment_error::none);
  CHECK(pool.create(shape) == segment_error::in_use);
  CHECK(pool.attach(pool.descriptor()) == segment_error::in_use);
  CHECK(pool.shape().pages == 70);
  CHECK(pool.memory().nr_places == 2);
  CHECK(pool.memory().slots_per_place == 3);
  CHECK(pool.nr_free() == 70);
  CHECK((::fcntl(pool.descriptor(), F_GET_SEALS) & F_SEAL_SHRINK) != 0);
  CHECK(pool.data(1) - pool.data(0) == 4096);
  CHECK(reinterpret_cast<std::uintptr_t>(pool.data(0)) % 4096 == 0);
  CHECK(pool.offset_of(69) + 4096 == segment_stamp::of<pinref::shared_traits>(shape).total);
  std::memcpy(pool.user(), "user", 5);
  std::memcpy(pool.data(69), "data", 5);
  pool.page(69).set_tag(4711);
  pool.page(69).set_dirty();
  CHECK(pool.page(3).snapshot() == pinref::shared64{});

  segment same;
  REQUIRE(same.attach(pool.descriptor()) == segment_error::none);
  CHECK(std::strcmp(reinterpret_cast<const char*>(same.user()), "user") == 0);
  CHECK(std::strcmp(reinterpret_cast<const char*>(same.data(69)), "data") == 0);
  CHECK(same.page(69).tag() == 4711);
  CHECK(same.page(69).dirty());
  CHECK(same.page(69).clear_dirty());
  CHECK(!pool.page(69).dirty());
  CHECK(!pool.page(69).clear_dirty());
  same.close();
  CHECK(same.memory().head == nullptr);
  CHECK(same.attach(pool.descriptor()) == segment_error::none);
}

TEST_CASE("a segment in memory of the host's") {
  const std::size_t size = static_cast<std::size_t>(segment_stamp::of<pinref::shared_traits>(shape).total);
  void* const memory = ::mmap(nullptr, size + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  {
    segment pool, same;
    CHECK(same.attach(memory, 8) == segment_error::too_small);
    CHECK(same.attach(memory, size) == segment_error::torn);
    CHECK(pool.create(memory, size - 1, shape) == segment_error::too_small);
    CHECK(pool.create(static_cast<std::byte*>(memory) + 64, size, shape) == segment_error::bad_shape);
    REQUIRE(pool.create(memory, size, shape) == segment_error::none);
    CHECK(same.attach(memory, size - 1) == segment_error::too_small);
    CHECK(same.attach(static_cast<std::byte*>(memory) + 64, size) == segment_error::bad_shape);
    REQUIRE(same.attach(memory, size) == segment_error::none);
    CHECK(pool.descriptor() == -1);
    pinref::member me;
    REQUIRE(me.join(same.memory()) == join_result::joined);
    auto page = me.allocate();
    CHECK(page);
    CHECK(pool.nr_free() == 69);
    CHECK(me.release(page.held) == pinref::ledger_result::freed);
    CHECK(me.leave() == pinref::leave_result::left);
  }
  CHECK(::munmap(memory, size + 4096) == 0);
}

TEST_CASE("shapes that cannot be") {
  segment pool;
  const auto refused = [&](const segment_shape& wrong) {
    CHECK(pool.create(wrong) == segment_error::bad_shape);
    CHECK(pool.memory().head == nullptr);
  };
  refused({.places = 0, .slots = 1, .pages = 1});
  refused({.places = 65, .slots = 1, .pages = 1});
  refused({.places = 1, .slots = 0, .pages = 1});
  refused({.places = 1, .slots = (1u << 20) + 1, .pages = 1});
  refused({.places = 1, .slots = 1, .pages = 0});
  refused({.places = 1, .slots = 1, .pages = (1u << 31) + 1});
  refused({.places = 1, .slots = 1, .pages = 1, .page_size = 2048});
  refused({.places = 1, .slots = 1, .pages = 1, .page_size = 4096 + 512});
  refused({.places = 1, .slots = 1, .pages = 1, .page_size = 4096, .user_bytes = (std::uint64_t{1} << 40) + 1});
  CHECK(pool.create({.places = 64, .slots = 1, .pages = 64, .page_size = 0}) == segment_error::none);
  CHECK(pool.nr_free() == 64);
  // More than there is address space for.
  segment huge;
  CHECK(huge.create({.places = 1, .slots = 1, .pages = 1u << 31, .page_size = 1u << 30}) == segment_error::refused);
}

TEST_CASE("what is no segment, or no whole one, or another one") {
  CHECK(attach_changed([](auto&) {}) == segment_error::none);
  CHECK(attach_changed([](auto& first) { first.stamp.magic ^= 1; }) == segment_error::foreign);
  CHECK(attach_changed([](auto& first) { first = {}; }) == segment_error::torn);
  CHECK(attach_changed([](auto& first) { first.made = 0; }) == segment_error::torn);
  CHECK(attach_changed([](auto& first) { first.stamp.shape.pages += 1; }) == segment_error::torn);
  CHECK(attach_changed([](auto& first) { first.stamp.checksum ^= 1; }) == segment_error::torn);
  CHECK(attach_other([](segment_stamp& s) { s.version += 1; }) == segment_error::other_version);
  CHECK(attach_other([](segment_stamp& s) { s.byte_order = 0x0403'0201; }) == segment_error::other_layout);
  for (unsigned i = 0; i != segment_stamp::nr_widths; ++i)
    CHECK(attach_other([i](segment_stamp& s) { s.widths[i] += 1; }) == segment_error::other_layout);
  // What no build can have written.
  CHECK(attach_other([](segment_stamp& s) { s.shape.places = 65; }) == segment_error::torn);
  CHECK(attach_other([](segment_stamp& s) { s.shape.pages = 0; }) == segment_error::torn);
  CHECK(attach_other([](segment_stamp& s) { s.total -= 4096; }) == segment_error::torn);
  const std::size_t total = static_cast<std::size_t>(segment_stamp::of<pinref::shared_traits>(shape).total);
  CHECK(attach_changed([](auto&) {}, total - 1) == segment_error::too_small);
  CHECK(attach_changed([](auto&) {}, 4096) == segment_error::too_small);
  CHECK(attach_changed([](auto&) {}, total + 4096) == segment_error::none);
}

TEST_CASE("what somebody may cut short") {
  CHECK(attach_changed([](auto&) {}, 0, 0) == segment_error::not_sealed);
  CHECK(attach_changed([](auto&) {}, 0, F_SEAL_GROW) == segment_error::not_sealed);
  CHECK(attach_changed([](auto&) {}, 0, 0, pinref::segment_seal::vouched) == segment_error::none);
  char name[] = "/tmp/pinref-share-XXXXXX";
  const int file = ::mkstemp(name);
  REQUIRE(file >= 0);
  ::unlink(name);
  segment pool;
  CHECK(pool.attach(file) == segment_error::too_small);
  REQUIRE(::ftruncate(file, 1 << 20) == 0);
  CHECK(pool.attach(file) == segment_error::not_sealed);
  CHECK(pool.attach(file, pinref::segment_seal::vouched) == segment_error::torn);
  ::close(file);
  CHECK(pool.attach(file) == segment_error::refused);
}

TEST_CASE("garbage of any kind is refused") {
  std::vector<std::uint64_t> bytes(512);
  std::uint64_t state = 88172645463325252u;
  for (int round = 0; round != 200; ++round) {
    for (std::uint64_t& each : bytes) each = (state ^= state << 13, state ^= state >> 7, state ^= state << 17);
    if (round % 2 == 0) bytes[0] = segment_stamp::the_magic;
    const int file = file_of(bytes.data(), bytes.size() * 8, 1 << 20);
    segment pool;
    CHECK(pool.attach(file) != segment_error::none);
    ::close(file);
  }
}

TEST_CASE("a child that is forked has no mapping, and is no member") {
  segment pool;
  REQUIRE(pool.create(shape) == segment_error::none);
  pinref::member me;
  REQUIRE(me.join(pool.memory()) == join_result::joined);
  const pid_t child = ::fork();
  if (child == 0) {
    if (me.leave() != pinref::leave_result::other_thread) ::_exit(1);
    // Looks whether the mapping is there, without touching it.
    unsigned char there = 0;
    if (::mincore(pool.user() - reinterpret_cast<std::uintptr_t>(pool.user()) % 4096, 1, &there) == 0) ::_exit(2);
    segment mine;
    pinref::member own;
    if (mine.attach(pool.descriptor()) != segment_error::none) ::_exit(3);
    if (own.join(mine.memory()) != join_result::joined || own.place() != 1) ::_exit(4);
    ::_exit(own.leave() == pinref::leave_result::left ? 0 : 5);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(me.leave() == pinref::leave_result::left);
}

TEST_CASE("a segment is looked at without joining it") {
  segment pool, shown;
  REQUIRE(pool.create(shape) == segment_error::none);
  REQUIRE(shown.attach_read_only(pool.descriptor()) == segment_error::none);
  pinref::member me, none;
  REQUIRE(me.join(pool.memory()) == join_result::joined);
  CHECK(none.join(shown.memory()) == join_result::read_only);
  CHECK(none.leave() == pinref::leave_result::no_member);
  auto page = me.allocate();
  REQUIRE(page);
  CHECK(shown.nr_free() == 69);
  CHECK(shown.page(page.held.page()).snapshot().references() == 1);
  CHECK(me.release(page.held) == pinref::ledger_result::freed);
  CHECK(me.leave() == pinref::leave_result::left);
}

TEST_CASE("every value has its name") {
  CHECK(std::strcmp(to_string(segment_error::not_sealed), "not_sealed") == 0);
  for (int i = 0; i <= static_cast<int>(segment_error::in_use); ++i)
    CHECK(std::strcmp(to_string(static_cast<segment_error>(i)), "unknown") != 0);
  CHECK(std::strcmp(to_string(static_cast<segment_error>(99)), "unknown") == 0);
  CHECK(std::strcmp(to_string(pinref::segment_seal::vouched), "vouched") == 0);
}
