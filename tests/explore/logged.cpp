// SPDX-License-Identifier: MIT

// Data that is poisoned while nobody has it pinned, by the hooks of a holder_log: whoever has a pin finds it whole.

#include "explored_object.hpp"
#include "pinref/observe/holder_log.hpp"
#include "pinref/observe/logged_ref.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

constexpr auto relaxed = std::memory_order_relaxed;

struct guarded {
  void use() const { check(!poisoned.load(relaxed), whole); }
  static constexpr const char* whole = "whoever has a pin finds the data whole";

  // Of no order of its own.
  explorer::atomic<bool> poisoned{true};
};

// The log and the page of the execution that runs.
struct hooks {
  void first_pin(const void*) noexcept { of->poisoned.store(false, relaxed); }
  void last_pin(const void*) noexcept { of->poisoned.store(true, relaxed); }

  guarded* of;
};
using log_type = pinref::holder_log<explored_lock, hooks>;
log_type* running_log;

struct find_log {
  log_type& operator()(const void*) const noexcept { return *running_log; }
};

template <class Layout>
struct page : guarded {
  pinref::holder_entry room[6];
  log_type log{room, {this}};
  pinref::logged_ref<ref_of<Layout>, find_log> ref;
};

template <class Layout>
page<Layout>& make(execution& x) {
  auto& p = x.make<page<Layout>>();
  running_log = &p.log;
  x.name(p.ref, "word");
  x.name(p.log, "log");
  x.name(p.poisoned, "poisoned");
  p.ref.init();
  return p;
}

template <class Layout>
void pinned_by_two(execution& x) {
  auto& p = make<Layout>(x);
  for (int i = 0; i != 2; ++i)
    x.thread([&p] {
      if (p.ref.try_pin() != taken) return;
      p.use();
      (void)p.ref.unpin();
    });
  x.join();
  check(p.poisoned.load(relaxed), "nobody has it pinned");
  check(p.log.leaks(pinref::hold::pin) == 0 && p.log.unmatched() == 0 && p.log.missed() == 0, "nor listed");
}

template <class Layout>
void pinned_more_than_once(execution& x) {
  auto& p = make<Layout>(x);
  check(p.ref.try_pin() == taken, "alive");
  x.thread([&p] {
    p.use();
    (void)p.ref.unpin();
  });
  x.thread([&p] {
    if (p.ref.try_pin() != taken) return;
    check(p.ref.add_pin() == taken, "a pinner can always pin more");
    (void)p.ref.unpin();
    p.use();
    (void)p.ref.unpin();
  });
  x.join();
  check(p.poisoned.load(relaxed), "nobody has it pinned");
}

PROTOCOL("a pin finds the data whole that is poisoned without one", pinned_by_two<pinref::bias64>,
         pinned_by_two<pinref::split32>, pinned_more_than_once<pinref::bias64>)

// Without the log: poisoned by whoever released the last pin, afterwards.
void poisoned_after_the_release(execution& x) {
  struct plain_page : guarded {
    ref_of<pinref::bias64> ref;
  };
  auto& p = x.make<plain_page>();
  x.name(p.ref, "word");
  p.ref.init();
  for (int i = 0; i != 2; ++i)
    x.thread([&p] {
      if (p.ref.try_pin() != taken) return;
      p.poisoned.store(false, relaxed);
      p.use();
      (void)p.ref.unpin();
      if (!p.ref.dma_pinned()) p.poisoned.store(true, relaxed);
    });
}

TEST_CASE("data that is poisoned after the last pin was released is caught") {
  caught("whoever has a pin finds the data whole", poisoned_after_the_release);
}

}  // namespace
