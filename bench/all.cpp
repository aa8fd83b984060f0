// SPDX-License-Identifier: MIT

// All benchmarks in one program, to be carried to a machine that has nothing installed.

#include "paired.hpp"

int main(int argc, char** argv) {
  return bench::run_all(argc, argv);
}
