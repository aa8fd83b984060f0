// SPDX-License-Identifier: MIT
#pragma once

// The command line.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "support/command_line.hpp"

namespace examples::buffer_pool {

struct options {
  std::uint64_t seconds = 20;
  std::uint64_t mebibytes = 256;
  std::string engine = "registered";
  std::string directory;
  bool pins = true;
};

[[noreturn]] inline void usage(std::string_view wrong) {
  end_with_usage(
      "uring_buffer_pool [--seconds N] [--size MiB, a multiple of 8] [--engine registered|uring|plain]\n"
      "                         [--directory DIR] [--no-pins]",
      wrong);
}

inline std::uint64_t parse_number(const char* text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 10);
  if (value == 0 || *end != '\0') usage(text);
  return value;
}

inline options parse(int argc, char** argv) {
  options chosen;
  for (int i = 1; i != argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--no-pins") {
      chosen.pins = false;
      continue;
    }
    if (++i == argc) usage(name);
    const char* const value = argv[i];
    if (name == "--seconds")
      chosen.seconds = parse_number(value);
    else if (name == "--size")
      chosen.mebibytes = parse_number(value);
    else if (name == "--engine")
      chosen.engine = value;
    else if (name == "--directory")
      chosen.directory = value;
    else
      usage(name);
  }
  const bool known = chosen.engine == "registered" || chosen.engine == "uring" || chosen.engine == "plain";
  if (!known) usage("--engine " + chosen.engine);
  // The pool is a quarter of the file, in blocks of 2 MiB.
  if (chosen.mebibytes % 8 != 0 || chosen.mebibytes > 65536) usage("--size " + std::to_string(chosen.mebibytes));
  return chosen;
}

}  // namespace examples::buffer_pool
