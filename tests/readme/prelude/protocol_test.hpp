// SPDX-License-Identifier: MIT
#pragma once

// A file of tests/explore/, with the suite's main.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "common.hpp"
#include "protocol.hpp"

using support::caught;

struct scene {
  bool is_clean() const { return doctest::Context().run() == 0; }
};
