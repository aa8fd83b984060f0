// SPDX-License-Identifier: MIT
#pragma once

// Rows compared, rows skipped and why, and what differed.

#include <iostream>
#include <string>
#include <string_view>

#include "facilities.hpp"
#include "pinref/observe/pin_accounts.hpp"

namespace kernel {

inline std::ostream& operator<<(std::ostream& out, const outcome& result) {
  if (result.error != 0) return out << std::strerror(result.error);
  return out << "ok " << result.done;
}

}  // namespace kernel

namespace pinref {

inline bool operator==(const pin_totals& a, const pin_totals& b) {
  return a.acquired == b.acquired && a.released == b.released;
}

inline std::ostream& operator<<(std::ostream& out, const pin_totals& pins) {
  return out << '+' << pins.acquired << " -" << pins.released;
}

}  // namespace pinref

namespace kernel {

class report {
 public:
  explicit report(std::ostream& out = std::cout) : out_(out) {}

  void begin(std::string_view row) {
    end();
    row_ = row;
  }

  // Ends the row. It is different if anything in it was, the same if all of it was compared; one of which a rest was
  // skipped has been counted as skipped. One that compared nothing and says no reason is a mistake in the row.
  void end() {
    if (row_.empty()) return;
    const bool nothing = comparisons_ == 0 && !rest_skipped_;
    if (differences_ != 0 || nothing)
      ++failed_;
    else if (!rest_skipped_)
      ++same_;
    if (nothing)
      out_ << "NOTHING COMPARED: " << row_ << ": and no reason given" << std::endl;
    else if (comparisons_ != 0)
      out_ << (differences_ != 0 ? "DIFFERENT: "
               : rest_skipped_   ? "same, in part: "
                                 : "same: ")
           << row_ << ": " << comparisons_ << " comparisons" << std::endl;
    all_comparisons_ += comparisons_;
    row_.clear();
    comparisons_ = differences_ = 0;
    rest_skipped_ = false;
  }

  void skip(std::string_view row, std::string_view reason) {
    ++skipped_;
    last_reason_ = reason;
    out_ << "skipped: " << row << ": " << reason << std::endl;
  }
  // The rest of the row that has begun.
  void skip_rest(std::string_view reason) {
    rest_skipped_ = true;
    skip(row_, reason);
  }

  template <class T>
  bool same(std::string_view what, const T& kernel, const T& pinref) {
    ++comparisons_;
    if (kernel == pinref) return true;
    ++differences_;
    out_ << row_ << ": " << what << ": the kernel says " << kernel << ", pinref says " << pinref << std::endl;
    return false;
  }

  // A count of pins that could not be told from those of other processes.
  void undecided() { ++undecided_; }
  [[nodiscard]] bool row_differs() const { return differences_ != 0; }

  // Returns the exit code.
  [[nodiscard]] int finish() {
    end();
    const std::size_t compared = same_ + failed_;
    if (undecided_ != 0)
      out_ << "skipped: " << undecided_ << " counts of pins: other processes pin pages all the time\n";
    out_ << "covered: " << compared << " rows (" << all_comparisons_ << " comparisons), " << failed_
         << " of them different, " << skipped_ << " skipped" << std::endl;
    if (compared == 0) {
      out_ << "nothing could be compared: " << last_reason_ << std::endl;
      return 77;
    }
    out_ << same_ << " passed, " << failed_ << " failed" << std::endl;
    return failed_ != 0 ? 1 : 0;
  }

 private:
  std::ostream& out_;
  std::string row_;
  std::string last_reason_;
  std::size_t comparisons_ = 0, differences_ = 0;
  bool rest_skipped_ = false;
  std::size_t all_comparisons_ = 0, undecided_ = 0;
  std::size_t same_ = 0, failed_ = 0, skipped_ = 0;
};

}  // namespace kernel
