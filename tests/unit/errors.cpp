// Each reason has a name and a number; and lines that no scenario happens to reach.

#include <doctest/doctest.h>

#include <cerrno>
#include <string_view>

#include "layouts.hpp"
#include "pinref/gup/gup.hpp"
#include "pinref/host/frame_arena.hpp"
#include "pinref/host/page_table.hpp"

using pinref::foll;
using pinref::gup_error;
using pinref::take_result;

TEST_CASE("every reason has the errno value of Linux's call and its own name") {
  const struct {
    gup_error error;
    int number;
    std::string_view name;
  } table[] = {
      {gup_error::none, 0, "none"},
      {gup_error::no_pages, EINVAL, "no_pages"},
      {gup_error::null_pages, EINVAL, "null_pages"},
      {gup_error::bad_flags, EINVAL, "bad_flags"},
      {gup_error::misaligned, EINVAL, "misaligned"},
      {gup_error::address_overflow, EOVERFLOW, "address_overflow"},
      {gup_error::out_of_range, EFAULT, "out_of_range"},
      {gup_error::not_mapped, EFAULT, "not_mapped"},
      {gup_error::no_permission, EFAULT, "no_permission"},
      {gup_error::broken_mapping, EFAULT, "broken_mapping"},
      {gup_error::not_longterm, EOPNOTSUPP, "not_longterm"},
      {gup_error::overflow, ENOMEM, "overflow"},
      {gup_error::no_memory, ENOMEM, "no_memory"},
      {gup_error::limit_exceeded, ENOMEM, "limit_exceeded"},
      {gup_error::would_block, EAGAIN, "would_block"},
      {gup_error::busy, EBUSY, "busy"},
      {gup_error::interrupted, EINTR, "interrupted"},
      {gup_error::underflow, EINVAL, "underflow"},
      {gup_error::too_many_pages, EINVAL, "too_many_pages"},
      {gup_error::dirty_refused, EIO, "dirty_refused"},
  };
  unsigned next = 0;
  for (const auto& each : table) {
    CHECK(static_cast<unsigned>(each.error) == next++);
    CHECK(pinref::to_errno(each.error) == each.number);
    CHECK(pinref::to_string(each.error) == each.name);
  }
  const auto none_such = static_cast<gup_error>(next);
  CHECK(pinref::to_errno(none_such) == EINVAL);
  CHECK(pinref::to_string(none_such) == std::string_view{"unknown"});
}

TEST_CASE("a host that says nothing of long pins allows them") {
  pinref::frame_arena arena{1};
  pinref::page_table space{arena, 0, 1};
  REQUIRE(space.map(0, 1, pinref::protection::read_write));
  pinref::page_table::page* page = nullptr;
  CHECK(pinref::pin_user_pages_fast(space, 0, 1, foll::write | foll::longterm, &page).ok());
  CHECK(pinref::unpin_user_pages(&page, 1).ok());
}

TEST_CASE("write protecting one page of a huge one leaves the others as they were") {
  constexpr std::size_t n = pinref::frame_arena::frames_per_block;
  pinref::frame_arena arena{2};
  pinref::page_table space{arena, 0, n};
  auto* const head = arena.allocate_compound();
  REQUIRE(head != nullptr);
  REQUIRE(space.map(0, n, pinref::protection::read_write));
  REQUIRE(space.map_page(0, *head, pinref::protection::read_write));
  CHECK(space.lookup(0, foll::write).run == n);
  space.write_protect(pinref::page_table::page_size);
  CHECK(space.lookup(0, foll::write).run == 1);
  CHECK(space.lookup(pinref::page_table::page_size, foll::write).page == nullptr);
  CHECK(space.lookup(pinref::page_table::page_size, foll::none).page != nullptr);
}
