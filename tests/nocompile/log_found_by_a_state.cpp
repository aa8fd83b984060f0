// SPDX-License-Identifier: MIT

// expect(gcc): template constraint failure
// expect(clang): constraints not satisfied
// expect: log_finder
#include <mutex>
#include <pinref/observe/logged_ref.hpp>

struct finder {
#if !defined(PINREF_NOCOMPILE_CONTROL)
  pinref::holder_log<std::mutex>* mine = nullptr;
#endif
  pinref::holder_log<std::mutex>& operator()(const void*) const noexcept;
};

pinref::logged_ref<pinref::page_ref<>, finder>* word;
