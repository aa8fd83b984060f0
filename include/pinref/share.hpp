// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// The floor share/: pages that processes share, and a ledger of who holds them that survives kill -9. With all that
/// stands below it.
///
/// When not to use it: in one process. pinref.hpp does not bring it, and a program that does not share pays nothing.
///
/// Example:
///
///     #include <pinref/share.hpp>
///     pinref::segment pool;
///     if (pool.create({.pages = 1024}) != pinref::segment_error::none) give_up("no memory");

#include "pinref/gup.hpp"
#include "pinref/page.hpp"
#include "pinref/parts.hpp"
#include "pinref/ref.hpp"
#include "pinref/share/holders.hpp"
#include "pinref/share/identity.hpp"
#include "pinref/share/ledger.hpp"
#include "pinref/share/ledger_memory.hpp"
#include "pinref/share/ledger_result.hpp"
#include "pinref/share/life_lock.hpp"
#include "pinref/share/member.hpp"
#include "pinref/share/member_base.hpp"
#include "pinref/share/member_page.hpp"
#include "pinref/share/page_account.hpp"
#include "pinref/share/page_lock.hpp"
#include "pinref/share/place_life.hpp"
#include "pinref/share/record.hpp"
#include "pinref/share/recorded_counter.hpp"
#include "pinref/share/recorded_hold.hpp"
#include "pinref/share/recorded_word.hpp"
#include "pinref/share/recovery.hpp"
#include "pinref/share/recovery_report.hpp"
#include "pinref/share/replaced_frame.hpp"
#include "pinref/share/segment.hpp"
#include "pinref/share/segment_stamp.hpp"
#include "pinref/share/settle.hpp"
#include "pinref/share/shared_page.hpp"
