// SPDX-License-Identifier: MIT

// The constants of pinref.h are those of the layout in C++, for each size of word; linking.py compiles it.

#include <pinref.h>
#include <pinref/pinref.hpp>
#include <pinref/sync/layout_stamp.hpp>

#include <type_traits>

namespace {

using layout = std::conditional_t<PINREF_WORD_BITS == 64, pinref::bias64, pinref::bias32>;
using sync = std::conditional_t<PINREF_PROCESS_SHARED != 0, pinref::shared_sync, pinref::std_sync>;
using ref = pinref::page_ref<layout, sync>;

static_assert(sizeof(pinref_word) == sizeof(ref) && alignof(pinref_word) == alignof(ref));
static_assert(std::is_same_v<pinref_bits, layout::word_type>);
static_assert(PINREF_PIN == layout::pin_bias && PINREF_DEAD == layout::zones::dead);
static_assert(PINREF_MAX_REFERENCES_AT_ONCE == layout::max_references_at_once);
static_assert(PINREF_MAX_PINS_AT_ONCE == layout::max_pins_at_once);
static_assert(layout{PINREF_UNPINNED_BELOW}.pins() == 1 && layout{PINREF_UNPINNED_BELOW - 1}.pins() == 0);
static_assert(PINREF_WORD_STAMP == pinref::layout_stamp<ref>{}.raw());

}  // namespace
