// SPDX-License-Identifier: MIT

// expect(gcc): invalid initialization of reference of type 'pinref::page_ref<>&' from expression of type 'word'
// expect(clang): non-const lvalue reference to type 'pinref::page_ref<>'
#include <pinref/observe/checked_ref.hpp>
#include <pinref/pinref.hpp>

using word = pinref::checked_ref<pinref::page_ref<>>;

void pins_beside_the_books(word& counted) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  word& ref = counted;
#else
  pinref::page_ref<>& ref = counted;
#endif
  (void)ref.try_pin();
}
