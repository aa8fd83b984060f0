// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor page/: one page of the host. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/page.hpp>
///     static_assert(pinref::host_page<frame>);

#include "pinref/page/holders.hpp"
#include "pinref/page/page.hpp"
#include "pinref/page/page_members.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/ref.hpp"
