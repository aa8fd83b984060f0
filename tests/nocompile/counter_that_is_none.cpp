// SPDX-License-Identifier: MIT

// first(gcc): requires reference_counter<Counter>
// first(clang): constraints not satisfied for class template 'basic_ref' [with Counter = only_counts]
#include <pinref/pinref.hpp>

struct only_counts : pinref::bias_word<pinref::bias64, pinref::std_sync> {
#if defined(PINREF_NOCOMPILE_CONTROL)
  using bias_word::bias_word;
#else
  bool freeze() = delete;
#endif
};

pinref::basic_ref<only_counts> word;
