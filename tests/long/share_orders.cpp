// SPDX-License-Identifier: MIT

// The memory orders of share/, one step weaker, one at a time, over members that may die.

#include <set>

#include "explore/order_mutation.hpp"
#include "explore/share_programs.hpp"

namespace {

using namespace support::order_mutation;

// Where a kill falls between two instructions, the later is a release so that no compiler changes places with the
// earlier; and the first of two read-modify-writes is where the explorer runs it. Neither does an execution show.
const std::set<std::string> only_kept_in_place{
    "share/ledger.hpp (L10) -> rlx",    "share/member.hpp (L19) -> rlx",   "share/member_base.hpp (L28) -> rlx",
    "share/page_lock.hpp (L20) -> acq", "share/recovery.hpp (L34) -> rlx",
};

std::string name_of(const std::vector<numbered_order>& all, const mutant& m) {
  for (const numbered_order& each : all)
    if (each.header == in_library(m.at) && m.at.at.line >= each.first && m.at.at.line <= each.last)
      return each.header + " " + each.name + " -> " + explorer::text(m.to);
  return explorer::text(m.at);
}

}  // namespace

TEST_CASE("every memory order of share/ is needed by some program of members that may die") {
  using support::share_programs::small;
  using support::share_programs::with_a_second_recoverer;

  const std::vector<support::protocol> protocols{{"small", small},
                                                 {"with a second recoverer", with_a_second_recoverer}};
  const std::vector<subject> subjects = all_subjects(protocols);
  const std::vector<numbered_order> orders = numbered_orders(PINREF_HEADERS);
  for (const numbered_order& each : orders)
    // A segment is mapped by system calls, which the explorer does not run.
    if (each.header.compare(0, 6, "share/") == 0 && each.header != "share/segment.hpp")
      CHECK_MESSAGE(runs(subjects, each), each.header << ": no program runs " << each.name);

  std::set<std::string> missed;
  for (const mutant& each : all_mutants(subjects)) {
    if (std::strncmp(in_library(each.at), "share/", 6) != 0) continue;
    if (find_killer(each, subjects) == nullptr) missed.insert(name_of(orders, each));
  }
  std::string text;
  for (const std::string& each : missed) text += each + "\n";
  CHECK_MESSAGE(missed == only_kept_in_place, text);
}
