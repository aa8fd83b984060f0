// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor handles/: RAII handles, and owners of pins. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/handles.hpp>
///     const auto pin = pinref::page_pin<frame>::try_pin(page);
///     if (!pin) give_up(to_string(pin.reason()));

#include "pinref/gup.hpp"
#include "pinref/handles/page_handle.hpp"
#include "pinref/handles/pin_owner.hpp"
#include "pinref/handles/pin_request.hpp"
#include "pinref/handles/pinned_range.hpp"
