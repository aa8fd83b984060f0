// SPDX-License-Identifier: MIT
#pragma once

#include <thread>

#include "words.hpp"

using scene = word_scene;
