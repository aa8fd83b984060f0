# SPDX-License-Identifier: MIT
"""Small programs that use an installed pinref, one in C++ and one in C."""

CXX = """\
#include <pinref/pinref.hpp>

int main() {
  pinref::page_ref<> page;
  page.init();
  return page.put() == pinref::release_result::last ? 0 : 1;
}
"""
C = """\
#include <pinref_cache.h>

int main(void) {
  pinref_word word = PINREF_DEAD_WORD;
  if (!pinref_matches() || pinref_cache_size() == 0) return 1;
  pinref_init(&word, 1);
  return pinref_put(&word) == PINREF_RELEASE_LAST ? 0 : 2;
}
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.15)
project(user LANGUAGES C CXX)
find_package(pinref REQUIRED CONFIG)
add_executable(in_cxx user.cpp)
target_link_libraries(in_cxx PRIVATE pinref::pinref)
add_executable(in_c user.c)
target_link_libraries(in_c PRIVATE pinref::c)
"""
