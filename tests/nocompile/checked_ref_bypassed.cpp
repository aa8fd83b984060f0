// expect(gcc): is an inaccessible base of
// expect(clang): to its protected base class
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
