// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// Every public name of pinref on one screen.
///
/// When not to use it: to define a default argument again; they live here.
///
/// Example:
///
///     #include <pinref/fwd.hpp>
///     struct cache_entry { pinref::page_ref<>* ref; };

#if __cplusplus < 201709L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "pinref needs C++20: compile with -std=c++20; for C and older C++ there is pinref.h"
#endif

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace pinref::inline v0_1 {

// sync/
struct std_sync;
struct shared_sync;
struct hot_sync;
class hot_threads;
class deadline;
template <class Object>
class layout_stamp;
struct never_cancelled;
enum class sleep_result : unsigned char;
enum class wait_result : unsigned char;
template <class Sync = std_sync>
class wait_canceller;
template <class Sync>
struct wait_ticket;
// monotonic_now  poll_interval  stop_canceller (sync/stop_token.hpp)
// Concepts: word_sync  hot_word_sync  cancels_waits  basic_lockable

// word/
enum class hold : unsigned char;
enum class owner_ref : unsigned char;
enum class take_result : unsigned char;
enum class release_result : unsigned char;
enum class zone : unsigned char;
struct call_site;
struct holder_id;
struct holder_site;
struct no_site;
struct unpinned;
struct at_most;
template <class Word>
struct bits_clear;
template <class Word>
struct host_change;
template <std::unsigned_integral Word, unsigned Takers = 511, unsigned HostBits = 0, unsigned Claimants = 0>
struct zones;
template <std::unsigned_integral Word, unsigned PinShift, unsigned Takers = 511, unsigned HostBits = 0,
          unsigned Claimants = 0>
class bias_layout;
template <std::unsigned_integral Word, unsigned Takers = 511, unsigned Claimants = 0>
class split_layout;
using bias64 = bias_layout<std::uint64_t, 32>;
using bias32 = bias_layout<std::uint32_t, 10>;
using split32 = split_layout<std::uint32_t>;
template <class Zones, auto Quiet, class Sync>
class zoned_word;
template <class Layout, class Sync>
class bias_word;
template <class Layout, class Sync>
class split_word;
template <class Layout, class Sync, unsigned Threads>
class hot_word;
template <class Word, class Sync, Word Room>
struct hot_slot;
// Concepts: word_layout  reference_counter  ticketed_counter  host_bits_counter  readable_counter  hot_counter
// listing_counter

// parts/
struct list_link;
enum class list_links : unsigned char;
template <class Item, auto Link, list_links Links = list_links{}, class Sync = std_sync>
class deferred_list;
template <class Sync = std_sync>
class share_count;
template <class Sync = std_sync>
class swap_slot;
template <class Sync = std_sync>
class write_protect_seq;
template <class Sync = std_sync>
class layout_gate;
template <class Sync = std_sync>
class page_stamp;
struct stamp_seen;
// copy_in  copy_out

// ref/
template <class Layout = bias64, class Sync = std_sync>
class page_ref;
template <class Layout = bias64, class Sync = hot_sync, unsigned Threads = 64>
class hot_ref;
// basic_ref
// Concepts: reference_word

// page/
template <class Page>
struct page_traits;
// compound_head  page_immortal  get_page  get_page_unless_zero  put_page  try_pin_page  add_pin  unpin_user_page
// page_references  page_pins  page_dma_pinned  page_dma_pinned_hint  page_idle  wait_until_unpinned
// wait_until_idle  caller
// Concepts: host_page  compound_page  composable_page  numbered_page  lockable_page  trylockable_page  dirty_page
// cleanable_page idle_page  immortal_page  longterm_page  exclusive_page  freeable_page  stamped_page
// share_counted_page mapcounted_page

// gup/
enum class gup_error : unsigned char;
enum class foll : unsigned;
struct gup_result;
template <class Page>
struct mapping;
struct extent_request;
template <class Extent>
struct extent_part;
// get_user_pages  get_user_pages_fast  pin_user_pages  pin_user_pages_fast  fault_in_user_pages  pin_object_folios
// unpin_user_pages  unpin_user_pages_dirty_lock  unpin_user_page_range  unpin_user_page_range_dirty_lock
// unpin_user_folio  unpin_user_folio_dirty_lock  release_pages  get_page_range  pin_page_range  put_page_range
// get_extents  pin_extents  any_dma_pinned  freeze_page_range  thaw_page_range  make_compound_page  split_compound_page
// check_flags  has  to_errno  max_pages  max_relocations  max_object_races  prefetch_distance  to_errc (gup/errc.hpp)
// Concepts: address_space  extent_space  prefetching_space  diagnosing_space  relocating_space  forking_space
// interrupting_space page_object  page_span

// protocols/
enum class mkclean_result : unsigned char;
enum class if_pinned : unsigned char;
enum class writeback_result : unsigned char;
enum class reuse_rule : unsigned char;
enum class fork_result : unsigned char;
enum class break_result : unsigned char;
enum class reclaim_result : unsigned char;
enum class migrate_result : unsigned char;
struct pins_by_bias;
struct pins_by_mapcount;
template <class Sync>
struct break_options;
// page_mkclean  writeback_page  can_reuse  can_reuse_locked  page_needs_cow_for_dma  fork_page  break_layout
// expected_ref_count  reclaim_page  migrate_page
// Concepts: reverse_map  fork_entry  access_gate  layout_object

// handles/
enum class on_release : unsigned char;
template <class Handle>
struct pin_result;
// page_ptr  page_pin  pinned_range  pin_owner  pin_request

// observe/
struct pin_totals;
template <class Sync = std_sync>
class pin_accounts;
struct ref_observer;
struct misuse;
enum class misuse_kind : unsigned char;
struct abort_on_misuse;
template <class Sync, class Report>
class pair_check;
struct page_holder;
class holder_entry;
struct no_pin_hooks;
// observed_ref  accounted_ref  pin_accounting  checked_ref  logged_ref  holder_listing  holder_log  report_holders
// Concepts: word_observer  accounts_finder  log_finder  pin_hooks

// share/
enum class life_result : unsigned char;
enum class record_state : unsigned char;
enum class page_lock_result : unsigned char;
enum class place_state : std::uint32_t;
enum class ledger_result : unsigned char;
enum class join_result : unsigned char;
enum class leave_result : unsigned char;
enum class segment_error : unsigned char;
enum class segment_seal : unsigned char;
enum class settle_result : unsigned char;
enum class process_state : unsigned char;
class life_lock;
struct segment_sync;
struct shared_traits;
class ledger_record;
struct segment_shape;
struct segment_offsets;
struct segment_stamp;
struct process_identity;
struct ledger_hold;
struct ledger_take;
struct ledger_offer;
struct ledger_holder;
struct ledger_member;
struct dead_member;
struct dead_pins;
struct recovery_report;
struct no_hooks;
struct survivor_hooks;
template <class Sync>
class page_lock;
template <class Traits>
class shared_page;
template <class Sync>
struct ledger_slot;
template <class Traits>
struct ledger_place;
template <class Traits>
struct ledger_head;
template <class Traits>
struct ledger_memory;
template <class Traits>
class page_account;
template <class Traits>
class basic_segment;
template <class Traits>
class basic_member;
template <class Traits>
class recorded_hold;
template <class Traits>
class member_page;
template <class Traits>
class member_pages;
template <class Traits>
class frame_replacer;
using segment = basic_segment<shared_traits>;
using member = basic_member<shared_traits>;
// shared64  recorded_word  max_page_locks  find_death  settle  recover  look_at  for_each_record  for_each_record_of
// for_each_member
// Concepts: mortal_sync  recovery_hooks  replacing_hooks

// host/
enum class protection : unsigned char;
template <class Ref>
class basic_frame;
template <class Ref>
class basic_frame_arena;
template <class Ref>
class basic_page_table;
template <class Ref>
class basic_deferring_resource;
using frame_arena = basic_frame_arena<page_ref<>>;
using page_table = basic_page_table<page_ref<>>;
struct registration_budget;
struct registration_counts;
struct always_admitted;
struct shadow_memory;
template <class Handle, class Sync>
class registered_region;
template <class Backend, std::size_t MaxRegions = 1024, class Sync = std_sync, std::size_t MaxClosed = 16>
class registration_cache;
template <class Ref = page_ref<>, unsigned AddressBits = sizeof(void*) == 8 ? 47 : 32, unsigned LeafBits = 30,
          unsigned PageBits = 12>
class shadow;
// Concepts: registration_backend
using deferring_resource = basic_deferring_resource<page_ref<>>;

// Each enum has a to_string.

}  // namespace pinref::inline v0_1
