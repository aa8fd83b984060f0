#pragma once

/// \file
/// std_sync: where the library's atomics come from.
///
/// `Sync` is the seam of every atomic type in pinref. A test puts a scheduler underneath that owns each access; a port
/// puts its platform's atomics there. Nothing above this file names `std::atomic`.
///
/// When not to use it: directly. Name it, or your own type with the same members, as the `Sync` of a `page_ref`.
///
/// Example:
///
///     pinref::page_ref<pinref::bias32, pinref::std_sync> ref;

#include <atomic>

namespace pinref {

/// The C++ standard library's atomics.
struct std_sync {
  template <class T>
  using atomic = std::atomic<T>;
};

}  // namespace pinref
