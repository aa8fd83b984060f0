// SPDX-License-Identifier: MIT
#pragma once

// How iceoryx2 (0.9) lends a chunk of shared memory to another process and gets it back: a reconstruction from its
// sources, for its cost. Its names are given at each step, in this order.
//
// The publisher, Sender::deliver_offset: UsedChunkList::insert into the borrower's list (an exchange), a push of the
// chunk's offset to the borrower's SafelyOverflowingIndexQueue (stores), SegmentState::borrow_chunk (an add).
// The subscriber, Receiver::receive: has_data, a pop (a compare-and-swap), one more in its count of borrowed chunks;
// when it has done, Receiver::release_offset: a push to the IndexQueue of what comes back (stores).
// The publisher again, Sender::retrieve_returned_chunks: reclaim, which pops (stores), UsedChunkList::remove (an
// exchange), SegmentState::release_chunk (a subtract).
//
// That is five locked operations, each on what two processes write at most. The count of a chunk is the publisher's
// own; in the segment stand a flag for each chunk and borrower, and the queues. Of a borrower that has died, which is
// known by a lock on a file, the publisher clears all flags (acquire_used_offsets) and takes what they stood for off
// the counts.
//
// What is left out, all of it to the benefit of iceoryx2: that a chunk is allocated for each lending, looks at all
// connections but one, the header of the sample, the lock of a subscriber that several threads use, and errors.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "pages.hpp"

namespace bench {

/// One publisher, one subscriber, one channel.
class chunk_channel {
 public:
  static constexpr std::uint64_t none = ~std::uint64_t{0};

  chunk_channel(std::size_t chunks, std::size_t chunk_size, std::size_t buffer, std::size_t most_borrowed)
      : counts_(new std::atomic<std::uint64_t>[chunks]()),
        used_(new std::atomic<bool>[chunks]()),
        chunk_size_(chunk_size),
        most_borrowed_(most_borrowed),
        there_(buffer, buffer + 1),
        back_(buffer + most_borrowed + 1, buffer + most_borrowed + 1) {}

  // The publisher.
  BENCH_INLINE bool lend(std::uint64_t offset) noexcept {
    if (used_[chunk_of(offset)].exchange(true, std::memory_order_relaxed)) return false;
    if (!there_.push_over(offset)) return false;
    counts_[chunk_of(offset)].fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  BENCH_INLINE bool reclaim() noexcept {
    const std::uint64_t offset = back_.pop();
    if (offset == none) return false;
    if (!used_[chunk_of(offset)].exchange(false, std::memory_order_relaxed)) return false;
    counts_[chunk_of(offset)].fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  // The subscriber.
  BENCH_INLINE std::uint64_t receive() noexcept {
    if (!there_.has_data() || borrowed_ >= most_borrowed_) return none;
    const std::uint64_t offset = there_.pop_against_overflow();
    if (offset != none) ++borrowed_;
    return offset;
  }
  BENCH_INLINE bool give_back(std::uint64_t offset) noexcept {
    --borrowed_;
    return back_.push(offset);
  }

 private:
  // As rustc divides for a processor it does not know: 32 bits where they do.
  BENCH_INLINE static std::uint64_t remainder(std::uint64_t a, std::uint64_t b) noexcept {
    return ((a | b) >> 32) == 0 ? std::uint32_t(a) % std::uint32_t(b) : a % b;
  }
  [[nodiscard]] BENCH_INLINE std::size_t chunk_of(std::uint64_t offset) const noexcept {
    const std::uint64_t size = chunk_size_.load(std::memory_order_relaxed);
    return ((offset | size) >> 32) == 0 ? std::uint32_t(offset) / std::uint32_t(size) : offset / size;
  }

  // Of one producer and one consumer.
  class queue {
   public:
    queue(std::uint64_t capacity, std::uint64_t room)
        : cells_(new std::uint64_t[room]()), capacity_(capacity), room_(room) {}

    // IndexQueue
    BENCH_INLINE bool push(std::uint64_t value) noexcept {
      const std::uint64_t at = written_.load(std::memory_order_relaxed);
      if (at == read_.load(std::memory_order_acquire) + capacity_) return false;
      cells_[remainder(at, room_)] = value;
      written_.store(at + 1, std::memory_order_release);
      return true;
    }
    BENCH_INLINE std::uint64_t pop() noexcept {
      const std::uint64_t at = read_.load(std::memory_order_relaxed);
      if (at == written_.load(std::memory_order_acquire)) return none;
      const std::uint64_t value = cells_[remainder(at, room_)];
      read_.store(at + 1, std::memory_order_release);
      return value;
    }
    // SafelyOverflowingIndexQueue; false if it overflowed, which is not gone into here.
    BENCH_INLINE bool push_over(std::uint64_t value) noexcept {
      const std::uint64_t at = written_.load(std::memory_order_acquire);
      const bool full = at == read_.load(std::memory_order_relaxed) + capacity_;
      cells_[remainder(at, room_)] = value;
      written_.store(at + 1, std::memory_order_release);
      return !full;
    }
    BENCH_INLINE std::uint64_t pop_against_overflow() noexcept {
      std::uint64_t at = read_.load(std::memory_order_relaxed);
      if (at == written_.load(std::memory_order_acquire)) return none;
      for (;;) {
        const std::uint64_t value = cells_[remainder(at, room_)];
        if (read_.compare_exchange_strong(at, at + 1, std::memory_order_relaxed, std::memory_order_acquire))
          return value;
      }
    }
    [[nodiscard]] BENCH_INLINE bool has_data() const noexcept {
      for (;;) {
        const std::uint64_t written = written_.load(std::memory_order_relaxed);
        const std::uint64_t read = read_.load(std::memory_order_relaxed);
        if (written == written_.load(std::memory_order_relaxed) && read == read_.load(std::memory_order_relaxed))
          return written != read;
      }
    }

   private:
    std::unique_ptr<std::uint64_t[]> cells_;
    const std::uint64_t capacity_, room_;
    std::atomic<std::uint64_t> written_{0}, read_{0};
  };

  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::unique_ptr<std::atomic<bool>[]> used_;
  std::atomic<std::uint64_t> chunk_size_;
  std::size_t borrowed_ = 0;
  const std::size_t most_borrowed_;
  queue there_, back_;
};

}  // namespace bench
