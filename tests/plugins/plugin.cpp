// SPDX-License-Identifier: MIT

// One plug-in: the functions of shared.hpp by this copy of the library.

#include "shared.hpp"

namespace {

using namespace plugins;
using pinref::release_result;
using pinref::take_result;
using pinref::wait_result;

// So long that a wait that is not woken is a failure, and no hang.
pinref::deadline soon() {
  return pinref::deadline::in_nanoseconds(20'000'000'000);
}

template <class Sync>
void prepare(waited_on<Sync>& on) {
  const auto begin = [](auto& ref) {
    ref.init();
    (void)ref.try_pin();
  };
  begin(on.wide);
  begin(on.narrow);
  begin(on.apart);
  on.gate.close();
  on.lock.lock();
}

template <class Sync>
int wait(waited_on<Sync>& on, what which) {
  wait_result done = wait_result::timed_out;
  switch (which) {
    case what::wide:
      done = on.wide.wait_until_unpinned(soon());
      break;
    case what::narrow:
      done = on.narrow.wait_until_unpinned(soon());
      break;
    case what::apart:
      done = on.apart.wait_until_unpinned(soon());
      break;
    case what::idle:
      done = on.wide.wait_until_idle(1, soon());
      break;
    case what::gate:
      done = on.gate.wait_until_open(soon());
      break;
    case what::lock:
      on.lock.lock();
      done = wait_result::reached;
      break;
    case what::cancelled:
      return on.narrow.wait_until_idle(1, soon(), on.stop) != wait_result::given_up;
  }
  return done != wait_result::reached;
}

template <class Sync>
void end(waited_on<Sync>& on, what which) {
  switch (which) {
    case what::wide:
    case what::idle:
      (void)on.wide.unpin();
      break;
    case what::narrow:
      (void)on.narrow.unpin();
      break;
    case what::apart:
      (void)on.apart.unpin();
      break;
    case what::gate:
      on.gate.open();
      break;
    case what::lock:
      on.lock.unlock();
      break;
    case what::cancelled:
      on.stop.cancel();
      break;
  }
}

void pin_counted(counted& page, int times) {
  for (int i = 0; i != times; ++i) (void)page.ref.try_pin();
}
void unpin_counted(counted& page, int times) {
  for (int i = 0; i != times; ++i) (void)page.ref.unpin();
}

bool make_hot(hot& page) {
  return page.ref.make_hot(page.counts);
}
int pin_hot(hot& page, int times) {
  int failed = 0;
  for (int i = 0; i != times; ++i) failed += page.ref.try_pin() != take_result::taken;
  return failed;
}
int unpin_hot(hot& page, int times) {
  int failed = 0;
  for (int i = 0; i != times; ++i) failed += page.ref.unpin() == release_result::underflow;
  return failed;
}
bool hot_is_pinned(hot& page) {
  return page.ref.dma_pinned();
}
std::uint64_t make_exact(hot& page) {
  (void)page.ref.make_exact();
  return page.ref.snapshot().pins();
}
void leave(hot& page) {
  page.threads.leave();
}

constexpr functions mine{
    wait<pinref::std_sync>,
    wait<pinref::shared_sync>,
    prepare<pinref::std_sync>,
    prepare<pinref::shared_sync>,
    end<pinref::std_sync>,
    end<pinref::shared_sync>,
    pin_counted,
    unpin_counted,
    make_hot,
    pin_hot,
    unpin_hot,
    hot_is_pinned,
    make_exact,
    leave,
};

}  // namespace

extern "C" [[gnu::visibility("default")]] const plugins::functions* plugin() {
  return &mine;
}
