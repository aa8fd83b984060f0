// SPDX-License-Identifier: MIT
#pragma once

// A pool of frames that worker processes share, and the directory of which block is in which of them.
//
// The pool keeps one reference of each frame that has a block. Whoever looks at a block has another; a transfer has a
// pin, from before it is submitted until its completion. All of them are in the ledger, so whoever is killed leaves
// nothing behind but what survivors find there.
//
// The directory is only a hint: the tag of a frame says what is in it. So a kill between two of its words does no harm.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "pinref/share.hpp"
#include "support/block.hpp"
#include "support/direct_file.hpp"

namespace examples::shared_pool {

inline constexpr std::uint32_t nr_blocks = 6144;
inline constexpr std::uint32_t nr_frames = 1536;
inline constexpr std::uint32_t nr_workers = 3;

/// In the segment, beside the frames.
struct directory {
  std::atomic<std::uint32_t> frame_of[nr_blocks];  // plus one
  std::atomic<std::uint64_t> written[nr_blocks];   // the version on the disk, at least
  std::atomic<std::uint64_t> started[nr_blocks];   // the newest version that somebody has begun to make
  std::atomic<std::uint64_t> faults, reads, visits, updates, repairs, evictions;
  std::atomic<std::uint32_t> hungry;  // how often in a row no frame was to be had
  std::atomic<std::uint32_t> told;    // the first fault has been printed
};

/// What the tag of a frame says.
struct label {
  std::uint64_t raw = 0;

  [[nodiscard]] static label of(std::uint32_t block, bool valid) { return {std::uint64_t{block + 1} << 1 | valid}; }
  [[nodiscard]] bool valid() const { return (raw & 1) != 0; }
  [[nodiscard]] bool is_of(std::uint32_t block) const { return raw >> 1 == block + 1; }
  [[nodiscard]] std::optional<std::uint32_t> block() const {
    return raw == 0 ? std::nullopt : std::optional{static_cast<std::uint32_t>((raw >> 1) - 1)};
  }
};

/// One process's hand in it.
class pool {
 public:
  using result = pinref::ledger_result;

  explicit pool(pinref::segment& memory) : memory_(memory), all_(*reinterpret_cast<directory*>(memory.user())) {}

  [[nodiscard]] pinref::segment& memory() { return memory_; }
  [[nodiscard]] directory& all() { return all_; }
  [[nodiscard]] block& content(std::uint32_t frame) { return *reinterpret_cast<block*>(memory_.data(frame)); }
  [[nodiscard]] label label_of(std::uint32_t frame) { return {memory_.page(frame).tag()}; }

  /// A reference of the frame that a block is in, if it is in one.
  [[nodiscard]] std::optional<pinref::ledger_hold> look_up(pinref::member& me, std::uint32_t number) {
    std::uint32_t entry = all_.frame_of[number].load(std::memory_order_acquire);
    if (entry == 0) return {};
    pinref::ledger_take taken = me.try_get(entry - 1);
    if (taken && label_of(entry - 1).is_of(number)) return taken.held;
    if (taken) (void)me.release(taken.held);
    // Somebody was killed before it could say so.
    if (taken || taken.why == result::dead) (void)all_.frame_of[number].compare_exchange_strong(entry, 0);
    return {};
  }

  /// A frame for a block that is in none, kept by the pool, pinned by the caller, and not valid yet.
  [[nodiscard]] std::optional<pinref::ledger_hold> prepare(pinref::member& me, std::uint32_t number) {
    pinref::ledger_take fresh = me.allocate();
    if (!fresh) return {};
    const std::uint32_t frame = fresh.held.page();
    (void)memory_.page(frame).clear_dirty();
    memory_.page(frame).set_tag(label::of(number, false).raw);
    pinref::ledger_take pin = me.try_pin(frame);
    std::uint32_t none = 0;
    if (!pin || me.keep(fresh.held) != result::done) std::abort();
    if (all_.frame_of[number].compare_exchange_strong(none, frame + 1)) return pin.held;
    // Somebody else was faster. Without an entry it is as good as empty.
    (void)me.release(pin.held);
    drop(me, frame);
    return {};
  }

  /// Takes a frame from the pool that nobody uses and that is not dirty.
  bool evict(pinref::member& me, std::uint32_t frame) {
    if (memory_.page(frame).dirty()) return false;
    pinref::ledger_take claim = me.claim(frame);
    if (!claim) return false;
    const bool frozen = me.freeze(claim.held) == result::done;
    if (!frozen || memory_.page(frame).dirty()) {
      if (frozen) (void)me.thaw(claim.held);
      if (me.keep(claim.held) != result::done) std::abort();
      return false;
    }
    forget(frame);
    (void)me.free(claim.held);
    all_.evictions.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  /// Takes a frame from the pool whose contents are worth nothing; whoever holds it keeps it that long.
  void drop(pinref::member& me, std::uint32_t frame) {
    forget(frame);
    pinref::ledger_take claim = me.claim(frame);
    if (claim) (void)me.release(claim.held);
  }

  /// What is in a frame, which is held and locked, is what should be in it.
  void verify(std::uint32_t frame, std::uint32_t number, const char* when) {
    const block& b = content(frame);
    const std::uint64_t low = all_.written[number].load(), high = all_.started[number].load();
    const std::uint64_t version = b.version < low ? low : b.version > high ? high : b.version;
    const std::string fault = find_fault(b, number, version);
    if (fault.empty()) return;
    all_.faults.fetch_add(1);
    if (all_.told.exchange(1) == 0) std::fprintf(stderr, "%s: %s\n", when, fault.c_str());
  }

  /// Gives a block its next version. Its frame is held, locked and valid.
  void write_next(std::uint32_t frame, std::uint32_t number) {
    const std::uint64_t next = all_.started[number].fetch_add(1) + 1;
    memory_.page(frame).set_dirty();
    fill(content(frame), number, next);
  }

  /// Locks a frame; if its last owner was killed in the middle of a change, that is made good.
  [[nodiscard]] bool lock(pinref::member& me, std::uint32_t frame, std::uint32_t number) {
    switch (me.lock_page(frame, pinref::deadline::in_nanoseconds(5'000'000))) {
      case pinref::page_lock_result::locked:
        return true;
      case pinref::page_lock_result::owner_died:
        all_.repairs.fetch_add(1);
        if (label_of(frame).valid()) write_next(frame, number);
        return true;
      default:
        return false;
    }
  }

 private:
  // No entry says that the block is there.
  void forget(std::uint32_t frame) {
    const auto number = label_of(frame).block();
    std::uint32_t entry = frame + 1;
    if (number) (void)all_.frame_of[*number].compare_exchange_strong(entry, 0);
  }

  pinref::segment& memory_;
  directory& all_;
};

}  // namespace examples::shared_pool
