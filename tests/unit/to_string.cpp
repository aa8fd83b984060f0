// SPDX-License-Identifier: MIT

// Every enum of the library has a name for each of its values, as it is spelled, and one for what is no value of it.

#include <doctest/doctest.h>

#include <initializer_list>
#include <ostream>
#include <string_view>

#include "pinref/host/page_table.hpp"
#include "pinref/observe/checked_ref.hpp"
#include "pinref/pinref.hpp"

namespace {

// The values are counted from 0. Two alternatives have no third name.
template <class Enum>
void names(std::initializer_list<std::string_view> all) {
  unsigned value = 0;
  for (const std::string_view name : all) CHECK(to_string(static_cast<Enum>(value++)) == name);
}
template <class Enum>
void names_and_unknown(std::initializer_list<std::string_view> all) {
  names<Enum>(all);
  CHECK(to_string(static_cast<Enum>(all.size())) == std::string_view{"unknown"});
}

}  // namespace

// Also where there is no run time.
static_assert(std::string_view{to_string(pinref::zone::frozen)} == "frozen");
static_assert(std::string_view{to_string(pinref::foll::longterm)} == "longterm");
static_assert(std::string_view{to_string(pinref::gup_error::not_longterm)} == "not_longterm");

TEST_CASE("every value of every enum has its name") {
  using namespace pinref;
  names_and_unknown<sleep_result>({"woken", "changed", "timed_out"});
  names_and_unknown<wait_result>({"reached", "timed_out", "given_up"});
  names<hold>({"reference", "pin"});
  names<owner_ref>({"counted", "resident"});
  names_and_unknown<take_result>({"taken", "dead", "overflow"});
  names_and_unknown<release_result>({"released", "idle", "last", "underflow"});
  names_and_unknown<zone>({"alive", "overflow", "watched", "frozen", "dead", "underflow"});
  names_and_unknown<gup_error>(
      {"none",         "no_pages",       "null_pages",    "bad_flags",      "misaligned",   "address_overflow",
       "out_of_range", "not_mapped",     "no_permission", "broken_mapping", "not_longterm", "overflow",
       "no_memory",    "limit_exceeded", "would_block",   "busy",           "dead",         "interrupted",
       "underflow",    "too_many_pages", "dirty_refused"});
  names_and_unknown<mkclean_result>({"clean", "truncated", "pinned"});
  names_and_unknown<if_pinned>({"skip", "bounce", "wait", "write_anyway"});
  names_and_unknown<writeback_result>({"clean", "written", "kept_dirty", "skipped", "truncated", "write_failed"});
  names_and_unknown<reuse_rule>({"sole_user", "sole_reference", "exclusive_mark"});
  names_and_unknown<fork_result>({"shared", "copied"});
  names_and_unknown<break_result>({"broken", "busy", "timed_out", "given_up"});
  names_and_unknown<reclaim_result>({"reclaimed", "busy", "dirty"});
  names_and_unknown<migrate_result>({"migrated", "busy", "timed_out", "given_up"});
  names<list_links>({"addresses", "offsets"});
  names<on_release>({"plain", "dirty"});
  names_and_unknown<protection>({"none", "read", "read_write"});
}

TEST_CASE("a misuse is named by a phrase, which is what its report prints") {
  names_and_unknown<pinref::misuse_kind>({"put of a pin", "unpin of a reference", "release of more than is held",
                                          "use of a page nobody holds", "add_pin to an unpinned page",
                                          "start of a live page", "freeze of a pin"});
}

TEST_CASE("each flag has its name; several together, or one that there is not, are flags") {
  using pinref::foll;
  CHECK(to_string(foll::none) == std::string_view{"none"});
  unsigned bit = 0;
  for (const std::string_view name :
       {"write", "longterm", "force", "nofault", "fast_only", "interruptible", "all", "get", "pin"})
    CHECK(to_string(static_cast<foll>(1u << bit++)) == name);
  CHECK(to_string(static_cast<foll>(1u << bit)) == std::string_view{"flags"});
  CHECK(to_string(foll::write | foll::longterm) == std::string_view{"flags"});
}
