// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// gup_error and gup_result: the one error table of every call on many pages.
///
/// When not to use it: for one page; `take_result` and `release_result` say why there.
///
/// Example:
///
///     const pinref::gup_result done = pinref::pin_user_pages(space, start, n, pinref::foll::write, pages);
///     if (!done.ok()) std::printf("%zu pages pinned, then %s\n", done.count, to_string(done.reason));
///     (void)pinref::unpin_user_pages(pages, done.count);
///
/// Errors: gup_error names them all.
/// Memory order: none.
/// Progress: wait-free.
/// Source: Linux's errno values; a count together with its reason is pinref's own.

#include <cerrno>
#include <cstddef>

namespace pinref::inline v0_1 {

/// Why a call stopped. `to_errno` gives what Linux would return.
///
///     reason            meaning                                                              errno
///     none              every page was done                                                  0
///     no_pages          zero pages were asked for                                            EINVAL
///     null_pages        the page array is null                                               EINVAL
///     bad_flags         a combination the flag table refuses                                 EINVAL
///     misaligned        the start is not on a page boundary                                  EINVAL
///     address_overflow  start + length wraps around                                          EOVERFLOW
///     out_of_range      the range leaves the address space or the object                     EFAULT
///     not_mapped        no mapping there, or foll::nofault and nothing present               EFAULT
///     no_permission     the mapping does not allow the access                                EFAULT
///     broken_mapping    the host presented no page, a dead one, or to a pin a shared one     EFAULT
///     not_longterm      a page that may not be pinned for long                               EOPNOTSUPP
///     overflow          the page cannot count more holders                                   ENOMEM
///     no_memory         the host could not provide the page                                  ENOMEM
///     limit_exceeded    the owner may not pin that many pages                                ENOMEM
///     would_block       foll::fast_only, and the rest needs the slow path                    EAGAIN
///     busy              others changed the object again and again, or the request is in use  EBUSY
///     dead              a page of a range of descriptors is free or frozen                   EBUSY
///     interrupted       foll::interruptible, and the space said to give up                   EINTR
///     underflow         a release of more than was held; of other pages all was released     EINVAL
///     too_many_pages    more than an array can hold: an error code taken for a count         EINVAL
///     dirty_refused     released, but a page could not be marked dirty: its data may be lost EIO
enum class gup_error : unsigned char {
  none,
  no_pages,
  null_pages,
  bad_flags,
  misaligned,
  address_overflow,
  out_of_range,
  not_mapped,
  no_permission,
  broken_mapping,
  not_longterm,
  overflow,
  no_memory,
  limit_exceeded,
  would_block,
  busy,
  dead,
  interrupted,
  underflow,
  too_many_pages,
  dirty_refused,
};

/// The errno value of the table above, positive.
[[nodiscard]] constexpr int to_errno(gup_error error) noexcept {
  switch (error) {
    case gup_error::none:
      return 0;
    case gup_error::no_pages:
    case gup_error::null_pages:
    case gup_error::bad_flags:
    case gup_error::misaligned:
    case gup_error::underflow:
    case gup_error::too_many_pages:
      return EINVAL;
    case gup_error::address_overflow:
      return EOVERFLOW;
    case gup_error::out_of_range:
    case gup_error::not_mapped:
    case gup_error::no_permission:
    case gup_error::broken_mapping:
      return EFAULT;
    case gup_error::not_longterm:
      return EOPNOTSUPP;
    case gup_error::overflow:
    case gup_error::no_memory:
    case gup_error::limit_exceeded:
      return ENOMEM;
    case gup_error::would_block:
      return EAGAIN;
    case gup_error::busy:
    case gup_error::dead:
      return EBUSY;
    case gup_error::interrupted:
      return EINTR;
    case gup_error::dirty_refused:
      return EIO;
  }
  return EINVAL;
}

/// The name of the reason, as spelled above.
[[nodiscard]] constexpr const char* to_string(gup_error error) noexcept {
  switch (error) {
    case gup_error::none:
      return "none";
    case gup_error::no_pages:
      return "no_pages";
    case gup_error::null_pages:
      return "null_pages";
    case gup_error::bad_flags:
      return "bad_flags";
    case gup_error::misaligned:
      return "misaligned";
    case gup_error::address_overflow:
      return "address_overflow";
    case gup_error::out_of_range:
      return "out_of_range";
    case gup_error::not_mapped:
      return "not_mapped";
    case gup_error::no_permission:
      return "no_permission";
    case gup_error::broken_mapping:
      return "broken_mapping";
    case gup_error::not_longterm:
      return "not_longterm";
    case gup_error::overflow:
      return "overflow";
    case gup_error::no_memory:
      return "no_memory";
    case gup_error::limit_exceeded:
      return "limit_exceeded";
    case gup_error::would_block:
      return "would_block";
    case gup_error::busy:
      return "busy";
    case gup_error::dead:
      return "dead";
    case gup_error::interrupted:
      return "interrupted";
    case gup_error::underflow:
      return "underflow";
    case gup_error::too_many_pages:
      return "too_many_pages";
    case gup_error::dirty_refused:
      return "dirty_refused";
  }
  return "unknown";
}

/// How far a call came and why it stopped there, together. With `none` the count is what was asked for.
struct [[nodiscard]] gup_result {
  std::size_t count = 0;               ///< pages held, or released, by this call
  gup_error reason = gup_error::none;  ///< why it stopped

  /// Was everything done?
  [[nodiscard]] constexpr bool ok() const noexcept { return reason == gup_error::none; }
  friend constexpr bool operator==(gup_result, gup_result) noexcept = default;
};

}  // namespace pinref::inline v0_1
