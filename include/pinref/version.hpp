// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// version.hpp: the version of the library, for the preprocessor.
///
/// When not to use it: to ask a build system for a version; Meson, CMake and pkg-config know it themselves.
///
/// Example:
///
///     #include <pinref/version.hpp>
///     static_assert(PINREF_VERSION_MAJOR == 0 && PINREF_VERSION_MINOR >= 1);

#if __cplusplus < 201709L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "pinref needs C++20: compile with -std=c++20; for C and older C++ there is pinref.h"
#endif

/// The version of the library; with another major or minor number its layouts may differ.
#define PINREF_VERSION_MAJOR 0
#define PINREF_VERSION_MINOR 1
#define PINREF_VERSION_PATCH 0
