// SPDX-License-Identifier: MIT

// The report counts each row once, for what it was: the same, different, skipped, or one that compared nothing.

#include <iostream>
#include <sstream>
#include <string>

#include "report.hpp"

namespace {

int passed = 0, failed = 0;

// Runs rows on a report of its own and looks for the closing text and the exit code.
template <class Rows>
void expect(const char* what, const std::string& wanted, int code, Rows rows) {
  std::ostringstream text;
  kernel::report out{text};
  rows(out);
  const int got = out.finish();
  const bool good = text.str().find(wanted) != std::string::npos && got == code;
  ++(good ? passed : failed);
  if (!good)
    std::cout << what << ": wanted \"" << wanted << "\" and " << code << ", got " << got << " and\n" << text.str();
}

}  // namespace

int main() {
  using kernel::report;
  expect("a row that agrees", "\n1 passed, 0 failed", 0, [](report& out) {
    out.begin("row");
    out.same("number", 1, 1);
  });
  expect("a row that differs", "\n0 passed, 1 failed", 1, [](report& out) {
    out.begin("row");
    out.same("number", 1, 1);
    out.same("number", 1, 2);
  });
  expect("a row that compares nothing", "NOTHING COMPARED: row", 1, [](report& out) { out.begin("row"); });
  expect("a row that compares nothing is a failure among others", "\n1 passed, 1 failed", 1, [](report& out) {
    out.begin("row");
    out.begin("other");
    out.same("number", 1, 1);
  });
  expect("a row skipped after one comparison is not the same", "1 comparisons), 0 of them different, 1 skipped", 77,
         [](report& out) {
           out.begin("row");
           out.same("number", 1, 1);
           out.skip_rest("a reason");
         });
  expect("nor does it count beside others", "\n1 passed, 0 failed", 0, [](report& out) {
    out.begin("row");
    out.same("number", 1, 1);
    out.skip_rest("a reason");
    out.begin("other");
    out.same("number", 1, 1);
  });
  expect("a difference before the rest is skipped counts", "\n0 passed, 1 failed", 1, [](report& out) {
    out.begin("row");
    out.same("number", 1, 2);
    out.skip_rest("a reason");
  });
  expect("rows skipped at once", "nothing could be compared: a reason", 77,
         [](report& out) { out.skip("row", "a reason"); });
  expect("nothing is run", "nothing could be compared", 77, [](report&) {});

  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed != 0 || passed == 0 ? 1 : 0;
}
