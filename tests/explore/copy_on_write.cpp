// SPDX-License-Identifier: MIT

// Copy-on-write: the three rules against passing references and against a child's pin, the sum of users, the value
// behind its flag, and a fork against pins that are taken without a lock.

#include "pinref/protocols/copy_on_write.hpp"
#include "broken_syncs.hpp"
#include "explored_object.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using pinref::foll;
using pinref::fork_result;
using pinref::reuse_rule;

constexpr auto relaxed = std::memory_order_relaxed;

// --- A3.1: the owner has pinned its page and writes, while a scanner has a passing reference and the page lock.

template <class Layout, reuse_rule Rule>
void owner_against_scanner(execution& x) {
  auto& s = make_object<object_space<ref_of<Layout>>>(x);
  s.only.users.map();
  x.name(s.only.users, "users");
  // The mapping's reference is all that sole_reference expects; it takes no pin to fail it.
  x.thread([&s] { check(pinref::can_reuse<Rule>(s.only), "the owner loses its page"); });
  x.thread([&s] {
    if (pinref::get_page_unless_zero(s.only) != taken) return;
    s.only.lock.lock();
    s.only.lock.unlock();
    (void)pinref::put_page(s.only);
  });
}

TEST_CASE("A3.1: a passing reference costs the owner its page only where references are counted") {
  holds({owner_against_scanner<pinref::bias64, reuse_rule::sole_user>,
         owner_against_scanner<pinref::bias64, reuse_rule::exclusive_mark>,
         owner_against_scanner<pinref::split32, reuse_rule::exclusive_mark>});
  caught("the owner loses its page", owner_against_scanner<pinref::bias64, reuse_rule::sole_reference>);
}

// --- A3.3: a child pins what it shares, unmaps it, and the parent writes (CVE-2020-29374).

// Two spaces that map the same page after a fork. A copy is a page of its own, which the test needs no more of.
template <class Ref, reuse_rule Rule>
struct child_space : object_space<Ref> {
  using typename object_space<Ref>::page;
  using object_space<Ref>::object_space;

  // A reader's fault on a page that is shared: under the rule of the mark, it is given a copy.
  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    page& shared = *this->at.mapped;
    page& found = Rule == reuse_rule::exclusive_mark ? copy : shared;
    return use(pinref::mapping<page>{&found, this->at.look()});
  }

  page copy;
};

constexpr int secret = 42;

template <class Layout, reuse_rule Rule>
void parent_against_child(execution& x) {
  using space = child_space<ref_of<Layout>, Rule>;
  auto& s = make_object<space>(x, space::entry::present);
  s.copy.ref.init();
  (void)pinref::get_page(s.only);  // the parent's mapping and the child's
  s.only.users.map();
  s.only.users.map();
  // The older rules know no mark, and gup does not ask for what is not there.
  s.only.exclusive.store(Rule != reuse_rule::exclusive_mark, relaxed);
  x.thread([&s] {
    typename space::page* page = nullptr;
    check(pinref::pin_user_pages_fast(s, 0, 1, foll::none, &page).ok(), "a reader may pin");
    s.at.clear();
    (void)s.only.users.unmap();
    (void)pinref::put_page(s.only);
    check(page->data.read() != secret, "the child reads the parent's secret");
    (void)pinref::unpin_user_page(*page);
  });
  x.thread([&s] {
    if (pinref::can_reuse<Rule>(s.only)) s.only.data.write(secret);
  });
}

TEST_CASE("A3.3: a child's pin shows it the parent's writes only where mappings and swap entries are counted") {
  caught("data race", parent_against_child<pinref::bias64, reuse_rule::sole_user>);
  holds({parent_against_child<pinref::bias64, reuse_rule::sole_reference>,
         parent_against_child<pinref::bias64, reuse_rule::exclusive_mark>,
         parent_against_child<pinref::split32, reuse_rule::exclusive_mark>});
}

// --- A3.2: users change from mappings to swap entries and back; the sum is never below their number.

struct two_users : pinref::share_count<explored_sync> {
  two_users() {
    map();
    map();
  }
};

void transfers(execution& x) {
  auto& users = x.make<two_users>();
  x.name(users, "users");
  x.thread([&users] {
    users.map_to_swap();
    users.swap_to_map();
  });
  x.thread([&users] {
    users.map_to_swap();
    users.swap_dup();
    (void)users.swap_free();
  });
  x.thread([&users] {
    check(users.sum() >= 2, "the sum is too low");
    check(users.sum() >= 2, "the sum is too low");
  });
  x.join();
  check(users.sum() == 2 && users.mappings() == 1, "no user is lost");
}

// A sole user may write what the others have read and left.
void sole_user(execution& x) {
  auto& users = x.make<two_users>();
  auto& data = x.make<explorer::plain<int>>();
  x.name(users, "users");
  x.thread([&] {
    (void)data.read();
    users.map_to_swap();
    if (users.swap_free()) data.write(1);
  });
  x.thread([&] {
    if (users.sum() == 1) return data.write(2);
    (void)data.read();
    if (users.unmap()) data.write(3);
  });
}

PROTOCOL("A3.2: the sum of users is never below their number, through transfers both ways", transfers)

PROTOCOL("a sole user sees what the others did before they left", sole_user)

// The scheme of two counters: only from mappings to swap entries, the new user before the old one, and read in that
// order.
struct two_counters {
  explorer::atomic<int> mappings{1};
  explorer::atomic<int> swap_entries{0};
};

template <bool DropsFirst, bool ReadsSwapFirst>
void two_counters_transfer(execution& x) {
  auto& users = x.make<two_counters>();
  x.name(users.mappings, "mappings");
  x.name(users.swap_entries, "swap entries");
  constexpr auto acquire = std::memory_order_acquire;
  constexpr auto release = std::memory_order_release;
  x.thread([&users] {
    if (DropsFirst) users.mappings.fetch_sub(1, release);
    users.swap_entries.fetch_add(1, release);
    if (!DropsFirst) users.mappings.fetch_sub(1, release);
  });
  x.thread([&users] {
    int sum = 0;
    if (ReadsSwapFirst) sum += users.swap_entries.load(acquire);
    sum += users.mappings.load(acquire);
    if (!ReadsSwapFirst) sum += users.swap_entries.load(acquire);
    check(sum >= 1, "the sum is too low");
  });
}

TEST_CASE("A3.2: two counters must be raised before they are dropped, and read in that order") {
  holds({two_counters_transfer<false, false>});
  caught("the sum is too low", two_counters_transfer<true, false>);
  caught("the sum is too low", two_counters_transfer<true, true>);
  caught("the sum is too low", two_counters_transfer<false, true>);
}

// --- A3.4

void flag_and_value(execution& x) {
  auto& slot = x.make<pinref::swap_slot<explored_sync>>();
  x.name(slot, "slot");
  x.thread([&slot] { slot.set(42); });
  x.thread([&slot] {
    std::uint64_t value = 0;
    if (slot.get(value)) check(value == 42, "the flag came before the value");
  });
}

PROTOCOL("A3.4: whoever sees the flag sees the value", flag_and_value)

TEST_CASE("A3.4: a flag that is set or read without its order shows no value") {
  using explorer::op;
  caught("the flag came before the value", flag_and_value,
         {.orders = explorer::weaken(op::store, std::memory_order_release, relaxed, "slot")});
  caught("the flag came before the value", flag_and_value,
         {.orders = explorer::weaken(op::load, std::memory_order_acquire, relaxed, "slot")});
}

// --- P6: a fork against pins without a lock.

// A space that forks. `Watchful` look-ups use the sequence. Who faults in a page that is shared gets a copy.
template <class Ref, bool Watchful = true>
struct forking : object_space<Ref> {
  using typename object_space<Ref>::page;
  using typename object_space<Ref>::entry;
  using object_space<Ref>::object_space;

  struct careless_seq : pinref::write_protect_seq<typename Ref::sync> {
    [[nodiscard]] bool try_read_begin(std::uint32_t&) const noexcept { return true; }
    [[nodiscard]] bool read_retry(std::uint32_t) const noexcept { return false; }
  };
  auto& fork_seq() noexcept { return seq; }

  template <class Use>
  [[nodiscard]] pinref::gup_error fault_in(std::uintptr_t, foll flags, Use use) noexcept {
    this->at.lock();
    const bool shared = !this->only.exclusive.load(relaxed);
    if (!shared && pinref::has(flags, foll::write)) this->at.make_writable();
    const pinref::gup_error done = use(pinref::mapping<page>{shared ? &copy : &this->only, this->at.look()});
    this->at.unlock();
    return done;
  }

  fork_result fork(std::size_t pins) {
    this->at.lock();
    seq.write_begin();
    const fork_result done = pinref::fork_page(this->only, this->at, pins, [](page&) {});
    seq.write_end();
    this->at.unlock();
    return done;
  }

  std::conditional_t<Watchful, pinref::write_protect_seq<typename Ref::sync>, careless_seq> seq;
  page copy;
};

// `Flags` none on an entry that is read-only already: nothing in the entry tells the pinner of the fork.
template <class Layout, foll Flags, int Pinners = 1, bool Watchful = true, class Sync = explored_sync>
void fork_against_pin(execution& x) {
  using space = forking<ref_of<Layout, Sync>, Watchful>;
  using entry = typename space::entry;
  auto& s = make_object<space>(x, entry::present | (Flags == foll::write ? entry::may_write : 0));
  x.name(s.seq, "seq");
  s.copy.ref.init();
  auto& shared = x.make<explorer::ghost<bool>>();
  auto& pinned = x.make<explorer::ghost<bool>>();
  // Of two, both stay out of the slow path, which only adds executions.
  constexpr bool alone = Pinners == 1;
  for (int i = 0; i < Pinners; ++i)
    x.thread([&s, &pinned] {
      typename space::page* page = nullptr;
      const auto done = pinref::pin_user_pages_fast(s, 0, 1, alone ? Flags : Flags | foll::fast_only, &page);
      check(done.ok() || !alone, "a pin is always possible");
      if (page == &s.only) pinned.set(true);
    });
  x.thread([&s, &shared] { shared.set(s.fork(1) == fork_result::shared); });
  x.join();
  check(!(shared.get() && pinned.get()), "a page is pinned and shared");
}

PROTOCOL("P6: no page is pinned and shared at once, whatever the entry tells",
         fork_against_pin<pinref::bias64, foll::none>, fork_against_pin<pinref::bias64, foll::write>,
         fork_against_pin<pinref::split32, foll::none>)

TEST_CASE("P6: nor with two pinners") {
  holds({fork_against_pin<pinref::bias64, foll::none, 2>});
}

TEST_CASE("P6: without the sequence, or with a load for a question, a page is pinned and shared") {
  using pinref::bias64, pinref::split32;
  caught("pinned and shared", fork_against_pin<bias64, foll::none, 1, false>);
  caught("pinned and shared", fork_against_pin<split32, foll::none, 1, false>);
  caught("pinned and shared", fork_against_pin<bias64, foll::none, 1, true, asking_by_load>);
  caught("pinned and shared", fork_against_pin<bias64, foll::write, 1, true, asking_by_load>);
}

TEST_CASE("P6: each order of the sequence and of the question is needed") {
  using explorer::op;
  const auto weakened = [](op kind, std::memory_order from, std::memory_order to, const char* where) {
    caught("pinned and shared", fork_against_pin<pinref::bias64, foll::none>,
           {.orders = explorer::weaken(kind, from, to, where)});
  };
  weakened(op::load, std::memory_order_acquire, relaxed, "seq");
  weakened(op::store, std::memory_order_release, relaxed, "seq");
  weakened(op::rmw, std::memory_order_acquire, relaxed, "word");
  weakened(op::rmw, std::memory_order_acq_rel, std::memory_order_acquire, "word");
}

// A space that counts its pins and forks without asking its pages while it has none.
template <bool ByLoad>
void fork_that_counts_pins(execution& x) {
  using space = forking<ref_of<pinref::bias64>>;
  auto& s = make_object<space>(x, space::entry::present);
  auto& pins = x.make<explorer::atomic<std::size_t>>();
  x.name(s.seq, "seq");
  x.name(pins, "pins");
  s.copy.ref.init();
  auto& shared = x.make<explorer::ghost<bool>>();
  auto& pinned = x.make<explorer::ghost<bool>>();
  x.thread([&] {
    pins.fetch_add(1, std::memory_order_acquire);
    typename space::page* page = nullptr;
    check(pinref::pin_user_pages_fast(s, 0, 1, foll::none, &page).ok(), "a pin is always possible");
    if (page == &s.only) pinned.set(true);
  });
  x.thread([&] {
    s.at.lock();
    s.seq.write_begin();
    const std::size_t count =
        ByLoad ? pins.load(std::memory_order_acquire) : pins.fetch_add(0, std::memory_order_acq_rel);
    shared.set(pinref::fork_page(s.only, s.at, count, [](auto&) {}) == fork_result::shared);
    s.seq.write_end();
    s.at.unlock();
  });
  x.join();
  check(!(shared.get() && pinned.get()), "a page is pinned and shared");
}

TEST_CASE("P6: a count of the space's pins that spares the question must be asked like one") {
  holds({fork_that_counts_pins<false>});
  caught("pinned and shared", fork_that_counts_pins<true>);
}

}  // namespace
