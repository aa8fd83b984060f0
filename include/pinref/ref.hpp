// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor ref/: the page's reference: page_ref and hot_ref. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/ref.hpp>
///     pinref::page_ref<> ref;
///     if (ref.try_get() == pinref::take_result::dead) ref.init();

#include "pinref/ref/hot_ref.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/reference_word.hpp"
#include "pinref/word.hpp"
