// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// life_lock: a lock in shared memory that a thread keeps as long as it takes part; and segment_sync, the Sync of what
/// processes share, which has it.
///
/// The kernel gives the lock up for a thread that ends without doing so, by kill -9 too, and says so to the next owner.
/// So whether the thread lives is asked by trying to get its lock.
///
/// A Sync for share/ has, besides what word_sync asks, a type `life_lock` with
/// - `init()`: makes the lock free, in memory that is not used yet;
/// - `try_lock()`: gets it, or not, see `life_result`;
/// - `unlock()`: by the thread that got it.
///
/// When not to use it: as a lock around data. It is never waited for.
///
/// Example:
///
///     static pinref::life_lock life;                             // in shared memory
///     life.init();
///     switch (life.try_lock()) {
///       case pinref::life_result::busy: return try_again_later();
///       case pinref::life_result::orphaned: clean_up_after_its_owner(); break;
///       case pinref::life_result::acquired: break;
///     }
///     life.unlock();
///
/// Errors: none; a lock that cannot be got is busy.
/// Memory order: the next owner of the lock sees what its last owner did before it gave it up or ended.
/// Progress: no call waits; each may be a system call.
/// Source: pthread_mutexattr_setrobust(3), Linux robust futexes.

#include <errno.h>
#include <pthread.h>

#include <concepts>

#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/word_sync.hpp"

namespace pinref::inline v0_1 {

/// How an attempt to get a life_lock ended.
enum class life_result : unsigned char {
  acquired,  ///< it was free
  orphaned,  ///< it was the lock of a thread that has ended; it is the caller's now
  busy,      ///< a thread that lives has it, or is just asking
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(life_result result) noexcept {
  switch (result) {
    case life_result::acquired:
      return "acquired";
    case life_result::orphaned:
      return "orphaned";
    case life_result::busy:
      return "busy";
  }
  return "unknown";
}

/// A robust mutex that processes share.
class life_lock {
 public:
  life_lock() noexcept = default;
  life_lock(const life_lock&) = delete;
  life_lock& operator=(const life_lock&) = delete;

  /// Makes the lock free. Precondition: nobody uses it yet.
  void init() noexcept {
    ::pthread_mutexattr_t how;
    ::pthread_mutexattr_init(&how);
    ::pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutex_init(&mutex_, &how);
    ::pthread_mutexattr_destroy(&how);
  }

  /// Tries to get the lock for the calling thread.
  [[nodiscard]] life_result try_lock() noexcept {
    switch (::pthread_mutex_trylock(&mutex_)) {
      case 0:
        return life_result::acquired;
      case EOWNERDEAD:
        // A thread that ends before it has done what an orphaned lock asks for orphans it again.
        ::pthread_mutex_consistent(&mutex_);
        return life_result::orphaned;
      default:
        return life_result::busy;
    }
  }
  /// Gives it up. Precondition: the calling thread has it.
  void unlock() noexcept { ::pthread_mutex_unlock(&mutex_); }

 private:
  ::pthread_mutex_t mutex_;
};

/// The Sync of memory that processes share.
struct segment_sync : shared_sync {
  /// The lock of a thread's life.
  using life_lock = pinref::life_lock;
};

// clang-format 14 breaks noexcept requirements apart.
// clang-format off
/// A Sync whose threads may die.
template <class Sync>
concept mortal_sync = word_sync<Sync> && requires(typename Sync::life_lock& life) {
  { life.init() } noexcept;
  { life.try_lock() } noexcept -> std::same_as<life_result>;
  { life.unlock() } noexcept;
};
// clang-format on

}  // namespace pinref::inline v0_1
