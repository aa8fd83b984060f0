#pragma once

/// \file
/// checked_ref: a page_ref that keeps exact books beside the word and names the caller who breaks them.
///
/// It finds what the word alone cannot: a reference released as a pin or a pin as a reference, a release of more than
/// is held when the word still has enough, a get by somebody who holds nothing, a freeze of what are not references, a
/// new life while the old one lasts. Such a call is reported with its place in the source, refused, and changes
/// nothing. The place of a handle's release is in the handle's header. A call for 0 holders changes nothing anyway, and
/// is never reported; nor is one for more than the word takes at once, which the word itself refuses.
///
/// It does not convert to the word it wraps, so no call can bypass the books.
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
/// Memory order and progress are those of the word; the books give no order.

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "pinref/observe/wrapped_ref.hpp"
#include "pinref/ref/call_site.hpp"
#include "pinref/ref/reference_word.hpp"

namespace pinref {

enum class misuse_kind : unsigned char {
  put_of_a_pin,                 ///< references are gone but pins are held: the wrong release call
  unpin_of_a_reference,         ///< pins are gone but references are held: the wrong release call
  over_release,                 ///< fewer holders than released
  use_after_death,              ///< a get or a release on a page nobody holds
  add_pin_to_an_unpinned_page,  ///< an add_pin where nothing is pinned
  reset_of_a_live_page,         ///< a new life while the old one has holders
  freeze_of_a_pin,              ///< pins, or references of somebody else, make up the number to freeze
};

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
    case misuse_kind::reset_of_a_live_page:
      return "reset of a live page";
    case misuse_kind::freeze_of_a_pin:
      return "freeze of a pin";
  }
  return "unknown";
}

struct misuse {
  misuse_kind kind;
  call_site where;
};

/// Prints the misuse and aborts.
struct abort_on_misuse {
  void operator()(const misuse& found) const noexcept {
    std::fprintf(stderr, "pinref: %s at %s:%u in %s\n", pinref::to_string(found.kind), found.where.file,
                 found.where.line, found.where.function);
    std::abort();
  }
};

template <reference_word Ref, class Report = abort_on_misuse>
class checked_ref : public detail::wrapped_ref<Ref> {
 public:
  using site = call_site;

  constexpr checked_ref() noexcept = default;
  /// A page in a given state, which must tell references from pins: below `pin_bias` references on an inexact layout.
  constexpr explicit checked_ref(typename Ref::layout state) noexcept
      : detail::wrapped_ref<Ref>(state),
        references_(static_cast<std::size_t>(state.references())),
        pins_(static_cast<std::size_t>(state.pins())) {}

  void reset(std::size_t n = 1, call_site where = call_site::current()) noexcept {
    if (begin(n, where)) Ref::reset(n);
  }
  void unfreeze(std::size_t n, call_site where = call_site::current()) noexcept {
    if (begin(n, where)) Ref::unfreeze(n);
  }

  /// Nobody holds the page any more, whoever the books name.
  void bury() noexcept {
    references_.store(0, std::memory_order_relaxed);
    pins_.store(0, std::memory_order_relaxed);
    Ref::bury();
  }

  [[nodiscard]] take_result get(std::size_t n = 1, call_site where = call_site::current()) noexcept {
    if (n != 0 && load(references_) == 0 && load(pins_) == 0) {
      report(misuse_kind::use_after_death, where);
      return take_result::dead;
    }
    return book(references_, n, Ref::get(n));
  }
  [[nodiscard]] take_result add_pin(std::size_t n = 1, call_site where = call_site::current()) noexcept {
    if (n != 0 && load(pins_) == 0) {
      report(misuse_kind::add_pin_to_an_unpinned_page, where);
      return take_result::dead;
    }
    return book(pins_, n, Ref::add_pin(n));
  }
  [[nodiscard]] take_result try_get(std::size_t n = 1) noexcept { return book(references_, n, Ref::try_get(n)); }
  [[nodiscard]] take_result try_get_if_alive(std::size_t n = 1) noexcept {
    return book(references_, n, Ref::try_get_if_alive(n));
  }
  [[nodiscard]] take_result try_pin(std::size_t n = 1) noexcept { return book(pins_, n, Ref::try_pin(n)); }

  [[nodiscard]] release_result put(std::size_t n = 1, std::size_t idle_level = 0,
                                   call_site where = call_site::current()) noexcept {
    if (n > Ref::max_references_at_once || !unbook(references_, n, pins_, misuse_kind::put_of_a_pin, where))
      return release_result::underflow;
    return Ref::put(n, idle_level);
  }
  [[nodiscard]] release_result put_sole(std::size_t idle_level = 0, call_site where = call_site::current()) noexcept {
    if (!unbook(references_, 1, pins_, misuse_kind::put_of_a_pin, where)) return release_result::underflow;
    return Ref::put_sole(idle_level);
  }
  [[nodiscard]] release_result unpin(std::size_t n = 1, std::size_t idle_level = 0,
                                     call_site where = call_site::current()) noexcept {
    if (n > Ref::max_pins_at_once || !unbook(pins_, n, references_, misuse_kind::unpin_of_a_reference, where))
      return release_result::underflow;
    return Ref::unpin(n, idle_level);
  }

  /// A page whose n holders are not n references is given back as it was.
  [[nodiscard]] bool freeze(std::size_t n, call_site where = call_site::current()) noexcept {
    if (!Ref::freeze(n)) return false;
    // Frozen, nobody but the caller changes the books; and they are as the last holders left them.
    if (load(references_) == n && load(pins_) == 0) {
      references_.store(0, std::memory_order_relaxed);
      return true;
    }
    Ref::unfreeze(n);
    report(misuse_kind::freeze_of_a_pin, where);
    return false;
  }

 private:
  using books = typename Ref::sync::template atomic<std::size_t>;

  static std::size_t load(const books& counter) noexcept { return counter.load(std::memory_order_relaxed); }
  static void report(misuse_kind kind, call_site where) noexcept { Report{}(misuse{kind, where}); }

  [[nodiscard]] bool begin(std::size_t n, call_site where) noexcept {
    if (load(references_) != 0 || load(pins_) != 0) {
      report(misuse_kind::reset_of_a_live_page, where);
      return false;
    }
    references_.store(n, std::memory_order_relaxed);
    return true;
  }

  // Booked after the take and before the release, so that a rightful holder always finds its entry.
  static take_result book(books& counter, std::size_t n, take_result result) noexcept {
    if (result == take_result::taken) counter.fetch_add(n, std::memory_order_relaxed);
    return result;
  }
  static bool unbook(books& counter, std::size_t n, const books& other, misuse_kind wrong_call,
                     call_site where) noexcept {
    std::size_t held = load(counter);
    while (held >= n)
      if (counter.compare_exchange_weak(held, held - n, std::memory_order_relaxed, std::memory_order_relaxed))
        return true;
    const misuse_kind too_many = held != 0 ? misuse_kind::over_release : misuse_kind::use_after_death;
    report(load(other) != 0 ? wrong_call : too_many, where);
    return false;
  }

  books references_{0};
  books pins_{0};
};

}  // namespace pinref
