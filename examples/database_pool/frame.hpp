// SPDX-License-Identifier: MIT
#pragma once

// A frame of the pool: one word has its references, its pins and the pool's own bits; a stamp stands beside it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "pinref/parts/page_stamp.hpp"
#include "pinref/pinref.hpp"
#include "support/block.hpp"

namespace examples::database_pool {

/// The pool's bits in the word.
using bits = std::uint64_t;
inline constexpr bits valid = 1;    // holds its block
inline constexpr bits dirty = 2;    // the file has an older one
inline constexpr bits busy = 4;     // a transfer is under way, or somebody changes the content: one at a time
inline constexpr bits used = 8;     // since the clock came by
inline constexpr bits closed = 16;  // is to leave the pool: nobody may come, whoever is there goes on

using layout = pinref::bias_layout<bits, 28, 511, 8>;

/// No block, no frame.
inline constexpr std::uint32_t none = ~std::uint32_t{0};

struct alignas(64) frame {
  /// Frozen, as all that are not in use.
  frame() {
    ref.init();
    (void)ref.freeze(1);
  }
  /// Never: the table's reference is given up by who has frozen the frame.
  void free_page() noexcept { std::abort(); }

  /// Waits, without polling, until nobody else is at the content. Precondition: the caller holds the frame.
  void lock() noexcept {
    while ((ref.set_host_bits(busy) & busy) != 0) (void)ref.wait_until_clear(busy);
  }
  [[nodiscard]] bool try_lock() noexcept { return (ref.set_host_bits(busy) & busy) == 0; }
  void unlock() noexcept { ref.clear_host_bits(busy); }

  pinref::page_ref<layout> ref;
  pinref::page_stamp<> stamp;
  std::atomic<std::uint32_t> number{none};  // of its block; changes only while the frame is frozen
  std::atomic<std::uint32_t> next{none};    // in its chain of the table
};
using frame_ptr = pinref::page_ptr<frame>;

/// All frames, and their memory.
class frame_array {
 public:
  explicit frame_array(std::size_t n) : frames_(n), memory_(std::make_unique<block[]>(n)) {}

  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(frames_.size()); }
  [[nodiscard]] frame& operator[](std::uint32_t i) noexcept { return frames_[i]; }
  [[nodiscard]] std::uint32_t index_of(const frame& of) const noexcept {
    return static_cast<std::uint32_t>(&of - frames_.data());
  }
  [[nodiscard]] block& content(const frame& of) const noexcept { return memory_[index_of(of)]; }

 private:
  std::vector<frame> frames_;
  std::unique_ptr<block[]> memory_;
};

/// What is copied in or out, word by word.
inline constexpr std::size_t block_words = sizeof(block) / sizeof(std::uint64_t);
inline std::uint64_t* words_of(block& of) noexcept {
  return reinterpret_cast<std::uint64_t*>(&of);
}
inline const std::uint64_t* words_of(const block& of) noexcept {
  return reinterpret_cast<const std::uint64_t*>(&of);
}

}  // namespace examples::database_pool
