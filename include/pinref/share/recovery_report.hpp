// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// recovery_report: what recovery finds and leaves; and what it asks the host about the dead.
///
/// References of a dead member go at once. Pins are not released because their holder is dead, but because its devices
/// are at rest: they are quarantined until its process is gone, with its files, *and* the host says that the device is
/// quiet. The hooks are the host's:
///
/// - `process_gone(dead)`: has the process of a dead member gone for good? `survivor_hooks` knows.
/// - `quiet(pins)`: will no device touch the page again on account of these pins? Asked when the process is gone, or is
///   the one that recovers, and so knows its own devices.
/// - `replace(pins)`, if there is one: gives the page another frame, and leaves the old one to the device; false if it
///   could not. Called when the process is gone, the device is not quiet, and nobody but the dead holds the page, the
///   pool included. The contents are lost, and the page is freed. See replaced_frame.
///
/// When not to use it: to have pins released although a device is at work, by a `quiet` that is always true.
///
/// Example:
///
///     struct hooks : pinref::survivor_hooks {
///       bool quiet(const pinref::dead_pins& pins) noexcept { return queue_pair_is_in_error(pins.process); }
///     };
///     const pinref::recovery_report report = pinref::recover(pool.memory(), hooks{});
///     if (report.quarantined != 0) try_again_later();            // devices may be at work
///
/// Errors: none.
/// Memory order: none.
/// Progress: wait-free.
/// Source: pinref's own.

#include <concepts>
#include <cstdint>

namespace pinref::inline v0_1 {

/// A member that has died.
struct dead_member {
  unsigned place;            ///< in the table of members
  std::uint32_t generation;  ///< how many members had the place
  std::uint32_t process;     ///< its pid
  std::uint32_t thread;      ///< its thread, as gettid(2) has it
  std::uint64_t started;     ///< see process_identity
  std::uint64_t pids;        ///< see process_identity
};

/// Pins that a dead member left.
struct dead_pins : dead_member {
  bool gone;            ///< its process
  std::uint32_t page;   ///< what is pinned
  unsigned n;           ///< how often
  std::uint64_t since;  ///< when they were taken, by the clock of the segment
  std::uint64_t lease;  ///< until when they were to be held, or 0
};

/// What a call of recover did, and what it left.
struct recovery_report {
  bool busy = false;         ///< somebody else recovers: nothing was done
  unsigned members = 0;      ///< dead ones whose places are free again
  unsigned references = 0;   ///< released
  unsigned pins = 0;         ///< released
  unsigned kept = 0;         ///< references that went back to the pool
  unsigned claims = 0;       ///< claimed pages that were thawed or freed
  unsigned replaced = 0;     ///< pages that have another frame
  unsigned freed = 0;        ///< pages whose last holder was a dead one
  unsigned page_locks = 0;   ///< taken from dead members
  unsigned settled = 0;      ///< records that were in doubt
  unsigned left_dead = 0;    ///< members that still hold something
  unsigned in_doubt = 0;     ///< records that could not be settled: their pages had no quiet instant
  unsigned unaccounted = 0;  ///< records that cannot be settled: the word does not agree with the ledger
  unsigned quarantined = 0;  ///< pins whose devices may be at work
};

/// A host that knows nothing of its devices: all pins of the dead stay quarantined.
struct no_hooks {
  /// False.
  [[nodiscard]] static bool process_gone(const dead_member&) noexcept { return false; }
  [[nodiscard]] static bool quiet(const dead_pins&) noexcept { return false; }
};

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// What recovery asks the host.
template <class Hooks>
concept recovery_hooks = requires(Hooks& hooks, const dead_member& dead, const dead_pins& pins) {
  { hooks.process_gone(dead) } noexcept -> std::same_as<bool>;
  { hooks.quiet(pins) } noexcept -> std::same_as<bool>;
};
/// Hooks that give a page another frame.
template <class Hooks>
concept replacing_hooks = recovery_hooks<Hooks> && requires(Hooks& hooks, const dead_pins& pins) {
  { hooks.replace(pins) } noexcept -> std::same_as<bool>;
};
// clang-format on

}  // namespace pinref::inline v0_1
