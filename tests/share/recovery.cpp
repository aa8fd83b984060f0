// SPDX-License-Identifier: MIT

// What survivors find of those who are gone, what they may do about it, and what they may not.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "audit.hpp"
#include "pinref/share.hpp"

namespace {

using pinref::dead_member;
using pinref::dead_pins;
using pinref::hold;
using pinref::join_result;
using pinref::ledger_hold;
using pinref::ledger_offer;
using pinref::ledger_record;
using pinref::ledger_result;
using pinref::record_state;
using share_test::all_is_well;

constexpr auto done = ledger_result::done;
using traits = pinref::shared_traits;
using steps = pinref::detail::ledger_steps<traits>;

struct pool_of : pinref::segment {
  explicit pool_of(std::uint32_t pages = 4, std::uint32_t page_size = 0) {
    REQUIRE(create({.places = 4, .slots = 20, .pages = pages, .page_size = page_size}) == pinref::segment_error::none);
  }
  // A page that the pool keeps.
  std::uint32_t kept(pinref::member& me) {
    auto page = me.allocate();
    REQUIRE(page);
    const std::uint32_t i = page.held.page();
    REQUIRE(me.keep(page.held) == done);
    return i;
  }
};
struct in : pinref::member {
  explicit in(const pinref::segment& pool) { REQUIRE(join(pool.memory()) == join_result::joined); }
};

// Runs `body(member)` in a thread that ends without leaving.
void dead_thread(const pinref::segment& pool, const std::function<void(pinref::member&)>& body) {
  // Never destroyed: that would be a farewell.
  static in* dead[64];
  static unsigned n = 0;
  std::thread([&] { body(*(dead[n++] = new in(pool))); }).join();
}
// The same in a process that is killed when `body(segment, member)` is done.
template <class Body>
pid_t dead_process(const pinref::segment& pool, Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    static pinref::segment mine;
    static pinref::member me;
    if (mine.attach(pool.descriptor()) != pinref::segment_error::none) ::_exit(1);
    if (me.join(mine.memory()) != join_result::joined) ::_exit(2);
    body(mine, me);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFSIGNALED(status));
  return pid;
}

struct hooks : pinref::survivor_hooks {
  bool at_rest = true;
  std::vector<dead_pins> asked{};

  bool quiet(const dead_pins& pins) noexcept {
    asked.push_back(pins);
    return at_rest;
  }
};

}  // namespace

TEST_CASE("a thread that ends without leaving is dead, and what it held is given back") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  auto mine = me.try_pin(page);
  std::uint32_t claimed = 0, frozen = 0;
  const std::uint32_t kept = pool.kept(me), kept_too = pool.kept(me);
  dead_thread(pool, [&](pinref::member& it) {
    CHECK(it.try_get(page, 3));
    CHECK(it.try_pin(page, 2));
    auto claim = it.claim(kept);
    claimed = claim.held.page();
    auto freeze = it.claim(kept_too);
    CHECK(it.freeze(freeze.held) == done);
    frozen = freeze.held.page();
    CHECK(it.allocate());
    CHECK(it.lock_page(page) == pinref::page_lock_result::locked);
  });
  CHECK(pool.nr_free() == 0);
  hooks survivors;
  const auto report = pinref::recover(pool.memory(), survivors);
  CHECK(report.members == 1);
  CHECK(report.references == 4);
  CHECK(report.pins == 2);
  CHECK(report.kept == 2);
  CHECK(report.claims == 1);
  CHECK(report.freed == 1);
  CHECK(report.page_locks == 1);
  CHECK(report.settled == 0);
  CHECK(report.left_dead + report.in_doubt + report.unaccounted + report.quarantined == 0);
  REQUIRE(survivors.asked.size() == 1);
  CHECK(survivors.asked[0].n == 2);
  CHECK(survivors.asked[0].page == page);
  // What the pool had given up it has again.
  CHECK(pool.page(claimed).kept());
  CHECK(pool.page(frozen).kept());
  CHECK(pool.page(page).snapshot() == pinref::shared64::live(1, 1));
  CHECK(me.lock_page(page) == pinref::page_lock_result::owner_died);
  CHECK(me.unlock_page(page) == done);
  CHECK(me.lock_page(page) == pinref::page_lock_result::locked);
  CHECK(me.unlock_page(page) == done);
  CHECK(me.release(mine.held) == done);
  all_is_well(pool.memory());
  CHECK(pool.nr_free() == 1);
}

TEST_CASE("one that lives is left alone") {
  pool_of pool;
  in me(pool), other(pool);
  auto page = other.allocate();
  const auto report = pinref::recover(pool.memory(), hooks{});
  CHECK(report.members + report.left_dead + report.references == 0);
  CHECK(other.release(page.held) == ledger_result::freed);
}

TEST_CASE("pins are quarantined until the process is gone and the device is quiet") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  const pid_t pid = dead_process(pool, [&](pinref::segment& mine, pinref::member& it) {
    mine.tick();
    auto pins = it.try_pin(page, 5);
    (void)it.lease(pins.held, 4711);
    (void)it.try_get(page);
  });
  // Nobody has said anything: not released.
  auto report = pinref::recover(pool.memory(), pinref::no_hooks{});
  CHECK(report.references == 1);
  CHECK(report.quarantined == 5);
  CHECK(report.left_dead == 1);
  CHECK(pool.page(page).snapshot() == pinref::shared64::live(1, 5));
  // Gone, but the device is not at rest.
  hooks survivors;
  survivors.at_rest = false;
  report = pinref::recover(pool.memory(), survivors);
  CHECK(report.quarantined == 5);
  REQUIRE(survivors.asked.size() >= 1);
  CHECK(survivors.asked[0].gone);
  CHECK(survivors.asked[0].process == static_cast<std::uint32_t>(pid));
  CHECK(survivors.asked[0].n == 5);
  CHECK(survivors.asked[0].lease == 4711);
  CHECK(survivors.asked[0].since != 0);
  // It is there to be seen.
  unsigned seen = 0;
  pinref::for_each_member(pool.memory(), [&](const pinref::ledger_member& it) {
    if (it.state != pinref::place_state::dead) return;
    ++seen;
    CHECK(it.quarantined == 5);
    CHECK(it.pins == 5);
    CHECK(it.process() == pinref::process_state::gone);
  });
  CHECK(seen == 1);
  pinref::for_each_record_of(pool.memory(), page, [&](const pinref::ledger_holder& it) {
    CHECK(it.what.state() == record_state::quarantined);
    CHECK(it.who.process == static_cast<std::uint32_t>(pid));
  });
  CHECK(me.claim(page));
  survivors.at_rest = true;
  report = pinref::recover(pool.memory(), survivors);
  CHECK(report.pins == 5);
  CHECK(report.members == 1);
  CHECK(report.left_dead == 0);
}

TEST_CASE("pins of a process that still runs stay, whatever its device says") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  // A process that lives on, and whose thread dies.
  int pipe_to[2], pipe_from[2];
  REQUIRE(::pipe(pipe_to) == 0);
  REQUIRE(::pipe(pipe_from) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    static pinref::segment mine;
    if (mine.attach(pool.descriptor()) != pinref::segment_error::none) ::_exit(1);
    std::thread([&] {
      static pinref::member it;
      if (it.join(mine.memory()) != join_result::joined || !it.try_pin(page)) ::_exit(2);
    }).join();
    char c = 'x';
    if (::write(pipe_from[1], &c, 1) != 1 || ::read(pipe_to[0], &c, 1) != 1) ::_exit(3);
    ::_exit(0);
  }
  char c = 0;
  REQUIRE(::read(pipe_from[0], &c, 1) == 1);
  hooks survivors;
  auto report = pinref::recover(pool.memory(), survivors);
  CHECK(report.quarantined == 1);
  CHECK(survivors.asked.empty());
  REQUIRE(::write(pipe_to[1], &c, 1) == 1);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WEXITSTATUS(status) == 0);
  report = pinref::recover(pool.memory(), survivors);
  CHECK(report.pins == 1);
  CHECK(survivors.asked.size() == 1);
  for (const int file : {pipe_to[0], pipe_to[1], pipe_from[0], pipe_from[1]}) ::close(file);
  all_is_well(pool.memory());
}

TEST_CASE("a process is known by its number and its beginning") {
  using pinref::look_at;
  using pinref::process_state;
  const auto me = pinref::process_identity::self();
  CHECK(me.process == static_cast<std::uint32_t>(::getpid()));
  CHECK(me.started != 0);
  CHECK(me.pids != 0);
  CHECK(look_at(me) == process_state::running);
  // Whatever it calls itself.
  ::prctl(PR_SET_NAME, "a) b (c 1 2");
  CHECK(look_at(me) == process_state::running);
  auto other = me;
  other.started += 1;
  CHECK(look_at(other) == process_state::gone);
  other = me;
  other.started = 0;
  CHECK(look_at(other) == process_state::unknown);
  other = me;
  other.pids += 1;
  CHECK(look_at(other) == process_state::unknown);
  other.pids = 0;
  CHECK(look_at(other) == process_state::unknown);
  // Dead and not yet waited for, dead and waited for.
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::pause();
    ::_exit(0);
  }
  auto child = me;
  child.process = static_cast<std::uint32_t>(pid);
  child.started = pinref::detail::start_of_process(child.process);
  CHECK(look_at(child) == process_state::running);
  REQUIRE(::kill(pid, SIGSTOP) == 0);
  CHECK(look_at(child) == process_state::running);
  REQUIRE(::kill(pid, SIGKILL) == 0);
  siginfo_t info;
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  CHECK(look_at(child) == process_state::gone);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  CHECK(look_at(child) == process_state::gone);
  for (const process_state state : {process_state::running, process_state::gone, process_state::unknown})
    CHECK(std::strlen(to_string(state)) > 3);
}

TEST_CASE("what the dead have offered may still be accepted, until it is taken back") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  ledger_offer first, second;
  dead_thread(pool, [&](pinref::member& it) {
    auto a = it.try_pin(page, 2), b = it.try_get(page);
    CHECK(it.offer(a.held, first) == done);
    CHECK(it.offer(b.held, second) == done);
  });
  auto taken = me.accept(first);
  REQUIRE(taken);
  const auto report = pinref::recover(pool.memory(), hooks{});
  CHECK(report.pins == 0);
  CHECK(report.references == 1);
  CHECK(me.accept(second).why == ledger_result::gone);
  CHECK(pool.page(page).snapshot() == pinref::shared64::live(1, 2));
  CHECK(me.release(taken.held) == done);
  all_is_well(pool.memory());
}

TEST_CASE("what is in doubt waits for a quiet instant, and is named so") {
  pool_of pool;
  in me(pool), busy(pool);
  const std::uint32_t page = pool.kept(me), calm = pool.kept(me);
  dead_thread(pool, [&](pinref::member& it) {
    // As if it had been killed before and after the add.
    steps as{pool.memory(), it.place()};
    pool.memory().places[it.place()].used.store(2);
    as.intend(pool.memory().slot(it.place(), 0), ledger_record::of(record_state::taking, hold::pin, page, 0, 1));
    as.intend(pool.memory().slot(it.place(), 1), ledger_record::of(record_state::taking, hold::pin, calm, 0, 1));
    (void)as.word(calm).take(steps::weight(hold::pin, 1));
  });
  // A living member is in the middle of a call on the one page.
  pool.memory().places[busy.place()].used.store(1);
  steps it{pool.memory(), busy.place()};
  auto& slot = pool.memory().slot(busy.place(), 0);
  it.intend(slot, ledger_record::of(record_state::taking, hold::pin, page, 0, 1));
  auto report = pinref::recover(pool.memory(), hooks{}, 5);
  CHECK(report.in_doubt == 1);
  CHECK(report.settled == 1);
  CHECK(report.pins == 1);
  CHECK(report.left_dead == 1);
  CHECK(pool.page(calm).snapshot() == pinref::shared64::live(1));
  CHECK(it.word(page).take(steps::weight(hold::pin, 1)) == pinref::take_result::taken);
  report = pinref::recover(pool.memory(), hooks{}, 5);
  CHECK(report.in_doubt == 1);
  it.conclude(slot, ledger_record::of(record_state::held, hold::pin, page, 1));
  report = pinref::recover(pool.memory(), hooks{}, 5);
  CHECK(report.in_doubt == 0);
  CHECK(report.settled == 1);
  CHECK(report.pins == 0);
  CHECK(pool.page(page).snapshot() == pinref::shared64::live(1, 1));
  CHECK(it.release(slot, ledger_record::of(record_state::held, hold::pin, page, 1), 1) ==
        pinref::release_result::released);
  all_is_well(pool.memory());
}

TEST_CASE("more doubts on a page than fit into one account") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  // Every second add has happened.
  dead_thread(pool, [&](pinref::member& it) {
    steps as{pool.memory(), it.place()};
    pool.memory().places[it.place()].used.store(20);
    for (std::uint32_t i = 0; i != 20; ++i) {
      const hold mode = i % 3 == 0 ? hold::pin : hold::reference;
      as.intend(pool.memory().slot(it.place(), i), ledger_record::of(record_state::taking, mode, page, 0, i + 1));
      if (i % 2 == 0) CHECK(as.word(page).take(steps::weight(mode, i + 1)) == pinref::take_result::taken);
    }
  });
  const auto report = pinref::recover(pool.memory(), hooks{});
  CHECK(report.in_doubt + report.unaccounted == 0);
  CHECK(report.members == 1);
  CHECK(pool.page(page).snapshot() == pinref::shared64::live(1));
  all_is_well(pool.memory());
}

TEST_CASE("what no record explains is not released") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  steps any{pool.memory(), me.place()};
  const auto in_doubt = [&](pinref::member& it) {
    pool.memory().places[it.place()].used.store(1);
    steps{pool.memory(), it.place()}.intend(pool.memory().slot(it.place(), 0),
                                            ledger_record::of(record_state::taking, hold::pin, page, 0, 1));
  };
  SUBCASE("more than all that is in doubt") {
    dead_thread(pool, in_doubt);
    (void)any.word(page).take(steps::weight(hold::pin, 2));
    CHECK(pinref::recover(pool.memory(), hooks{}).unaccounted == 1);
    CHECK(pool.page(page).snapshot() == pinref::shared64::live(1, 2));
    CHECK(any.word(page).release(steps::weight(hold::pin, 2), pinref::owner_ref::counted) ==
          pinref::release_result::released);
  }
  SUBCASE("of another kind") {
    dead_thread(pool, in_doubt);
    (void)any.word(page).take(1);
    CHECK(pinref::recover(pool.memory(), hooks{}).unaccounted == 1);
    CHECK(any.word(page).release(1, pinref::owner_ref::counted) == pinref::release_result::released);
  }
  SUBCASE("less than is sure") {
    dead_thread(pool, in_doubt);
    auto sure = me.try_get(page, 2);
    CHECK(any.word(page).release(1, pinref::owner_ref::counted) == pinref::release_result::released);
    CHECK(pinref::recover(pool.memory(), hooks{}).unaccounted == 1);
    (void)any.word(page).take(1);
    CHECK(me.release(sure.held) == done);
  }
  SUBCASE("after an underflow") {
    // Somebody releases what nobody holds: the word is as it was, but the page is marked.
    auto sure = me.try_get(page);
    any.conclude(pool.memory().slot(me.place(), sure.held.slot),
                 ledger_record::of(record_state::held, hold::reference, page, 5));
    ledger_hold wrong{sure.held.slot, ledger_record::of(record_state::held, hold::reference, page, 5)};
    const auto before = wrong.what;
    CHECK(me.release(wrong) == ledger_result::underflow);
    // The record is as it was.
    CHECK(wrong.what == before);
    CHECK(ledger_record{pool.memory().slot(me.place(), wrong.slot).entry.load(std::memory_order_relaxed)} == before);
    CHECK(pool.page(page).tainted());
    any.conclude(pool.memory().slot(me.place(), sure.held.slot), sure.held.what);
    dead_thread(pool, in_doubt);
    const auto report = pinref::recover(pool.memory(), hooks{});
    CHECK(report.unaccounted == 1);
    CHECK(report.left_dead == 1);
    CHECK(pool.page(page).snapshot() == pinref::shared64::live(2));
    CHECK(me.release(sure.held) == done);
    return;
  }
  // With the word put right, it can be settled.
  CHECK(pinref::recover(pool.memory(), hooks{}).unaccounted == 0);
  all_is_well(pool.memory());
}

TEST_CASE("a record that makes no sense is left alone") {
  pool_of pool;
  dead_thread(pool, [&](pinref::member& it) {
    CHECK(it.allocate());
    pool.memory().slot(it.place(), 0).entry.store(ledger_record::of(record_state::held, hold::pin, 5000, 1).raw());
  });
  const auto report = pinref::recover(pool.memory(), hooks{});
  CHECK(report.unaccounted == 1);
  CHECK(report.left_dead == 1);
  unsigned seen = 0;
  pinref::for_each_record(pool.memory(), [&](const pinref::ledger_holder&) { ++seen; });
  CHECK(seen == 0);
}

TEST_CASE("a second recovery at the same time is told so, and changes nothing") {
  pool_of pool;
  dead_thread(pool, [&](pinref::member& it) { CHECK(it.allocate()); });
  REQUIRE(pool.memory().head->recovering.try_lock() == pinref::life_result::acquired);
  std::thread([&] {
    const auto report = pinref::recover(pool.memory(), hooks{});
    CHECK(report.busy);
    CHECK(report.references == 0);
  }).join();
  CHECK(pool.nr_free() == 3);
  pool.memory().head->recovering.unlock();
  CHECK(pinref::recover(pool.memory(), hooks{}).freed == 1);
  // Not left by one who has died over it.
  std::thread([&] { CHECK(pool.memory().head->recovering.try_lock() == pinref::life_result::acquired); }).join();
  CHECK(!pinref::recover(pool.memory(), hooks{}).busy);
  all_is_well(pool.memory());
}

TEST_CASE("whoever waits for a page is woken when its holder has died") {
  pool_of pool;
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  dead_thread(pool, [&](pinref::member& it) { CHECK(it.try_pin(page)); });
  std::atomic<bool> reached{false};
  std::thread waiter([&] {
    CHECK(pool.page(page).wait_until_unpinned() == pinref::wait_result::reached);
    reached = true;
  });
  ::usleep(20'000);
  CHECK(!reached);
  CHECK(pinref::recover(pool.memory(), hooks{}).pins == 1);
  waiter.join();
  CHECK(pool.page(page).wait_until_idle(1, pinref::deadline::passed()) == pinref::wait_result::reached);
  // A waker that was killed between its release and the wake-up: the word is as asked for, and nobody is told.
  std::thread sleeper;
  dead_thread(pool, [&](pinref::member& it) {
    auto pin = it.try_pin(page);
    sleeper = std::thread([&] { CHECK(pool.page(page).wait_until_unpinned() == pinref::wait_result::reached); });
    ::usleep(20'000);
    steps as{pool.memory(), it.place()};
    as.intend(pool.memory().slot(it.place(), pin.held.slot),
              ledger_record::of(record_state::releasing, hold::pin, page, 0, 1));
    // The subtract and the end of the watch, without the wake-up.
    auto& raw = reinterpret_cast<std::atomic<std::uint64_t>&>(as.word(page));
    CHECK(pool.page(page).snapshot().zone() == pinref::zone::watched);
    raw.store(pinref::shared64::live(1).raw());
  });
  const auto report = pinref::recover(pool.memory(), hooks{});
  CHECK(report.settled == 1);
  CHECK(report.pins == 0);
  sleeper.join();
  all_is_well(pool.memory());
}

TEST_CASE("a page gets another frame, and its device keeps the old one") {
  pool_of pool(3, 4096);
  in me(pool);
  const std::uint32_t page = pool.kept(me);
  std::memset(pool.data(page), 'a', 4096);
  int here[2];
  REQUIRE(::pipe(here) == 0);
  // The pipe is a device that has the frame: it holds the page itself, not its contents.
  const auto body = [&](pinref::segment& mine, pinref::member& it) {
    if (!it.try_pin(page, 2) || !it.try_pin(page)) ::_exit(4);
    ::iovec at{mine.data(page), 4096};
    if (::vmsplice(here[1], &at, 1, 0) != 4096) ::_exit(5);
  };
  const pid_t first = dead_process(pool, body);
  CHECK(first > 0);
  (void)dead_process(pool, [&](pinref::segment&, pinref::member& it) {
    if (!it.try_pin(page)) ::_exit(4);
  });
  // The pool has it still: nothing is replaced.
  pinref::frame_replacer<traits> frames(pool);
  auto report = pinref::recover(pool.memory(), frames);
  CHECK(report.replaced == 0);
  CHECK(report.quarantined == 4);
  CHECK(pool.page(page).snapshot() == pinref::shared64::live(1, 4));
  auto claim = me.claim(page);
  CHECK(me.release(claim.held) == done);
  report = pinref::recover(pool.memory(), frames);
  CHECK(report.replaced == 1);
  CHECK(report.quarantined == 0);
  CHECK(report.members == 2);
  all_is_well(pool.memory());
  // The page is used again; the device goes on with the frame that it had.
  CHECK(pool.nr_free() == 3);
  CHECK(pool.data(page)[0] == std::byte{0});
  std::memset(pool.data(page), 'b', 4096);
  char old[4096];
  REQUIRE(::read(here[0], old, sizeof old) == 4096);
  CHECK(old[0] == 'a');
  CHECK(old[4095] == 'a');
  ::close(here[0]);
  ::close(here[1]);
}

TEST_CASE("a member that is destroyed with holds, or abandons them, is dead") {
  pool_of pool;
  in other(pool);
  const std::uint32_t page = pool.kept(other);
  {
    in me(pool);
    CHECK(me.try_pin(page, 2));
    CHECK(me.try_get(page));
  }
  auto report = pinref::recover(pool.memory(), hooks{});
  CHECK(report.members == 1);
  CHECK(report.pins == 2);
  CHECK(report.references == 1);
  in me(pool);
  CHECK(me.try_get(page));
  CHECK(me.leave() == pinref::leave_result::holds);
  me.abandon();
  CHECK(!me.joined());
  CHECK(pinref::recover(pool.memory(), hooks{}).references == 1);
  all_is_well(pool.memory());
}

TEST_CASE("the dead are not waited for by those who come") {
  pool_of pool;
  for (int i = 0; i != 4; ++i) dead_thread(pool, [&](pinref::member& it) { CHECK(it.allocate()); });
  pinref::member late;
  CHECK(late.join(pool.memory()) == join_result::full);
  CHECK(pinref::recover(pool.memory(), hooks{}).members == 4);
  CHECK(late.join(pool.memory()) == join_result::joined);
  CHECK(pool.memory().places[late.place()].generation.load() == 2);
  all_is_well(pool.memory());
}
