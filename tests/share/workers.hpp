// SPDX-License-Identifier: MIT
#pragma once

// Worker processes that do everything there is to do with the pages of one segment, and a parent that kills them at any
// instruction.

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>

#include "audit.hpp"
#include "pinref/share.hpp"

namespace share_test {

// In the segment, beside the pages.
struct common {
  static constexpr unsigned nr_offers = 8;

  std::atomic<std::uint64_t> rounds{0};
  std::atomic<std::uint64_t> wrong{0};  // a page that a worker held was not as it left it
  // An offer that any worker may accept: the place and the number of its record, and the record.
  struct mail {
    std::atomic<std::uint64_t> where{0};
    std::atomic<std::uint64_t> what{0};
  } mails[nr_offers];
};

struct dice {
  std::uint64_t state;

  std::uint64_t operator()() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545'F491'4F6C'DD1D;
  }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>((*this)() >> 33) % n; }
};

struct no_devices : pinref::survivor_hooks {
  static bool quiet(const pinref::dead_pins&) noexcept { return true; }
};

template <class Traits = pinref::shared_traits>
class worker {
 public:
  using result = pinref::ledger_result;

  worker(pinref::basic_segment<Traits>& pool, std::uint64_t seed)
      : pool_(pool), it_(*reinterpret_cast<common*>(pool.user())), roll_{seed * 2 + 1} {}

  [[noreturn]] void run(pid_t parent) {
    while (me_.join(pool_.memory()) != pinref::join_result::joined) {
      // Somebody has to make room.
      (void)pinref::recover(pool_.memory(), no_devices{});
      sched_yield();
    }
    while (::getppid() == parent) {
      for (int i = 0; i != 64; ++i) step();
      it_.rounds.fetch_add(64, std::memory_order_relaxed);
    }
    ::_exit(0);
  }

 private:
  static constexpr unsigned max_holds = 6;

  void step() {
    auto& hold = holds_[roll_.below(max_holds)];
    if (hold.what.what.state() == pinref::record_state::frozen) return end_claim(hold.what);
    if (hold.what) return use(hold);
    const std::uint32_t page = roll_.below(pool_.shape().pages);
    switch (roll_.below(8)) {
      case 0:
      case 1:
        return took(hold, me_.try_get(page, 1 + roll_.below(3)));
      case 2:
      case 3:
        return took(hold, me_.try_pin(page, 1 + roll_.below(3)));
      case 4:
      case 5: {
        took(hold, me_.allocate());
        if (!hold.what) return;
        // Nobody else writes to it until it is released.
        hold.tag = roll_();
        pool_.page(hold.what.page()).set_tag(hold.tag);
        return;
      }
      case 6: {
        if (roll_.below(4) == 0) return recover();
        took(hold, me_.claim(page));
        if (hold.what && roll_.below(2) == 0) (void)me_.freeze(hold.what);
        return;
      }
      default:
        if (roll_.below(2) == 0) return took(hold, accept());
        if (me_.lock_page(page, pinref::deadline::in_nanoseconds(200'000)) <= pinref::page_lock_result::owner_died)
          it_.wrong += me_.unlock_page(page) != result::done;
    }
  }

  struct item {
    pinref::ledger_hold what{};
    std::uint64_t tag = 0;
  };

  void took(item& hold, const pinref::ledger_take& taken) {
    hold = {taken.held, 0};
    if (taken) check(hold);
  }
  void check(const item& hold) {
    const std::uint32_t page = hold.what.page();
    const auto zone = pool_.page(page).snapshot().zone();
    it_.wrong += zone != pinref::zone::alive && zone != pinref::zone::watched;
    it_.wrong += pinref::detail::ledger_steps<Traits>{pool_.memory(), 0}.is_free(page);
    it_.wrong += hold.tag != 0 && pool_.page(page).tag() != hold.tag;
  }
  void use(item& hold) {
    check(hold);
    const bool pin = hold.what.what.mode() == pinref::hold::pin;
    switch (roll_.below(8)) {
      case 0:
        (void)me_.add(hold.what, 1 + roll_.below(2));
        return;
      case 1:
        (void)me_.release(hold.what, 1);
        break;
      case 2:
        if (!pin) (void)me_.keep(hold.what);
        break;
      case 3:
        if (!pin && me_.freeze(hold.what) == result::done) return;
        break;
      case 4:
        return offer(hold);
      default:
        it_.wrong += me_.release(hold.what) == result::not_held;
    }
    if (!hold.what) hold.tag = 0;
  }
  void end_claim(pinref::ledger_hold& claimed) {
    if (roll_.below(2) == 0)
      (void)me_.thaw(claimed);
    else
      (void)me_.free(claimed);
  }
  void offer(item& hold) {
    auto& mail = it_.mails[roll_.below(common::nr_offers)];
    if (mail.where.load() != 0) return;
    pinref::ledger_offer offered;
    if (me_.offer(hold.what, offered) != result::done) return;
    hold = {};
    mail.what.store(offered.what.raw());
    mail.where.store(std::uint64_t{offered.place} << 32 | offered.slot | std::uint64_t{1} << 63);
  }
  pinref::ledger_take accept() {
    auto& mail = it_.mails[roll_.below(common::nr_offers)];
    const std::uint64_t where = mail.where.exchange(0);
    if (where == 0) return {};
    const pinref::ledger_offer offered{static_cast<std::uint32_t>(where >> 32 & 0x7fff'ffff),
                                       static_cast<std::uint32_t>(where), pinref::ledger_record{mail.what.load()}};
    if (offered.place != me_.place()) return me_.accept(offered);
    pinref::ledger_hold back;
    return {me_.withdraw(offered, back), back};
  }
  void recover() { (void)pinref::recover(pool_.memory(), no_devices{}); }

  pinref::basic_segment<Traits>& pool_;
  common& it_;
  dice roll_;
  pinref::basic_member<Traits> me_;
  item holds_[max_holds];
};

}  // namespace share_test
