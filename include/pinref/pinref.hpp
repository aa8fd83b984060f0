// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// pinref: who holds this page, and is a device still touching its data?
///
/// A page can be *referenced* (a holder keeps it from being freed) or *pinned* (a device, a NIC, io_uring or another
/// process reads or writes its data behind the owner's back). To evict, write back, copy on write, migrate or unmap a
/// page, the two must be told apart. pinref counts both in one atomic word for each page and owns the protocols
/// around it.
///
/// Floors, each including only lower ones; each has a header of its name, that brings the floor and what is below it:
///
///     sync/       the platform                     std_sync, deadline, wait_canceller
///     word/       what the bits mean, who counts   bias64, bias32, split32, zoned_word
///     parts/      atomics a host embeds besides    layout_gate, write_protect_seq, share_count
///     ref/        the page's reference             page_ref, hot_ref
///     page/       the host's page                  page_traits, get_page, put_page, page_dma_pinned
///     gup/        many pages of an address space   pin_user_pages, unpin_user_pages_dirty_lock
///     protocols/  what to do about a pinned page   writeback_page, can_reuse, fork_page, break_layout, reclaim_page
///     handles/    what holds                       page_ptr, page_pin, pinned_range, pin_owner
///     observe/    words that are watched           accounted_ref, checked_ref, logged_ref
///     share/      pages of processes that may die  segment, member, recover
///     host/       a ready host on mmap             frame_arena, page_table, registration_cache
///
/// When not to use it: for objects that no device touches, std::shared_ptr or an intrusive counter is enough.
///
/// Example:
///
///     #include <pinref/pinref.hpp>
///     pinref::page_ref<> ref;
///     ref.init();
///     if (ref.put() == pinref::release_result::last) free_page();
///
/// The core allocates nothing, throws nothing, takes no lock and needs neither exceptions nor RTTI; but hot pages have
/// a short lock, and a thread's first use of one may allocate. This header is the core. observe/, share/ and host/
/// print, map memory and lock; their headers are included by name.

#include "pinref/fwd.hpp"
#include "pinref/handles.hpp"
#include "pinref/protocols.hpp"
#include "pinref/version.hpp"
