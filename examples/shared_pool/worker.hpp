// SPDX-License-Identifier: MIT
#pragma once

// A worker process: it reads blocks into the pool, many at a time, looks at those that are there, and changes some.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "pool.hpp"
#include "reader.hpp"

namespace examples::shared_pool {

/// What survivors go by.
struct rule {
  bool recover = true;       // or nobody does: a control
  bool wait_for_end = true;  // of the process of a dead member, or release at its death: a control
  bool replace = true;       // frames whose devices may be at work, or release when the process is gone: a control
};

/// The host's part of recovery.
class hooks : public pinref::frame_replacer<pinref::shared_traits> {
 public:
  hooks(pinref::segment& memory, rule how) : frame_replacer(memory), how_(how) {}

  [[nodiscard]] bool process_gone(const pinref::dead_member& dead) const noexcept {
    return !how_.wait_for_end || frame_replacer::process_gone(dead);
  }
  [[nodiscard]] bool quiet(const pinref::dead_pins&) const noexcept { return !how_.replace; }

 private:
  rule how_;
};

/// Gives back what the dead held. Frames that a device may be writing to leave the pool first.
inline pinref::recovery_report recover(pool& shared, pinref::member& me, rule how) {
  hooks survivors(shared.memory(), how);
  auto report = pinref::recover(shared.memory().memory(), survivors);
  if (report.quarantined == 0) return report;
  std::vector<std::uint32_t> frames;
  pinref::for_each_record(shared.memory().memory(), [&](const pinref::ledger_holder& holder) noexcept {
    if (holder.what.state() == pinref::record_state::quarantined) frames.push_back(holder.what.page());
  });
  for (const std::uint32_t frame : frames) shared.drop(me, frame);
  const auto again = pinref::recover(shared.memory().memory(), survivors);
  report.replaced += again.replaced;
  report.quarantined = again.quarantined;
  report.left_dead = again.left_dead;
  report.members += again.members;
  return report;
}

class worker {
 public:
  worker(pinref::segment& memory, int file, rule how, std::uint32_t seed)
      : pool_(memory), reader_(file, depth), how_(how), roll_(seed) {}

  [[noreturn]] void run() {
    // Where the dead have all places, they are cleared away, or nobody can come any more.
    while (me_.join(pool_.memory().memory()) != pinref::join_result::joined) {
      if (how_.recover) (void)pinref::recover(pool_.memory().memory(), hooks(pool_.memory(), how_));
      pool_.all().hungry.fetch_add(1, std::memory_order_relaxed);
    }
    for (std::uint64_t round = 0;; ++round) {
      for (std::uint32_t i = 0; i != depth; ++i) one_block(number());
      reader_.submit();
      while (under_way_ != 0) reader_.wait([this](std::uint64_t which, long bytes) { arrived(which, bytes); });
      if (how_.recover && round % 2 == 0) (void)recover(pool_, me_, how_);
    }
  }

 private:
  static constexpr std::uint32_t depth = 384;

  [[nodiscard]] std::uint32_t number() { return static_cast<std::uint32_t>(roll_()) % nr_blocks; }

  void one_block(std::uint32_t number) {
    if (auto held = pool_.look_up(me_, number)) {
      if (pool_.label_of(held->page()).valid()) visit(held->page(), number);
      (void)me_.release(*held);
      return;
    }
    if (auto pin = pool_.prepare(me_, number)) {
      started_[number] = *pin;
      ++under_way_;
      reader_.read(number, &pool_.content(pin->page()));
      pool_.all().hungry.store(0, std::memory_order_relaxed);
      return;
    }
    // No frame is free.
    for (int tries = 0; tries != 20; ++tries)
      if (pool_.evict(me_, static_cast<std::uint32_t>(roll_()) % nr_frames)) return;
    pool_.all().hungry.fetch_add(1, std::memory_order_relaxed);
  }

  void visit(std::uint32_t frame, std::uint32_t number) {
    if (!pool_.lock(me_, frame, number)) return;
    pool_.verify(frame, number, "in the pool");
    if (roll_() % 8 == 0) {
      pool_.write_next(frame, number);
      pool_.all().updates.fetch_add(1, std::memory_order_relaxed);
    }
    pool_.all().visits.fetch_add(1, std::memory_order_relaxed);
    (void)me_.unlock_page(frame);
  }

  void arrived(std::uint64_t which, long bytes) {
    if (bytes != static_cast<long>(sizeof(block))) std::_Exit(failed_read);
    const auto number = static_cast<std::uint32_t>(which);
    pinref::ledger_hold& pin = started_[number];
    pool_.verify(pin.page(), number, "as it arrived");
    pool_.memory().page(pin.page()).set_tag(label::of(number, true).raw);
    (void)me_.release(pin);
    pool_.all().reads.fetch_add(1, std::memory_order_relaxed);
    --under_way_;
  }

  static constexpr int failed_read = 3;

  pool pool_;
  reader reader_;
  rule how_;
  std::minstd_rand roll_;
  pinref::member me_;
  std::array<pinref::ledger_hold, nr_blocks> started_{};
  std::uint32_t under_way_ = 0;
};

}  // namespace examples::shared_pool
