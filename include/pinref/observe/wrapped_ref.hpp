#pragma once

/// \file
/// wrapped_ref: a reference word below a wrapper, out of everybody else's reach.
///
/// A wrapper that converted to the word it wraps could be bypassed by any function that takes such a word. So the word
/// is a protected base, and what changes nothing that a wrapper may want to know of is passed on here: questions, waits
/// and, where there is one, the switch of a hot page. Takes and releases are the wrapper's to define.
///
/// When not to use it: in a host. `checked_ref` and `accounted_ref` are the wrappers.
///
/// Example:
///
///     template <pinref::reference_word Ref>
///     class noisy_ref : public pinref::detail::wrapped_ref<Ref> {
///      public:
///       using detail::wrapped_ref<Ref>::wrapped_ref;
///       using Ref::put, Ref::get;                                // ... and so on, as they are, or by other functions
///     };
///
/// Memory order and progress are those of the word.

#include "pinref/ref/reference_word.hpp"

namespace pinref::detail {

/// What every reference word has.
template <reference_word Ref>
class wrapped_word : protected Ref {
 public:
  using Ref::Ref;

  using typename Ref::layout;
  using typename Ref::sync;

  using Ref::max_pins_at_once;
  using Ref::max_references_at_once;

  using Ref::dma_pinned;
  using Ref::dma_pinned_hint;
  using Ref::idle;
  using Ref::snapshot;
  using Ref::wait_until_idle;
  using Ref::wait_until_unpinned;

  [[nodiscard]] auto count() const noexcept { return Ref::snapshot().references(); }
  [[nodiscard]] auto pins() const noexcept { return Ref::snapshot().pins(); }
};

/// Waits without a thread, of words that have them.
template <reference_word Ref>
class wrapped_waits : public wrapped_word<Ref> {
 public:
  using wrapped_word<Ref>::wrapped_word;
};
template <reference_word Ref>
requires requires(Ref& ref) {
  ref.abandon_wait();
}
class wrapped_waits<Ref> : public wrapped_word<Ref> {
 public:
  using wrapped_word<Ref>::wrapped_word;

  using Ref::abandon_wait;
  using Ref::prepare_wait_until_idle;
  using Ref::prepare_wait_until_unpinned;
};

/// The switch of a hot_ref, of which a wrapper needs to know nothing.
template <reference_word Ref>
class wrapped_ref : public wrapped_waits<Ref> {
 public:
  using wrapped_waits<Ref>::wrapped_waits;
};
template <reference_word Ref>
requires requires {
  typename Ref::slots;
}
class wrapped_ref<Ref> : public wrapped_waits<Ref> {
 public:
  using wrapped_waits<Ref>::wrapped_waits;

  using typename Ref::slots;

  using Ref::is_hot;
  using Ref::make_exact;
  using Ref::make_hot;
};

}  // namespace pinref::detail
