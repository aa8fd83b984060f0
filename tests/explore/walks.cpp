// SPDX-License-Identifier: MIT

// What is too big to be seen whole: many threads, every operation, random executions from a fixed seed.

#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::release_result;

template <class Layout>
struct page {
  explicit page(std::size_t references) { ref.init(references); }

  void released(release_result result) {
    check(result != release_result::underflow, "a rightful release is not refused");
    if (result != last) return;
    data.write(data.read() + 1);
    if (++lives == 3) return data.destroy();
    ref.init(2);
    released(ref.put());
    (void)data.read();
    released(ref.put_sole());
  }
  void get_and_put() {
    if (ref.try_get_if_alive() != taken) return;
    check(ref.get(2) == taken, "a holder can take more");
    (void)data.read();
    released(ref.put(3));
  }
  void pin_and_unpin() {
    if (ref.try_pin() != taken) return;
    (void)data.read();
    released(ref.unpin());
  }
  void wait() {
    (void)ref.dma_pinned();
    check(ref.wait_until_unpinned() == pinref::wait_result::reached, "nothing else can end the wait");
    check(ref.wait_until_idle(0) == pinref::wait_result::reached, "nothing else can end the wait");
  }
  void freeze_and_put() {
    if (ref.freeze(1)) {
      data.write(data.read() + 10);
      ref.unfreeze(2);
      released(ref.put());
    }
    (void)data.read();
    released(ref.put());
  }

  ref_of<Layout> ref;
  explorer::plain<int> data{1};
  int lives = 0;  // written by the last holder only
};

template <class Layout>
void everything(execution& x) {
  auto& p = x.make<page<Layout>>(std::size_t{1});
  x.name(p.ref, "word");
  x.name(p.data, "data");
  x.thread([&p] { p.freeze_and_put(); });
  x.thread([&p] { p.get_and_put(); });
  x.thread([&p] { p.pin_and_unpin(); });
  x.thread([&p] { p.pin_and_unpin(); });
  x.thread([&p] { p.wait(); });
  x.thread([&p] { p.wait(); });
  x.join();
  check(p.lives == 3, "both lives have ended");
  check(p.ref.snapshot() == Layout{}, "ends dead, with nothing left in the word");
}

TEST_CASE_TEMPLATE("everything at once holds on random walks", Layout, pinref::bias64, tiny, pinref::split32) {
  for (const unsigned spurious : {0u, 2u}) {
    const auto r =
        explorer::explore({.spurious_weak_cas = spurious, .random_walks = 3000, .seed = 7}, everything<Layout>);
    CHECK_MESSAGE(!r.failed, r.text());
  }
}

TEST_CASE("every protocol forgives a weak exchange that fails without cause") {
  for (const protocol& p : protocols())
    for (const program& each : p.programs) {
      CAPTURE(p.text);
      const auto r = explorer::explore({.spurious_weak_cas = 2, .random_walks = 300, .seed = 11}, each);
      CHECK_MESSAGE(!r.failed, r.text());
    }
}

}  // namespace
