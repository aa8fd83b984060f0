// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// reference_word: what every floor above asks of a page's reference word, over any counter.
///
/// When not to use it: to check a host's page; that is `host_page` in page/.
///
/// Example:
///
///     static_assert(pinref::reference_word<pinref::page_ref<pinref::bias32>>);

#include <concepts>

#include "pinref/ref/page_ref.hpp"

namespace pinref::inline v0_1 {

/// A basic_ref of some counter, or what derives from one: page_ref, hot_ref, observed_ref.
template <class Ref>
concept reference_word = std::derived_from<Ref, basic_ref<typename Ref::counter>>;

}  // namespace pinref::inline v0_1
