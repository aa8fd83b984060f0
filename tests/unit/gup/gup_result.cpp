// SPDX-License-Identifier: MIT

#include "pinref/gup/gup_result.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <system_error>

#include "layouts.hpp"
#include "pinref/gup/errc.hpp"

using pinref::gup_error;
using pinref::gup_result;

TEST_CASE("every reason has the errno value of Linux's call") {
  const struct {
    gup_error error;
    int number;
  } table[] = {
      {gup_error::none, 0},
      {gup_error::no_pages, EINVAL},
      {gup_error::null_pages, EINVAL},
      {gup_error::bad_flags, EINVAL},
      {gup_error::misaligned, EINVAL},
      {gup_error::address_overflow, EOVERFLOW},
      {gup_error::out_of_range, EFAULT},
      {gup_error::not_mapped, EFAULT},
      {gup_error::no_permission, EFAULT},
      {gup_error::broken_mapping, EFAULT},
      {gup_error::not_longterm, EOPNOTSUPP},
      {gup_error::overflow, ENOMEM},
      {gup_error::no_memory, ENOMEM},
      {gup_error::limit_exceeded, ENOMEM},
      {gup_error::would_block, EAGAIN},
      {gup_error::busy, EBUSY},
      {gup_error::dead, EBUSY},
      {gup_error::interrupted, EINTR},
      {gup_error::underflow, EINVAL},
      {gup_error::too_many_pages, EINVAL},
      {gup_error::dirty_refused, EIO},
  };
  unsigned next = 0;
  for (const auto& each : table) {
    CHECK(static_cast<unsigned>(each.error) == next++);
    CHECK(pinref::to_errno(each.error) == each.number);
  }
  CHECK(pinref::to_errno(static_cast<gup_error>(next)) == EINVAL);
}

TEST_CASE("every reason is the std::errc of its errno, for a std::error_code to be made of") {
  static_assert(pinref::to_errc(gup_error::none) == std::errc{});
  CHECK(pinref::to_errc(gup_error::bad_flags) == std::errc::invalid_argument);
  CHECK(pinref::to_errc(gup_error::address_overflow) == std::errc::value_too_large);
  CHECK(pinref::to_errc(gup_error::not_mapped) == std::errc::bad_address);
  CHECK(pinref::to_errc(gup_error::not_longterm) == std::errc::operation_not_supported);
  CHECK(pinref::to_errc(gup_error::limit_exceeded) == std::errc::not_enough_memory);
  CHECK(pinref::to_errc(gup_error::would_block) == std::errc::resource_unavailable_try_again);
  CHECK(pinref::to_errc(gup_error::busy) == std::errc::device_or_resource_busy);
  CHECK(pinref::to_errc(gup_error::interrupted) == std::errc::interrupted);
  CHECK(pinref::to_errc(gup_error::dirty_refused) == std::errc::io_error);
  for (unsigned i = 0; i <= static_cast<unsigned>(gup_error::dirty_refused); ++i) {
    const auto reason = static_cast<gup_error>(i);
    const std::error_code code = std::make_error_code(pinref::to_errc(reason));
    CHECK(code.value() == pinref::to_errno(reason));
    CHECK(static_cast<bool>(code) == (reason != gup_error::none));
  }
}

TEST_CASE("a result is as its count and reason are") {
  static_assert(gup_result{} == gup_result{0, gup_error::none} && gup_result{}.ok());
  CHECK(gup_result{3, gup_error::none}.ok());
  CHECK_FALSE(gup_result{3, gup_error::busy}.ok());
  CHECK(gup_result{3, gup_error::busy} != gup_result{3, gup_error::none});
  CHECK(gup_result{3, gup_error::busy} != gup_result{2, gup_error::busy});
}
