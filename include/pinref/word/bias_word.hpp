// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// bias_word: references and pins in one zoned word, a pin being `pin_bias` holders. The counter of a bias_layout.
///
/// When not to use it: in a host. `page_ref` has the names, and refuses what is beyond the limits.
///
/// Example:
///
///     pinref::bias_word<pinref::bias64, pinref::std_sync> word{pinref::bias64::live(1)};
///     if (word.take<pinref::hold::pin>(1) != pinref::take_result::taken) return give_up("dead, or overflow");
///     if (word.release<pinref::hold::pin>(1, pinref::owner_ref::counted) == pinref::release_result::last) free_page();
///
/// Errors: as the results of a take and a release say.
/// Memory order: that of zoned_word.
/// Progress: that of zoned_word.
/// Source: Linux GUP_PIN_COUNTING_BIAS.

#include <cstddef>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/paths.hpp"
#include "pinref/sync/waiting.hpp"
#include "pinref/word/bias_layout.hpp"
#include "pinref/word/call_site.hpp"
#include "pinref/word/holder.hpp"
#include "pinref/word/question.hpp"
#include "pinref/word/zoned_word.hpp"

namespace pinref::inline v0_1 {

/// References and pins in one zoned word. The members are those of reference_counter, ticketed_counter and
/// host_bits_counter.
template <class Layout, class Sync>
class bias_word {
 public:
  using layout = Layout;
  using sync = Sync;
  using site = no_site;

  constexpr explicit bias_word(Layout state) noexcept : word_(state.raw()) {}

  void start(std::size_t n, zone from, site = {}) noexcept { word_.start(holders<hold::reference>(n), from); }
  void bury() noexcept { word_.bury(); }

  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take(std::size_t n, site = {}) noexcept {
    return word_.take(holders<Mode>(n));
  }
  [[nodiscard]] take_result take_if_alive(std::size_t n, site = {}) noexcept {
    return word_.take_if_alive(holders<hold::reference>(n));
  }
  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH take_result take_held(std::size_t n, site = {}) noexcept {
    return word_.take_held(holders<Mode>(n));
  }

  template <hold Mode>
  [[nodiscard]] PINREF_FAST_PATH release_result release(std::size_t n, owner_ref owner, site = {}) noexcept {
    return word_.release(holders<Mode>(n), owner);
  }
  [[nodiscard]] release_result release_nothing(owner_ref owner) const noexcept { return word_.release_nothing(owner); }
  [[nodiscard]] release_result release_sole(owner_ref owner, site = {}) noexcept { return word_.release_sole(owner); }

  [[nodiscard]] bool freeze(std::size_t n, site = {}) noexcept { return word_.freeze(holders<hold::reference>(n)); }

  template <hold Mode>
  [[nodiscard]] release_result release_and_change(std::size_t n, owner_ref owner,
                                                  host_change<typename Layout::word_type> change, site = {}) noexcept {
    return word_.release_and_change(holders<Mode>(n), owner, change);
  }
  [[nodiscard]] typename Layout::word_type bits() const noexcept { return word_.bits(); }
  typename Layout::word_type set_bits(typename Layout::word_type mask) noexcept { return word_.set_bits(mask); }
  typename Layout::word_type clear_bits(typename Layout::word_type mask) noexcept { return word_.clear_bits(mask); }
  [[nodiscard]] bool freeze_if(std::size_t n, typename Layout::word_type mask, typename Layout::word_type value,
                               site = {}) noexcept {
    return word_.freeze_if(holders<hold::reference>(n), mask, value);
  }

  [[nodiscard]] PINREF_FAST_PATH bool dma_pinned() noexcept { return Layout{word_.load_ordered()}.maybe_pinned(); }
  [[nodiscard]] bool idle(at_most question) noexcept { return question(Layout{word_.load_ordered()}); }
  [[nodiscard]] PINREF_FAST_PATH bool plainly_unpinned() const noexcept {
    return Layout{word_.load_acquire()}.plainly_unpinned();
  }
  [[nodiscard]] Layout snapshot() const noexcept { return Layout{word_.load()}; }

  template <class Question, class Canceller>
  [[nodiscard]] wait_result wait(Question question, const deadline& until, const Canceller& stop) noexcept {
    return word_.wait(of_the_word(question), until, stop, question.template wakes<Layout>());
  }
  template <class Question>
  [[nodiscard]] wait_ticket<Sync> prepare_wait(Question question) noexcept {
    const auto reached = of_the_word(question);
    return word_.prepare_wait(reached, question.template wakes<Layout>());
  }
  void abandon_wait() noexcept { word_.abandon_wait(); }

 private:
  using word_type = typename Layout::word_type;

  template <hold Mode>
  [[nodiscard]] static constexpr word_type holders(std::size_t n) noexcept {
    constexpr word_type weight = Mode == hold::pin ? Layout::pin_bias : word_type{1};
    return static_cast<word_type>(static_cast<word_type>(n) * weight);
  }
  template <class Question>
  [[nodiscard]] static constexpr auto of_the_word(Question question) noexcept {
    return [question](word_type word) noexcept { return question(Layout{word}); };
  }

  zoned_word<typename Layout::zones, Layout::pin_bias, Sync> word_;
};

}  // namespace pinref::inline v0_1
