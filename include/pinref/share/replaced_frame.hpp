// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// frame_replacer: hooks of recovery that give a page of a memfd another frame, and leave the old one to the device.
///
/// A device that was told to write to a page writes to its frame, whatever becomes of the page: the kernel, or the
/// device, keeps the frame until it is done. A hole that is punched into the file takes the frame out of it, so that
/// the device writes to an orphan, and the next who touches the page gets a fresh frame of zeros. This needs no word
/// from the device.
///
/// It is only called when nobody but the dead holds the page, and all their processes are gone, because what has not
/// yet been looked up by then would be written to the new frame. A page that the pool keeps is dropped by the pool
/// first.
///
/// When not to use it: for a device that goes through the mapping at the time it writes, without keeping the frame, or
/// for pages that are not in a file.
///
/// Example:
///
///     auto report = pinref::recover(pool.memory(), pinref::frame_replacer{pool});
///     std::printf("%u frames left to their devices\n", report.replaced);
///
/// Errors: a hole that cannot be punched leaves the page quarantined.
/// Memory order: none.
/// Progress: a system call for each page.
/// Source: fallocate(2) FALLOC_FL_PUNCH_HOLE.

#include <fcntl.h>

#include "pinref/share/identity.hpp"
#include "pinref/share/segment.hpp"

namespace pinref::inline v0_1 {

/// Of pages whose memory is in `pool`. To ask devices first, derive from it and hide `quiet`.
template <class Traits>
class frame_replacer : public survivor_hooks {
 public:
  /// Of this segment, which outlives it.
  explicit frame_replacer(const basic_segment<Traits>& pool) noexcept : pool_(&pool) {}

  /// Also of the caller's own process it is not enough that a thread has died: what another thread of it has queued may
  /// look the page up later.
  [[nodiscard]] static bool process_gone(const dead_member& dead) noexcept {
    return pinref::look_at({dead.process, dead.started, dead.pids}) == process_state::gone;
  }
  /// Leaves the frame of the page to its device.
  [[nodiscard]] bool replace(const dead_pins& pins) const noexcept {
    if (pool_->descriptor() < 0 || pool_->shape().page_size == 0) return false;
    return ::fallocate(pool_->descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<::off_t>(pool_->offset_of(pins.page)),
                       static_cast<::off_t>(pool_->shape().page_size)) == 0;
  }

 private:
  const basic_segment<Traits>* pool_;
};

}  // namespace pinref::inline v0_1
