// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// stop_canceller: a std::stop_token as what cancels a wait.
///
/// When not to use it: where nothing else needs `<stop_token>`; it costs more to compile than all of the core. A
/// `wait_canceller` does the same without it.
///
/// Example:
///
///     std::jthread worker([&](std::stop_token stop) {
///       if (ref.wait_until_unpinned(pinref::deadline::never(), pinref::stop_canceller{stop}) !=
///           pinref::wait_result::reached)
///         return;                                                // asked to stop
///       reuse();
///     });
///
/// Errors: none.
/// Memory order: as wait_canceller's: a wait that ends with `given_up` sees what came before request_stop().
/// Progress: that of std::stop_callback, which locks.
/// Source: std::stop_callback.

#include <stop_token>
#include <utility>

#include "pinref/sync/wait_canceller.hpp"

namespace pinref::inline v0_1 {

/// Cancels the waits that are given it as soon as a stop is requested, or at once if it was before.
template <class Sync = std_sync>
class stop_canceller : public wait_canceller<Sync> {
 public:
  /// Cancels when `token` is asked to stop.
  explicit stop_canceller(std::stop_token token) noexcept : on_stop_(std::move(token), cancels{*this}) {}

 private:
  struct cancels {
    void operator()() const noexcept { whom.cancel(); }
    wait_canceller<Sync>& whom;
  };

  std::stop_callback<cancels> on_stop_;
};

}  // namespace pinref::inline v0_1
