// SPDX-License-Identifier: MIT

// Readers that hold nothing: what they validate is whole, whether the CPU, a device or a new owner writes meanwhile.

#include "pinref/parts/page_stamp.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;

// By the question whether the page may be read, or straight on.
enum class begin { asked, at_once };
enum class mistake { none, no_version, no_pin_question, stamped_after_the_unpin, no_stamp_of_a_new_life };

// Two words of data, always written both to the same value.
struct frame {
  frame() { ref.init(); }

  void write(int value) {
    for (auto& word : data) word.store(value, std::memory_order_release);
  }
  template <mistake Mistake, begin Begin>
  void read() const {
    pinref::stamp_seen seen;
    if constexpr (Begin == begin::at_once)
      seen = stamp.read_begin();
    else if (!stamp.read_begin(ref, seen))
      return;
    const int first = data[0].load(std::memory_order_acquire);
    const int second = data[1].load(std::memory_order_acquire);
    pinref::stamp_seen now;
    const bool valid = Mistake == mistake::no_version        ? ref.plainly_unpinned()
                       : Mistake == mistake::no_pin_question ? unchanged(seen, now)
                                                             : stamp.read_validate(ref, seen);
    check(!valid || first == second, "what was validated is whole");
  }

  ref_of<tiny> ref;
  pinref::page_stamp<explored_sync> stamp;
  explorer::atomic<int> data[2] = {0, 0};

 private:
  // The stamp alone: of a page that answers as if nobody could pin it.
  struct never_pinned {
    static constexpr bool plainly_unpinned() noexcept { return true; }
  };
  bool unchanged(const pinref::stamp_seen& seen, pinref::stamp_seen& now) const {
    return stamp.read_begin(never_pinned{}, now) && now.stamp == seen.stamp;
  }
};

frame& make(execution& x) {
  auto& f = x.make<frame>();
  x.name(f.ref, "word");
  x.name(f.stamp, "stamp");
  x.name(f.data, "data");
  return f;
}

template <mistake Mistake, begin Begin = begin::asked>
void beside_the_cpu(execution& x) {
  auto& f = make(x);
  x.thread([&f] {
    f.stamp.write_begin();
    f.write(1);
    f.stamp.write_end();
  });
  x.thread([&f] { f.read<Mistake, Begin>(); });
  x.join();
}

template <mistake Mistake, begin Begin = begin::asked>
void beside_a_device(execution& x) {
  auto& f = make(x);
  x.thread([&f] {
    if (f.ref.try_pin() != taken) return;
    f.write(1);
    if (Mistake != mistake::stamped_after_the_unpin) f.stamp.changed();
    (void)f.ref.unpin();
    if (Mistake == mistake::stamped_after_the_unpin) f.stamp.changed();
  });
  x.thread([&f] { f.read<Mistake, Begin>(); });
  x.join();
}

template <mistake Mistake, begin Begin = begin::asked>
void beside_a_new_life(execution& x) {
  auto& f = make(x);
  x.thread([&f] {
    if (!f.ref.freeze(1)) return;
    f.write(1);
    if (Mistake != mistake::no_stamp_of_a_new_life) f.stamp.changed();
    f.ref.unfreeze(1);
  });
  x.thread([&f] { f.read<Mistake, Begin>(); });
  x.join();
}

// Each writer sees what the one before it did: here by the page's frozen word.
void two_writers(execution& x) {
  auto& f = make(x);
  auto& written = x.make<explorer::plain<int>>(0);
  for (int value = 1; value != 3; ++value)
    x.thread([&f, &written, value] {
      while (!f.ref.freeze(1)) explorer::pause();
      f.stamp.write_begin();
      written.write(value);
      f.write(value);
      f.stamp.write_end();
      f.ref.unfreeze(1);
    });
  x.join();
  check(f.data[0].load(std::memory_order_relaxed) == f.data[1].load(std::memory_order_relaxed), "one after the other");
}

// Writers that take turns by a flag that orders nothing: the stamp is enough for the second to see what the first did.
template <bool Device>
void handed_over(execution& x) {
  auto& f = make(x);
  auto& written = x.make<explorer::plain<int>>(0);
  auto& turn = x.make<explorer::atomic<int>>(0);
  x.name(written, "written");
  x.thread([&] {
    if (!Device) f.stamp.write_begin();
    written.write(1);
    Device ? f.stamp.changed() : f.stamp.write_end();
    turn.store(1, std::memory_order_relaxed);
  });
  x.thread([&] {
    if (turn.load(std::memory_order_relaxed) == 0) return;
    f.stamp.write_begin();
    written.write(written.read() + 1);
    f.stamp.write_end();
  });
}

PROTOCOL("what a reader without a hold has validated is whole", beside_the_cpu<mistake::none>,
         beside_a_device<mistake::none>, beside_a_new_life<mistake::none>, two_writers, handed_over<false>,
         handed_over<true>)
PROTOCOL("what a reader has validated that began without a question is whole",
         (beside_the_cpu<mistake::none, begin::at_once>), (beside_a_device<mistake::none, begin::at_once>),
         (beside_a_new_life<mistake::none, begin::at_once>))

TEST_CASE("a validation that leaves out the version, the pin or the order of the two is caught") {
  caught("what was validated is whole", beside_the_cpu<mistake::no_version>);
  caught("what was validated is whole", beside_a_device<mistake::no_version>);
  caught("what was validated is whole", beside_a_device<mistake::no_pin_question>);
  caught("what was validated is whole", beside_a_device<mistake::stamped_after_the_unpin>);
  caught("what was validated is whole", beside_a_new_life<mistake::no_stamp_of_a_new_life>);
  caught("what was validated is whole", beside_a_device<mistake::no_version, begin::at_once>);
  caught("what was validated is whole", beside_a_device<mistake::no_pin_question, begin::at_once>);
  caught("what was validated is whole", beside_a_device<mistake::stamped_after_the_unpin, begin::at_once>);
}

// copy_out and copy_in are of the data itself, which has no Sync: accesses of the same orders stand here for them.
TEST_CASE("data that is copied out or in without (V5) or (V6) is caught") {
  using explorer::op, explorer::weaken;
  constexpr auto relaxed = std::memory_order_relaxed;
  caught("what was validated is whole", beside_the_cpu<mistake::none>,
         {.orders = weaken(op::load, std::memory_order_acquire, relaxed, "data")});
  caught("what was validated is whole", beside_the_cpu<mistake::none>,
         {.orders = weaken(op::store, std::memory_order_release, relaxed, "data")});
}

}  // namespace
