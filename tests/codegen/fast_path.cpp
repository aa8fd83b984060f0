// SPDX-License-Identifier: MIT

// What the fast paths compile to; budgets.py reads the disassembly. Each function states its budget in the line above
// it.

#include <pinref/ref/page_ref.hpp>

#include <cstddef>

using pinref::page_ref;
using pinref::release_result;
using pinref::take_result;

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" take_result check_try_get(page_ref<>& page) {
  return page.try_get();
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" take_result check_get(page_ref<>& page) {
  return page.get();
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" release_result check_put(page_ref<>& page) {
  return page.put();
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" take_result check_try_pin(page_ref<>& page) {
  return page.try_pin();
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" take_result check_add_pin(page_ref<>& page) {
  return page.add_pin();
}

// codegen: locked=1 fetches=0 branches=1 loads=0
extern "C" release_result check_unpin(page_ref<>& page) {
  return page.unpin();
}

// codegen: locked=1 fetches=0 branches=2 loads=0
extern "C" take_result check_try_pin_n(page_ref<>& page, std::size_t n) {
  return page.try_pin(n);
}
