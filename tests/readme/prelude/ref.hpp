// SPDX-License-Identifier: MIT
#pragma once

#include "words.hpp"

using scene = word_scene;
