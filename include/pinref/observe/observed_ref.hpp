// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// observed_ref: a reference word that tells an observer of everything that happens to it, and asks whether it may.
///
/// The observer stands between the names of `page_ref` and the counter, so every path of the library passes it, undo
/// and bulk calls included; and an observed_ref is no page_ref, so no call can go round it. It is part of the word: an
/// empty one leaves the word as small as it was.
///
/// What an observer may be told and asked stands in ref_observer.hpp. `word` is the address of the observed_ref.
///
/// When not to use it: to find what is known to be there. `accounted_ref` counts pins, `checked_ref` finds misuse,
/// `logged_ref` knows who holds a page.
///
/// Example:
///
///     struct noisy : pinref::ref_observer {
///       template <pinref::hold Mode>
///       void taken(const void* word, std::size_t n, pinref::no_site) noexcept {
///         std::printf("%p: %zu times %s\n", word, n, to_string(Mode));
///       }
///     };
///     pinref::observed_ref<pinref::page_ref<>, noisy> word{pinref::bias64::live(1)};
///     if (word.try_pin() != pinref::take_result::taken) return give_up("dead, or overflow");
///     if (word.unpin() == pinref::release_result::last) free_page();
///
/// Errors: as the counter, and where the observer refuses.
/// Memory order: that of the counter, and of the observer.
/// Progress: that of the counter, and of the observer.
/// Source: pinref's own.

#include <cstddef>
#include <type_traits>

#include "pinref/observe/ref_observer.hpp"
#include "pinref/ref/page_ref.hpp"
#include "pinref/ref/reference_word.hpp"

namespace pinref::inline v0_1 {

namespace detail {

/// Nothing, where there is nothing to switch.
template <class Counter>
struct slots_of {
  using type = void;
};
template <hot_counter Counter>
struct slots_of<Counter> {
  using type = typename Counter::slots;
};

template <class Word>
struct nothing {};

/// The site that says more: of what wraps, or of what is wrapped.
template <class Outer, class Inner>
using fuller_site = std::conditional_t<std::is_empty_v<Outer> || std::is_base_of_v<Outer, Inner>, Inner, Outer>;

template <reference_counter Counter, class Observer>
class observed_word {
  static_assert(word_observer<Observer>, "pinref: what observes a word must be as word_observer asks");

 public:
  using layout = typename Counter::layout;
  using sync = typename Counter::sync;
  /// Of the observer or of what it observes, whichever asks for more.
  using site = fuller_site<typename Observer::site, typename Counter::site>;

  constexpr explicit observed_word(layout state) noexcept : counter_(state) {}
  constexpr explicit observed_word(layout state) noexcept
      requires(!std::is_empty_v<Observer> && std::is_constructible_v<Observer, layout>)
      : counter_(state), observer_(state) {}

  void start(std::size_t n, zone from, site where) noexcept {
    if (observer().starts(this, n, told(where))) counter_.start(n, from, passed(where));
  }
  void bury() noexcept {
    observer().buries(this, counter_.snapshot());
    counter_.bury();
  }

  template <hold Mode>
  [[nodiscard]] take_result take(std::size_t n, site where) noexcept {
    return report<Mode>(counter_.template take<Mode>(n, passed(where)), n, where);
  }
  [[nodiscard]] take_result take_if_alive(std::size_t n, site where) noexcept {
    return report<hold::reference>(counter_.take_if_alive(n, passed(where)), n, where);
  }
  template <hold Mode>
  [[nodiscard]] take_result take_held(std::size_t n, site where) noexcept {
    if (n != 0 && !observer().template takes_held<Mode>(this, n, told(where))) return take_result::dead;
    return report<Mode>(counter_.template take_held<Mode>(n, passed(where)), n, where);
  }

  template <hold Mode>
  [[nodiscard]] release_result release(std::size_t n, owner_ref owner, site where) noexcept {
    auto watch = observer().template releases<Mode>(this, n, told(where));
    if (!watch) return release_result::underflow;
    const release_result result = counter_.template release<Mode>(n, owner, passed(where));
    watch.done(result);
    return result;
  }
  [[nodiscard]] release_result release_nothing(owner_ref owner) const noexcept {
    return counter_.release_nothing(owner);
  }
  [[nodiscard]] release_result release_sole(owner_ref owner, site where) noexcept {
    auto watch = observer().template releases<hold::reference>(this, 1, told(where));
    if (!watch) return release_result::underflow;
    const release_result result = counter_.release_sole(owner, passed(where));
    watch.done(result);
    return result;
  }

  template <hold Mode, host_bits_counter C = Counter>
  [[nodiscard]] release_result release_and_change(std::size_t n, owner_ref owner,
                                                  host_change<typename layout::word_type> change, site where) noexcept {
    auto watch = observer().template releases<Mode>(this, n, told(where));
    if (!watch) return release_result::underflow;
    const release_result result = counter_.template release_and_change<Mode>(n, owner, change, passed(where));
    watch.done(result);
    return result;
  }
  template <host_bits_counter C = Counter>
  [[nodiscard]] typename layout::word_type bits() const noexcept {
    return counter_.bits();
  }
  template <host_bits_counter C = Counter>
  typename layout::word_type set_bits(typename layout::word_type mask) noexcept {
    return counter_.set_bits(mask);
  }
  template <host_bits_counter C = Counter>
  typename layout::word_type clear_bits(typename layout::word_type mask) noexcept {
    return counter_.clear_bits(mask);
  }
  template <host_bits_counter C = Counter>
  [[nodiscard]] bool freeze_if(std::size_t n, typename layout::word_type mask, typename layout::word_type value,
                               site where) noexcept {
    if (!counter_.freeze_if(n, mask, value, passed(where))) return false;
    if (observer().frozen(this, n, told(where))) return true;
    counter_.start(n, zone::frozen, passed(where));
    return false;
  }

  [[nodiscard]] bool freeze(std::size_t n, site where) noexcept {
    if (!counter_.freeze(n, passed(where))) return false;
    if (observer().frozen(this, n, told(where))) return true;
    counter_.start(n, zone::frozen, passed(where));
    return false;
  }

  template <hold Mode>
  void hand_on(std::size_t n, site from, site to) noexcept {
    if (n != 0) observer().template handed_on<Mode>(this, n, told(from), told(to));
    if constexpr (listing_counter<Counter>) counter_.template hand_on<Mode>(n, passed(from), passed(to));
  }

  [[nodiscard]] bool dma_pinned() noexcept { return counter_.dma_pinned(); }
  [[nodiscard]] bool idle(at_most question) noexcept { return counter_.idle(question); }
  template <readable_counter C = Counter>
  [[nodiscard]] bool plainly_unpinned() const noexcept {
    return counter_.plainly_unpinned();
  }
  [[nodiscard]] layout snapshot() const noexcept { return counter_.snapshot(); }

  template <class Question, class Canceller>
  [[nodiscard]] wait_result wait(Question question, const deadline& until, const Canceller& stop) noexcept {
    return counter_.wait(question, until, stop);
  }
  template <class Question, ticketed_counter C = Counter>
  [[nodiscard]] auto prepare_wait(Question question) noexcept {
    return counter_.prepare_wait(question);
  }
  template <ticketed_counter C = Counter>
  void abandon_wait() noexcept {
    counter_.abandon_wait();
  }

  using slots = typename slots_of<Counter>::type;
  template <hot_counter C = Counter>
  [[nodiscard]] bool make_hot(typename C::slots& counts) noexcept {
    return counter_.make_hot(counts);
  }
  template <hot_counter C = Counter>
  release_result make_exact() noexcept {
    return counter_.make_exact();
  }
  template <hot_counter C = Counter>
  [[nodiscard]] bool is_hot() const noexcept {
    return counter_.is_hot();
  }

 private:
  // What the observer is told of the caller, and what the counter is.
  static constexpr typename Observer::site told([[maybe_unused]] site where) noexcept {
    if constexpr (std::is_empty_v<typename Observer::site>)
      return {};
    else
      return where;
  }
  static constexpr typename Counter::site passed([[maybe_unused]] site where) noexcept {
    if constexpr (std::is_empty_v<typename Counter::site>)
      return {};
    else
      return where;
  }
  template <hold Mode>
  take_result report(take_result result, std::size_t n, site where) noexcept {
    if (result == take_result::taken && n != 0) observer().template taken<Mode>(this, n, told(where));
    return result;
  }

  // Kept only if it has a state: empty observers have a base in common, and would not fit into one word.
  [[nodiscard]] constexpr decltype(auto) observer() noexcept {
    if constexpr (std::is_empty_v<Observer>)
      return Observer{};
    else
      return (observer_);
  }

  Counter counter_;
  [[no_unique_address]] std::conditional_t<std::is_empty_v<Observer>, nothing<observed_word>, Observer> observer_;
};

}  // namespace detail

/// `Ref` with an observer. The members are those of `Ref`.
template <reference_word Ref, class Observer>
class observed_ref : public basic_ref<detail::observed_word<typename Ref::counter, Observer>> {
 public:
  using basic_ref<detail::observed_word<typename Ref::counter, Observer>>::basic_ref;
};

}  // namespace pinref::inline v0_1
