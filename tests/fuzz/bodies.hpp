// SPDX-License-Identifier: MIT
#pragma once

// The bodies: each reads an input as operations, runs them on pinref and on a model, and aborts where they differ.

#include <cstdint>
#include <span>

namespace fuzz {

/// One reference word of any layout, bare, checked or accounted.
void run_word(std::span<const std::uint8_t> bytes);

/// Many pages of a host with small words: gup, objects, every release call, handles and owners.
void run_gup(std::span<const std::uint8_t> bytes);

}  // namespace fuzz
