// SPDX-License-Identifier: MIT

// Closed to new takes while releases go on: no state of the word, but a bit of the host, or a flag of its own, that is
// looked at after the take. docs/allocators.md has the pattern.

#include <cstdint>

#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

using bits64 = pinref::bias_layout<std::uint64_t, 32, 511, 1>;
using bits16 = pinref::bias_layout<std::uint16_t, 4, 3, 1>;
constexpr unsigned closed = 1;

enum class look { after_the_take, before_it };

template <class Layout, look When>
struct page : freed_once {
  using word = typename Layout::word_type;

  [[nodiscard]] bool is_closed() const { return (ref.host_bits() & word{closed}) != 0; }

  template <pinref::hold Mode>
  [[nodiscard]] bool enter() {
    if (When == look::before_it && is_closed()) return false;
    if ((Mode == pinref::hold::pin ? ref.try_pin() : ref.try_get()) != taken) return false;
    if (When == look::before_it || !is_closed()) return true;
    leave<Mode>();
    return false;
  }
  template <pinref::hold Mode>
  void leave() {
    released(Mode == pinref::hold::pin ? ref.unpin() : ref.put());
  }
  void close() { ref.set_host_bits(word{closed}); }
  void reopen() { ref.clear_host_bits(word{closed}); }

  ref_of<Layout> ref;
};

template <class Layout, look When>
page<Layout, When>& make(execution& x, std::size_t references) {
  auto& p = x.make<page<Layout, When>>();
  x.name(p.ref, "word");
  x.name(p.data, "data");
  p.ref.init(references);
  return p;
}

// A holder stays throughout. A wait for the pins of a closed page ends when it is unpinned for good: the closer alone
// may write to what only pinners touch, until it opens the page again.
template <class Layout, int Pinners, look When = look::after_the_take>
void drained_of_pins(execution& x) {
  auto& p = make<Layout, When>(x, 2);
  x.thread([&p] {
    p.close();
    check(p.ref.wait_until_unpinned() == pinref::wait_result::reached, "nothing else can end the wait");
    p.data.write(p.data.read() + 1);
    if (Pinners == 1) p.reopen();
  });
  for (int i = 0; i != Pinners; ++i)
    x.thread([&p] {
      if (!p.template enter<pinref::hold::pin>()) return;
      (void)p.data.read();
      p.template leave<pinref::hold::pin>();
    });
  x.join();
  check(p.ref.references() == 2 && p.ref.pins() == 0, "all that came have left");
}

// The closer frees what it has closed: a taker that passes by may make it wait again, but cannot keep it.
template <class Layout, pinref::hold Mode, look When = look::after_the_take>
void drained_and_freed(execution& x) {
  auto& p = make<Layout, When>(x, 1);
  x.thread([&p] {
    p.close();
    do check(p.ref.wait_until_idle(1) == pinref::wait_result::reached, "nothing else can end the wait");
    while (!p.ref.freeze(1));
    p.free();
    p.ref.bury();
  });
  x.thread([&p] {
    if (!p.template enter<Mode>()) return;
    p.use();
    p.template leave<Mode>();
  });
  x.join();
  check(p.freed.get() == 1, "freed once, by the one that closed it");
}

// A word without bits of the host, and a flag beside it: the end of a wait is a look that a take may be missing from;
// the question is not.
template <bool Asked>
void closed_by_a_flag(execution& x) {
  struct flagged {
    ref_of<pinref::bias64> ref;
    explored_sync::atomic<bool> closed{false};
    explorer::plain<int> data{1};
  };
  auto& p = x.make<flagged>();
  x.name(p.ref, "word");
  x.name(p.closed, "flag");
  x.name(p.data, "data");
  p.ref.init();
  x.thread([&p] {
    p.closed.store(true, std::memory_order_relaxed);
    do check(p.ref.wait_until_unpinned() == pinref::wait_result::reached, "nothing else can end the wait");
    while (Asked && p.ref.dma_pinned());
    p.data.write(2);
  });
  x.thread([&p] {
    if (p.ref.try_pin() != taken) return;
    if (!p.closed.load(std::memory_order_relaxed)) (void)p.data.read();
    (void)p.ref.unpin();
  });
}

PROTOCOL("a page that is closed gets no new holders, and loses those it has", (drained_of_pins<bits64, 1>),
         (drained_of_pins<bits16, 1>), (drained_and_freed<bits64, pinref::hold::reference>),
         (drained_and_freed<bits64, pinref::hold::pin>), (drained_and_freed<bits16, pinref::hold::pin>),
         closed_by_a_flag<true>)

TEST_CASE("a page that is closed stays closed to several") {
  holds({drained_of_pins<bits64, 2>});
}

TEST_CASE("a flag and a wait, but no question after it, is caught") {
  caught("data race", closed_by_a_flag<false>);
}

TEST_CASE("a look at the bit before the take is caught") {
  caught("data race", drained_of_pins<bits64, 1, look::before_it>);
}

}  // namespace
