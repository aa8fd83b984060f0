// SPDX-License-Identifier: MIT

#include "order_mutation.hpp"

namespace {

using namespace support::order_mutation;

// Weaker orders of each header that the protocols run. A number is changed together with the orders of its header; one
// that has changed by itself is an order that no protocol runs any more, and so nobody tests.
// clang-format off
const std::map<std::string, int> expected{
    {"handles/pin_owner.hpp", 3},
    {"host/frame.hpp", 2},
    {"host/page_table.hpp", 2},
    {"host/range_queue.hpp", 8},
    {"host/region_index.hpp", 5},
    {"host/shadow.hpp", 2},
    {"host/sleeping_lock.hpp", 3},
    {"parts/deferred_list.hpp", 2},
    {"parts/layout_gate.hpp", 3},
    {"parts/page_stamp.hpp", 4},
    {"parts/share_count.hpp", 5},
    {"parts/write_protect_seq.hpp", 2},
    {"sync/hot_threads.hpp", 2},
    {"sync/wait_canceller.hpp", 2},
    {"word/hot_switch.hpp", 3},
    {"word/hot_word.hpp", 14},
    {"word/split_word.hpp", 5},
    {"word/zoned_word.hpp", 21},
};
// clang-format on

// Orders whose access stands elsewhere.
bool is_tried_elsewhere(const numbered_order& order) {
  // Members that may die: tests/long/share_orders.cpp.
  if (order.header.compare(0, 6, "share/") == 0) return true;
  // Passed on to a function that has the access, and is a mutant there.
  if (order.header == "word/zoned_word.hpp" && order.name == "(R1)") return true;
  // Of the data itself, which has no Sync: page_stamp.cpp has accesses of these orders in their place.
  return order.header == "parts/page_stamp.hpp" && (order.name == "(V5)" || order.name == "(V6)");
}

}  // namespace

TEST_CASE("every memory order is needed by some protocol") {
  const std::vector<subject> subjects = all_subjects(support::protocols());
  const std::vector<mutant> mutants = all_mutants(subjects);
  const std::map<std::string, int> found = by_header(mutants);
  CHECK_MESSAGE(found == expected, "the weaker orders are not those that order_mutation.cpp expects, but\n"
                                       << text(found));

  const std::vector<numbered_order> orders = numbered_orders(PINREF_HEADERS);
  CHECK(orders.size() > 40);
  for (const numbered_order& each : orders)
    CHECK_MESSAGE((is_tried_elsewhere(each) || runs(subjects, each)),
                  each.header << ": no protocol runs " << each.name);

  for (const mutant& m : mutants) {
    const subject* const killer = find_killer(m, subjects);
    CHECK_MESSAGE(killer != nullptr, explorer::text(m.at) << " -> " << explorer::text(m.to) << ": nothing fails");
  }
}
