// SPDX-License-Identifier: MIT

// The bits of the host in the word: changed by one atomic or together with a release, read, waited for and frozen on.

#include <cstdint>

#include "broken_syncs.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::release_result;
using pinref::wait_result;
using pinref::zone;

// 16 bits, of which two are the host's: a pin counts 8.
using hosted = pinref::bias_layout<std::uint16_t, 3, 7, 2>;
constexpr std::uint16_t io = 1, valid = 2;
constexpr pinref::host_change<std::uint16_t> read_in{.set = valid, .clear = io};

template <class Sync = explored_sync>
struct frame : freed_once {
  frame() { ref.init(); }
  ref_of<hosted, Sync> ref;
};

template <class Sync = explored_sync>
frame<Sync>& make(execution& x) {
  auto& f = x.make<frame<Sync>>();
  x.name(f.ref, "word");
  x.name(f.data, "data");
  return f;
}

// A device has the page; its completion unpins, and says in the same exchange that the data are there.
template <bool InOne>
void reads_what_is_valid(execution& x) {
  auto& f = make(x);
  (void)f.ref.try_pin();
  (void)f.ref.set_host_bits(io);
  x.thread([&f] {
    f.data.write(2);
    if constexpr (InOne) {
      (void)f.ref.unpin_and_change(read_in);
    } else {
      (void)f.ref.set_host_bits(valid);
      (void)f.ref.clear_host_bits(io);
      (void)f.ref.unpin();
    }
  });
  x.thread([&f] {
    if ((f.ref.host_bits() & valid) != 0) check(f.data.read() == 2, "valid data");
  });
  x.join();
  check(f.ref.host_bits() == valid && f.ref.references() == 1 && f.ref.pins() == 0, "read in");
}

void writes_what_is_not_under_io(execution& x) {
  auto& f = make(x);
  (void)f.ref.set_host_bits(io);
  x.thread([&f] {
    f.data.write(2);
    (void)f.ref.clear_host_bits(io);
  });
  x.thread([&f] {
    if (!f.ref.freeze_if(1, io, 0)) return;
    f.data.write(3);
    f.ref.unfreeze(1);
  });
  x.join();
}

void freezes_what_was_changed(execution& x) {
  auto& f = make(x);
  (void)f.ref.get();
  (void)f.ref.set_host_bits(io);
  x.thread([&f] {
    f.data.write(2);
    (void)f.ref.put_and_change(read_in);
  });
  x.thread([&f] {
    if (!f.ref.freeze_if(1, io | valid, valid)) return;
    check(f.data.read() == 2, "the frozen page is as its last holder left it");
    f.ref.unfreeze(1);
  });
  x.join();
}

// A pin and its bit go at the same instant.
template <bool InOne>
void never_one_without_the_other(execution& x) {
  auto& f = make(x);
  (void)f.ref.try_pin();
  (void)f.ref.set_host_bits(io);
  x.thread([&f] {
    if constexpr (InOne) {
      (void)f.ref.unpin_and_change(read_in);
    } else {
      (void)f.ref.unpin();
      (void)f.ref.clear_host_bits(io);
    }
  });
  x.thread([&f] {
    const hosted seen = f.ref.snapshot();
    check((seen.pins() != 0) == ((seen.host() & io) != 0), "pinned as long as under I/O");
  });
  x.join();
}

// Waits without a deadline: a bit and the pins, on one word.
template <class Sync>
void both_waits_end(execution& x) {
  auto& f = make<Sync>(x);
  (void)f.ref.try_pin();
  (void)f.ref.set_host_bits(io);
  x.thread([&f] { check(f.ref.wait_until_clear(io) == pinref::wait_result::reached, "nothing else ends the wait"); });
  x.thread([&f] { check(f.ref.wait_until_unpinned() == pinref::wait_result::reached, "nothing else ends the wait"); });
  x.thread([&f] {
    f.data.write(2);
    (void)f.ref.clear_host_bits(io);
    (void)f.ref.unpin();
  });
  x.join();
  check(f.ref.freeze(1), "nothing but the reference is left in the word");
}

void a_wait_sees_the_data(execution& x) {
  auto& f = make(x);
  (void)f.ref.try_pin();
  (void)f.ref.set_host_bits(io);
  x.thread([&f] {
    if (f.ref.wait_until_clear(io) == pinref::wait_result::reached) check(f.data.read() == 2, "data read in");
  });
  x.thread([&f] {
    f.data.write(2);
    (void)f.ref.unpin_and_change(read_in);
  });
  x.join();
}

void freed_once_with_its_bits(execution& x) {
  auto& f = make(x);
  for (unsigned i = 0; i != 2; ++i)
    x.thread([&f] {
      if (f.ref.try_get() != taken) return;
      f.use();
      f.released(f.ref.put_and_change({.set = valid}));
    });
  x.thread([&f] {
    f.use();
    f.released(f.ref.put_and_change({.clear = io}));
  });
  x.join();
  check(f.freed.get() == 1, "freed once");
  check(f.ref.snapshot().zone() == pinref::zone::dead, "ends dead");
  f.ref.bury();
}

// Other widths of the same: two bits below the holders.
using bits64 = pinref::bias_layout<std::uint64_t, 32, 511, 2>;
using bits16 = pinref::bias_layout<std::uint16_t, 4, 3, 2>;
constexpr unsigned dirty = 1, writing = 2;

template <class Layout, class Sync = explored_sync>
struct page : freed_once {
  explicit page(std::size_t references, unsigned bits = 0) {
    ref.init(references);
    if (bits != 0) ref.set_host_bits(static_cast<typename Layout::word_type>(bits));
  }

  ref_of<Layout, Sync> ref;
  explorer::plain<int> note{0};
};

template <class Layout, class Sync = explored_sync>
page<Layout, Sync>& make_page(execution& x, std::size_t references, unsigned bits = 0) {
  auto& p = x.make<page<Layout, Sync>>(references, bits);
  x.name(p, "page");
  x.name(p.ref, "word");
  x.name(p.data, "data");
  x.name(p.note, "note");
  return p;
}

template <class Page>
void ends_dead_with(execution& x, Page& p, unsigned bits) {
  x.join();
  check(p.freed.get() == 1, "freed at last");
  check(p.ref.snapshot().zone() == zone::dead && p.ref.host_bits() == bits, "dead, with the bits as they were left");
}

// Of releases with a change and without one of them is the last, and it sees what the others did.
template <class Layout, class Sync = explored_sync>
void released_with_a_change(execution& x) {
  auto& p = make_page<Layout, Sync>(x, 2);
  check(p.ref.try_pin() == taken, "alive");
  x.thread([&p] {
    p.use();
    p.released(p.ref.put_and_change({.set = dirty}));
  });
  x.thread([&p] {
    p.use();
    p.released(p.ref.unpin_and_change({.set = writing}));
  });
  x.thread([&p] {
    p.use();
    p.released(p.ref.put());
  });
  ends_dead_with(x, p, dirty | writing);
}

// Beside takes that pass by, some of which meet the dead word, and beside changes of a word in any state.
template <class Layout, class Sync = explored_sync>
void changed_under_takes(execution& x) {
  auto& p = make_page<Layout, Sync>(x, 1, writing);
  x.thread([&p] {
    p.use();
    p.released(p.ref.put_and_change({.set = dirty}));
  });
  x.thread([&p] {
    if (p.ref.try_get() != taken) return;
    p.use();
    p.released(p.ref.put());
  });
  x.thread([&p] { check((p.ref.clear_host_bits(writing) & writing) != 0, "nobody else has cleared it"); });
  ends_dead_with(x, p, dirty);
}

// A bit says that the note is written: by each way to change it, and to look at it.
enum class how { set, clear, put };
enum class seen { looked, set, clear };

template <class Layout, how By, seen In>
void passed_on_by_a_bit(execution& x) {
  auto& p = make_page<Layout>(x, 3, By == how::clear ? dirty : 0);
  x.thread([&p] {
    p.note.write(1);
    if (By == how::set) p.ref.set_host_bits(dirty);
    if (By == how::clear) p.ref.clear_host_bits(dirty);
    if (By == how::put) (void)p.ref.put_and_change({.set = dirty});
  });
  x.thread([&p] {
    typename Layout::word_type bits{};
    if (In == seen::looked) bits = p.ref.host_bits();
    if (In == seen::set) bits = p.ref.set_host_bits(writing);
    if (In == seen::clear) bits = p.ref.clear_host_bits(writing);
    if (((bits & dirty) != 0) == (By != how::clear))
      check(p.note.read() == 1, "who sees the bit sees what it stands for");
  });
}

// The writer ends: whoever waits for that, or freezes the page if so, sees what was written.
template <class Layout, class Sync = explored_sync>
void waited_for(execution& x) {
  auto& p = make_page<Layout, Sync>(x, 2, writing);
  x.thread([&p] {
    p.note.write(1);
    p.ref.clear_host_bits(writing);
  });
  x.thread([&p] {
    check(p.ref.wait_until_clear(writing) == wait_result::reached, "nothing else can end the wait");
    check(p.note.read() == 1, "the waiter sees what was written");
  });
}

template <class Layout, class Sync = explored_sync>
void waited_for_a_release(execution& x) {
  auto& p = make_page<Layout, Sync>(x, 3, writing | dirty);
  x.thread([&p] {
    p.note.write(1);
    (void)p.ref.put_and_change({.set = 0, .clear = writing});
  });
  x.thread([&p] {
    check(p.ref.wait_until_clear(writing) == wait_result::reached, "nothing else can end the wait");
    check(p.note.read() == 1, "the waiter sees what was written");
  });
  x.thread([&p] { p.ref.clear_host_bits(dirty); });
  x.join();
  check(p.ref.host_bits() == 0 && p.ref.references() == 2, "all is counted");
}

// One waits for the bit, another for the pins: each is woken by what the other is not.
template <class Layout, class Sync = explored_sync>
void waited_for_beside_pins(execution& x) {
  auto& p = make_page<Layout, Sync>(x, 1, writing);
  check(p.ref.try_pin() == taken, "alive");
  x.thread([&p] {
    p.ref.clear_host_bits(writing);
    (void)p.ref.unpin();
  });
  x.thread([&p] { check(p.ref.wait_until_clear(writing) == wait_result::reached, "nothing else can end the wait"); });
  x.thread([&p] { check(p.ref.wait_until_unpinned() == wait_result::reached, "nothing else can end the wait"); });
}

template <class Layout>
void frozen_if_clear(execution& x) {
  auto& p = make_page<Layout>(x, 1, writing);
  x.thread([&p] {
    p.note.write(1);
    p.ref.clear_host_bits(writing);
  });
  x.thread([&p] {
    if (!p.ref.freeze_if(1, writing, 0)) return;
    check(p.note.read() == 1, "whoever claims the page sees what was written");
    p.note.write(2);
    p.ref.unfreeze(1);
  });
  x.thread([&p] {
    p.ref.set_host_bits(dirty);
    if (p.ref.try_get() == taken) (void)p.ref.put();
  });
  x.join();
  check(p.ref.snapshot() == Layout{static_cast<typename Layout::word_type>(Layout::live(1).raw() | dirty)},
        "nothing is lost of either");
}

// A page that is set dirty is not claimed as a clean one: the mark comes before the release that lets it be claimed.
template <class Layout>
void dirty_is_not_taken_for_clean(execution& x) {
  auto& p = make_page<Layout>(x, 1);
  check(p.ref.try_pin() == taken, "alive");
  x.thread([&p] {
    p.note.write(1);
    (void)p.ref.unpin_and_change({.set = dirty});
  });
  x.thread([&p] { check(!p.ref.freeze_if(1, dirty, 0), "pinned first, and dirty from then on"); });
  x.join();
  check(p.ref.freeze_if(1, dirty, dirty), "nothing but the reference is left");
}

// Who claimed a word is told from it whatever takes and releases of what nobody holds are on their way, and each
// claimant gives it back as it was.
struct claimed {
  using zones = pinref::zones<std::uint16_t, 3, 1, 2>;
  using word = pinref::zoned_word<zones, std::uint16_t{1}, explored_sync>;

  explorer::plain<int> data{0};
  word state{zones::live(1)};
};

template <unsigned Who>
void claimed_by(execution& x) {
  using zones = claimed::zones;
  auto& p = x.make<claimed>();
  x.name(p.state, "word");
  x.thread([&p] {
    if (!p.state.freeze(1, Who)) return;
    check(zones::claimant_of(p.state.load()) == Who, "it says whose it is");
    p.data.write(1);
    check(zones::claimant_of(p.state.load()) == Who && zones::zone_of(p.state.load()) == zone::frozen,
          "and does so throughout");
    p.state.start(1, zone::frozen, Who);
  });
  for (int i = 0; i != 2; ++i)
    x.thread([&p] {
      if (p.state.take(zones::max_delta) != taken) return;
      p.data.read();
      (void)p.state.release(zones::max_delta, pinref::owner_ref::counted);
    });
  x.join();
  check(p.state.load() == zones::live(1), "nothing of the refused is left");
}

PROTOCOL("a reader of a bit of the host sees what came before its change", reads_what_is_valid<true>,
         reads_what_is_valid<false>, a_wait_sees_the_data)
PROTOCOL("a page is frozen as whoever changed the bits left it", writes_what_is_not_under_io, freezes_what_was_changed)
PROTOCOL("a release and its bits are seen together", never_one_without_the_other<true>)
PROTOCOL("waiters for a bit and for the pins of one word all wake", both_waits_end<explored_sync>)
PROTOCOL("a page is freed once, whoever changes its bits meanwhile", freed_once_with_its_bits)

PROTOCOL("of releases with a change of the host's bits exactly one is the last", released_with_a_change<bits64>,
         released_with_a_change<bits16>, changed_under_takes<bits64>, changed_under_takes<bits16>)

PROTOCOL("who sees a bit of the host sees what came before its change",
         (passed_on_by_a_bit<bits64, how::set, seen::looked>), (passed_on_by_a_bit<bits64, how::set, seen::set>),
         (passed_on_by_a_bit<bits64, how::set, seen::clear>), (passed_on_by_a_bit<bits64, how::clear, seen::looked>),
         (passed_on_by_a_bit<bits64, how::clear, seen::set>), (passed_on_by_a_bit<bits64, how::put, seen::looked>),
         (passed_on_by_a_bit<bits16, how::put, seen::clear>))

PROTOCOL("whoever waits for a bit of the host wakes, and sees what came before", waited_for<bits64>, waited_for<bits16>,
         waited_for_a_release<bits64>, waited_for_beside_pins<bits64>, waited_for_beside_pins<bits16>)

PROTOCOL("a page is frozen with the bits it was asked for", frozen_if_clear<bits64>, frozen_if_clear<bits16>,
         dirty_is_not_taken_for_clean<bits64>)

PROTOCOL("a claimed word says who claimed it, whatever is given back", claimed_by<0>, claimed_by<1>, claimed_by<2>)

TEST_CASE("a change of a bit that wakes nobody is caught") {
  caught("lost wake-up", waited_for<bits64, silent>);
  caught("lost wake-up", waited_for_a_release<bits64, silent>);
}

TEST_CASE("a release with a change that does not compare is caught") {
  caught("freed at last", released_with_a_change<bits64, blind>);
}

TEST_CASE("bits that are changed beside the release are seen without it") {
  caught("pinned as long as under I/O", never_one_without_the_other<false>);
}

}  // namespace
