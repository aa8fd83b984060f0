// expect(gcc): is an inaccessible base of
// expect(clang): to its protected base class
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
