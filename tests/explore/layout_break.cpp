// SPDX-License-Identifier: MIT

// Taking blocks away from an object while devices write to them: no write lands in the next owner's data, what is
// pinned is found busy though nobody maps it, sleepers wake, and the gate bounds the wait.

#include "pinref/protocols/layout_break.hpp"
#include "broken_syncs.hpp"
#include "explored_object.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::break_layout;
using pinref::break_result;
using pinref::foll;
using pinref::gup_error;
using pinref::layout_gate;
using pinref::wait_result;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto reached = wait_result::reached;

// An object of one block, which is a device page: the device's own reference stays, and entries hold none. `Trusting`
// look-ups are not looked at again, and an `Open` object has no gate.
template <class Ref, bool Trusting = false, bool Open = false>
struct block : object_space<Ref> {
  using typename object_space<Ref>::page;
  using typename object_space<Ref>::entry;

  explicit block(std::uint32_t initially) : object_space<Ref>(initially) { this->only.resident = true; }

  [[nodiscard]] bool recheck(std::uintptr_t address, const pinref::mapping<page>& seen) const noexcept {
    return Trusting || object_space<Ref>::recheck(address, seen);
  }
  template <class Use>
  [[nodiscard]] gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    this->at.lock();
    gup_error done = gup_error::busy;
    if (Open || gate.is_open()) {
      done = gup_error::not_mapped;
      if (!reassigned.load(relaxed)) {
        this->at.word.store(entry::present | entry::may_write, relaxed);
        done = use(pinref::mapping<page>{&this->only, this->at.look()});
      }
    }
    this->at.unlock();
    return done;
  }

  void unmap(std::size_t, std::size_t) noexcept {
    this->at.lock();
    this->at.clear();
    this->at.unlock();
  }
  [[nodiscard]] page* busy_in(std::size_t, std::size_t) noexcept {
    ++scans;
    return pinref::page_idle(this->only) ? nullptr : &this->only;
  }
  // The block goes to another file, which writes to it.
  void reassign() {
    reassigned.store(true, relaxed);
    this->only.data.write(100);
  }

  layout_gate<typename Ref::sync> gate;
  explorer::atomic<bool> reassigned{false};
  int scans = 0;  // of the one thread that breaks the layout
};

template <class Space>
Space& make_block(execution& x) {
  auto& s = make_object<Space>(x);
  x.name(s.gate, "gate");
  x.name(s.reassigned, "reassigned");
  return s;
}

// A device writes, unless the block is not to be had.
template <class Space>
bool pin_and_write(Space& s, foll flags = foll::none) {
  typename Space::page* page = nullptr;
  if (pinref::pin_user_pages_fast(s, 0, 1, foll::write | flags, &page).count == 0) return false;
  page->data.write(1);
  (void)pinref::unpin_user_page(*page);
  return true;
}

// --- A4.1

template <class Layout, int Pinners, bool Trusting = false, class Sync = explored_sync>
void pinners_against_truncation(execution& x) {
  using space = block<ref_of<Layout, Sync>, Trusting>;
  auto& s = make_block<space>(x);
  if (Pinners == 1) {
    x.thread([&s] { (void)pin_and_write(s); });
  } else {
    // Both stay out of the slow path, which only adds executions; and how devices share the block is not the point.
    for (int i = 0; i < Pinners; ++i)
      x.thread([&s, i] {
        typename space::page* page = nullptr;
        if (pinref::pin_user_pages_fast(s, 0, 1, foll::write | foll::fast_only, &page).count == 0) return;
        if (i == 0) page->data.write(1);
        (void)pinref::unpin_user_page(*page);
      });
  }
  x.thread([&s] {
    check(break_layout(s, s.gate, 0, 0, [&s] { s.reassign(); }) == break_result::broken, "nothing else can end it");
  });
  x.join();
  check(s.only.data.read() == 100, "a write lands in the new owner's data");
  check(s.only.ref.snapshot() == Layout::live(1), "the device's own reference is left");
}

PROTOCOL("A4.1: no write of a pinner lands in the data of the block's next owner",
         pinners_against_truncation<pinref::bias64, 1>)

TEST_CASE("A4.1: nor with other words, or two pinners") {
  holds({pinners_against_truncation<pinref::split32, 1>, pinners_against_truncation<tiny, 2>});
}

TEST_CASE("A4.1: a fault that does not see what the gate was closed for is caught") {
  caught("data race", pinners_against_truncation<pinref::bias64, 1>,
         {.orders = explorer::weaken(explorer::op::load, std::memory_order_acquire, relaxed, "gate")});
}

// Looks for busy pages first and unmaps then.
template <class Space>
void scans_before_it_unmaps(Space& s) {
  s.gate.close();
  if (s.busy_in(0, 0) == nullptr) {
    s.unmap(0, 0);
    s.reassign();
  }
  s.gate.open();
}

TEST_CASE("A4.1: without the second look, with a load for a question, or scanned too early, it does") {
  caught("data race", pinners_against_truncation<pinref::bias64, 1, true>);
  caught("data race", pinners_against_truncation<pinref::bias64, 1, false, asking_by_load>);
  caught("data race", [](execution& x) {
    auto& s = make_block<block<ref_of<pinref::bias64>>>(x);
    x.thread([&s] { (void)pin_and_write(s); });
    x.thread([&s] { scans_before_it_unmaps(s); });
  });
}

// --- A4.2, A4.5

template <class Layout>
void pinned_and_unmapped(execution& x) {
  auto& s = make_block<block<ref_of<Layout>>>(x);
  typename block<ref_of<Layout>>::page* page = nullptr;
  check(pinref::pin_user_pages(s, 0, 1, foll::write, &page).ok(), "the gate is open");
  s.unmap(0, 0);
  x.thread([page] {
    page->data.write(1);
    (void)pinref::unpin_user_page(*page);
  });
  x.thread([&s] {
    check(break_layout(s, s.gate, 0, 0, [&s] { s.reassign(); }) == break_result::broken, "nothing else can end it");
  });
  x.join();
  check(s.only.data.read() == 100, "the device was waited for");
}

// Whoever does not wait is told that the page is busy for as long as the pin is there; and nothing has happened.
template <class Layout>
void busy_for_now(execution& x) {
  using space = block<ref_of<Layout>>;
  auto& s = make_block<space>(x);
  typename space::page* page = nullptr;
  (void)pinref::pin_user_pages(s, 0, 1, foll::write, &page);
  s.unmap(0, 0);
  x.thread([page] { (void)pinref::unpin_user_page(*page); });
  x.thread([&s] {
    const auto give = [&s] { s.reassign(); };
    const auto done = break_layout(s, s.gate, 0, 0, give, {.until = pinref::deadline::passed()});
    check(done == break_result::broken || done == break_result::busy, "it does not wait");
    check((done == break_result::broken) == s.reassigned.load(relaxed), "taken away exactly if broken");
    check(s.gate.is_open(), "the gate opens again");
  });
}

// A canceller ends the wait; the pin stays.
template <class Layout>
void cancelled(execution& x) {
  using space = block<ref_of<Layout>>;
  auto& s = make_block<space>(x);
  auto& stop = x.make<pinref::wait_canceller<explored_sync>>();
  typename space::page* page = nullptr;
  (void)pinref::pin_user_pages(s, 0, 1, foll::write, &page);
  x.thread([&stop] { stop.cancel(); });
  x.thread([&s, &stop] {
    const auto done = break_layout(s, s.gate, 0, 0, [&s] { s.reassign(); }, {.stop = &stop});
    check(done == break_result::given_up, "the pin stays");
  });
  x.join();
  check(s.gate.is_open() && !s.reassigned.load(relaxed), "nothing was taken away");
}

TEST_CASE("A4.2: a page that is pinned but no longer mapped is waited for") {
  holds({pinned_and_unmapped<pinref::bias64>, pinned_and_unmapped<pinref::split32>});
}

TEST_CASE("A4.5: a break that may not wait, and one that is cancelled, leave things as they were") {
  holds({busy_for_now<pinref::bias64>, busy_for_now<pinref::split32>, cancelled<pinref::bias64>});
}

// --- A4.3: the last holder leaves a sleeper's page, by each of the calls.

template <class Layout>
using numbered = object_page<ref_of<Layout>, true>;

struct single {
  template <class Page>
  static void release(Page& page) {
    check(pinref::unpin_user_page(page) != pinref::release_result::underflow, "the pin is there");
  }
};
struct batch {
  template <class Page>
  static void release(Page& page) {
    Page* const pages[] = {nullptr, &page};
    check(pinref::unpin_user_pages(pages, 2).count == 1, "the pin is there");
  }
};
struct folio {
  template <class Page>
  static void release(Page& page) {
    check(pinref::unpin_user_folio(page, 1).ok(), "the pin is there");
  }
};
struct range {
  template <class Page>
  static void release(Page& page) {
    check(pinref::unpin_user_page_range(&page, 1).ok(), "the pin is there");
  }
};
struct dirty_lock {
  template <class Page>
  static void release(Page& page) {
    Page* const pages[] = {&page};
    check(pinref::unpin_user_pages_dirty_lock(pages, 1, true).ok(), "the pin is there");
  }
};
struct folio_dirty_lock {
  template <class Page>
  static void release(Page& page) {
    check(pinref::unpin_user_folio_dirty_lock(page, 1).ok(), "the pin is there");
  }
};
struct range_dirty_lock {
  template <class Page>
  static void release(Page& page) {
    check(pinref::unpin_user_page_range_dirty_lock(&page, 1, true).ok(), "the pin is there");
  }
};

// What a sleeper waits for: the pins to go, or everything but the owner's reference.
enum class wanted { unpinned, idle };

template <class Layout, class By, wanted What>
void sleeper(execution& x) {
  auto& page = x.make<numbered<Layout>>();
  x.name(page, "page");
  x.name(page.ref, "word");
  page.resident = What == wanted::idle;
  page.ref.init();
  (void)pinref::try_pin_page(page);
  x.thread([&page] {
    page.data.write(1);
    By::release(page);
  });
  x.thread([&page] {
    check((What == wanted::unpinned ? pinref::wait_until_unpinned(page) : pinref::wait_until_idle(page)) == reached,
          "nothing else can end the wait");
    check(page.data.read() == 1, "the waiter sees what the device wrote");
  });
  x.join();
  check(page.ref.snapshot() == Layout::live(1), "nothing but the reference is left");
}

template <class By>
void wakes_every_sleeper() {
  using pinref::bias64, pinref::split32;
  holds({sleeper<bias64, By, wanted::unpinned>, sleeper<bias64, By, wanted::idle>, sleeper<tiny, By, wanted::unpinned>,
         sleeper<split32, By, wanted::unpinned>, sleeper<split32, By, wanted::idle>});
}

TEST_CASE_TEMPLATE("A4.3: the last release wakes a sleeper, by whatever call it comes", By, single, batch, folio, range,
                   dirty_lock, folio_dirty_lock, range_dirty_lock) {
  wakes_every_sleeper<By>();
}

// --- A4.4: short pins one after the other.

// The device pins as often as it can. What was pinned as the gate closed is waited for, and a look-up from before the
// unmap may pin once more for a moment; so there is an end to it.
constexpr int most_scans = 3;

template <class Layout, bool Open, int Pins>
void stream_of_pins(execution& x) {
  auto& s = make_block<block<ref_of<Layout>, false, Open>>(x);
  x.thread([&s] {
    for (int i = 0; i < Pins; ++i)
      if (!pin_and_write(s)) return;
  });
  x.thread([&s] {
    s.gate.close();
    for (;;) {
      s.unmap(0, 0);
      auto* const busy = s.busy_in(0, 0);
      check(s.scans <= most_scans, "the stream of pins goes on, and so does the truncation");
      if (busy == nullptr) break;
      (void)pinref::wait_until_idle(*busy);
    }
    s.gate.open();
  });
}

// As the library does it, which unmaps once.
template <class Layout>
void stream_of_pins_against_the_gate(execution& x) {
  auto& s = make_block<block<ref_of<Layout>>>(x);
  x.thread([&s] {
    for (int i = 0; i < 4; ++i)
      if (!pin_and_write(s)) return;
  });
  x.thread([&s] {
    check(break_layout(s, s.gate, 0, 0, [] {}) == break_result::broken, "nothing else can end it");
    check(s.scans <= most_scans, "the stream of pins goes on, and so does the truncation");
  });
}

TEST_CASE("A4.4: a stream of short pins cannot keep a truncation waiting, for the gate is closed") {
  holds({stream_of_pins_against_the_gate<pinref::bias64>, stream_of_pins<pinref::bias64, false, 4>});
}

TEST_CASE("A4.4: without the gate it can") {
  caught("the stream of pins goes on", stream_of_pins<pinref::bias64, true, 4>);
}

// --- The gate itself.

// Who sleeps before it wakes, and sees the layout as it was changed. Two have closed it.
void gate_opens(execution& x) {
  auto& gate = x.make<layout_gate<explored_sync>>();
  auto& layout = x.make<explorer::plain<int>>();
  x.name(gate, "gate");
  gate.close();
  x.thread([&] {
    layout.write(1);
    gate.open();
  });
  x.thread([&] {
    check(gate.wait_until_open() == reached, "nothing else can end the wait");
    check(layout.read() == 1, "who enters sees the layout as it was changed");
  });
}

void gate_closed_twice(execution& x) {
  auto& gate = x.make<layout_gate<explored_sync>>();
  auto& layout = x.make<explorer::plain<int>>();
  auto& other_layout = x.make<explorer::plain<int>>();
  x.name(gate, "gate");
  gate.close();
  gate.close();
  x.thread([&] {
    layout.write(1);
    gate.open();
  });
  x.thread([&] {
    other_layout.write(1);
    gate.open();
  });
  x.thread([&] {
    check(gate.wait_until_open() == reached, "nothing else can end the wait");
    check(layout.read() + other_layout.read() == 2, "who enters sees both changes");
  });
}

PROTOCOL("who sleeps before a gate wakes as it opens, and sees the layout as it was changed", gate_opens,
         gate_closed_twice)

}  // namespace
