// SPDX-License-Identifier: MIT

#include <doctest/doctest.h>

#include "layouts.hpp"

// A page is awaited without a thread: the futexes of a ticket go to io_uring, and a completion says to look again.

#if defined(__linux__)

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

using pinref::deadline;
using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

namespace {

// What linux/io_uring.h has since Linux 6.7.
constexpr std::uint8_t op_futex_wait = 51, op_futex_waitv = 53;
constexpr std::uint32_t size_32_bits = 2, of_this_process = 128;

struct waitv {
  std::uint64_t value, address;
  std::uint32_t flags, reserved;
};

// As much of a ring as one thread needs that submits one entry at a time.
class ring {
 public:
  ring() {
    ::io_uring_params how{};
    fd_ = static_cast<int>(::syscall(__NR_io_uring_setup, 8, &how));
    if (fd_ < 0) return;
    const auto map = [&](std::size_t size, std::int64_t what) {
      return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, what);
    };
    submitted_ = static_cast<char*>(map(how.sq_off.array + how.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING));
    completed_ = static_cast<char*>(map(how.cq_off.cqes + how.cq_entries * sizeof(::io_uring_cqe), IORING_OFF_CQ_RING));
    entries_ = static_cast<::io_uring_sqe*>(map(how.sq_entries * sizeof(::io_uring_sqe), IORING_OFF_SQES));
    offsets_ = how;
  }
  ring(const ring&) = delete;
  ~ring() { ::close(fd_); }

  [[nodiscard]] bool valid() const { return fd_ >= 0; }

  // Sleeps on the ticket's futexes, in the kernel.
  void await(const pinref::wait_ticket<pinref::std_sync>& ticket) {
    ::io_uring_sqe entry{};
    if (ticket.nr_futexes == 1) {
      entry.opcode = op_futex_wait;
      entry.fd = static_cast<int>(size_32_bits | of_this_process);
      entry.addr = reinterpret_cast<std::uintptr_t>(ticket.futexes[0].address);
      entry.addr2 = ticket.futexes[0].seen;
      const std::uint64_t any_wake = 0xffffffff;
      std::memcpy(reinterpret_cast<char*>(&entry) + 48, &any_wake, sizeof any_wake);  // addr3
    } else {
      for (unsigned i = 0; i != ticket.nr_futexes; ++i)
        places_[i] = {ticket.futexes[i].seen, reinterpret_cast<std::uintptr_t>(ticket.futexes[i].address),
                      size_32_bits | of_this_process, 0};
      entry.opcode = op_futex_waitv;
      entry.addr = reinterpret_cast<std::uintptr_t>(places_);
      entry.len = ticket.nr_futexes;
    }
    submit(entry);
  }

  // The result of the next completion.
  int next() {
    unsigned& head = *at<unsigned>(completed_, offsets_.cq_off.head);
    // Not by std::atomic_ref, which libc++ has since its version 19.
    while (__atomic_load_n(at<unsigned>(completed_, offsets_.cq_off.tail), __ATOMIC_ACQUIRE) == head)
      ::syscall(__NR_io_uring_enter, fd_, 0, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
    const auto* const all = at<::io_uring_cqe>(completed_, offsets_.cq_off.cqes);
    const int result = all[head & *at<unsigned>(completed_, offsets_.cq_off.ring_mask)].res;
    __atomic_store_n(&head, head + 1, __ATOMIC_RELEASE);
    return result;
  }

 private:
  template <class T>
  static T* at(char* from, unsigned offset) {
    return reinterpret_cast<T*>(from + offset);
  }

  void submit(const ::io_uring_sqe& entry) {
    unsigned* const tail = at<unsigned>(submitted_, offsets_.sq_off.tail);
    const unsigned now = __atomic_load_n(tail, __ATOMIC_RELAXED);
    const unsigned place = now & *at<unsigned>(submitted_, offsets_.sq_off.ring_mask);
    entries_[place] = entry;
    at<unsigned>(submitted_, offsets_.sq_off.array)[place] = place;
    __atomic_store_n(tail, now + 1, __ATOMIC_RELEASE);
    REQUIRE(::syscall(__NR_io_uring_enter, fd_, 1, 0, 0, nullptr, 0) == 1);
  }

  int fd_ = -1;
  char* submitted_ = nullptr;
  char* completed_ = nullptr;
  ::io_uring_sqe* entries_ = nullptr;
  ::io_uring_params offsets_{};
  waitv places_[2] = {};
};

bool cannot(int result) {
  return result == -EINVAL || result == -EOPNOTSUPP;
}

}  // namespace

TEST_CASE_TEMPLATE("a page is awaited by io_uring, and no thread sleeps", Layout, ALL_LAYOUTS) {
  ring awaits;
  if (!awaits.valid()) {
    std::puts("skipped: a page awaited by io_uring: there is no io_uring here");
    return;
  }
  page_ref<Layout> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  // One wait for the pins, one for everything but a reference: what each sleeps on differs.
  for (const bool idle : {false, true}) {
    CAPTURE(idle);
    const auto prepare = [&] { return idle ? ref.prepare_wait_until_idle(1) : ref.prepare_wait_until_unpinned(); };
    auto ticket = prepare();
    REQUIRE_FALSE(ticket.reached);
    REQUIRE(ticket.nr_futexes != 0);
    awaits.await(ticket);
    if (idle) REQUIRE(ref.put() == release_result::released);
    CHECK(ref.unpin() == (idle ? release_result::last : release_result::released));
    const int result = awaits.next();
    if (cannot(result)) {
      std::puts("skipped: a page awaited by io_uring: it has no futexes here");
      return;
    }
    CHECK((result >= 0 || result == -EAGAIN));
    CHECK(prepare().reached);
    if (!idle) REQUIRE(ref.try_pin() == take_result::taken);
  }
}

TEST_CASE("an awaited page that is given up is as fast as before, and whoever sleeps on its ticket wakes") {
  ring awaits;
  if (!awaits.valid()) {
    std::puts("skipped: a wait by io_uring that is abandoned: there is no io_uring here");
    return;
  }
  page_ref<> ref;
  ref.init();
  REQUIRE(ref.try_pin() == take_result::taken);
  awaits.await(ref.prepare_wait_until_unpinned());
  CHECK(ref.snapshot().zone() == pinref::zone::watched);
  ref.abandon_wait();
  CHECK(ref.snapshot() == pinref::bias64::live(1, 1));
  const int result = awaits.next();
  if (cannot(result)) {
    std::puts("skipped: a wait by io_uring that is abandoned: it has no futexes here");
    return;
  }
  CHECK((result >= 0 || result == -EAGAIN));
}

#endif
