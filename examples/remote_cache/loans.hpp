// SPDX-License-Identifier: MIT
#pragma once

// Who has which page. A one-sided operation has no completion at its target, so the pin of the target belongs to a
// client that may die, or go silent: it is a lease of the member that lends. When that runs out, all clients that have
// kept the page for too long are fenced, and can reach the memory no more; only then the pin goes.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "pinref/share.hpp"
#include "pool.hpp"

namespace examples::remote_cache {

/// For the thread that lends.
class loan_book {
 public:
  using peer = std::uint32_t;

  loan_book(pool& from, pinref::member& me) : pool_(from), me_(me) {}

  /// Milliseconds, by the clock of the segment.
  [[nodiscard]] static std::uint64_t now() { return static_cast<std::uint64_t>(pinref::monotonic_now()) / 1'000'000; }

  /// The number that the client gives it back by.
  [[nodiscard]] std::uint64_t lend(peer to, std::uint64_t until, loan lent) {
    all_.push_back({++last_, to, until, lent});
    return last_;
  }
  /// What a client gives back, or nothing, if it has no such loan any more.
  [[nodiscard]] std::optional<loan> give_back(peer from, std::uint64_t number) {
    for (entry& each : all_) {
      if (each.number != number || each.to != from) continue;
      const loan lent = each.lent;
      each = all_.back();
      all_.pop_back();
      return lent;
    }
    return {};
  }
  /// Takes back what has been lent for too long: `fence(peer)` comes first, and says whether the peer loses all else
  /// that it has, too.
  template <class Fence>
  void expire(Fence fence) {
    const std::uint64_t time = now();
    (void)me_.expire_leases(time, [&](std::uint32_t page, unsigned) noexcept {
      // The ledger knows the page. Whoever has it for too long goes.
      for (entry& late : all_) {
        if (late.back || late.until > time || late.lent.from->number != page) continue;
        if (fence(late.to)) take_back_all(late.to);
        if (!late.back) take_back(late);
      }
      return true;
    });
    forget();
  }
  /// The client has been fenced before its time.
  void revoke(peer from) {
    take_back_all(from);
    forget();
  }
  [[nodiscard]] std::uint64_t nr_taken_back() const { return nr_taken_back_; }

 private:
  struct entry {
    std::uint64_t number;
    peer to;
    std::uint64_t until;
    loan lent;
    bool back = false;  // and its pin has gone, or is about to
  };

  void take_back(entry& each) {
    each.back = true;
    ++nr_taken_back_;
    pool_.taken_back(each.lent);
  }
  void take_back_all(peer from) {
    for (entry& each : all_)
      if (each.to == from && !each.back) take_back(each);
  }
  // Pins that have not run out go here. Of the others the ledger knows that they have gone, and refuses.
  void forget() {
    std::erase_if(all_, [this](entry& each) {
      if (each.back && each.lent.pin) (void)me_.release(each.lent.pin);
      return each.back;
    });
  }

  pool& pool_;
  pinref::member& me_;
  std::vector<entry> all_;
  std::uint64_t last_ = 0, nr_taken_back_ = 0;
};

}  // namespace examples::remote_cache
