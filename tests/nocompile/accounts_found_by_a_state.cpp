// SPDX-License-Identifier: MIT

// expect(gcc): template constraint failure
// expect(clang): constraints not satisfied
// expect: accounts_finder
#include <pinref/observe/accounted_ref.hpp>

struct finder {
#if !defined(PINREF_NOCOMPILE_CONTROL)
  pinref::pin_accounts<>* mine = nullptr;
#endif
  pinref::pin_accounts<>& operator()(const void*) const noexcept;
};

pinref::accounted_ref<pinref::page_ref<>, finder>* word;
