// SPDX-License-Identifier: MIT
#pragma once

// Pages that a device fills, and the read of one that holds nothing.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "pinref/parts/page_stamp.hpp"
#include "pinref/pinref.hpp"
#include "support/block.hpp"
#include "support/device.hpp"

namespace examples::optimistic_read {

/// What a control does wrong.
enum class mistake : unsigned char { none, no_version, no_pin_question, bump_after_unpin };

struct page {
  page() { ref.init(); }

  pinref::page_ref<> ref;
  pinref::page_stamp<> stamp;
  std::atomic<std::uint64_t> version{0};  // of the block in it
  std::uint32_t number = 0;               // of the block, for good
  std::unique_ptr<block> data = std::make_unique<block>();
};

/// A read that may be interrupted in the middle.
class reading {
 public:
  reading(const page& of, mistake wrong) : page_(of), wrong_(wrong) {}

  /// False if the page may not be read now.
  [[nodiscard]] bool begin() {
    switch (wrong_) {
      case mistake::no_version:
        return page_.ref.plainly_unpinned();
      case mistake::no_pin_question:
        return page_.stamp.read_begin(never_pinned{}, seen_);
      default:
        return page_.stamp.read_begin(page_.ref, seen_);
    }
  }
  void first_half() {
    version_ = page_.version.load(std::memory_order_acquire);
    pinref::copy_out(words(), from(), half);
  }
  void second_half() { pinref::copy_out(words() + half, from() + half, half); }
  /// Is what was read to be believed?
  [[nodiscard]] bool validate() const {
    switch (wrong_) {
      case mistake::no_version:
        return page_.ref.plainly_unpinned();
      case mistake::no_pin_question:
        return page_.stamp.read_validate(never_pinned{}, seen_);
      default:
        return page_.stamp.read_validate(page_.ref, seen_);
    }
  }
  /// What is wrong with it, empty if nothing.
  [[nodiscard]] std::string fault() const { return find_fault(copy_, page_.number, version_); }

 private:
  static constexpr std::size_t half = sizeof(block) / sizeof(std::uint64_t) / 2;

  // Asked by who does not ask for pins.
  struct never_pinned {
    static constexpr bool plainly_unpinned() noexcept { return true; }
  };

  [[nodiscard]] std::uint64_t* words() noexcept { return reinterpret_cast<std::uint64_t*>(&copy_); }
  [[nodiscard]] const std::uint64_t* from() const noexcept {
    return reinterpret_cast<const std::uint64_t*>(page_.data.get());
  }

  const page& page_;
  mistake wrong_;
  pinref::stamp_seen seen_;
  std::uint64_t version_ = 0;
  block copy_;
};

/// A delivery into a page, step by step.
class delivery {
 public:
  delivery(page& to, device& by, mistake wrong) : page_(to), device_(by), wrong_(wrong) {}

  void pin() { (void)page_.ref.try_pin(); }
  /// Returns when the device has written.
  void write(std::uint32_t version) {
    device_.start(page_.number, version, *page_.data);
    device_.finish();
    page_.version.store(version, std::memory_order_release);
  }
  void unpin() {
    if (wrong_ != mistake::bump_after_unpin) page_.stamp.changed();
    (void)page_.ref.unpin();
  }
  void end() {
    if (wrong_ == mistake::bump_after_unpin) page_.stamp.changed();
  }

 private:
  page& page_;
  device& device_;
  mistake wrong_;
};

}  // namespace examples::optimistic_read
