// SPDX-License-Identifier: MIT

// Writing a page out while a device writes to it: no write is lost, and of a pinner and a write-protector at least one
// knows of the other.

#include "pinref/protocols/writeback.hpp"
#include "broken_syncs.hpp"
#include "explored_object.hpp"
#include "pinref/host/frame_arena.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::foll;
using pinref::if_pinned;
using pinref::mkclean_result;
using pinref::writeback_result;

constexpr auto relaxed = std::memory_order_relaxed;

template <class Layout, class Sync = explored_sync>
using space_of = object_space<ref_of<Layout, Sync>>;

// The ways to pin: by look-up without a lock, with the slow path behind it, or under the entry's lock alone.
enum class way { lockless, locked };

template <way Way, class Space>
typename Space::page* pin(Space& s, foll flags = foll::write) {
  typename Space::page* page = nullptr;
  const pinref::gup_result done = Way == way::lockless ? pinref::pin_user_pages_fast(s, 0, 1, flags, &page)
                                                       : pinref::pin_user_pages(s, 0, 1, flags, &page);
  return done.count == 1 ? page : nullptr;
}

// --- A0.2

// The pin stays to the end, so "pinned" is what the walk must see, or the pinner must see the entry read-only.
template <class Layout, way Way, class Sync = explored_sync>
void pin_against_mkclean(execution& x) {
  auto& s = make_object<space_of<Layout, Sync>>(x);
  auto& seen = x.make<explorer::ghost<bool>>();
  x.thread([&s] { check(pin<Way>(s) != nullptr, "the page is mapped"); });
  x.thread([&s, &seen] {
    bool written = false;
    s.only.lock.lock();
    seen.set(pinref::page_mkclean(s.only, s, written) == mkclean_result::pinned);
    s.only.lock.unlock();
  });
  x.join();
  x.outcome(std::string(seen.get() ? "seen " : "") + (s.refaults != 0 ? "refaulted" : ""));
  check(seen.get() || s.refaults != 0, "neither knows of the other");
}

template <class Layout, way Way>
std::set<std::string> outcomes() {
  const auto r = explorer::explore({}, pin_against_mkclean<Layout, Way>);
  CHECK_MESSAGE(!r.failed, r.text());
  CHECK(r.exhausted);
  return r.outcomes;
}

TEST_CASE_TEMPLATE("A0.2: of a pinner under the entry's lock and mkclean, exactly one knows of the other", Layout,
                   ALL_LAYOUTS, tiny) {
  CHECK(outcomes<Layout, way::locked>() == std::set<std::string>{"seen ", "refaulted"});
}

TEST_CASE_TEMPLATE("A0.2: of a pinner without a lock and mkclean, at least one knows of the other", Layout, ALL_LAYOUTS,
                   tiny) {
  // Both, where the walk sees a pin that is about to be given back.
  CHECK(outcomes<Layout, way::lockless>() == std::set<std::string>{"seen ", "refaulted", "seen refaulted"});
}

TEST_CASE("A0.2: a walk that asks by a load is caught against a pinner without a lock, and the lock would hide it") {
  caught("neither knows", pin_against_mkclean<pinref::bias64, way::lockless, asking_by_load>);
  holds({pin_against_mkclean<pinref::bias64, way::locked, asking_by_load>});
}

// --- A0.1

// A disk. On a careless host devices may write while the page is written out, so what they write is atomic there.
template <class Layout, bool Careless = false>
struct stored : space_of<Layout> {
  explicit stored(std::uint32_t initially) : space_of<Layout>(initially) { this->careless = Careless; }

  void write(int value) {
    if constexpr (Careless)
      bytes.store(value, relaxed);
    else
      this->only.data.write(value);
  }
  [[nodiscard]] int read() const {
    if constexpr (Careless)
      return bytes.load(relaxed);
    else
      return this->only.data.read();
  }

  explorer::atomic<int> bytes{0};
  explorer::ghost<int> image{0};
};

template <class Layout, bool Careless = false>
stored<Layout, Careless>& make_stored(execution& x) {
  auto& s = make_object<stored<Layout, Careless>>(x);
  x.name(s.bytes, "bytes");
  s.only.dirty.store(1, relaxed);
  return s;
}

// A device writes `rounds` times, each time pinned anew.
template <way Way, class Space>
void device(Space& s, int rounds) {
  for (int i = 1; i <= rounds; ++i) {
    auto* page = pin<Way>(s);
    check(page != nullptr, "the page is mapped");
    s.write(i);
    (void)pinref::unpin_user_pages_dirty_lock(&page, 1, true);
  }
}

template <class Space>
void not_lost(Space& s) {
  const bool again = s.only.dirty.load(relaxed) != 0 || (s.at.look() & Space::entry::was_written) != 0;
  check(again || s.image.get() == s.read(), "a write is lost");
}

template <class Layout, way Way, if_pinned Policy, int Rounds, bool Careless = false>
void device_against_writeback(execution& x) {
  auto& s = make_stored<Layout, Careless>(x);
  x.thread([&s] { device<Way>(s, Rounds); });
  x.thread([&s] {
    const auto write = [&s](auto&, bool from_copy) {
      // A copy made while the device writes is no more than one instant of it: nothing to compare.
      if (!from_copy) s.image.set(s.read());
      return true;
    };
    (void)pinref::writeback_page(s.only, s, Policy, write);
  });
  x.join();
  not_lost(s);
  check(s.only.ref.snapshot() == Layout::live(1), "the mapping's reference is left");
}

TEST_CASE("A0.1: every write of a device is written, or the page is dirty still") {
  using pinref::bias64, pinref::split32;
  holds({device_against_writeback<bias64, way::locked, if_pinned::skip, 2>,
         device_against_writeback<bias64, way::lockless, if_pinned::skip, 2>,
         device_against_writeback<tiny, way::lockless, if_pinned::bounce, 1>,
         device_against_writeback<split32, way::lockless, if_pinned::skip, 1>});
}

TEST_CASE("A0.1: so it is where faults neither wait for a write-out nor note that the page will be written") {
  using pinref::bias64, pinref::split32;
  holds({device_against_writeback<bias64, way::locked, if_pinned::skip, 1, true>,
         device_against_writeback<bias64, way::lockless, if_pinned::write_anyway, 1, true>,
         device_against_writeback<split32, way::lockless, if_pinned::skip, 1, true>});
}

// The same on the default host's frame, which has no fault to come back by.
template <class Layout>
struct framed {
  using page = pinref::basic_frame<ref_of<Layout>>;
  using entry = explored_entry<page>;
  static constexpr std::size_t page_size = 1;

  [[nodiscard]] bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last == 0; }
  [[nodiscard]] pinref::mapping<page> lookup(std::uintptr_t, foll) noexcept {
    const std::uint32_t seen = at.look();
    if ((seen & entry::may_write) == 0) return {};
    return {&frame, seen};
  }
  [[nodiscard]] bool recheck(std::uintptr_t, const pinref::mapping<page>& seen) const noexcept {
    return at.look() == seen.token;
  }
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t, foll, Use) noexcept {
    return pinref::gup_error::not_mapped;
  }
  [[nodiscard]] bool truncated(page&) const { return false; }
  template <class Visit>
  void for_each_mapping(page&, Visit visit) {
    visit(at);
  }

  page frame;
  entry at{&frame};
  explorer::plain<int> data{0};
  explorer::ghost<int> image{0};
};

template <class Layout>
framed<Layout>& make_framed(execution& x) {
  auto& s = x.make<framed<Layout>>();
  x.name(s.frame, "frame");
  x.name(s.frame.ref(), "word");
  x.name(s.at, "entry");
  x.name(s.data, "data");
  s.frame.ref().init();
  return s;
}

template <class Layout>
void device_against_writeback_of_a_frame(execution& x) {
  auto& s = make_framed<Layout>(x);
  s.frame.set_dirty();
  x.thread([&s] {
    typename framed<Layout>::page* pages[2] = {};
    if (pinref::pin_user_pages_fast(s, 0, 1, foll::write, pages).count == 0) return;
    s.data.write(1);
    (void)pinref::unpin_user_pages_dirty_lock(pages, 1, true);
  });
  x.thread([&s] {
    const auto write = [&s](auto&, bool) {
      s.image.set(s.data.read());
      return true;
    };
    (void)pinref::writeback_page(s.frame, s, if_pinned::skip, write);
  });
  x.join();
  check(s.frame.dirty() || s.image.get() == s.data.read(), "a write is lost");
}

// Who clears the bit reads what it stands for, whoever has set it.
void frame_dirty_bit(execution& x) {
  auto& s = make_framed<pinref::bias64>(x);
  x.thread([&s] {
    s.data.write(1);
    s.frame.set_dirty();
  });
  x.thread([&s] {
    if (s.frame.clear_dirty()) check(s.data.read() == 1, "the data is older than its dirty bit");
  });
}

void frame_lock(execution& x) {
  auto& s = make_framed<pinref::bias64>(x);
  const auto add = [&s] {
    s.frame.lock();
    s.data.write(s.data.read() + 1);
    s.frame.unlock();
  };
  x.thread(add);
  x.thread(add);
  x.thread([&s] {
    if (!s.frame.try_lock()) return;
    s.data.write(s.data.read());
    s.frame.unlock();
  });
  x.join();
  check(s.data.read() == 2, "one owner at a time");
}

PROTOCOL("A0.1: so it is on the default host's frame", device_against_writeback_of_a_frame<pinref::bias64>,
         device_against_writeback_of_a_frame<pinref::split32>)

PROTOCOL("a frame's lock has one owner, and its dirty bit stands for data that is there", frame_lock, frame_dirty_bit)

// Waiting writes the page, clean, as soon as the device is done.
template <class Layout>
void writeback_that_waits(execution& x) {
  auto& s = make_stored<Layout>(x);
  auto* page = pin<way::locked>(s);
  x.thread([page] {
    page->data.write(1);
    auto* const pages = page;
    (void)pinref::unpin_user_pages_dirty_lock(&pages, 1, true);
  });
  x.thread([&s] {
    const auto write = [&s](auto&, bool) {
      s.image.set(s.read());
      return true;
    };
    const auto done = pinref::writeback_page(s.only, s, if_pinned::wait, write);
    check(done == writeback_result::written, "the pin goes, so the page is written");
  });
  x.join();
  check(s.image.get() == 1, "what the device wrote is written");
}

TEST_CASE("A0.1: writeback that waits for the pins writes what the devices wrote") {
  holds({writeback_that_waits<pinref::bias64>, writeback_that_waits<pinref::split32>});
}

// Asks before the bit is cleared, and not again.
template <class Space>
void asks_too_early(Space& s) {
  s.only.lock.lock();
  bool written = false;
  if (pinref::page_mkclean(s.only, s, written) == mkclean_result::clean) {
    (void)pinref::page_traits<typename Space::page>::clear_dirty(s.only);
    s.image.set(s.read());
  }
  s.only.lock.unlock();
}

// Does not write-protect.
template <class Space>
void trusts_the_dirty_bit(Space& s) {
  s.only.lock.lock();
  if (!pinref::page_dma_pinned(s.only)) {
    (void)pinref::page_traits<typename Space::page>::clear_dirty(s.only);
    s.image.set(s.read());
  }
  s.only.lock.unlock();
}

template <bool Careless, void (*Writeback)(stored<pinref::bias64, Careless>&)>
void device_against(execution& x) {
  auto& s = make_stored<pinref::bias64, Careless>(x);
  x.thread([&s] { device<way::lockless>(s, 1); });
  x.thread([&s] { Writeback(s); });
  x.join();
  not_lost(s);
}

TEST_CASE("A0.1: writeback that asks before it clears the dirty bit is caught") {
  caught("a write is lost", device_against<true, asks_too_early>);
}

TEST_CASE("A0.1: writeback that does not write-protect is caught") {
  caught("data race", device_against<false, trusts_the_dirty_bit>);
}

// --- A0.3, A0.4: mappings come and go.

template <class Layout>
struct churned {
  using page = object_page<ref_of<Layout>>;
  using entry = explored_entry<page>;

  [[nodiscard]] bool truncated(page&) const { return false; }
  template <class Visit>
  void for_each_mapping(page&, Visit visit) {
    for (entry& each : entries) visit(each);
  }
  // As a zap of page tables does it: the entry, then the count.
  void unmap(entry& old) {
    old.lock();
    old.clear();
    old.unlock();
    only.mapcount.fetch_sub(1, relaxed);
    (void)pinref::put_page(only);
  }
  void map(entry& fresh) {
    (void)pinref::get_page(only);
    only.mapcount.fetch_add(1, relaxed);
    fresh.lock();
    fresh.word.store(entry::present | entry::may_write, relaxed);
    fresh.unlock();
  }

  page only;
  entry entries[2] = {entry{&only}, entry{&only}};
};

// `Pinned` by a real pin, or by none, while one entry is unmapped and, with `Again`, mapped anew.
template <class Layout, class Pins, bool Pinned, bool Again>
void mkclean_against_churn(execution& x) {
  auto& s = x.make<churned<Layout>>();
  x.name(s.entries[0], "entry0");
  x.name(s.entries[1], "entry1");
  x.name(s.only.mapcount, "mapcount");
  x.name(s.only.ref, "word");
  s.only.ref.init(3);  // the object's and two mappings'
  s.only.mapcount.store(2 + (Pinned ? 1 : 0), relaxed);
  if (Pinned) (void)pinref::try_pin_page(s.only);
  x.thread([&s] {
    s.unmap(s.entries[0]);
    if (Again) s.map(s.entries[0]);
  });
  x.thread([&s] {
    bool written = false;
    const mkclean_result seen = pinref::page_mkclean(s.only, s, written, Pins{});
    check((seen == mkclean_result::pinned) == Pinned, Pinned ? "a pin is masked" : "a phantom pin");
  });
}

TEST_CASE("A0.3: a pinned page is pinned, whatever is mapped and unmapped meanwhile") {
  holds({mkclean_against_churn<pinref::bias64, pinref::pins_by_bias, true, true>,
         mkclean_against_churn<pinref::split32, pinref::pins_by_bias, true, true>});
}

TEST_CASE("A0.4: a page that is not pinned is not, whatever is mapped and unmapped meanwhile") {
  holds({mkclean_against_churn<pinref::bias64, pinref::pins_by_bias, false, true>,
         mkclean_against_churn<pinref::split32, pinref::pins_by_bias, false, true>});
}

TEST_CASE("A0.3, A0.4: the naive subtraction from the mapcount masks pins, and sees phantoms") {
  caught("a pin is masked", mkclean_against_churn<pinref::bias64, pinref::pins_by_mapcount, true, false>);
  caught("a phantom pin", mkclean_against_churn<pinref::bias64, pinref::pins_by_mapcount, false, false>);
}

// --- A0.5

template <class Layout>
void truncation_against_unpin(execution& x) {
  auto& s = make_object<space_of<Layout>>(x);
  (void)pinref::get_page(s.only);  // the mapping's, beside the object's
  auto* page = pin<way::locked>(s);
  x.thread([page] {
    page->data.write(1);
    auto* const pages = page;
    check(pinref::unpin_user_pages_dirty_lock(&pages, 1, true).ok(), "the pin is still there");
  });
  x.thread([&s] {
    s.at.lock();
    s.at.clear();
    s.at.unlock();
    check(pinref::put_page(s.only) != pinref::release_result::underflow, "the mapping's reference is still there");
    check(pinref::put_page(s.only) != pinref::release_result::underflow, "the object's reference is still there");
  });
  x.join();
  check(s.only.freed.get() == 1, "freed exactly once");
  check(s.only.ref.snapshot() == Layout{}, "nothing is left in the word");
}

// The pin outlives everything: until it goes, the page is neither free nor unpinned.
template <class Layout>
void truncated_while_pinned(execution& x) {
  auto& s = make_object<space_of<Layout>>(x);
  auto* page = pin<way::locked>(s);
  x.thread([&s] { (void)pinref::put_page(s.only); });
  x.thread([page] {
    check(pinref::page_dma_pinned(*page) && page->freed.get() == 0, "truncation takes no pin");
    (void)page->data.read();
  });
  x.join();
  check(page->ref.snapshot() == Layout::live(0, 1), "the pin is left, and nothing else");
  check(pinref::unpin_user_page(*page) == last, "freed at unpin");
}

TEST_CASE("A0.5: truncation keeps the pins, and the page is freed exactly once") {
  holds({truncation_against_unpin<pinref::bias64>, truncation_against_unpin<pinref::split32>,
         truncated_while_pinned<pinref::bias64>, truncated_while_pinned<pinref::split32>});
}

}  // namespace
