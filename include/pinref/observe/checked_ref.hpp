// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// checked_ref: a page_ref that keeps exact books beside the word and names the call that breaks them.
///
/// It finds what the word alone cannot: a reference released as a pin or a pin as a reference, a release of more than
/// is held when the word still has enough, a get of a page that has no holder, a freeze of what are not references, a
/// new life while the old one lasts. Such a call is reported with its place in the source, refused, and changes
/// nothing. The place of a release by a handle's destructor is in the handle's header. A call for 0 holders changes
/// nothing anyway, and is never reported; nor is one for more than the word takes at once, which the word itself
/// refuses.
///
/// No call can bypass the books (see observed_ref).
///
/// When not to use it: in production builds. It has the same interface, so one alias switches; every call pays a second
/// atomic.
///
/// Example:
///
///     #ifdef MY_DEBUG
///     using word = pinref::checked_ref<pinref::page_ref<>>;
///     #else
///     using word = pinref::page_ref<>;
///     #endif
///
/// `Report` is called with a `misuse`; the default prints it to stderr and aborts.
///
/// Errors: misuse is reported; a take is then `dead`, a release `underflow`, a freeze false, and no life begins.
/// Memory order: that of the word; the books give none.
/// Progress: that of the word; keeping the books is lock-free.
/// Source: pinref's own.

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "pinref/observe/observed_ref.hpp"
#include "pinref/word/call_site.hpp"

namespace pinref::inline v0_1 {

/// What is wrong with a call.
enum class misuse_kind : unsigned char {
  put_of_a_pin,                 ///< references are gone but pins are held: the wrong release call
  unpin_of_a_reference,         ///< pins are gone but references are held: the wrong release call
  over_release,                 ///< fewer holders than released
  use_after_death,              ///< a get or a release of a page without a holder
  add_pin_to_an_unpinned_page,  ///< an add_pin where nothing is pinned
  start_of_a_live_page,         ///< a new life while the old one has holders
  freeze_of_a_pin,              ///< pins, or references of another holder, make up the number to freeze
};

/// What a report says of it.
[[nodiscard]] constexpr const char* to_string(misuse_kind kind) noexcept {
  switch (kind) {
    case misuse_kind::put_of_a_pin:
      return "put of a pin";
    case misuse_kind::unpin_of_a_reference:
      return "unpin of a reference";
    case misuse_kind::over_release:
      return "release of more than is held";
    case misuse_kind::use_after_death:
      return "use of a page nobody holds";
    case misuse_kind::add_pin_to_an_unpinned_page:
      return "add_pin to an unpinned page";
    case misuse_kind::start_of_a_live_page:
      return "start of a live page";
    case misuse_kind::freeze_of_a_pin:
      return "freeze of a pin";
  }
  return "unknown";
}

/// A call that breaks the books.
struct misuse {
  misuse_kind kind;  ///< what is wrong with it
  call_site where;   ///< where it stands
};

/// Prints the misuse and aborts.
struct abort_on_misuse {
  /// Does not return.
  void operator()(const misuse& found) const noexcept {
    std::fprintf(stderr, "pinref: %s at %s:%u in %s\n", pinref::to_string(found.kind), found.where.file,
                 found.where.line, found.where.function);
    std::abort();
  }
};

/// Keeps the books of one word. The members are those of `ref_observer`.
template <class Sync, class Report>
class pair_check : public ref_observer {
 public:
  using site = call_site;

  constexpr pair_check() noexcept = default;
  /// The books of a page in a given state, which must tell references from pins: below `pin_bias` references on an
  /// inexact layout.
  template <word_layout Layout>
  constexpr explicit pair_check(Layout state) noexcept
      : references_(static_cast<std::size_t>(state.references())), pins_(static_cast<std::size_t>(state.pins())) {}

  /// What a release is told. The members are those of `watch`.
  class refused_or_done {
   public:
    explicit refused_or_done(bool allowed) noexcept : allowed_(allowed) {}
    [[nodiscard]] explicit operator bool() const noexcept { return allowed_; }
    void done(release_result) const noexcept {}

   private:
    bool allowed_;
  };

  [[nodiscard]] bool starts(const void*, std::size_t n, call_site where) noexcept {
    if (load(references_) != 0 || load(pins_) != 0) {
      report(misuse_kind::start_of_a_live_page, where);
      return false;
    }
    references_.store(n, std::memory_order_relaxed);
    return true;
  }
  template <hold Mode>
  [[nodiscard]] bool takes_held(const void*, std::size_t, call_site where) noexcept {
    if (load(pins_) != 0 || (Mode == hold::reference && load(references_) != 0)) return true;
    report(Mode == hold::pin ? misuse_kind::add_pin_to_an_unpinned_page : misuse_kind::use_after_death, where);
    return false;
  }
  // Booked after the take and before the release, so that a rightful holder always finds its entry.
  template <hold Mode>
  void taken(const void*, std::size_t n, call_site) noexcept {
    book<Mode>().fetch_add(n, std::memory_order_relaxed);
  }
  template <hold Mode>
  [[nodiscard]] refused_or_done releases(const void*, std::size_t n, call_site where) noexcept {
    entry& own = book<Mode>();
    std::size_t held = load(own);
    while (held >= n)
      if (own.compare_exchange_weak(held, held - n, std::memory_order_relaxed, std::memory_order_relaxed))
        return refused_or_done(true);
    const bool of_the_other = load(Mode == hold::pin ? references_ : pins_) != 0;
    const misuse_kind wrong_call = Mode == hold::pin ? misuse_kind::unpin_of_a_reference : misuse_kind::put_of_a_pin;
    const misuse_kind too_many = held != 0 ? misuse_kind::over_release : misuse_kind::use_after_death;
    report(of_the_other ? wrong_call : too_many, where);
    return refused_or_done(false);
  }
  // Of a frozen page only the caller changes the books; and they are as the last holders left them.
  [[nodiscard]] bool frozen(const void*, std::size_t n, call_site where) noexcept {
    if (load(references_) == n && load(pins_) == 0) {
      references_.store(0, std::memory_order_relaxed);
      return true;
    }
    report(misuse_kind::freeze_of_a_pin, where);
    return false;
  }
  // The page has no holder any more, whatever the books say.
  template <class Layout>
  void buries(const void*, const Layout&) noexcept {
    references_.store(0, std::memory_order_relaxed);
    pins_.store(0, std::memory_order_relaxed);
  }

 private:
  using entry = typename Sync::template atomic<std::size_t>;

  template <hold Mode>
  [[nodiscard]] entry& book() noexcept {
    return Mode == hold::pin ? pins_ : references_;
  }
  static std::size_t load(const entry& counter) noexcept { return counter.load(std::memory_order_relaxed); }
  static void report(misuse_kind kind, call_site where) noexcept { Report{}(misuse{kind, where}); }

  entry references_{0};
  entry pins_{0};
};

/// `Ref`, with books.
template <reference_word Ref, class Report = abort_on_misuse>
using checked_ref = observed_ref<Ref, pair_check<typename Ref::sync, Report>>;

}  // namespace pinref::inline v0_1
