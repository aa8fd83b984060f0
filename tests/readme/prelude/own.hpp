// SPDX-License-Identifier: MIT
#pragma once

// For fragments whose names are their own.

#include "common.hpp"

using scene = empty_scene;
