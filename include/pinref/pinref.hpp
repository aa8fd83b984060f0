#pragma once

/// \file
/// pinref: who holds this page, and is a device still touching its data?
///
/// A page can be *referenced* (somebody keeps it from being freed) or *pinned* (a device, a NIC, io_uring or another
/// process reads or writes its data behind the owner's back). Whoever evicts, writes back, copies on write, migrates or
/// unmaps a page must tell the two apart. pinref counts both in one atomic word for each page and owns the protocols
/// around it.
///
/// Floors, each including only lower ones:
///
///     word/     what the bits mean               bias64, bias32, split
///     ref/      the atomic word                  page_ref, hot_ref
///     page/     the host's page                  page_traits, get_page, put_page, page_dma_pinned
///     gup/      many pages of an address space   pin_user_pages, unpin_user_pages_dirty_lock
///     hold/     who holds                        page_ptr, page_pin, pinned_range, pin_owner
///     decide/   what to do about a pinned page   writeback_page, can_reuse, fork_page, break_layout, reclaim_page
///     observe/  wrappers of page_ref that count  accounted_ref, pin_accounts, checked_ref
///     host/     a ready host on mmap             frame_arena, page_table
///
/// When not to use it: for objects that no device touches, std::shared_ptr or an intrusive counter is enough.
///
/// Example:
///
///     #include <pinref/pinref.hpp>
///     pinref::page_ref<> ref;
///     ref.reset();
///
/// The core allocates nothing, throws nothing, takes no lock and needs neither exceptions nor RTTI; but hot pages have a
/// short lock, and a thread's first use of one may allocate. This header is the core. observe/ and host/ print, map
/// memory and lock; their headers are included by name.

#include "pinref/decide/copy_on_write.hpp"
#include "pinref/decide/layout_break.hpp"
#include "pinref/decide/reclaim.hpp"
#include "pinref/decide/share_count.hpp"
#include "pinref/decide/writeback.hpp"
#include "pinref/fwd.hpp"
#include "pinref/gup/address_space.hpp"
#include "pinref/gup/flags.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/gup/object.hpp"
#include "pinref/gup/release.hpp"
#include "pinref/gup/result.hpp"
#include "pinref/gup/write_protect_seq.hpp"
#include "pinref/hold/page_hold.hpp"
#include "pinref/hold/pin_owner.hpp"
#include "pinref/hold/pinned_range.hpp"
#include "pinref/page/page.hpp"
#include "pinref/page/page_traits.hpp"
#include "pinref/ref/hot_ref.hpp"
#include "pinref/ref/hot_sync.hpp"
#include "pinref/ref/hot_threads.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/reference_word.hpp"
#include "pinref/word/result.hpp"
#include "pinref/ref/split_ref.hpp"
#include "pinref/ref/sync.hpp"
#include "pinref/version.hpp"
#include "pinref/word/bias_layout.hpp"
#include "pinref/word/split_layout.hpp"
#include "pinref/word/zones.hpp"
