// SPDX-License-Identifier: MIT
#pragma once

// The command line of the small examples, and what a run may end in.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "direct_file.hpp"

namespace examples {

/// Exit codes.
enum verdict : int { verified = 0, corrupt = 1, failed = 2, not_here = 77 };

/// Ends the program with its usage: well, if that was asked for by --help.
[[noreturn]] inline void end_with_usage(const char* usage, std::string_view wrong) {
  const bool asked = wrong == "--help" || wrong == "-h";
  if (!asked) std::fprintf(stderr, "not understood: %s\n", std::string(wrong).c_str());
  std::fprintf(asked ? stdout : stderr, "usage: %s\n", usage);
  std::exit(asked ? verified : failed);
}

/// --directory DIR, and any of the flags the program knows. Anything else ends it with its usage.
class command_line {
 public:
  command_line(int argc, char** argv, std::initializer_list<std::string_view> known) {
    for (int i = 1; i != argc; ++i) {
      const std::string_view word = argv[i];
      if (word == "--directory" && i + 1 != argc)
        directory_ = argv[++i];
      else if (std::find(known.begin(), known.end(), word) != known.end())
        given_.push_back(word);
      else
        usage(argv[0], known, word);
    }
  }

  [[nodiscard]] bool has(std::string_view flag) const {
    return std::find(given_.begin(), given_.end(), flag) != given_.end();
  }
  /// Where files go; empty for the usual places.
  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }

 private:
  [[noreturn]] static void usage(const char* program, std::initializer_list<std::string_view> known,
                                 std::string_view wrong) {
    std::string text = std::string{program} + " [--directory DIR]";
    for (const std::string_view flag : known) text += " [" + std::string(flag) + "]";
    end_with_usage(text.c_str(), wrong);
  }

  std::string directory_;
  std::vector<std::string_view> given_;
};

/// Runs the program and turns what it throws into its last words and exit code.
template <class Job>
int run(Job job) {
  try {
    return job();
  } catch (const cannot_run& reason) {
    std::printf("cannot run here: %s\n", reason.what());
    return not_here;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "failed: %s\n", failure.what());
    return failed;
  }
}

}  // namespace examples
