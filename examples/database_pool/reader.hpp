// SPDX-License-Identifier: MIT
#pragma once

// A read that holds nothing: it looks at the frame, copies, and looks again.

#include <cstdint>

#include "frame.hpp"
#include "options.hpp"
#include "pinref/parts/page_stamp.hpp"

namespace examples::database_pool {

class instant_read {
 public:
  instant_read(frame& page, const mistakes& wrong) : page_(page), wrong_(wrong) {}

  /// False if the frame has another block, or nobody may read it now.
  [[nodiscard]] bool begin(std::uint32_t number) noexcept {
    if (wrong_.no_version) {
      if (!page_.ref.plainly_unpinned()) return false;
    } else if (wrong_.no_pin_question) {
      if (!page_.stamp.read_begin(never_pinned{}, seen_)) return false;
    } else if (!page_.stamp.read_begin(page_.ref, seen_)) {
      return false;
    }
    bits_ = page_.ref.host_bits();
    return (bits_ & valid) != 0 && page_.number.load(std::memory_order_acquire) == number;
  }

  /// Can what was copied since be believed?
  [[nodiscard]] bool validate() noexcept {
    const bool whole = wrong_.no_version        ? page_.ref.plainly_unpinned()
                       : wrong_.no_pin_question ? page_.stamp.read_validate(never_pinned{}, seen_)
                                                : page_.stamp.read_validate(page_.ref, seen_);
    // Written only where the clock has been since: else readers of one page would disturb each other.
    if (whole && (bits_ & used) == 0) page_.ref.set_host_bits(used);
    return whole;
  }

 private:
  struct never_pinned {
    static constexpr bool plainly_unpinned() noexcept { return true; }
  };

  frame& page_;
  const mistakes& wrong_;
  pinref::stamp_seen seen_;
  bits bits_ = 0;
};

}  // namespace examples::database_pool
