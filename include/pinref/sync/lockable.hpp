// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// basic_lockable: what the library asks of a lock that a host brings along.
///
/// When not to use it: for a page's lock. That is named in its traits.
///
/// Example:
///
///     struct no_lock {
///       void lock() {}
///       void unlock() {}
///     };
///     static_assert(pinref::basic_lockable<no_lock>);
///
/// Errors: none.
/// Memory order: the lock's.
/// Progress: the lock's.
/// Source: the C++ standard's BasicLockable and lock_guard, without `<mutex>`.

namespace pinref::inline v0_1 {

// clang-format off
/// A lock: `lock` and `unlock`.
template <class Lock>
concept basic_lockable = requires(Lock& lock) {
  lock.lock();
  lock.unlock();
};
// clang-format on

namespace detail {

/// Has a lock for as long as it lives.
template <class Lock>
class lock_guard {
 public:
  explicit lock_guard(Lock& lock) noexcept : lock_(lock) { lock_.lock(); }
  lock_guard(const lock_guard&) = delete;
  lock_guard& operator=(const lock_guard&) = delete;
  ~lock_guard() { lock_.unlock(); }

 private:
  Lock& lock_;
};

}  // namespace detail

}  // namespace pinref::inline v0_1
