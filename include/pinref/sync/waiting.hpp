// SPDX-License-Identifier: MIT
#pragma once

/// \file
/// wait_ticket: what a waiter sleeps on; and the loop that sleeps on it.
///
/// To wait on a word, mark it and take a ticket: the futexes to sleep on, with the values they had. The call that takes
/// the mark away changes the first of them and wakes. An executor awaits the futexes in its own way, as io_uring can,
/// and then asks for the next ticket. To give up it takes the mark away (`abandon_wait`), which wakes the other waiters
/// to mark again.
///
/// When not to use it: to sleep in a thread. The waits of page_ref do that.
///
/// Example:
///
///     for (;;) {
///       const auto ticket = ref.prepare_wait_until_unpinned();
///       if (ticket.reached) return reuse();
///       if (!executor.await(ticket)) break;                      // by its own deadline, say
///     }
///     ref.abandon_wait();
///
/// Errors: none.
/// Memory order: acquire where the ticket says `reached`; see page_ref.
/// Progress: taking a ticket is lock-free; the loop here sleeps.
/// Source: Linux futex(2), futex_waitv(2).

#include <cstdint>

#include "pinref/sync/deadline.hpp"
#include "pinref/sync/std_sync.hpp"
#include "pinref/sync/wait_canceller.hpp"

namespace pinref::inline v0_1 {

/// The outcome of a wait.
enum class wait_result : unsigned char {
  reached,    ///< the page was as asked for, at some instant
  timed_out,  ///< it was not before the deadline
  given_up,   ///< the wait was cancelled
};

/// The name of a value, as spelled above.
[[nodiscard]] constexpr const char* to_string(wait_result result) noexcept {
  switch (result) {
    case wait_result::reached:
      return "reached";
    case wait_result::timed_out:
      return "timed_out";
    case wait_result::given_up:
      return "given_up";
  }
  return "unknown";
}

/// What a waiter has to do next.
template <class Sync>
struct wait_ticket {
  /// Do waiters and wakers in different processes find each other?
  static constexpr bool process_shared = Sync::process_shared;

  bool reached = false;                  ///< nothing: the page is as asked for
  unsigned nr_futexes = 0;               ///< sleep while all of these have the values seen, compared in this order
  typename Sync::futex futexes[2] = {};  ///< process_shared or not
  /// Look again after so many nanoseconds at the latest: without end, or because no wake-up may come.
  std::int64_t look_again = INT64_MAX;

  /// One futex more, of at most two.
  void add(const typename Sync::futex& futex) noexcept { futexes[nr_futexes++] = futex; }
};

namespace detail {

/// One wait of one thread.
template <class Sync, class Canceller>
class waiter {
 public:
  waiter(const deadline& until, const Canceller& stop) noexcept : until_(until), stop_(stop) {}

  /// Why the wait is over before there was a sleep; `reached` if it is not.
  [[nodiscard]] wait_result over() const noexcept {
    if (stop_.cancelled()) return wait_result::given_up;
    return !until_.is_never() && until_.left() <= 0 ? wait_result::timed_out : wait_result::reached;
  }

  /// Sleeps on the ticket. Afterwards as over().
  [[nodiscard]] wait_result sleep(const wait_ticket<Sync>& on) noexcept {
    // Under traffic the word never has the value that was seen, or each release wakes this thread, which marks the word
    // for the next release. Then let time pass: without it this would be a spin.
    const bool restless = looks_in_vain_ == patience;
    looks_in_vain_ = restless ? 0 : looks_in_vain_ + 1;
    typename Sync::futex futexes[3] = {};
    unsigned n = 0;
    if (!restless)
      for (; n != on.nr_futexes; ++n) futexes[n] = on.futexes[n];
    if constexpr (requires { stop_.futex(); }) futexes[n++] = stop_.futex();
    const sleep_result slept = Sync::wait(futexes, n, until_, restless ? poll_interval : on.look_again);
    if (stop_.cancelled()) return wait_result::given_up;
    return slept == sleep_result::timed_out ? wait_result::timed_out : wait_result::reached;
  }

 private:
  static constexpr unsigned patience = 4;

  const deadline& until_;
  const Canceller& stop_;
  unsigned looks_in_vain_ = 0;
};

}  // namespace detail

}  // namespace pinref::inline v0_1
