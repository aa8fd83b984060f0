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

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace pinref {

// word/
enum class zone : unsigned char;
template <std::unsigned_integral Word, unsigned Takers = 511>
struct zones;
template <std::unsigned_integral Word, unsigned PinShift, unsigned Takers = 511>
class bias_layout;
template <std::unsigned_integral Word, unsigned Takers = 511>
class split_layout;
using bias64 = bias_layout<std::uint64_t, 32>;
using bias32 = bias_layout<std::uint32_t, 10>;
using split = split_layout<std::uint32_t>;

// ref/
struct std_sync;
struct shared_sync;
enum class sleep_result : unsigned char;
enum class take_result : unsigned char;
enum class release_result : unsigned char;
enum class wait_result : unsigned char;
template <class Zones, auto Quiet, class Sync>
class zoned_word;
class deadline;
struct never_cancelled;
// monotonic_now  poll_interval  stop_canceller (ref/stop_token.hpp)
// Concepts: reference_word  cancels_waits
template <class Sync = std_sync>
class wait_canceller;
template <class Sync>
struct wait_ticket;
template <class Layout = bias64, class Sync = std_sync>
class page_ref;
class hot_threads;
struct hot_sync;
template <class Layout = bias64, class Sync = hot_sync, unsigned Threads = 64>
class hot_ref;

// page/
enum class hold : unsigned char;
template <class Page>
struct page_traits;
// compound_head  page_immortal  get_page  try_get_page  put_page  try_pin_page  add_pin  unpin_user_page
// page_ref_count  page_pin_count  page_dma_pinned  page_dma_pinned_hint  page_idle  wait_until_unpinned
// wait_until_idle
// Concepts: host_page  compound_page  numbered_page  lockable_page  trylockable_page  dirty_page  cleanable_page
// idle_page  immortal_page  longterm_page  exclusive_page  freeable_page  share_counted_page  mapcounted_page

// gup/
enum class gup_error : unsigned char;
enum class foll : unsigned;
struct gup_result;
template <class Page>
struct mapping;
// get_user_pages  get_user_pages_fast  pin_user_pages  pin_user_pages_fast  fault_in_user_pages  pin_object_folios
// unpin_user_pages  unpin_user_pages_dirty_lock  unpin_user_page_range  unpin_user_page_range_dirty_lock
// unpin_user_folio  unpin_user_folio_dirty_lock  release_pages  write_protect_seq
// check_flags  has  to_errno  to_string  max_pages  max_relocations  max_object_races  prefetch_distance
// Concepts: address_space  prefetching_space  diagnosing_space  relocating_space  forking_space  interrupting_space
// page_object

// hold/
enum class on_release : unsigned char;
// page_ptr  page_pin  pinned_range  pin_owner  owned_pins

// decide/
enum class mkclean_result : unsigned char;
enum class if_pinned : unsigned char;
enum class writeback_result : unsigned char;
enum class reuse_rule : unsigned char;
enum class fork_result : unsigned char;
enum class break_result : unsigned char;
enum class reclaim_result : unsigned char;
enum class migrate_result : unsigned char;
// page_mkclean  writeback_page  pins_by_bias  pins_by_mapcount  can_reuse  can_reuse_locked  page_needs_cow_for_dma
// fork_page  share_count  swap_slot  layout_gate  break_layout  expected_ref_count  reclaim_page  migrate_page
// reverse_map (concept)

// observe/
struct pin_totals;
template <class Sync = std_sync>
class pin_accounts;
struct call_site;
struct misuse;
enum class misuse_kind : unsigned char;
// accounted_ref  checked_ref  abort_on_misuse  accounts_finder (concept)

// host/
enum class protection : unsigned char;
template <class Ref>
class basic_frame;
template <class Ref>
class basic_frame_arena;
template <class Ref>
class basic_page_table;
using frame_arena = basic_frame_arena<page_ref<>>;
using page_table = basic_page_table<page_ref<>>;

}  // namespace pinref
