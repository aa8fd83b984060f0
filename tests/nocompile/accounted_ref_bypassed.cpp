// SPDX-License-Identifier: MIT

// expect(gcc): invalid initialization of reference of type 'pinref::page_ref<>&' from expression of type 'word'
// expect(clang): non-const lvalue reference to type 'pinref::page_ref<>'
#include <pinref/observe/accounted_ref.hpp>
#include <pinref/pinref.hpp>

struct find_accounts {
  pinref::pin_accounts<>& operator()(const void*) const noexcept;
};
using word = pinref::accounted_ref<pinref::page_ref<>, find_accounts>;

void pins_beside_the_accounts(word& counted) {
#if defined(PINREF_NOCOMPILE_CONTROL)
  word& ref = counted;
#else
  pinref::page_ref<>& ref = counted;
#endif
  (void)ref.try_pin();
}
