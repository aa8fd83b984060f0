// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor word/: what counts: layouts of a word, and the counters. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/word.hpp>
///     static_assert(pinref::bias64::live(2, 3).pins() == 3);

#include "pinref/sync.hpp"
#include "pinref/word/bias_layout.hpp"
#include "pinref/word/bias_word.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/counter.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/hot_switch.hpp"
#include "pinref/word/hot_word.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/split_layout.hpp"
#include "pinref/word/split_word.hpp"
#include "pinref/word/zoned_word.hpp"
#include "pinref/word/zones.hpp"
