// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// page_ptr and page_pin: one reference, one pin, released when the handle goes.
///
/// The kind of hold is in the type, and for a pin so is what its release does to the page: a page that a device wrote
/// to is released dirty. A handle cannot be released as the other kind: that does not compile. A handle that was moved
/// from, reset or detached is empty in every respect: as one that never held a page. Of a page whose word lists its
/// holders (`logged_ref`) it carries 16 bytes more, by which the list knows it.
///
/// When not to use it: for a range of pages; `pinned_range` has one handle for all. Across a C interface, `detach` here
/// and `adopt` there.
///
/// Example:
///
///     using dirty_pin = pinref::page_pin<frame, pinref::on_release::dirty>;
///     const dirty_pin pin = dirty_pin::try_pin(page);
///     if (!pin) return give_up(to_string(pin.reason()));         // dead, or overflow
///     read_into(*pin);
///     const dirty_pin second = pin.share();                      // for another transfer
///     if (!second) return give_up(to_string(second.reason()));   // the page cannot count one pin more
///                                                                // marked dirty and unpinned here, both
///
/// Handles are not for use by two threads at once.
///
/// Errors: a handle whose take was refused is empty, and `reason()` says why. A release has no answer here.
/// Memory order: that of get_page_unless_zero, try_pin_page and the release calls.
/// Progress: likewise; a dirty release may block, on the page lock.
/// Source: Linux has none; std::unique_ptr and std::shared_lock are their like.

#include <cstddef>
#include <utility>

#include "pinref/gup/release.hpp"
#include "pinref/page/page.hpp"

namespace pinref::inline v0_1 {

/// What a release does to the page before the pin goes.
enum class on_release : unsigned char {
  plain,  ///< nothing: the device only read
  dirty,  ///< marks it dirty, under its lock if it is clean; may block
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(on_release how) noexcept {
  return how == on_release::dirty ? "dirty" : "plain";
}

namespace detail {

template <class>
inline constexpr bool always_false = false;

/// The common body of handles of one page. `Derived::drop(page, where)` releases it, `Derived::more(page, where)` takes
/// it once more.
template <class Derived, class Page, hold Mode>
class page_handle {
  static_assert(detail::check_traits<Page>());
  static_assert(freeable_page<Page>, "pinref: handles need page_traits<Page>::free_page(page)");

 public:
  constexpr page_handle() noexcept = default;
  /// The hold of `other`, which is empty then.
  page_handle(page_handle&& other) noexcept
      : page_(std::exchange(other.page_, nullptr)),
        why_(std::exchange(other.why_, take_result::dead)),
        id_(std::exchange(other.id_, {})) {}
  /// Releases what this handle holds, and takes over the hold of `other`.
  page_handle& operator=(page_handle&& other) noexcept {
    if (this != &other) {
      reset();
      page_ = std::exchange(other.page_, nullptr);
      why_ = std::exchange(other.why_, take_result::dead);
      id_ = std::exchange(other.id_, {});
    }
    return *this;
  }
  ~page_handle() { reset(); }

  /// Takes over a hold the caller has. The page is released by the handle from now on.
  [[nodiscard("the hold is released at once")]] static Derived adopt(
      Page& page, caller<Page> where = caller<Page>::current()) noexcept {
    return page_handle::take(page, where, [where](Page& which, caller<Page> by) noexcept {
      detail::hand_on<Mode>(which, where, by);
      return take_result::taken;
    });
  }
  /// Gives the hold to the caller, who must release it; null if the handle is empty.
  [[nodiscard("the hold is the caller's to release")]] Page* detach(
      caller<Page> where = caller<Page>::current()) noexcept {
    if (page_ != nullptr) detail::hand_on<Mode>(*page_, detail::owned_by(where, id_), where);
    why_ = take_result::dead;
    id_ = {};
    return std::exchange(page_, nullptr);
  }

  /// Releases the hold now.
  void reset(caller<Page> where = caller<Page>::current()) noexcept {
    why_ = take_result::dead;
    id_type id = std::exchange(id_, {});
    if (Page* const page = std::exchange(page_, nullptr)) Derived::drop(*page, detail::owned_by(where, id));
  }

  /// A second handle on the same page. Empty if the page cannot count one more, as its reason() says, or if this one is
  /// empty. A copy constructor could not say so, so there is none.
  [[nodiscard("the second hold is released at once")]] Derived share(
      caller<Page> where = caller<Page>::current()) const noexcept {
    return page_ == nullptr ? Derived{} : page_handle::take(*page_, where, Derived::more);
  }

  /// Does it hold a page?
  [[nodiscard]] explicit operator bool() const noexcept { return page_ != nullptr; }
  /// The page; null if the handle is empty.
  [[nodiscard]] Page* get() const noexcept { return page_; }
  /// The page. Precondition: the handle is not empty.
  [[nodiscard]] Page& operator*() const noexcept { return *page_; }
  [[nodiscard]] Page* operator->() const noexcept { return page_; }
  /// How the take that made this handle ended. `dead` if it never held a page, or does so no more.
  [[nodiscard]] take_result reason() const noexcept { return why_; }

  /// Handles are equal if they hold the same page, or both none.
  [[nodiscard]] friend bool operator==(const Derived& a, const Derived& b) noexcept { return a.get() == b.get(); }

 protected:
  // Of the list of holders, if the word keeps one.
  using id_type = holder_of<Page>;

  page_handle(take_result why, id_type id) noexcept : why_(why), id_(id) {}
  // What `take_one(page, where)` takes is the new handle's.
  template <class TakeOne>
  [[nodiscard]] static Derived take(Page& page, caller<Page> where, TakeOne take_one) noexcept {
    id_type id;
    const take_result result = take_one(page, detail::owned_by(where, id));
    Derived held(result, id);
    if (result == take_result::taken) held.page_ = &page;
    return held;
  }

 private:
  Page* page_ = nullptr;
  take_result why_ = take_result::dead;
  [[no_unique_address]] id_type id_;
};

}  // namespace detail

/// A reference to a page.
template <host_page Page>
class page_ptr : public detail::page_handle<page_ptr<Page>, Page, hold::reference> {
  using base = detail::page_handle<page_ptr, Page, hold::reference>;

 public:
  /// A reference to a page that may be free.
  [[nodiscard("the reference is released at once")]] static page_ptr get_page_unless_zero(
      Page& page, caller<Page> where = caller<Page>::current()) noexcept {
    return base::take(page, where,
                      [](Page& which, caller<Page> by) noexcept { return pinref::get_page_unless_zero(which, 1, by); });
  }
  /// A reference to a page the caller holds.
  [[nodiscard("the reference is released at once")]] static page_ptr get_page(
      Page& page, caller<Page> where = caller<Page>::current()) noexcept {
    return base::take(page, where, more);
  }

 private:
  friend base;
  using base::base;
  static take_result more(Page& page, caller<Page> where) noexcept { return pinref::get_page(page, 1, where); }
  static void drop(Page& page, caller<Page> where) noexcept { pinref::put_page(page, 1, where); }
};

/// A pin on a page.
template <host_page Page, on_release How = on_release::plain>
class page_pin : public detail::page_handle<page_pin<Page, How>, Page, hold::pin> {
  using base = detail::page_handle<page_pin, Page, hold::pin>;

 public:
  /// What its release does.
  static constexpr on_release mode = How;

  /// A pin of a page that may be free.
  [[nodiscard("the pin is released at once")]] static page_pin try_pin(
      Page& page, caller<Page> where = caller<Page>::current()) noexcept {
    return base::take(page, where,
                      [](Page& which, caller<Page> by) noexcept { return pinref::try_pin_page(which, 1, by); });
  }
  /// A pin of a page the caller has pinned.
  [[nodiscard("the pin is released at once")]] static page_pin add_pin(
      Page& page, caller<Page> where = caller<Page>::current()) noexcept {
    return base::take(page, where, more);
  }

 private:
  friend base;
  using base::base;
  static take_result more(Page& page, caller<Page> where) noexcept { return pinref::add_pin(page, 1, where); }
  static void drop(Page& page, caller<Page> where) noexcept {
    if constexpr (How == on_release::dirty)
      (void)pinref::unpin_user_folio_dirty_lock(page, 1, where);
    else
      pinref::unpin_user_page(page, where);
  }
};

/// The wrong release call for a handle: does not compile.
template <class Page, on_release How>
void put_page(const page_pin<Page, How>&) noexcept {
  static_assert(detail::always_false<Page>, "pinref: this is a pin; release it as one, with its handle's reset()");
}

/// The wrong release call for a handle: does not compile.
template <class Page>
void unpin_user_page(const page_ptr<Page>&) noexcept {
  static_assert(detail::always_false<Page>,
                "pinref: this is a reference; release it as one, with its handle's reset()");
}

}  // namespace pinref::inline v0_1
