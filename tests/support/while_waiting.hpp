// SPDX-License-Identifier: MIT
#pragma once

// A canceller that is used to look into a wait: called whenever the wait asks whether it is cancelled.

#include <utility>

#include "pinref/sync/wait_canceller.hpp"

namespace support {

template <class Ask, class Sync = pinref::std_sync>
class while_waiting : public pinref::wait_canceller<Sync> {
 public:
  explicit while_waiting(Ask ask) : ask_(std::move(ask)) {}
  [[nodiscard]] bool cancelled() const { return ask_(); }

 private:
  mutable Ask ask_;
};

}  // namespace support
