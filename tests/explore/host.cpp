// SPDX-License-Identifier: MIT

// The default host itself on the explorer: its table, its arena and their locks.

#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "pinref/gup/gup.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/host/page_table.hpp"
#include "protocol.hpp"

namespace {

using namespace support;
using explorer::check;
using explorer::execution;
using explorer::place;
using pinref::foll;
using pinref::protection;

// An arena has hundreds of frames and a program uses one or two. So many atomics that are made are the explorer's; the
// others are never touched by two threads.
struct host_sync : explored_sync {
  static inline unsigned explored;

  template <class T>
  class atomic {
    using order = std::memory_order;

   public:
    using value_type = T;
    atomic(T value = T{}) noexcept : value_(value) {
      if (explored == 0) return;
      --explored;
      shared_.emplace(value);
    }
    static constexpr bool is_always_lock_free = true;

    T load(order o, place at = {}) const noexcept { return shared_ ? shared_->load(o, at) : value_; }
    void store(T to, order o, place at = {}) noexcept { shared_ ? shared_->store(to, o, at) : void(value_ = to); }
    T exchange(T to, order o, place at = {}) noexcept {
      return shared_ ? shared_->exchange(to, o, at) : std::exchange(value_, to);
    }
    T fetch_add(T n, order o, place at = {}) noexcept {
      return shared_ ? shared_->fetch_add(n, o, at) : std::exchange(value_, static_cast<T>(value_ + n));
    }
    T fetch_sub(T n, order o, place at = {}) noexcept {
      return shared_ ? shared_->fetch_sub(n, o, at) : std::exchange(value_, static_cast<T>(value_ - n));
    }
    T fetch_or(T mask, order o, place at = {}) noexcept {
      return shared_ ? shared_->fetch_or(mask, o, at) : std::exchange(value_, static_cast<T>(value_ | mask));
    }
    T fetch_and(T mask, order o, place at = {}) noexcept {
      return shared_ ? shared_->fetch_and(mask, o, at) : std::exchange(value_, static_cast<T>(value_ & mask));
    }
    bool compare_exchange_weak(T& seen, T to, order success, order failure, place at = {}) noexcept {
      return shared_ ? shared_->compare_exchange_weak(seen, to, success, failure, at) : compare(seen, to);
    }
    bool compare_exchange_strong(T& seen, T to, order success, order failure, place at = {}) noexcept {
      return shared_ ? shared_->compare_exchange_strong(seen, to, success, failure, at) : compare(seen, to);
    }
    auto place_to_sleep(T value) const noexcept { return shared_->place_to_sleep(value); }
    auto place_to_sleep(T value, std::uint64_t mask) const noexcept { return shared_->place_to_sleep(value, mask); }
    void notify_one() const noexcept {
      if (shared_) shared_->notify_one();
    }
    void notify_all() const noexcept {
      if (shared_) shared_->notify_all();
    }

   private:
    bool compare(T& seen, T to) noexcept {
      if (value_ != seen) return seen = value_, false;
      return value_ = to, true;
    }

    std::optional<explorer::atomic<T>> shared_;
    T value_;
  };
};

// A page of addresses and an arena, of which two frames may be shared.
class host {
  struct explored_from_here {
    explicit explored_from_here(unsigned atomics) { host_sync::explored = atomics; }
  };

 public:
  using ref = ref_of<pinref::bias64, host_sync>;
  using frame = pinref::basic_frame<ref>;
  static constexpr unsigned atomics_of_a_frame = 4;

  static host& make(execution& x) {
    // What a failed execution leaves behind must be found by a leak checker.
    static auto& kept = *new std::set<host*>;
    struct keeper {
      explicit keeper(host* made) : mine(made) { kept.insert(mine); }
      ~keeper() {
        kept.erase(mine);
        delete mine;
      }
      host* mine;
    };
    host& made = *x.make<keeper>(new host).mine;
    x.name(made, "host");
    x.name(made.data, "data");
    check(made.arena.valid() && made.space.valid(), "there is memory");
    for (unsigned i = 0; i != 2; ++i) x.name(made.arena.frame_at(i), i == 0 ? "frame0" : "frame1");
    return made;
  }

  // A new page, filled with `value` and mapped.
  void map(protection allowed, int value) {
    space.map(0, 1, allowed);
    frame* const page = arena.allocate();
    check(page != nullptr && arena.frame_number(*page) < 2, "a frame that may be shared");
    data_of(*page).write(value);
    check(space.map_page(0, *page, allowed), "mapped");
  }

  explorer::plain<int>& data_of(frame& page) { return data[arena.frame_number(page)]; }

 private:
  explored_from_here lock_and_two_frames_{1 + 2 * atomics_of_a_frame};

 public:
  pinref::basic_frame_arena<ref> arena{1};

 private:
  explored_from_here all_of_the_table_{~0u};

 public:
  pinref::basic_page_table<ref> space{arena, 0, 1};
  explorer::plain<int> data[2];
};

void all_given_back(execution& x, host& h) {
  x.join();
  h.space.unmap(0, 1);
  check(h.arena.nr_free() == h.arena.nr_frames(), "every frame is free in the end");
}

// The frame may be freed, filled anew and mapped where it was, between the first look at the entry and the second.
void filled_anew(execution& x) {
  host& h = host::make(x);
  h.map(protection::read, 1);
  x.thread([&h] {
    h.space.unmap(0, 1);
    h.map(protection::read, 2);
  });
  x.thread([&h] {
    host::frame* page = nullptr;
    if (pinref::get_user_pages_fast(h.space, 0, 1, foll::fast_only, &page).count == 0) return;
    (void)h.data_of(*page).read();
    (void)pinref::release_pages(&page, 1);
  });
  all_given_back(x, h);
}

// A frame that is unmapped is given out again, to somebody who has it alone, while a look-up still knows it.
void given_out_anew(execution& x) {
  host& h = host::make(x);
  h.map(protection::read, 1);
  x.thread([&h] { h.space.unmap(0, 1); });
  x.thread([&h] {
    host::frame* const mine = h.arena.allocate();
    h.data_of(*mine).write(2);
    (void)pinref::put_page(*mine);
  });
  x.thread([&h] {
    host::frame* page = nullptr;
    if (pinref::get_user_pages_fast(h.space, 0, 1, foll::fast_only, &page).count == 0) return;
    (void)h.data_of(*page).read();
    (void)pinref::release_pages(&page, 1);
  });
  all_given_back(x, h);
}

// Whoever finds it unpinned after the write-protect may read it at rest.
void write_protected(execution& x) {
  host& h = host::make(x);
  h.map(protection::read_write, 1);
  x.thread([&h] {
    host::frame* page = nullptr;
    if (pinref::pin_user_pages_fast(h.space, 0, 1, foll::write | foll::fast_only, &page).count == 0) return;
    h.data_of(*page).write(2);
    (void)pinref::unpin_user_pages(&page, 1);
  });
  x.thread([&h] {
    h.space.write_protect(0);
    if (!pinref::page_dma_pinned(h.arena.frame_at(0))) (void)h.data[0].read();
  });
  all_given_back(x, h);
}

// Two that fault the same page in get the same page, while a third takes it away.
void faulted_in(execution& x) {
  host& h = host::make(x);
  h.space.map(0, 1, protection::read_write);
  for (int i = 0; i != 2; ++i)
    x.thread([&h, i] {
      host::frame* page = nullptr;
      const auto done = pinref::pin_user_pages(h.space, 0, 1, foll::write, &page);
      check(done.count == 1 || done.reason == pinref::gup_error::not_mapped, "pinned, or not mapped");
      if (i == 0) h.space.unmap(0, 1);
      if (done.count == 0) return;
      check(pinref::page_dma_pinned(*page), "a pin outlives the mapping");
      (void)pinref::unpin_user_pages(&page, 1);
    });
  all_given_back(x, h);
}

PROTOCOL("a frame that is filled in its new life and mapped where it was is seen filled, by the table itself",
         filled_anew)
PROTOCOL("a frame is given out only when the table knows it no more", given_out_anew)
PROTOCOL("the table's write-protect and a pinner are never both unaware", write_protected)
PROTOCOL("the table's lock makes one page of two faults, and an arena gives out a frame once", faulted_in)

// Every order of a kind in one header is relaxed.
explorer::options relaxed_in(const char* header, explorer::op kind) {
  return {.orders = [header, kind](const explorer::site& here, const char*, unsigned) {
    const bool meant = here.kind == kind && std::strstr(here.at.file, header) != nullptr;
    return meant ? std::memory_order_relaxed : here.order;
  }};
}

TEST_CASE("a table whose second look, or whose entry, does not order the filling is caught, and a lock that does not") {
  caught("data race", filled_anew, relaxed_in("host/page_table.hpp", explorer::op::load));
  caught("data race", filled_anew, relaxed_in("host/page_table.hpp", explorer::op::store));
  caught("data race", filled_anew, relaxed_in("host/sleeping_lock.hpp", explorer::op::rmw));
}

}  // namespace
