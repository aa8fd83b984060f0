// SPDX-License-Identifier: MIT

// A hot page: not one locked operation, and branches that are all predicted. Loaded are whether it is hot, twice; whose
// numbers it uses, which nobody writes; this thread's number; and its count. A count is compared with its bound, and
// the numbers' owner with what the thread remembers, in memory.

#include <pinref/ref/hot_ref.hpp>

using pinref::hot_ref;
using pinref::release_result;
using pinref::take_result;

// codegen: locked=0 branches=4 branches@-O1=6 loads=5
extern "C" take_result check_hot_get(hot_ref<>& page) {
  return page.try_get();
}

// codegen: locked=0 branches=4 branches@-O1=6 loads=5
extern "C" release_result check_hot_put(hot_ref<>& page) {
  return page.put();
}

// codegen: locked=0 branches=4 branches@-O1=6 loads=5
extern "C" take_result check_hot_pin(hot_ref<>& page) {
  return page.try_pin();
}

// codegen: locked=0 branches=4 branches@-O1=6 loads=5
extern "C" release_result check_hot_unpin(hot_ref<>& page) {
  return page.unpin();
}
