// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// PINREF_FAST_PATH and PINREF_SLOW_PATH: what the compiler should inline, and what it should keep out of line.
///
/// When not to use it: on code that is not on a measured path. The compilers know better there.
///
/// Example:
///
///     PINREF_SLOW_PATH int refuse() noexcept { return -1; }
///     PINREF_FAST_PATH int enter(bool is_open) noexcept { return is_open ? 0 : refuse(); }
///     if (enter(true) != 0) give_up("closed");

#if defined(__GNUC__)
/// Before a function that is inlined into every caller.
#define PINREF_FAST_PATH [[gnu::always_inline]] inline
/// Before a function that is kept out of line, away from what runs often.
#define PINREF_SLOW_PATH [[gnu::noinline, gnu::cold]]
/// True if the compiler knows, at this place, that the condition holds.
#define PINREF_KNOWN(condition) (__builtin_constant_p(condition) && (condition))
/// Asks the processor for a cache line that will be written to soon.
#define PINREF_PREFETCH(address) __builtin_prefetch(address, 1)
#else
#define PINREF_FAST_PATH inline
#define PINREF_SLOW_PATH
#define PINREF_KNOWN(condition) false
#define PINREF_PREFETCH(address) static_cast<void>(address)
#endif
