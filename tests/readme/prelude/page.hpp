// SPDX-License-Identifier: MIT
#pragma once

#include "pages.hpp"

using scene = page_scene;
