// SPDX-License-Identifier: MIT

// The same operations on pinref and on the kernel this runs on, every outcome compared.
//
//   kernel [seed [operations]]
//
// Exits 1 when something differs, 77 when nothing could be compared.

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "lab.hpp"

int main(int argc, char** argv) {
  if (::sysconf(_SC_PAGESIZE) != static_cast<long>(kernel::page_size)) {
    std::cout << "pages here are not of 4 KiB" << std::endl;
    return 77;
  }
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 20240229;
  const unsigned operations = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 0)) : 2000;
  kernel::lab all;
  kernel::run_rows(all);
  kernel::run_random(all, seed, operations);
  return all.out.finish();
}
