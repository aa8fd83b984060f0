// SPDX-License-Identifier: MIT
// The registration cache on buffers that io_uring has registered: the kernel has their pages, whatever the program does
// with the addresses.

#include "uring.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <vector>

#include "pinref/host/registration_cache.hpp"
#include "pinref/page/page.hpp"
#include "while_waiting.hpp"

using pinref::deadline;
using pinref::foll;
using pinref::gup_error;

namespace {

constexpr std::size_t page = 4096, block_bytes = 4 * page, nr_blocks = 8;
constexpr unsigned nr_slots = 6, rights = 1;
constexpr std::uint64_t long_time = 60'000'000'000;

using cache_type = pinref::registration_cache<fabric::uring, 32>;

void* must_map(void* where, std::size_t bytes, int protection = PROT_READ | PROT_WRITE) {
  void* const got =
      ::mmap(where, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | (where != nullptr ? MAP_FIXED : 0), -1, 0);
  if (got == MAP_FAILED) throw std::runtime_error("mmap");
  return got;
}

struct world {
  world() {
    if (content < 0 || ::pipe(ends) != 0) throw std::runtime_error("memfd or pipe");
    for (std::size_t i = 0; i != nr_blocks; ++i) {
      std::memset(block(i), 0, block_bytes);
      std::vector<char> bytes(block_bytes, static_cast<char>('a' + i));
      if (::pwrite(content, bytes.data(), block_bytes, place(i)) != static_cast<ssize_t>(block_bytes))
        throw std::runtime_error("pwrite");
    }
  }
  ~world() {
    for (const int each : {content, ends[0], ends[1]}) ::close(each);
    ::munmap(memory, nr_blocks * block_bytes);
  }

  [[nodiscard]] std::byte* block(std::size_t i) const { return memory + i * block_bytes; }
  [[nodiscard]] std::uintptr_t address(std::size_t i) const { return reinterpret_cast<std::uintptr_t>(block(i)); }
  static long place(std::size_t i) { return static_cast<long>(i * block_bytes); }

  cache_type::region* pin(std::size_t i, foll flags = foll::none, std::size_t length = block_bytes) {
    const auto [held, reason] = cache.pin(address(i), length, rights, flags);
    why = reason;
    return held;
  }
  static void unpin(cache_type::region* held) {
    CHECK(pinref::unpin_user_page(*held) == pinref::release_result::released);
  }
  // Reads a block of the file into its memory through its registration. Did the program get it?
  bool read_arrives(std::size_t i) {
    auto* const held = pin(i);
    REQUIRE(held != nullptr);
    std::memset(block(i), 0, block_bytes);
    ring.start_read(content, block(i), block_bytes, static_cast<unsigned long long>(place(i)), held->handle());
    CHECK(ring.finish() == static_cast<int>(block_bytes));
    unpin(held);
    for (std::size_t at = 0; at != block_bytes; ++at)
      if (block(i)[at] != std::byte(static_cast<unsigned char>('a' + i))) return false;
    return true;
  }
  // Other memory at the same address.
  void replace(std::size_t i) const {
    ::munmap(block(i), block_bytes);
    (void)must_map(block(i), block_bytes);
  }

  fabric::uring ring{nr_slots};
  cache_type cache{ring};
  std::byte* const memory = static_cast<std::byte*>(must_map(nullptr, nr_blocks* block_bytes));
  const int content = ::memfd_create("content", MFD_CLOEXEC);
  int ends[2] = {-1, -1};
  gup_error why = gup_error::none;
};

// Where nothing can be registered the kernel says so at the first one.
template <class Test>
void with_ring(Test test) {
  std::optional<world> w;
  try {
    w.emplace();
    auto* const first = w->pin(0);
    if (first == nullptr) throw std::runtime_error(to_string(w->why));
    world::unpin(first);
    (void)w->cache.close(w->address(0), block_bytes);
    (void)w->cache.open(w->address(0), block_bytes);
  } catch (const std::runtime_error& no) {
    std::printf("skipped: io_uring's buffers: %s\n", no.what());
    return;
  }
  REQUIRE(w->ring.nr_free() == nr_slots);
  test(*w);
  CHECK(w->cache.close(w->address(0), nr_blocks * block_bytes) == gup_error::none);
  CHECK(w->ring.nr_free() == nr_slots);
}

}  // namespace

TEST_CASE("a buffer has one slot, whatever is read into it") {
  with_ring([](world& w) {
    for (std::size_t i = 0; i != nr_slots; ++i) CHECK(w.read_arrives(i));
    CHECK(w.ring.nr_free() == 0);
    const auto before = w.cache.counts().registered;
    for (std::size_t i = 0; i != nr_slots; ++i) CHECK(w.read_arrives(i));
    CHECK(w.cache.counts().registered == before);
  });
}

TEST_CASE("a full table: slots of idle buffers are used again, those of reads under way are not") {
  with_ring([](world& w) {
    // More blocks than slots.
    for (int round = 0; round != 3; ++round)
      for (std::size_t i = 0; i != nr_blocks; ++i) CHECK(w.read_arrives(i));
    CHECK(w.cache.counts().evicted != 0);
    CHECK(w.cache.counts().failed != 0);

    cache_type::region* held[nr_slots] = {};
    for (std::size_t i = 0; i != nr_slots; ++i) REQUIRE((held[i] = w.pin(i)) != nullptr);
    CHECK(w.pin(nr_slots) == nullptr);
    CHECK(w.why == gup_error::limit_exceeded);
    for (auto* const each : held) w.unpin(each);
    CHECK(w.read_arrives(nr_slots));
  });
}

TEST_CASE("memory that is replaced at its address: closed or told, the next read arrives; else it is lost") {
  with_ring([](world& w) {
    CHECK(w.read_arrives(0));
    REQUIRE(w.cache.close(w.address(0), block_bytes) == gup_error::none);
    w.replace(0);
    CHECK(w.pin(0) == nullptr);
    CHECK(w.why == gup_error::busy);
    REQUIRE(w.cache.open(w.address(0), block_bytes));
    CHECK(w.read_arrives(0));

    CHECK(w.read_arrives(1));
    w.cache.tell(w.address(1), block_bytes);
    w.replace(1);
    CHECK(w.read_arrives(1));

    // The control: the read succeeds, into pages that the program has no more.
    CHECK(w.read_arrives(2));
    w.replace(2);
    CHECK_FALSE(w.read_arrives(2));
  });
}

TEST_CASE("memory under a read that has not ended is refused, or waited for") {
  with_ring([](world& w) {
    auto* const held = w.pin(0);
    REQUIRE(held != nullptr);
    // Nothing is in the pipe.
    w.ring.start_read(w.ends[0], w.block(0), page, 0, held->handle());
    CHECK(w.cache.close(w.address(0), block_bytes) == gup_error::busy);
    CHECK(w.cache.close(w.address(0), block_bytes, deadline::in_nanoseconds(1'000'000)) == gup_error::busy);

    bool ended = false;
    const support::while_waiting stop([&] {
      if (!ended) {
        ended = true;
        CHECK(w.pin(0, foll::fast_only) == nullptr);
        const char last = 'z';
        CHECK(::write(w.ends[1], &last, 1) == 1);
        CHECK(w.ring.finish() == 1);
        CHECK(w.block(0)[0] == std::byte{'z'});
        w.unpin(held);
      }
      return false;
    });
    CHECK(w.cache.close(w.address(0), block_bytes, deadline::in_nanoseconds(long_time), stop) == gup_error::none);
    CHECK(ended);
    CHECK(w.ring.nr_free() == nr_slots);
    w.replace(0);
    CHECK(w.cache.open(w.address(0), block_bytes));
    CHECK(w.read_arrives(0));
  });
}

TEST_CASE("what the kernel does not register has a reason, and takes no slot") {
  with_ring([](world& w) {
    ::munmap(w.block(3), block_bytes);
    CHECK(w.pin(3) == nullptr);
    CHECK(w.why == gup_error::not_mapped);
    // A part of it is there, and its pins are undone.
    CHECK(w.pin(2, foll::none, 2 * block_bytes) == nullptr);
    CHECK(w.why == gup_error::not_mapped);
    (void)must_map(w.block(3), block_bytes, PROT_READ);
    CHECK(w.pin(3) == nullptr);
    CHECK(w.why == gup_error::not_mapped);
    CHECK(w.ring.nr_free() == nr_slots);
    (void)must_map(w.block(3), block_bytes);
    CHECK(w.read_arrives(2));
    CHECK(w.read_arrives(3));
  });
}
