#pragma once

/// \file
/// PINREF_FAST_PATH and PINREF_SLOW_PATH: what the compiler should lay into its caller, and what it should keep out.
/// PINREF_KNOWN(condition): true if the compiler, there, knows that it is.
///
/// When not to use it: on code that is not on a measured path. The compilers know better there.
///
/// Example:
///
///     PINREF_SLOW_PATH int refuse() noexcept;

#if defined(__GNUC__)
#define PINREF_FAST_PATH [[gnu::always_inline]] inline
#define PINREF_SLOW_PATH [[gnu::noinline, gnu::cold]]
#define PINREF_KNOWN(condition) (__builtin_constant_p(condition) && (condition))
#else
#define PINREF_FAST_PATH inline
#define PINREF_SLOW_PATH
#define PINREF_KNOWN(condition) false
#endif
