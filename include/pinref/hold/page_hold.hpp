#pragma once

/// \file
/// page_ptr and page_pin: one reference, one pin, released when the handle goes.
///
/// The kind of hold is in the type, and for a pin so is what its release does to the page: a page that a device wrote
/// to is released dirty. A handle cannot be released as the other kind: that does not compile.
///
/// When not to use it: for a range of pages; `pinned_range` has one handle for all. Across a C interface, `detach` here
/// and `adopt` there.
///
/// Example:
///
///     auto pin = pinref::page_pin<frame, pinref::on_release::dirty>::try_pin(page);
///     if (!pin) return;                                          // pin.reason() says why
///     read_into(*pin);
///                                                                // marked dirty and unpinned here
///
/// Memory order and progress are those of try_get_page, try_pin_page and the release calls. Handles are not for use by
/// two threads at once.

#include <utility>

#include "pinref/gup/release.hpp"
#include "pinref/page/page.hpp"

namespace pinref {

/// What a release does to the page before the pin goes.
enum class on_release : unsigned char {
  plain,  ///< nothing: the device only read
  dirty,  ///< marks it dirty, under its lock if it is clean; may block
};

namespace detail {

template <class>
inline constexpr bool always_false = false;

/// The common body of handles of one page. `Derived::drop(page)` releases it.
template <class Derived, class Page>
class hold_base {
  static_assert(freeable_page<Page>, "pinref: handles need page_traits<Page>::free_page(page)");

 public:
  constexpr hold_base() noexcept = default;
  hold_base(hold_base&& other) noexcept : page_(other.detach()), why_(other.why_) {}
  hold_base& operator=(hold_base&& other) noexcept {
    if (this != &other) {
      reset();
      page_ = other.detach();
      why_ = other.why_;
    }
    return *this;
  }
  ~hold_base() { reset(); }

  /// Takes over a hold the caller has. The page is released by the handle from now on.
  [[nodiscard]] static Derived adopt(Page& page) noexcept {
    Derived held;
    held.page_ = &page;
    held.why_ = take_result::taken;
    return held;
  }
  /// Gives the hold to the caller, who must release it; null if the handle is empty.
  [[nodiscard]] Page* detach() noexcept { return std::exchange(page_, nullptr); }

  /// Releases the hold now.
  void reset() noexcept {
    if (Page* const page = detach()) Derived::drop(*page);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return page_ != nullptr; }
  [[nodiscard]] Page* get() const noexcept { return page_; }
  [[nodiscard]] Page& operator*() const noexcept { return *page_; }
  [[nodiscard]] Page* operator->() const noexcept { return page_; }
  /// Why the take that made this handle ended as it did.
  [[nodiscard]] take_result reason() const noexcept { return why_; }

 protected:
  [[nodiscard]] static Derived make(Page& page, take_result result) noexcept {
    Derived held;
    if (result == take_result::taken) held.page_ = &page;
    held.why_ = result;
    return held;
  }

 private:
  Page* page_ = nullptr;
  take_result why_ = take_result::dead;
};

}  // namespace detail

/// A reference to a page.
template <host_page Page>
class page_ptr : public detail::hold_base<page_ptr<Page>, Page> {
 public:
  /// Of a page that may be free.
  [[nodiscard]] static page_ptr try_get(Page& page) noexcept {
    return page_ptr::make(page, pinref::try_get_page(page));
  }
  /// Of a page the caller holds.
  [[nodiscard]] static page_ptr get_more(Page& page) noexcept { return page_ptr::make(page, pinref::get_page(page)); }

 private:
  friend detail::hold_base<page_ptr, Page>;
  static void drop(Page& page) noexcept { (void)pinref::put_page(page); }
};

/// A pin on a page.
template <host_page Page, on_release How = on_release::plain>
class page_pin : public detail::hold_base<page_pin<Page, How>, Page> {
 public:
  static constexpr on_release mode = How;

  /// Of a page that may be free.
  [[nodiscard]] static page_pin try_pin(Page& page) noexcept {
    return page_pin::make(page, pinref::try_pin_page(page));
  }
  /// Of a page the caller has pinned.
  [[nodiscard]] static page_pin add_pin(Page& page) noexcept { return page_pin::make(page, pinref::add_pin(page)); }

 private:
  friend detail::hold_base<page_pin, Page>;
  static void drop(Page& page) noexcept {
    if constexpr (How == on_release::dirty)
      (void)pinref::unpin_user_folio_dirty_lock(page, 1);
    else
      (void)pinref::unpin_user_page(page);
  }
};

// The wrong release call for a handle.

template <class Page, on_release How>
void put_page(const page_pin<Page, How>&) noexcept {
  static_assert(detail::always_false<Page>, "pinref: this is a pin; release it as one, with its handle's reset()");
}

template <class Page>
void unpin_user_page(const page_ptr<Page>&) noexcept {
  static_assert(detail::always_false<Page>,
                "pinref: this is a reference; release it as one, with its handle's reset()");
}

}  // namespace pinref
