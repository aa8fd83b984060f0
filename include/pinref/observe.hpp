// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor observe/: words that are watched. With all that stands below it.
///
/// When not to use it: for one header of it; or for everything, which is pinref.hpp.
///
/// Example:
///
///     #include <pinref/observe.hpp>
///     pinref::checked_ref<pinref::page_ref<>> word;
///     word.init();

#include "pinref/observe/accounted_ref.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/observe/holder_list.hpp"
#include "pinref/observe/holder_log.hpp"
#include "pinref/observe/holder_report.hpp"
#include "pinref/observe/logged_ref.hpp"
#include "pinref/observe/observed_ref.hpp"
#include "pinref/observe/pin_accounts.hpp"
#include "pinref/observe/ref_observer.hpp"
#include "pinref/ref.hpp"
