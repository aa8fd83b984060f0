// SPDX-License-Identifier: MIT

// A pinner and a write-protector, a million times from the same starting line: never is each unaware of the other, and
// no write is lost.

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "crew.hpp"
#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/protocols/writeback.hpp"

using pinref::foll;
using pinref::if_pinned;
using pinref::mkclean_result;
using pinref::take_result;
using pinref::writeback_result;

namespace {

// Two threads meet here, each as often as the other.
class meeting {
 public:
  void operator()() noexcept {
    const unsigned round = arrived_.fetch_add(1, std::memory_order_acq_rel) / 2;
    for (unsigned spins = 0; arrived_.load(std::memory_order_acquire) / 2 == round; ++spins)
      if (spins % 256 == 255) std::this_thread::yield();
  }

 private:
  std::atomic<unsigned> arrived_{0};
};

class spin_lock {
 public:
  void lock() noexcept {
    for (unsigned spins = 0; held_.exchange(true, std::memory_order_acquire); ++spins)
      if (spins % 64 == 63) std::this_thread::yield();
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

// One page of the default host at one address, with an entry that its pinner reads without a lock.
template <class Layout>
struct mapped_frame {
  using page = pinref::basic_frame<pinref::page_ref<Layout>>;
  static constexpr std::size_t page_size = 4096;
  static constexpr std::uint32_t may_write = 1, was_written = 2;

  struct entry {
    void lock() noexcept { guard.lock(); }
    void unlock() noexcept { guard.unlock(); }
    bool maps(page&) const noexcept { return true; }
    bool write_protect() noexcept { return (word.exchange(0, std::memory_order_relaxed) & was_written) != 0; }

    spin_lock guard;
    std::atomic<std::uint32_t> word{may_write};
  };

  bool contains(std::uintptr_t, std::uintptr_t last) const noexcept { return last < page_size; }
  pinref::mapping<page> lookup(std::uintptr_t, foll) const noexcept {
    const std::uint32_t seen = at.word.load(std::memory_order_relaxed);
    if ((seen & may_write) == 0) return {};
    return {&frame, seen};
  }
  bool recheck(std::uintptr_t, const pinref::mapping<page>& seen) const noexcept {
    return at.word.load(std::memory_order_relaxed) == seen.token;
  }
  template <class Use>
  pinref::gup_error fault_in(std::uintptr_t, foll, Use use) noexcept {
    at.lock();
    const bool refault = (at.word.load(std::memory_order_relaxed) & may_write) == 0;
    if (refault) {
      at.unlock();
      frame.lock();
      at.lock();
      ++refaults;
      at.word.store(may_write | was_written, std::memory_order_relaxed);
    }
    const pinref::gup_error done = use(pinref::mapping<page>{&frame, 0});
    at.unlock();
    if (refault) frame.unlock();
    return done;
  }
  bool truncated(page&) const noexcept { return false; }
  template <class Visit>
  void for_each_mapping(page&, Visit visit) noexcept {
    visit(at);
  }

  page* pin(bool lockless) {
    page* pinned = nullptr;
    const auto done = lockless ? pinref::pin_user_pages_fast(*this, 0, 1, foll::write, &pinned)
                               : pinref::pin_user_pages(*this, 0, 1, foll::write, &pinned);
    return done.ok() ? pinned : nullptr;
  }

  pinref::basic_frame_arena<pinref::page_ref<Layout>> arena{1};
  page& frame = *arena.allocate();
  mutable entry at;
  unsigned refaults = 0;  // of the pinning thread
};

}  // namespace

TEST_CASE_TEMPLATE("A0.2: in 10^6 rounds of pin against mkclean, each time at least one knows of the other", Layout,
                   pinref::bias64, pinref::split32) {
  const unsigned rounds = stress::steps(1'000'000);
  mapped_frame<Layout> m;
  meeting meet;
  bool seen = false;
  unsigned neither = 0, both_under_the_lock = 0, saw_pin = 0, refaulted = 0, failed = 0;
  stress::crew(2, [&](unsigned who, stress::random&) {
    for (unsigned i = 0; i != rounds; ++i) {
      const bool lockless = i % 2 == 0;
      const unsigned refaults = m.refaults;
      meet();
      if (who == 0) {
        auto* const pinned = m.pin(lockless);
        failed += pinned == nullptr;
        meet();
        const bool again = m.refaults != refaults;
        neither += !seen && !again;
        // Without the lock the walk may see a pin that is about to be given back.
        both_under_the_lock += !lockless && seen && again;
        saw_pin += seen;
        refaulted += again;
        if (pinned != nullptr) failed += pinref::unpin_user_page(*pinned) != pinref::release_result::released;
        m.at.word.store(m.may_write, std::memory_order_relaxed);
      } else {
        bool written = false;
        m.frame.lock();
        seen = pinref::page_mkclean(m.frame, m, written) == mkclean_result::pinned;
        m.frame.unlock();
        meet();
      }
    }
  });
  CHECK(failed == 0);
  CHECK(neither == 0);
  CHECK(both_under_the_lock == 0);
  CHECK(saw_pin + refaulted >= rounds);
  CHECK(m.frame.ref().snapshot() == Layout::live(1));
  MESSAGE("saw the pin " << saw_pin << ", saw the entry read-only " << refaulted);
}

TEST_CASE_TEMPLATE("A0.1: in 10^6 rounds of a device against writeback, no write is lost", Layout, pinref::bias64,
                   pinref::split32) {
  const unsigned rounds = stress::steps(1'000'000);
  mapped_frame<Layout> m;
  meeting meet;
  std::uint64_t data = 0;   // of the page: written only while it is pinned, read by writeback only if it is not
  std::uint64_t image = 0;  // of the disk
  unsigned lost = 0, written = 0, skipped = 0, failed = 0;
  stress::crew(2, [&](unsigned who, stress::random&) {
    for (unsigned i = 1; i <= rounds; ++i) {
      meet();
      if (who == 0) {
        auto* const pinned = m.pin(i % 2 == 0);
        data = i;
        auto* const pages = pinned;
        failed += !pinref::unpin_user_pages_dirty_lock(&pages, 1, true).ok();
        meet();
        const bool again = m.frame.dirty() || (m.at.word.load(std::memory_order_relaxed) & m.was_written) != 0;
        lost += !again && image != i;
        // The next round begins with a writable entry, as an old mapping has one.
        m.at.word.store(m.may_write, std::memory_order_relaxed);
        m.frame.set_dirty();
      } else {
        const auto write = [&](auto&, bool) {
          image = data;
          return true;
        };
        const writeback_result done = pinref::writeback_page(m.frame, m, if_pinned::skip, write);
        written += done == writeback_result::written;
        skipped += done == writeback_result::skipped;
        meet();
      }
    }
  });
  CHECK(failed == 0);
  CHECK(lost == 0);
  CHECK(written + skipped <= rounds);
  CHECK(m.frame.ref().snapshot() == Layout::live(1));
  MESSAGE("written " << written << ", skipped " << skipped);
}
